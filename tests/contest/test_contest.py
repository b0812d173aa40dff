"""The command as a whole: prepared strategies on a small market of years, and the files that it leaves."""

import gzip
import json
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
    data.loc[{"field": "is_liquid", "asset": names[1]}] = 0
    held = package.equal_in_selected(data, [entry]).isel(time=0).to_series()
    assert held[held > 0].to_dict() == dict.fromkeys([names[0], names[5]], 1 / 2)


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
