import itertools
import math

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from lib.common.competitions import COMPETITIONS
from lib.stats.performance import measured
from lib.stats.resampling import (
    FEWEST_TO_SPLIT,
    SUBSETS,
    block_length,
    interval,
    optimal_length,
    overfitting_probability,
    resampled_means,
    stationary_rows,
    walk_forward,
)
from tests.switches import long


def test_blocks_run_on_around_the_end_and_have_the_mean_length() -> None:
    rows = stationary_rows(50, 5.0, 400, np.random.default_rng(1))
    assert rows.shape == (400, 50)
    assert rows.min() == 0
    assert rows.max() == 49
    goes_on = (np.diff(rows, axis=1) % 50) == 1  # 49 is followed by 0
    assert goes_on.mean() == pytest.approx(
        1 - 1 / 5 + 1 / 5 / 50, abs=0.01
    )  # a new block may happen to go on
    assert np.bincount(rows.ravel(), minlength=50).std() / 400 < 0.15  # no day is preferred


def test_the_spread_of_the_mean_is_that_of_theory() -> None:
    """The standard deviation of a mean of independent days falls with the root of their number."""
    values = np.random.default_rng(2).normal(0, 1, (400, 1))
    means = resampled_means(values, block_length(values))
    assert means.std() == pytest.approx(values.std() / 20, rel=0.15)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)


def test_days_that_follow_each_other_widen_it() -> None:
    """Blocks keep what a day shares with the next; single days would lose it."""
    noise = np.random.default_rng(3).normal(0, 1, 1000)
    values = np.convolve(noise, np.ones(5), "valid")[
        :, None
    ]  # the variance of the mean is five times as large
    by_day = values.std() / np.sqrt(len(values))
    assert resampled_means(values, block_length(values)).std() > 1.5 * by_day


def test_columns_of_a_day_stay_together_and_repetitions_are_the_same() -> None:
    values = np.random.default_rng(4).normal(0, 1, (80, 1)) * [1, 2]
    means = resampled_means(values, 5, 100)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0])
    np.testing.assert_array_equal(means, resampled_means(values, 5, 100))


def test_many_days_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.stats.resampling.AT_ONCE", 200)
    assert np.isfinite(resampled_means(np.ones((90, 1)), 4, 7)).all()


def test_interval_by_hand() -> None:
    assert interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert interval(np.array([1.0, np.nan, 1.0])) == (1, 1)
    assert np.isnan(interval(np.empty(0))).all()


def autoregression(coefficient: float, days: int, seed: int) -> np.ndarray:
    return lfilter([1], [1, -coefficient], np.random.default_rng(seed).normal(size=days))


@pytest.mark.parametrize(
    ("coefficient", "days", "seed", "length"),
    [
        (0, 250, 1, 2.7785335529858837),
        (0, 1000, 2, 1.0122052638093841),
        (0.95, 250, 1, 21.257347593598997),
        (0.95, 1000, 2, 42.94581347527944),
        (0.95, 60, 1, 20.0),
    ],
    ids=["noise", "much noise", "weeks", "years", "at most a third of the days"],
)
def test_the_length_of_blocks_is_that_of_politis_and_white(coefficient, days, seed, length) -> None:
    """The values, but the last, are those of the package arch 8."""
    if days == 60:
        assert optimal_length(np.cumsum(autoregression(coefficient, days, seed))) <= length
    else:
        assert optimal_length(autoregression(coefficient, days, seed)) == pytest.approx(length, rel=1e-9)


def test_the_series_that_lasts_longest_decides() -> None:
    noise, lasting = autoregression(0, 250, 1), autoregression(0.95, 250, 1)
    assert block_length(np.stack([noise, lasting], axis=1)) == optimal_length(lasting)
    assert block_length(noise[:, None]) == 250 ** (1 / 3)
    assert optimal_length(np.ones(100)) == 1


def test_differences_that_last_lengthen_the_blocks_of_both_lines() -> None:
    """Noise of the market hides what the difference of two portfolios shows."""
    market, lasting = np.random.default_rng(3).normal(0, 1, 250), autoregression(0.95, 250, 1)
    pair = np.stack([market, market + 0.1 * lasting], axis=1)
    assert block_length(pair) < 8
    lengths: list[float] = []

    def drawn(days: int, length: float, samples: int, rng: np.random.Generator) -> np.ndarray:
        lengths.append(length)
        return stationary_rows(days, length, samples, rng)

    days = np.arange(250).astype("M8[D]").astype("M8[ns]")
    lines = {str(k): xr.DataArray(column / 100, {"time": days}, ("time",)) for k, column in enumerate(pair.T)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.stats.resampling.stationary_rows", drawn)
        measured(lines, COMPETITIONS["stocks_nasdaq100"])
    assert lengths == [pytest.approx(optimal_length(lasting))] * len(lengths)


KIND = "stocks_nasdaq100"


def plainly(returns):
    """Compute it from the days themselves, all days of each half side by side."""
    days = np.arange(len(returns) % SUBSETS, len(returns)).reshape(SUBSETS, -1)
    halves = list(itertools.combinations(range(SUBSETS), SUBSETS // 2))
    rest = [[k for k in range(SUBSETS) if k not in half] for half in halves]
    inside, outside = (
        np.stack([returns[days[list(half)].ravel()] for half in part]) for part in (halves, rest)
    )
    inside, outside = (part.mean(axis=1) / part.std(axis=1) for part in (inside, outside))  # (split, column)
    below = 0.0
    for chosen, out in zip(inside.argmax(axis=1), outside.tolist(), strict=True):
        relative_rank = (sum(ratio < out[chosen] for ratio in out) + 1) / (len(out) + 1)
        logit = math.log(relative_rank / (1 - relative_rank))
        below += 0.5 if abs(logit) < 1e-12 else float(logit < 0)
    return below / len(halves)


@pytest.mark.parametrize("columns", [2, 3])
def test_it_is_what_a_plain_calculation_finds(columns):
    returns = np.random.default_rng(columns).normal(0.0005, 0.01, (FEWEST_TO_SPLIT + 7, columns))
    assert overfitting_probability(returns) == pytest.approx(plainly(returns), abs=1e-12)


@long
@pytest.mark.parametrize("columns", [4, 5])
def test_noise_has_one_half_on_average_and_is_below_a_tenth_as_rarely_as_stated(columns):
    """The mean of 30 panels within four of its standard errors; 6 of 100 below 0.1, of 30 at most 6."""
    panels = 100
    rng = np.random.default_rng(columns)
    found = np.array([overfitting_probability(rng.normal(0, 0.01, (128, columns))) for _ in range(panels)])
    error = found.std(ddof=1) / panels**0.5
    assert abs(found.mean() - 0.5) < 4 * error
    assert error < 0.06
    rate = 0.07  # between the rates stated for 2 and 5
    assert (found < 0.1).sum() <= rate * panels + 3 * (rate * panels) ** 0.5


def test_a_column_that_is_truly_better_is_not_overfitted():
    returns = np.random.default_rng(1).normal(0, 0.01, (256, 8))
    returns[:, 3] += 0.004
    assert overfitting_probability(returns) < 0.01


def test_a_column_that_is_best_in_one_half_only_is():
    """Each column earns in its own block alone: what was best in sample has earned all it ever will."""
    returns = np.random.default_rng(1).normal(0, 0.001, (160, SUBSETS))
    for column in range(SUBSETS):
        returns[column * 10 : column * 10 + 10, column] += 0.01
    assert overfitting_probability(returns) > 0.95


@settings(max_examples=10)
@given(st.integers(0, 2**16), st.sampled_from([2, 3, 7]))
def test_order_and_scale_of_the_columns_do_not_matter(seed, columns):
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0005, 0.01, (FEWEST_TO_SPLIT, columns))
    found = overfitting_probability(returns)
    assert 0 <= found <= 1
    other = returns[:, rng.permutation(columns)] * rng.uniform(0.5, 2, columns)
    assert overfitting_probability(other) == pytest.approx(found, abs=1e-3)  # a tie may be rounded apart


def test_equal_columns_are_at_the_median():
    column = np.random.default_rng(1).normal(0, 0.01, (100, 1))
    assert overfitting_probability(np.repeat(column, 4, axis=1)) == 0.5


def test_what_cannot_be_judged_has_none():
    returns = np.random.default_rng(1).normal(0, 0.01, (FEWEST_TO_SPLIT, 3))
    assert math.isnan(overfitting_probability(returns[:, :1]))
    assert math.isnan(overfitting_probability(returns[1:]))
    assert math.isnan(overfitting_probability(np.empty((0, 0))))
    returns[:5, 0], returns[:, 1] = np.nan, 0  # a run that never holds anything
    assert 0 <= overfitting_probability(returns) <= 1


def market(years=3, columns=3, start="2020-01-02"):
    days = pd.bdate_range(start, pd.Timestamp(start) + pd.DateOffset(years=years))
    dates = [str(day)[:10] for day in days]
    return np.random.default_rng(1).normal(0, 0.01, (len(days), columns)), dates


def ratio(returns, dates):
    line = xr.DataArray(returns, {"time": pd.DatetimeIndex(dates)}, ("time",), name=KIND)
    return float(qns.calc_sharpe_ratio_annualized(line)[-1])


def test_the_best_of_the_past_is_held_for_a_year():
    returns, dates = market()
    second, third = (dates.index(day) for day in ("2021-01-04", "2022-01-03"))
    returns[:second, 1] += 0.003
    returns[second:third, 2] += 0.02
    found = walk_forward(returns, dates, KIND)
    assert found.chosen[:2] == [1, 2]
    assert found.days == ("2021-01-04", dates[-1])
    chained = np.concatenate([returns[second:third, 1], returns[third:, 2]])
    assert found.chained == pytest.approx(ratio(chained, dates[second:]))
    each = [ratio(returns[second:, k], dates[second:]) for k in range(3)]
    assert found.best == 2
    assert found.hindsight == pytest.approx(each[2])
    assert found.mean == pytest.approx(np.mean(each))
    assert found.hindsight > found.chained


def test_a_choice_does_not_depend_on_its_year_or_on_a_later_one():
    returns, dates = market()
    first = walk_forward(returns, dates, KIND).chosen
    for year in (1, 2):
        begin = int(
            pd.DatetimeIndex(dates).searchsorted(pd.Timestamp("2020-01-02") + pd.DateOffset(years=year))
        )
        changed = returns.copy()
        changed[begin:] = np.random.default_rng(2).normal(0, 0.1, changed[begin:].shape)
        changed[begin:, (first[year - 1] + 1) % 3] += 0.5
        assert walk_forward(changed, dates, KIND).chosen[:year] == first[:year]


def test_it_chooses_by_the_ratio_that_it_reports():
    """The arithmetic mean is higher in one column, the compound return in the other."""
    returns, dates = market(columns=2)
    begin = dates.index("2021-01-04")
    rng = np.random.default_rng(3)
    for column, (mean, deviation) in enumerate(((0.0016, 0.06), (0.0002, 0.0095))):
        noise = rng.normal(0, 1, begin)
        returns[:begin, column] = mean + deviation * (noise - noise.mean()) / noise.std()
    daily = returns[:begin].mean(axis=0) / returns[:begin].std(axis=0)
    compound = [ratio(returns[:begin, k], dates[:begin]) for k in (0, 1)]
    assert daily.argmax() != np.argmax(compound)
    assert walk_forward(returns, dates, KIND).chosen[0] == np.argmax(compound)


@pytest.mark.parametrize(("years", "columns", "works"), [(1.9, 3, False), (2, 3, True), (2, 1, False)])
def test_it_needs_two_years_and_two_variants(years, columns, works):
    returns, dates = market(years=3, columns=columns)
    days = int(years * 261)
    assert (walk_forward(returns[:days], dates[:days], KIND) is not None) == works


def test_a_variant_that_never_holds_anything_has_the_ratio_0():
    returns, dates = market(years=2, columns=2)
    returns[:, 0], returns[:, 1] = 0, returns[:, 1] - 0.01
    found = walk_forward(returns, dates, KIND)
    assert (found.chosen, found.chained, found.best) == ([0], 0, 0)
