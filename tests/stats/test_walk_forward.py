"""Walk forward: nothing of a year is known when its variant is chosen."""

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr

from lib.stats.walk_forward import walk_forward

KIND = "stocks_nasdaq100"


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
