import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.stats.added_value import added_value, added_value_sentence, significance
from lib.stats.bootstrap import FEWEST
from lib.stats.performance import measured
from tests.switches import long

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
    assert "differ by 25.0% of the capital" in words
    assert f"{value.sharpe_ratio:+.3f} to the Sharpe ratio" in words
    assert significance(compared(-0.0008, seed=1)) == "takes away"


@long
def test_chance_adds_no_more_often_than_stated() -> None:
    """Count intervals of 95 % above 0: 1 of 40 are expected."""
    repetitions = 200
    found = [significance(compared(0.0, seed=100 + k)) for k in range(repetitions)]
    assert found.count("adds") <= max(0.05 * repetitions, 4)
    assert found.count("unclear") >= 0.88 * repetitions


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
