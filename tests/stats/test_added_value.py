from typing import Any

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr
from scipy.signal import lfilter

from lib.common.competitions import COMPETITIONS
from lib.stats.performance import ERROR_RATE, added_value, added_value_sentence, measured, significance
from lib.stats.resampling import FEWEST, coverage_sentence, interval
from tests.switches import ALL, LONG, long, longest

RULES = COMPETITIONS["stocks_nasdaq100"]


def line(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, {"time": pd.bdate_range("2020-01-01", periods=len(values))}, ("time",))


def table(value: float, days: int) -> xr.DataArray:
    return line(np.full(days, value)).expand_dims(asset=["A"]).transpose("time", "asset")


def compared(edge: float, seed: int, days: int = 250):
    """The value of a model whose daily returns are those without it, noise of 0.2 % and an edge."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0.0003, 0.01, days)
    noise = rng.normal(0, 0.002, days + 2)
    mine = base + edge + (noise[:-2] + noise[1:-1] + noise[2:]) / 3**0.5  # positions last for days
    pair = {"strategy": line(mine), "without": line(base)}
    both = measured(pair, RULES)
    weights = [table(value, days) for value in (0.5, 0.25)]
    return added_value(both["strategy"], both["without"], list(pair.values()), weights)


def test_measures_are_those_of_qnt() -> None:
    returns = line(np.random.default_rng(1).normal(0.001, 0.01, 300))
    found = measured({"strategy": returns, "other": returns * 0.5}, RULES)["strategy"]
    assert found.annual_return == pytest.approx(float(qns.calc_mean_return_annualized(returns)[-1]))
    assert found.sharpe_ratio == pytest.approx(float(qns.calc_sharpe_ratio_annualized(returns)[-1]))
    assert np.median(found.ratios_sampled) == pytest.approx(found.sharpe_ratio, abs=0.2)


def test_the_interval_of_a_sharpe_ratio_is_on_average_that_of_theory() -> None:
    """Lo (2002), The Statistics of Sharpe Ratios: for a small ratio, the root of the years."""
    noise = np.random.default_rng(5).normal(0, 0.01, (300, 20))
    found = measured({str(k): line(column) for k, column in enumerate(noise.T)}, RULES)
    errors = [each.ratios_sampled.std() for each in found.values()]
    assert np.mean(errors) == pytest.approx((252 / 300) ** 0.5, rel=0.15)


def test_an_edge_is_seen() -> None:
    value = compared(0.0008, seed=1)
    assert significance(value) == "adds"
    assert value.return_interval[0] > 0
    assert value.weight_difference == pytest.approx(0.25)
    words = added_value_sentence(value)
    assert "more than chance explains" in words
    assert ERROR_RATE in words
    assert "differ by 25.0% of the capital" in words
    assert f"{value.sharpe_ratio:+.3f} to the Sharpe ratio" in words
    assert significance(compared(-0.0008, seed=1)) == "takes away"


STATED = {0.0: 5, 0.5: 5, 0.8: 8, 0.9: 11, 0.95: 15, "rare losses": 8}  # of 100: see `significance`


def differences(kind: Any, days: int, rng: np.random.Generator) -> np.ndarray:
    """Return daily differences without an edge: of an autocorrelation, or with rare large losses."""
    if kind == "rare losses":
        return rng.normal(0.0002, 0.0005, days) - 0.02 * (rng.random(days) < 0.01)
    noise = rng.normal(0, 0.002 * (1 - kind**2) ** 0.5, days + 300)
    return lfilter([1], [1, -kind], noise)[300:]


@pytest.mark.parametrize(
    "kind", [0.0, *(pytest.param(kind, marks=long if kind == 0.95 else longest) for kind in list(STATED)[1:])]
)
def test_chance_adds_no_more_often_than_stated(kind: Any) -> None:
    """The limit is three standard errors above the stated rate."""
    repetitions, rng, found = 300 if ALL else 100 if LONG else 40, np.random.default_rng(7), 0
    for _ in range(repetitions):
        base = rng.normal(0.0003, 0.01, 250)
        both = measured({"a": line(base + differences(kind, 250, rng)), "b": line(base)}, RULES)
        found += interval(both["a"].ratios_sampled - both["b"].ratios_sampled)[0] > 0
    rate = STATED[kind] / 100
    assert found / repetitions <= rate + 3 * (rate * (1 - rate) / repetitions) ** 0.5


@longest
@pytest.mark.parametrize("days", [60, 125, 250])
def test_an_interval_of_few_days_covers_as_often_as_stated(days: int) -> None:
    rng, daily = np.random.default_rng(3), 0.0005
    true = np.expm1(252 * (daily - 0.01**2 / 2)) / (0.01 * 252**0.5)
    ends = [
        interval(measured({"a": line(rng.normal(daily, 0.01, days))}, RULES)["a"].ratios_sampled)
        for _ in range(300)
    ]
    covered = np.mean([low <= true <= high for low, high in ends])
    assert covered >= (0.9 if days < 250 else 0.93) - 0.03
    assert bool(coverage_sentence(days)) == (days < 250)


def test_few_days_have_no_interval() -> None:
    value = compared(0.01, seed=1, days=FEWEST - 1)
    assert significance(value) == "unclear"
    assert np.isnan(value.sharpe_interval).all()
    assert "too few to distinguish" in added_value_sentence(value)
    assert "interval" not in added_value_sentence(value)


def test_the_same_weights() -> None:
    returns = line(np.random.default_rng(1).normal(0, 0.01, 100))
    both = measured({"a": returns, "b": returns}, RULES)
    value = added_value(both["a"], both["b"], [returns, returns], [table(0.5, 100)] * 2)
    assert added_value_sentence(value) == "The model adds nothing: without it the weights are the same."


def test_a_portfolio_of_nothing_has_no_ratio() -> None:
    returns = line(np.random.default_rng(1).normal(0, 0.01, 100))
    both = measured({"a": returns, "b": returns * 0}, RULES)
    value = added_value(both["a"], both["b"], [returns, returns * 0], [table(0.5, 100), table(0, 100)])
    assert np.isnan(value.correlation)
    assert "correlate" not in added_value_sentence(value)
    assert "Sharpe ratio, interval" not in added_value_sentence(value)
    assert "is sized as_output" in added_value_sentence(value, "as_output")


def test_weights_that_trade_places_differ() -> None:
    """Differences of both signs add up: the sum over the assets is the same before and after."""
    returns = line(np.random.default_rng(1).normal(0, 0.01, 100))
    both = measured({"a": returns, "b": returns}, RULES)
    first = line(np.full(100, 0.5)).expand_dims(asset=["A", "B"]).transpose("time", "asset") * [1, 0]
    value = added_value(both["a"], both["b"], [returns, returns], [first, first[:, ::-1].values + 0 * first])
    assert value.weight_difference == pytest.approx(1.0)
