"""The command as a whole: prepared strategies on a small market of years, and the files that it leaves."""

import gzip
import json
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import qnt.output as qnout
import xarray as xr

from lib import Strategy
from lib import contest as package
from lib.common.competitions import COMPETITIONS
from lib.contest import ContestWarning, all_days, contest, record
from lib.contest.__main__ import main
from lib.contest.all_days import whole_run
from lib.contest.passes import Pass
from lib.runs.provenance import market_fingerprint
from tests.contest.strategies import TINY, last_three, nothing_before_2008, years_of_wednesdays
from tests.switches import long, longest

pytestmark = pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning")
ORIGINAL = Strategy(**TINY, selection=last_three)


@pytest.fixture
def market(use_market, here, monkeypatch):
    """The market, and in place of the published template one that is quickly trained."""
    use_market(years_of_wednesdays(end="2009-02-25"))
    monkeypatch.setattr(package, "Strategy", lambda **parameters: Strategy(**TINY, **parameters))
    return here


class Seen(Exception):
    """Ends a contest where a test has seen enough."""


@pytest.mark.parametrize(
    ("days", "longest_of"), [({}, 0), ({"train_period": 60}, 1), ({"lookback_period": 60}, 1)]
)
def test_the_data_suffice_for_the_strategy_and_for_the_template(days, longest_of, market, monkeypatch):
    def load(strategy, first, last):
        raise Seen(strategy)

    monkeypatch.setattr(package, "_load", load)
    strategies = Strategy(**{**TINY, "train_period": 50}), Strategy(**{**TINY, **days}, selection=last_three)
    monkeypatch.setattr(package, "Strategy", lambda **_: strategies[0])
    with pytest.raises(Seen) as seen:
        contest(strategies[1], progress=False)
    assert seen.value.args[0] is strategies[longest_of]


@pytest.mark.parametrize(("end", "complete"), [(None, True), ("2009-02-25", True), ("2009-02-18", False)])
def test_a_range_is_complete_where_it_ends_with_the_data(end, complete, market, tmp_path, monkeypatch):
    def verdict(*_, **given):
        raise Seen(given["complete"])

    monkeypatch.setattr(package, "contest_verdict", verdict)
    with pytest.raises(Seen, match=str(complete)):
        contest(Strategy(**TINY, model="constant"), "2009-02-11", end, folder=tmp_path, progress=False)


@longest
def test_the_template_and_a_late_start_are_judged_right(market, tmp_path):
    """Positions above 0.1 and an admitted strategy follow below, what no strategy does in test_judging."""
    copy = contest(Strategy(**TINY), folder=tmp_path, progress=False)
    assert [check.rule for check in copy.checks if not check.holds] == ["originality"]
    assert copy.in_words.startswith("It is a copy.")
    late = contest(Strategy(**TINY, selection=nothing_before_2008), folder=tmp_path, progress=False)
    assert "first position" in [check.rule for check in late.checks if check.holds is False]
    assert next(check.found for check in late.checks if check.rule == "first position") == "2008-01-02"


@long
def test_two_admitted_strategies_one_after_the_other(market, tmp_path):
    """The second is compared with the first; the template is run once; the files hold what they should."""
    first = contest(ORIGINAL, folder=tmp_path, progress=False)
    assert first.admitted, str(first)
    days = sum(count for _, count in market.months)
    market.months.clear()
    large = Strategy(**{**TINY, "top_assets": 4}, max_weight=0.4)
    second = contest(large, folder=tmp_path, progress=False)
    assert sum(count for _, count in market.months) == days / 2  # the template's are kept
    assert [check.rule for check in second.checks if not check.holds] == ["largest position"]
    (name,) = [name for name in second.relatives.index if name.startswith("own trial ")]
    assert "selection=last_three" in name
    assert np.array_equal(second.others[name].values, first.returns.values)

    content = json.loads((tmp_path / "verdict.json").read_text("utf-8"))
    assert content["parameters"]["max_weight"] == 0.4
    assert content["admitted"] is False
    weights = xr.load_dataarray(gzip.decompress((tmp_path / "weights.nc.gz").read_bytes()))
    assert weights.dims == ("time", "asset")
    # the sum of a day depends in its last digit on the order of the assets
    xr.testing.assert_allclose(weights, qnout.normalize(weights), rtol=1e-12, atol=0)
    assert float(weights.max()) == pytest.approx(float(second.checks[1].found), abs=1e-4)
    assert "It would not be admitted" in (tmp_path / "verdict.html").read_text("utf-8")

    (kept,) = [path for path in tmp_path.glob("*/verdict.json") if path.parent.name != content["key"]]
    kept.write_text(kept.read_text("utf-8")[:-100], "utf-8")
    with pytest.warns(ContestWarning, match="is damaged .*nothing is compared with it"):
        again = contest(large, folder=tmp_path, progress=False)
    assert len(again.relatives) == 3


@patch.dict(COMPETITIONS, stocks_nasdaq100=COMPETITIONS["stocks_nasdaq100"]._replace(comparison_years=0))
def test_the_command_line(market, tmp_path, capsys):
    given = ["--set", *(f"{name}={value}" for name, value in TINY.items()), "--output", str(tmp_path)]
    late = ["--start", "2007-11-01", "--end", "2008-02-20"]
    assert main([*given, *late]) == 1
    printed = capsys.readouterr().out
    assert "2007-11-07 to 2008-02-20" in printed
    assert "It is a copy." in printed
    assert "? cannot be told" in printed
    assert "The Sharpe ratio cannot be told: the days end before the data." in printed
    assert printed.endswith("verdict.html, verdict.json, weights.nc.gz\n")
    market.months.clear()
    market.stop = 0
    assert main([*given, "--start", "2007-10-03"]) == 130
    assert "the same command continues" in capsys.readouterr().err


@long
def test_the_time_of_a_pass_is_the_longest(market, tmp_path, monkeypatch):
    def slow_once(*arguments, **options):
        (weights, passes), damaged = whole_run(*arguments, **options)
        passes = [entry._replace(seconds=700.0 if k == 3 else 0.1) for k, entry in enumerate(passes)]
        return all_days.WholeRun(weights, passes), damaged

    monkeypatch.setattr(package, "whole_run", slow_once)
    verdict = contest(ORIGINAL, "2008-01-09", "2008-02-20", folder=tmp_path, progress=False)
    (found,) = [check.found for check in verdict.checks if check.rule == "time of a pass"]
    assert found.startswith("700.0 s")


def test_an_asset_without_a_model_is_in_equal_weights_of_the_selected():
    data = years_of_wednesdays(end="2006-02-01")
    names, day = data.asset.values.tolist(), str(data.time.values[-1])[:10]
    entry = Pass(day, {}, names[:2], {names[5]: "too few days"}, 0.1)
    weights = package.equal_in_selected(data, [entry])
    held = weights.isel(time=0).to_series()
    assert held[held > 0].to_dict() == dict.fromkeys([*names[:2], names[5]], 1 / 3)
    other = entry._replace(day=str(data.time.values[-2])[:10], models=None)  # on a single day is enough
    assert package.equal_in_selected(data, [other, entry]) is None
    alone = package.equal_in_selected(data, [Pass(day, {}, names[:1], {}, 0.1)]).isel(time=0)
    assert alone.to_series()[lambda row: row > 0].to_dict() == {names[0]: 1.0}
    data.loc[{"field": "is_liquid", "asset": names[1]}] = 0
    held = package.equal_in_selected(data, [entry]).isel(time=0).to_series()
    assert held[held > 0].to_dict() == dict.fromkeys([names[0], names[5]], 1 / 2)


@pytest.fixture
def planned(market, monkeypatch):
    """Record what is run, compared and written, and run nothing."""
    found = SimpleNamespace(runs=[], earlier=None, judged=None, written=None)

    def run(strategy, data, first, last, place, identity, **more):
        assert identity == all_days.pass_identity(strategy)
        days = data.time.sel(time=slice(first, last)).values
        passes = [Pass(str(day)[:10], {}, ["NAS:00"], {}, float(k)) for k, day in enumerate(days)]
        found.runs.append(SimpleNamespace(strategy=strategy, days=days, place=place, more=more, data=data))
        return all_days.WholeRun(f"weights of {more['title']}", passes), [f"{more['title']}: damaged"]

    def earlier(*given):
        found.earlier = given
        return {"own trial": "returns"}, ["unread"]

    def judge(data, weights, rules, **more):
        found.judged = SimpleNamespace(data=data, weights=weights, rules=rules, **more)
        return "the verdict"

    monkeypatch.setattr(package, "whole_run", run)
    monkeypatch.setattr(package, "contest_verdict", judge)
    monkeypatch.setattr(record, "earlier_verdicts", earlier)
    monkeypatch.setattr(record, "write_verdict", lambda *given: setattr(found, "written", given))
    monkeypatch.setattr(package.provenance, "is_synthetic", lambda: "random")
    monkeypatch.setattr(package.provenance, "market_name", lambda: "a small market")
    return found


def test_strategy_and_template_run_on_the_same_days_and_are_judged_together(planned, tmp_path, capsys):
    where = {"workers": 2, "backend": "threading"}
    with pytest.warns(ContestWarning) as warned:
        verdict = contest(ORIGINAL, "2008-01-10", "2008-02-20", folder=str(tmp_path), progress=False, **where)
    assert verdict == "the verdict"
    assert "Data loaded" not in capsys.readouterr().out
    sentences = ["your strategy: damaged", "the template: damaged", "unread"]
    assert [str(each.message) for each in warned] == sentences
    own, other = planned.runs
    assert (own.strategy, other.strategy) == (ORIGINAL, Strategy(**TINY))
    days = [f"2008-{day}" for day in ("01-16", "01-23", "01-30", "02-06", "02-13", "02-20")]
    for each, title in ((own, "your strategy"), (other, "the template")):
        assert [str(day)[:10] for day in each.days] == days
        assert each.place == tmp_path / all_days.pass_identity(each.strategy).key / "days"
        assert each.more == {"title": title, "progress": False, **where}
    keys = own.place.parent.name, other.place.parent.name
    folder, kind, market, without = planned.earlier
    assert (folder, kind, without) == (tmp_path, "stocks_nasdaq100", set(keys))
    assert market == market_fingerprint(own.data.sel(time=slice("2008-01-10", None)))
    judged = planned.judged
    assert (judged.data is own.data, judged.weights) == (True, "weights of your strategy")
    assert (judged.template, judged.earlier) == ("weights of the template", {"own trial": "returns"})
    assert judged.rules == COMPETITIONS["stocks_nasdaq100"]
    assert judged.selected.sizes["time"] == 6
    assert (judged.seconds, judged.complete, judged.synthetic) == (5.0, False, "random")
    assert (judged.source, judged.scaled) == ("a small market", False)
    assert judged.parameters == ORIGINAL.as_dict()
    assert "selection=" in judged.title
    weights, passes = planned.written[4:]
    assert planned.written[:4] == (tmp_path, keys[0], market, "the verdict")
    assert (weights, len(passes)) == ("weights of your strategy", 6)


def test_the_template_itself_runs_once_to_the_last_day_from_the_first_in_sample(planned, tmp_path):
    with pytest.warns(ContestWarning) as warned:
        contest(Strategy(**TINY), folder=tmp_path, title="mine")
    assert len(warned) == 2
    (run,) = planned.runs
    assert str(run.days[0])[:10] == "2006-01-04"
    assert run.more["progress"] is True
    assert planned.judged.template == planned.judged.weights == "weights of your strategy"
    assert (planned.judged.complete, planned.judged.title) == (True, "mine")


@long
@pytest.mark.filterwarnings("ignore::lib.contest.ContestWarning")
@pytest.mark.parametrize("longer", ["train_period", "lookback_period"])
def test_the_data_begin_early_enough_for_strategy_and_template(planned, tmp_path, monkeypatch, longer):
    """An end on the last day of the data is as good as none."""
    long, days = Strategy(**{**TINY, longer: 300}), ("2008-01-09", "2009-02-25")
    contest(long, *days, folder=tmp_path)
    monkeypatch.setattr(package, "Strategy", lambda **_: long)
    contest(ORIGINAL, *days, folder=tmp_path)
    expected = long.load_range(*days).time.values[0]
    assert [run.data.time.values[0] for run in planned.runs] == [expected] * 4
    assert planned.judged.complete


@pytest.mark.filterwarnings("ignore::lib.contest.ContestWarning")
def test_a_strategy_without_a_change_is_named_as_published(planned, tmp_path):
    contest(Strategy(), "2008-01-09", "2008-02-20", folder=tmp_path)
    assert planned.judged.title == "as published"


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"scaled": True}, "stocks_nasdaq100 scales no entry"),
        ({"scheduler": "tcp://x:1"}, {}, "a scheduler is for the backend dask"),
        (
            {"start": "2008-03-02", "end": "2008-03-28"},
            {},
            "no trading day from 2008-03-02 to 2008-03-28: ch",
        ),
        ({"start": "2005-08-03"}, {}, "start_date can be 2006-"),
    ],
    ids=["scaled", "scheduler", "no trading day", "too early for the template"],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(
    changes, options, message, planned, use_market, tmp_path, monkeypatch
):
    data = years_of_wednesdays(end="2009-02-25")
    use_market(
        data.sel(time=(data.time < np.datetime64("2008-03-01")) | (data.time > np.datetime64("2008-04-01")))
    )
    monkeypatch.setattr(package, "Strategy", lambda **_: Strategy(**{**TINY, "train_period": 300}))
    with pytest.raises(ValueError, match=message):
        contest(ORIGINAL, **{"start": "2008-01-09", **changes}, folder=tmp_path, **options)
    assert planned.runs == []
    assert list(tmp_path.glob("*/")) == []


@long
def test_a_verdict_on_another_market_is_no_rival(market, tmp_path):
    """Nor is that of the template, which has a line of its own, and one that lies in another's folder.

    What is loaded before the days, for longer windows, is no other market.
    """
    longer = Strategy(**{**TINY, "train_period": 60}, selection=last_three)
    for strategy in (Strategy(**TINY), longer):
        days = {"start": "2008-02-06", "end": "2008-02-20"}
        verdict = contest(strategy, **days, folder=tmp_path, progress=False)
    assert not [name for name in verdict.relatives.index if name.startswith(record.TRIAL)]
    content = json.loads((tmp_path / "verdict.json").read_text("utf-8"))
    kind, prices = content["parameters"]["competition_type"], content["market"]
    found, damaged = record.earlier_verdicts(tmp_path, kind, prices, set())
    assert (len(found), damaged) == (2, [])
    (tmp_path / "copied").mkdir()
    (tmp_path / "copied" / record.VERDICT).write_bytes((tmp_path / record.VERDICT).read_bytes())
    found, (sentence,) = record.earlier_verdicts(tmp_path, kind, prices, set())
    assert "it belongs to another strategy" in sentence
    assert len(found) == 2
    (tmp_path / "copied" / record.VERDICT).unlink()
    assert record.earlier_verdicts(tmp_path, kind, "another", set()) == ({}, [])
    assert record.earlier_verdicts(tmp_path, "stocks_s&p500", prices, set()) == ({}, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "top_asset=3"], "strategy.ipynb has no parameter 'top_asset': did you mean 'top_assets'?"),
        (["--start", "1999-01-04"], "start_date can be 20"),
        (["--start", "2030-01-01"], "start earlier"),
        (["--start", "2024-13-01"], "it must be a date such as"),
        (
            ["--scheduler", "tcp://x:1", "--start", "2024-12-27"],
            "a scheduler is for the backend dask",
        ),
    ],
)
def test_bad_input_gets_a_sentence(words, message, tmp_path, capsys):
    assert main([*words, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*.*"))
