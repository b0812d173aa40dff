"""The peers of a strategy, on daily returns of which everything is known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.contest.peers import (
    benchmark_sentences,
    by_year,
    check_originality,
    check_scaling,
    relatives,
)
from lib.stats.performance import correlation_of
from lib.stats.sharpe import annual_sharpe_ratio

RULES = COMPETITIONS["stocks_nasdaq100"]
CRYPTO = COMPETITIONS["crypto_daily_long"]
DAYS = pd.bdate_range("2006-01-02", periods=1000)


def returns(values, first=0):
    """Return daily returns from a business day on."""
    time = DAYS[first : first + len(values)]
    return xr.DataArray(values, {"time": time}, ("time",), name="stocks_nasdaq100")


TEMPLATE, NOISE = (np.random.default_rng(k).normal(0.0004, 0.01, 1000) for k in (1, 2))


def test_relatives_are_compared_on_common_days_and_sorted_by_correlation():
    others = {
        "opposite": returns(-TEMPLATE),
        "other days": returns(TEMPLATE[:300], first=500),
        "none": returns(TEMPLATE[:400], first=400),
        "near": returns((TEMPLATE + 0.3 * NOISE)[200:], first=200),
    }
    table = relatives(returns(TEMPLATE[:400]), others, RULES)
    assert table.index.tolist() == ["near", "opposite", "other days", "none"]
    assert table["correlation"].tolist()[:2] == pytest.approx(
        [np.corrcoef(TEMPLATE[200:400], (TEMPLATE + 0.3 * NOISE)[200:400])[0, 1], -1]
    )
    near = returns((TEMPLATE + 0.3 * NOISE)[200:400], first=200)
    ratios = [annual_sharpe_ratio(line, RULES) for line in (near, returns(-TEMPLATE[:400]))]
    assert table["sharpe_ratio"].tolist()[:2] == ratios
    assert table["recent_sharpe_ratio"].tolist()[:2] == ratios
    assert table.iloc[2:, :3].isna().all(axis=None)
    assert table["mark"].tolist() == ["above 0.9", "", "", ""]
    limit = RULES._replace(max_correlation=float(table["correlation"].iloc[0]))
    assert relatives(returns(TEMPLATE[:400]), others, limit)["mark"].tolist() == [""] * 4


def test_each_year_has_its_days_ratio_and_correlations():
    """Correlations are on the days that both have."""
    line, other = returns(TEMPLATE[:800]), returns((TEMPLATE + 0.3 * NOISE)[300:], first=300)
    table = by_year(line, {"other": other}, RULES)
    assert table.index.name == "year"
    assert table["days"].to_dict() == {2006: 260, 2007: 261, 2008: 262, 2009: 17}
    for year, ratio in table["sharpe_ratio"].items():
        assert ratio == annual_sharpe_ratio(line.sel(time=str(year)), RULES)
    assert np.isnan(table.loc[2006, "other"])
    expected = np.corrcoef(TEMPLATE[300:521], (TEMPLATE + 0.3 * NOISE)[300:521])[0, 1]
    assert table.loc[2007, "other"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("noise", "early", "days", "compared", "apart", "holds"),
    [
        (0.7, 0, 800, "3 years: -0.57, its -0.57", "", [True, True]),
        (0.3, 0, 800, "3 years: -0.59, its -0.57", "", [False, True]),
        (0.3, 0, 700, "700 days: -0.26, its -0.25", "", [None, None]),
        (0.1, 0, 800, "3 years: -0.58, its -0.57", ": no more apart than their error", [None, None]),
        (0.1, 0.002, 1000, "3 years: -0.24, its -0.26", ": no more apart than their error", [None, None]),
    ],
    ids=["different", "similar", "less than three years", "nearly equal", "apart in earlier years only"],
)
def test_originality_follows_from_the_correlation_and_the_recent_ratios(
    noise, early, days, compared, apart, holds
):
    other = TEMPLATE[:days] + noise * NOISE[:days]
    other[:100] += early
    pair = returns(other), returns(TEMPLATE[:days])
    likeness = np.corrcoef(other, TEMPLATE[:days])[0, 1]
    for (own, its), expected in zip((pair, pair[::-1]), holds, strict=True):
        check = check_originality(own, its, RULES, copied=False)
        assert check.rule == "originality"
        assert check.required == "at most 0.9 to better systems"
        assert check.holds is expected
        if own is pair[0]:
            words = f"{likeness:.3f} with the published template (Sharpe ratio of {compared}{apart})"
            assert check.found == words


def test_a_correlation_at_the_limit_and_an_equal_ratio_are_allowed():
    values = np.random.default_rng(3).integers(-20, 21, 1200) / 1024  # whose sums have no rounding
    swapped = values.copy()
    swapped[1000:1100] = values[1000:1100][::-1]
    days = pd.date_range("2016-01-01", periods=1200)
    own, its = (
        xr.DataArray(each, {"time": days}, ("time",), name="cryptodaily") for each in (values, swapped)
    )
    check = check_originality(own, its, CRYPTO, copied=False)
    assert 0.9 < float(check.found[:5]) < 0.99
    assert check.holds is True
    worse = own - 0.001
    limit = correlation_of(worse.values, its.values)
    for allowed, holds in ((limit, True), (np.nextafter(limit, 0), False)):
        rules = CRYPTO._replace(max_correlation=allowed)
        assert check_originality(worse, its, rules, copied=False).holds is holds


@pytest.mark.parametrize(
    ("competition", "scaled"), [("stocks_nasdaq100", False), ("crypto_daily_long", True)]
)
def test_a_contest_that_scales_may_be_scaled_and_one_that_does_not_is_left_as_it_is(competition, scaled):
    check_scaling(scaled, competition, COMPETITIONS[competition])


def test_a_refused_scaling_names_the_contests_that_scale():
    found = r"^stocks_nasdaq100 scales no .* that does: crypto_daily_long, crypto_daily_long_short\.$"
    with pytest.raises(ValueError, match=found):
        check_scaling(True, "stocks_nasdaq100", RULES)


BENCHMARK = f"The benchmark is {CRYPTO.benchmark}. On these days the strategy has "


@pytest.mark.parametrize(
    ("days", "size", "first", "second"),
    [
        (
            60,
            0.5,
            "a Sharpe ratio of 1.21, an annual return of 13.9% and a volatility of 11.5%; the "
            "benchmark has a Sharpe ratio of -0.16, an annual return of -2.2% and a volatility of 13.7%. The "
            "lead in the Sharpe ratio is +1.37 (95% interval -1.04 to +3.82).",
            "(times 0.872) earns 12.10% a year and the benchmark (times 0.731) earns -1.63% a year.",
        ),
        (
            59,
            0.25,
            "a Sharpe ratio of 1.41, an annual return of 8.1% and a volatility of 5.8%; the "
            "benchmark has a Sharpe ratio of -0.08, an annual return of -1.1% and a volatility of 13.8%. The "
            "lead in the Sharpe ratio is +1.49.",
            "(times 1.000) earns 8.13% a year and the benchmark (times 0.726) earns -0.80% a year.",
        ),
        (
            2,
            0.0,
            "no Sharpe ratio, an annual return of 0.0% and a volatility of 0.0%; the benchmark has a Sharpe "
            "ratio of 41.51, an annual return of 156.5% and a volatility of 3.8%.",
            "(times 1.000) earns 0.00% a year and the benchmark (times 1.000) earns 156.52% a year.",
        ),
    ],
    ids=["an interval", "too few days for one", "no position"],
)
def test_the_benchmark_and_the_strategy_are_told_with_their_lead_and_scaled_down(days, size, first, second):
    lines = returns(size * (TEMPLATE + NOISE)[:days]), returns(TEMPLATE[:days])
    expected = [
        f"{BENCHMARK}{first}",
        f"Scaled in hindsight to at most 10% volatility, as for the payout, the strategy {second}",
    ]
    assert benchmark_sentences(*lines, CRYPTO, scaled=True) == expected
    assert benchmark_sentences(*lines, CRYPTO) == expected[:1]
    assert benchmark_sentences(*lines, RULES, scaled=True) == []


def test_a_single_day_is_not_compared_with_the_benchmark():
    assert benchmark_sentences(returns(TEMPLATE[:1]), returns(TEMPLATE[:1]), CRYPTO, scaled=True) == []
