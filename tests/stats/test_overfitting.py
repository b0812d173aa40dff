"""The probability of overfitting on noise and on a true edge, and the walk forward without hindsight."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.stats.overfitting import FEWEST_TO_SPLIT, SUBSETS, overfitting_probability, walk_forward
from tests.switches import long

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
