"""The verdict on weights of which it is known what is wrong with them."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import qnt.output as qnout
import qnt.stats as qns
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.common.rules import rules_table
from lib.contest.peers import (
    SELECTED,
    TEMPLATE,
    UNIVERSE,
    check_originality,
    covers,
    is_copy,
    recent_sharpe_ratio,
)
from lib.contest.record import PANELS, as_dict, verdict_figure, verdict_page
from lib.contest.verdict import (
    ELSEWHERE,
    SYNTHETIC,
    _as_far_as_known,
    _gaps,
    _time_of_a_pass,
    contest_verdict,
    in_lines,
)
from lib.stats.resampling import coverage_sentence
from lib.stats.sharpe import annual_sharpe_ratio
from tests.contest.strategies import years_of_wednesdays
from tests.switches import long

KIND = "stocks_nasdaq100"
RULES = COMPETITIONS[KIND]
MARKET = years_of_wednesdays(end="2009-02-25")
DAYS = MARKET.sel(time=slice("2006-01-01", None)).time.values


def weights(first, last, size=0.1, since="2006-01-01"):
    """Equal positions in the assets `first` to `last`, from a day on."""
    table = np.zeros((len(DAYS), MARKET.sizes["asset"]))
    table[np.datetime64(since) <= DAYS, first:last] = size
    return xr.DataArray(table, {"time": DAYS, "asset": MARKET.asset.values}, ("time", "asset"))


def broken_rules(verdict):
    return [check.rule for check in verdict.checks if not check.holds]


def judged(table, data=MARKET, template=None, **more):
    return contest_verdict(
        data, table, RULES, template=weights(10, 20) if template is None else template, **more
    )


def test_an_original_system_with_a_high_sharpe_ratio_is_admitted():
    verdict = judged(weights(0, 10))
    assert verdict.admitted
    assert broken_rules(verdict) == []
    assert verdict.in_words == "It would be admitted."
    assert verdict.interval[0] < verdict.sharpe_ratio < verdict.interval[1]
    expected = float(qnout.calc_sharpe_ratio_for_check(MARKET, weights(0, 10), KIND))
    assert verdict.sharpe_ratio == pytest.approx(expected, rel=1e-12)


def test_the_verdict_shows_long_short_gross_and_net_exposure():
    verdict = judged(weights(0, 6) - weights(6, 10, size=0.05))
    assert verdict.exposure == pytest.approx({"long": 0.6, "short": 0.2, "gross": 0.8, "net": 0.4})
    sentence = "Exposure on an average day: long 60.0%, short 20.0%, gross 80.0%, net 40.0% of the capital."
    assert sentence in str(verdict)
    assert sentence in verdict_page(verdict, [1.0])
    assert as_dict(verdict)["exposure"]["net"] == pytest.approx(0.4)


def test_long_short_weights_count_as_in_the_platforms_statistics():
    """The returns are those of `calc_stat`, to the last bit, and the platform's cleaning changes nothing."""
    table = weights(0, 5) - weights(5, 9, size=0.08, since="2007-03-01")
    verdict = judged(table)
    stat = qns.calc_stat(MARKET, table).sel(time=DAYS)
    assert np.array_equal(verdict.returns.values, stat.sel(field="relative_return").values)
    cleaned = qnout.clean(table, MARKET, KIND).reindex_like(table, fill_value=0)
    assert np.array_equal(cleaned.values, table.values)
    assert "short positions" not in broken_rules(verdict)


def test_a_run_of_a_few_days_has_no_interval():
    few = slice(DAYS[-40], None)
    verdict = judged(weights(0, 10).sel(time=few), template=weights(10, 20).sel(time=few))
    assert not np.isfinite(verdict.interval).any()
    assert verdict.sharpe_in_words.endswith("; an interval takes at least 60 days.")
    assert "interval nan" not in str(verdict) + verdict_page(verdict, [1.0] * 40)
    assert ", 95% interval " in judged(weights(0, 10)).sharpe_in_words
    some = slice(DAYS[-80], None)
    short = judged(weights(0, 10).sel(time=some), template=weights(10, 20).sel(time=some)).sharpe_in_words
    assert short.endswith(coverage_sentence(80))
    assert "of 100 cases" in short


def illiquid():
    data = MARKET.copy(deep=True)
    data.loc[{"field": "is_liquid", "asset": "NAS:03", "time": slice("2007-06-01", "2007-06-30")}] = 0
    return weights(0, 10), data


def missed():
    return weights(0, 10).drop_sel(time=DAYS[[50, 51]]), MARKET


@pytest.mark.parametrize(
    ("prepared", "rule", "found"),
    [
        (lambda: (weights(10, 20), MARKET), "originality", "a copy of the published template"),
        (lambda: (weights(0, 10, since="2008-01-02"), MARKET), "first position", "2008-01-02"),
        (illiquid, "illiquid positions", "4, the first in NAS:03 on 2007-06-06"),
        (lambda: (weights(0, 2, size=0.3), MARKET), "largest position", "0.3000"),
        (missed, "missed days", "2, the first on 2006-12-20"),
    ],
    ids=["the template", "first position in 2008", "illiquid", "above 0.1", "missed days"],
)
def test_each_fault_is_named_and_no_other(prepared, rule, found):
    table, data = prepared()
    verdict = judged(table, data)
    assert not verdict.admitted
    assert broken_rules(verdict) == [rule]
    assert next(check.found for check in verdict.checks if check.rule == rule) == found
    assert verdict.in_words.endswith(f"It would not be admitted: {rule}.")
    assert ("a copy" in verdict.in_words) == (rule == "originality")
    assert rule in str(verdict)


def falling():
    """Return a market on which every price falls."""
    data = MARKET.copy(deep=True)
    data.loc[{"field": ["open", "low", "high", "close"]}] = (
        1e4 / data.sel(field=["open", "high", "low", "close"]).values
    )
    return data


def test_a_low_sharpe_ratio_fails():
    verdict = judged(weights(0, 10), falling())
    assert broken_rules(verdict) == ["Sharpe ratio"]
    (check,) = [check for check in verdict.checks if not check.holds]
    assert _as_far_as_known(check, "few days").holds is False  # more days do not help


@long
def test_close_to_a_better_template_fails_and_to_a_worse_one_does_not():
    noise = np.random.default_rng(0).normal(0, 0.004, (len(DAYS), 20))
    better, worse = weights(0, 10), weights(0, 10) * (0.5 + np.abs(noise) * 60)  # uneven weights risk more
    for own, template, refused in ((worse, better, True), (better, worse, False)):
        verdict = judged(own, template=template)
        check = verdict.checks[-1]
        correlation = verdict.relatives.loc[TEMPLATE, "correlation"]
        assert check.rule == "originality"
        assert correlation > RULES.max_correlation
        assert verdict.relatives.loc[TEMPLATE, "mark"] == "above 0.9"
        assert check.found.startswith(f"{correlation:.3f} with the published template")
        ratios = [float(ratio) for ratio in re.findall(r"-?\d+\.\d\d(?=[,)])", check.found)]
        assert (ratios[0] < ratios[1]) is refused
        assert check.holds is not refused


def daily(noise, edge=0.0, days=800):
    """Return daily returns of a template, and of a system that differs by noise and an edge."""
    template = np.random.default_rng(1).normal(0.0004, 0.01, days)
    other = template + edge + np.random.default_rng(2).normal(0, 0.01 * noise, days)
    time = np.arange(np.datetime64("2006-01-02"), np.datetime64("2012-01-01"))
    time = time[np.is_busday(time)][:days].astype("M8[ns]")
    return [xr.DataArray(values, {"time": time}, ("time",), name=KIND) for values in (template, other)]


@pytest.mark.parametrize(
    ("noise", "edge", "days", "copied", "holds"),
    [
        (2e-5, 0, 800, True, {False}),
        (0.03, 0.0004, 800, True, {False}),
        (0.1, 0, 800, False, {None}),
        (0.1, 0.0004, 800, False, {True, False}),
        (0.1, 0.0004, 700, False, {None}),
        (2e-5, 0, 60, True, {False}),
        (2e-5, 0, 59, False, {None}),
    ],
    ids=["noise", "nearly", "chance", "an edge", "an edge in less than three years", "enough days", "few"],
)
def test_a_difference_within_its_error_is_no_originality(noise, edge, days, copied, holds):
    pair, found = daily(noise, edge, days), []
    ones = weights(0, 10), weights(0, 10) * 0.9
    for returns, template in (pair, pair[::-1]):
        assert is_copy(*ones, returns, template) is copied
        found.append(check_originality(returns, template, RULES, copied))
    assert {check.holds for check in found} == holds
    if True in holds:
        better = annual_sharpe_ratio(pair[0], RULES) > annual_sharpe_ratio(pair[1], RULES)
        assert [check.holds for check in found] == [better, not better]


@long
def test_weights_that_differ_by_noise_are_a_copy():
    verdict = judged(
        weights(0, 10) * (1 - 2e-5 * np.random.default_rng(1).random(20)), template=weights(0, 10)
    )
    assert verdict.in_words == "It is a copy. It would not be admitted: originality."
    found = check_originality(*daily(0.01), RULES, copied=True).found
    assert found == "a copy of the published template for practical purposes: returns correlate 0.99995"
    same, _ = daily(0)
    assert check_originality(same, same, RULES, copied=True).found == "a copy of the published template"


def test_a_run_that_begins_late_cannot_tell():
    days = slice("2007-01-01", None)
    verdict = judged(weights(0, 10).sel(time=days), template=weights(10, 20).sel(time=days))
    unknown = [check.rule for check in verdict.checks if check.holds is None]
    assert unknown == ["Sharpe ratio", "first position"]
    assert verdict.in_words == "It cannot be told whether it would be admitted: Sharpe ratio, first position."
    assert not verdict.admitted
    assert verdict.notes[0] == (
        "The Sharpe ratio cannot be told: the days are fewer than the 3 years that systems are compared by."
    )


@pytest.mark.parametrize(
    ("data", "rules", "complete", "holds", "notes"),
    [
        (MARKET, RULES, False, None, ["The Sharpe ratio cannot be told: the days end before the data."]),
        (falling(), RULES, False, False, []),
        (MARKET, RULES._replace(first_day="2005-06-01"), True, None, []),
    ],
    ids=["the days end early", "a low ratio stays low", "a late start"],
)
def test_a_note_says_why_a_sharpe_ratio_that_would_pass_cannot_be_told(data, rules, complete, holds, notes):
    verdict = contest_verdict(data, weights(0, 10), rules, template=weights(10, 20), complete=complete)
    assert verdict.checks[0].holds is holds
    assert list(verdict.notes) == [*notes, ELSEWHERE]


@long
def test_days_after_the_last_weights_do_not_count():
    early = slice(None, "2008-12-31")
    own, template = (weights(*places).sel(time=early) for places in ((0, 10), (10, 20)))
    found, cut = (judged(own, data, template) for data in (MARKET, MARKET.sel(time=early)))
    assert found.days_in_words == "2006-01-04 to 2008-12-31, 157 days"
    assert str(found) == str(cut)


def test_a_single_day_has_a_verdict():
    day = slice(DAYS[-1], None)
    verdict = judged(weights(0, 10).sel(time=day), template=weights(10, 20).sel(time=day))
    assert np.isnan(verdict.interval).all()
    assert verdict.days_in_words == "2009-02-25 to 2009-02-25, 1 day"


@long
def test_less_than_three_years_do_not_say_who_is_better():
    days = slice("2008-01-01", None)
    uneven = weights(0, 10) * np.linspace(0.5, 1, len(DAYS))[:, None]
    verdict = judged(uneven.sel(time=days), template=weights(0, 10).sel(time=days))
    assert verdict.checks[-1].holds is None


@long
def test_without_positions_nothing_is_divided_by_zero():
    verdict = judged(weights(0, 10, size=0.0))
    assert "Sharpe ratio" in broken_rules(verdict)
    assert verdict.checks[-1].holds is None
    assert verdict.checks[-1].found == "no correlation with the published template"
    assert as_dict(verdict)["sharpe_ratio"] is None
    assert "\nThere is no Sharpe ratio: the returns never change.\n" in str(verdict)
    assert "Closest" not in str(verdict)


@pytest.fixture(scope="module")
def full():
    earlier = judged(weights(2, 12)).returns
    return judged(
        weights(0, 10),
        selected=weights(0, 11),
        earlier={"own trial abc": earlier},
        synthetic=True,
        seconds=3.21,
    )


@long
def test_the_closest_relative_is_named(full):
    assert set(full.relatives.index) == {TEMPLATE, SELECTED, UNIVERSE, "own trial abc"}
    assert full.relatives.index[0] == SELECTED
    assert full.relatives["correlation"].is_monotonic_decreasing
    for name, returns in full.others.items():
        assert full.relatives.loc[name, "sharpe_ratio"] == pytest.approx(annual_sharpe_ratio(returns, RULES))


def test_years_have_figures_of_their_own(full):
    assert list(full.by_year.index) == [2006, 2007, 2008, 2009]
    assert full.by_year["days"].sum() == len(DAYS)
    year = full.returns.sel(time="2007")
    other = full.others[TEMPLATE].sel(time="2007")
    assert full.by_year.loc[2007, TEMPLATE] == pytest.approx(np.corrcoef(year, other)[0, 1])


def test_a_printed_verdict_has_all_tables_and_sentences(full):
    words = [SYNTHETIC, ELSEWHERE]
    assert full.notes == tuple(words)
    parts = str(full).split("\n\n")
    assert parts[0] == "2006-01-04 to 2009-02-25, 165 days. Prices: not named"
    assert str(replace(full, source="Quantiacs")).startswith(f"{full.days_in_words}. Prices: Quantiacs\n\n")
    assert parts[1].splitlines()[0].split() == ["rule", "found", "required", "result"]
    assert parts[2] == (
        "Sharpe ratio 10.22, 95% interval 8.86 to 11.65 (stationary bootstrap, Politis and Romano, 1994). "
        f"{coverage_sentence(165)}"
    )
    assert parts[3] == full.exposure_in_words
    assert parts[4].splitlines()[0].split() == ["days", "Sharpe", "ratio"]
    assert parts[4].splitlines()[2].split() == ["2006", "52", "10.146"]
    assert parts[5].splitlines()[0].split() == [
        *["correlation", "Sharpe", "ratio", "recent", "Sharpe", "ratio", "mark"],
    ]
    assert parts[5].splitlines()[1].split()[-5:] == ["0.960", "11.032", "11.162", "above", "0.9"]
    assert parts[6:] == [f"Closest: {SELECTED}.", *words, "It would be admitted."]


@pytest.mark.parametrize(("seconds", "holds"), [(1800.0, True), (1800.1, False)])
def test_a_slow_pass_fails(seconds, holds):
    words = f"{seconds:.1f} s of training and prediction, without start-up"
    assert _time_of_a_pass(seconds, RULES) == ("time of a pass", words, "at most 30 minutes", holds)


def test_the_recent_sharpe_ratio_is_that_of_the_last_three_years():
    returns, _ = daily(0.1, days=1500)
    first = returns.get_index("time")[-1].replace(year=returns.get_index("time")[-1].year - 3)
    recent = annual_sharpe_ratio(returns.sel(time=slice(first, None)), RULES)
    assert recent_sharpe_ratio(returns, RULES) == recent != annual_sharpe_ratio(returns, RULES)


@pytest.mark.parametrize(("late", "holds"), [(-1, True), (0, True), (1, False)])
def test_three_years_may_lack_the_days_of_grace(late, holds):
    end = np.datetime64("2010-03-03", "ns")
    first = np.datetime64("2007-03-03") + np.timedelta64(RULES.grace_days + late, "D")
    returns = xr.DataArray([0.0, 0.0], {"time": [first.astype("M8[ns]"), end]}, ("time",))
    assert covers(returns, RULES) is holds


def test_the_record_holds_everything_in_plain_values(full):
    content = json.loads(json.dumps(as_dict(full), allow_nan=False))
    assert content["admitted"] is True
    assert [rule["rule"] for rule in content["rules"]] == [check.rule for check in full.checks]
    assert content["relatives"][0]["name"] == SELECTED
    assert len(content["days"]) == len(content["returns"]) == len(DAYS)
    assert [row["year"] for row in content["by_year"]] == [2006, 2007, 2008, 2009]


def test_the_page_has_every_table_and_panel(full):
    text = verdict_page(full, [0.2] * len(DAYS))
    for words in (*PANELS, full.in_words, "largest position", SYNTHETIC, "above 0.9", "own trial abc"):
        assert words in text or json.dumps(words)[1:-1] in text
    assert "<script src=" not in text  # it needs nothing else


def test_the_rules_fit_a_terminal_of_100_columns(full):
    table = rules_table(list(full.checks)).reset_index()
    table["found"] = "12 positions, the first of them in NAS:A on 2006-01-08"
    table["result"] = "? cannot be told"
    lines = in_lines(table).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) == 2 * len(table) + 1  # the long cells go on below
    assert all("2006-01-08" in line for line in lines[2::2])  # a date is not broken


def test_a_table_of_words_is_flush_left():
    table = pd.DataFrame({"rule": ["a", "b c"], "found": ["one two three four five six seven", "2"]})
    assert in_lines(table).splitlines() == [
        "rule  found",
        "a     one two three four five six",
        "      seven",
        "b c   2",
    ]


def test_what_is_drawn_by_year_lies_within_the_days_and_is_left_out_of_a_single_year(full):
    bars = next(trace for trace in verdict_figure(full, [0.2] * len(DAYS)).data if trace.type == "bar")
    assert [day.year for day in bars.x] == full.by_year.index.tolist()
    assert min(bars.x) > DAYS[0]
    assert max(bars.x) < DAYS[-1]  # the last year ends in February
    days = slice("2008-01-01", "2008-12-31")
    returns = full.returns.sel(time=days)
    others = {name: other.sel(time=days) for name, other in full.others.items()}
    year = replace(full, returns=returns, others=others, by_year=full.by_year.loc[[2008]])
    drawn = verdict_figure(year, [0.2] * 10)
    assert [title.text for title in drawn.layout.annotations] == [
        title for title, by_year in PANELS.items() if not by_year
    ]
    assert all(len(trace.x) > 1 for trace in drawn.data)


@long
def test_a_name_has_one_colour_in_all_panels_and_a_heading_no_underscore(full):
    seen = {}
    for trace in verdict_figure(full, [0.2] * len(DAYS)).data:
        if trace.name:
            seen.setdefault(trace.name, set()).add((trace.line.color, trace.line.dash))
    assert set(seen) == {"this strategy", *full.others}
    assert all(len(styles) == 1 for styles in seen.values()), seen
    assert len({style for styles in seen.values() for style in styles}) == len(seen)
    assert "recent Sharpe ratio" in verdict_page(full, [0.2] * len(DAYS))


@long
def test_crypto_is_compared_with_its_benchmark_and_stocks_are_not():
    rules = COMPETITIONS["crypto_daily_long"]._replace(first_day=RULES.first_day)
    data = MARKET.sel(field=list(rules.fields)).rename(rules.data_name)
    table, of_template = weights(0, 10), weights(10, 20)
    verdict = contest_verdict(data, table, rules, template=of_template, scaled=True)
    first, scaled = verdict.notes[:2]
    assert first.startswith("The benchmark is equal weights of the ten liquid assets (the contest's index")
    mine, its = verdict.returns.values, verdict.others[UNIVERSE].values
    per_year = verdict.by_year["days"].iloc[1]
    for name, returns in (("the strategy", mine), ("the benchmark", its)):
        mean, deviation = returns.mean() * per_year, returns.std() * per_year**0.5
        found = re.search(rf"{name} has a Sharpe ratio of (\S+), an annual return of (\S+)% and a", first)
        assert float(found[1]) == pytest.approx(mean / deviation, abs=0.03)
        assert float(found[2]) == pytest.approx(100 * mean, rel=0.01)
        factor, earned = re.search(rf"{name} \(times (\S+)\) earns (\S+)% a year", scaled).groups()
        assert float(factor) == pytest.approx(min(1, 0.1 / deviation), abs=0.01)
        assert float(earned) == pytest.approx(100 * mean * float(factor), rel=0.01)
    assert first in str(verdict)
    assert first in as_dict(verdict)["notes"]
    assert not any("benchmark" in note for note in judged(table).notes)
    assert len(contest_verdict(data, table, rules, template=of_template).notes) == len(verdict.notes) - 1


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([10], []),
        ([10, 11], ["between 2024-01-11 and 2024-01-22"]),
        ([12, 20, 11], ["between 2024-01-13 and 2024-02-02, and 2 more gaps"]),
        ([11, 12], ["between 2024-01-12 and 2024-01-24, and 1 more gap"]),
    ],
)
def test_the_longest_gap_in_the_days_is_named(gaps, said):
    days = np.datetime64("2024-01-01") + np.cumsum([0, *gaps])
    assert _gaps(days.astype("M8[ns]")) == [
        f"The market has no day {gap}: the contest has days there." for gap in said
    ]


def test_a_gap_in_the_days_is_a_note():
    days = DAYS[(np.datetime64("2008-05-08") > DAYS) | (np.datetime64("2008-06-17") < DAYS)]
    note = judged(weights(0, 10).sel(time=days)).notes[-1]
    assert note.startswith("The market has no day between 2008-05-07 and 2008-06-18:")
