import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.stats.sharpe import (
    annual_sharpe_ratio,
    deflated_sharpe_ratio,
    expected_maximum,
    friction_names,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
    under_friction,
)
from tests.report.planted import planted_market

YEAR = 250  # the paper's
RULES = COMPETITIONS["stocks_nasdaq100"]


def returns_with(sharpe: float, days: int) -> np.ndarray:
    """Half above, half below their mean, so that skewness is 0 and kurtosis 1; exactly this ratio per day."""
    steps = np.tile([1.0, -1.0], days // 2)
    return sharpe * steps.std(ddof=1) + steps


def test_the_example_of_the_paper() -> None:
    by_luck = expected_maximum(100, 0.5 / YEAR)
    assert by_luck == pytest.approx(0.1132, abs=5e-5)
    found = probabilistic_sharpe_ratio(2.5 / math.sqrt(YEAR), by_luck, 1250, skewness=-3, kurtosis=10)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_the_example_of_the_paper_with_fewer_trials() -> None:
    """The paper calls it just significant with 46 independent trials."""
    by_luck = expected_maximum(46, 0.5 / YEAR)
    found = probabilistic_sharpe_ratio(2.5 / math.sqrt(YEAR), by_luck, 1250, skewness=-3, kurtosis=10)
    assert found == pytest.approx(0.9505, abs=5e-4)


def test_by_hand() -> None:
    """Ten trials, kurtosis 1, skewness 0: nothing remains below the root but 1."""
    near, far = (NormalDist().inv_cdf(p) for p in (0.9, 1 - 0.1 / math.e))
    by_luck = 0.02 * (0.4227843351 * near + 0.5772156649 * far)
    expected = NormalDist().cdf((0.1 - by_luck) * math.sqrt(399))
    assert deflated_sharpe_ratio(returns_with(0.1, 400), 10, 0.0004) == pytest.approx(expected, abs=1e-12)


def test_moments_are_taken_from_the_returns() -> None:
    """Mean 1, standard deviation (sample) 2, skewness 2 / sqrt(3), kurtosis 7 / 3, as counted by hand."""
    returns = [0.0, 0.0, 0.0, 4.0]
    uncertainty = 1 - 2 / math.sqrt(3) * 0.5 + (7 / 3 - 1) / 4 * 0.25
    expected = NormalDist().cdf(0.5 * math.sqrt(3 / uncertainty))
    assert deflated_sharpe_ratio(returns, 1, 0.0) == pytest.approx(expected, abs=1e-12)


def test_one_trial_is_compared_with_nothing() -> None:
    assert expected_maximum(1, 1.0) == 0
    assert deflated_sharpe_ratio(returns_with(0.0, 100), 1, 1.0) == pytest.approx(0.5)


def test_more_trials_deflate_more() -> None:
    returns = returns_with(0.1, 500)
    found = [deflated_sharpe_ratio(returns, trials, 0.001) for trials in (1, 2, 10, 100, 1000)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95 > found[-1]


def test_expected_maximum_is_that_of_random_draws() -> None:
    draws = np.random.default_rng(7).normal(0, 0.03, (4000, 200)).max(axis=1)
    assert expected_maximum(200, 0.03**2) == pytest.approx(draws.mean(), rel=0.02)


def test_nan_is_left_out() -> None:
    returns = returns_with(0.1, 100)
    with_gaps = np.insert(returns, [0, 50], np.nan)
    expected = deflated_sharpe_ratio(returns, 5, 0.001)
    assert deflated_sharpe_ratio(with_gaps, 5, 0.001) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_the_one_formula_is_that_of_the_platform(mean: str) -> None:
    """A competition's row alone says how its Sharpe ratio averages returns, and how long a year is."""
    time = pd.date_range("2020-01-01", periods=400)  # a market without weekends, such as cryptocurrencies
    returns = xr.DataArray(np.random.default_rng(1).normal(0.002, 0.03, 400), {"time": time}, ("time",))
    rules = RULES._replace(mean_estimator=mean)
    expected = qns.calc_sharpe_ratio_annualized(returns, mean_estimator=mean, points_per_year=365)
    assert annual_sharpe_ratio(returns, rules) == pytest.approx(float(expected[-1]), rel=1e-9)
    columns = np.stack([returns.values, 2 * returns.values], axis=1)
    assert sharpe_ratio(columns, 365, mean)[0] == pytest.approx(float(expected[-1]), rel=1e-9)


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_returns_without_a_ratio(mean: str) -> None:
    never, gaps = np.full(60, 0.001), np.array([0.01, np.nan, -0.02, np.inf])
    found = sharpe_ratio(np.stack([never, 0 * never], axis=1), 252, mean)
    assert np.isnan(found).all()
    assert sharpe_ratio(gaps, 252, mean) == sharpe_ratio(gaps[[0, 2]], 252, mean)
    lost = np.array([0.01, -1.0, 0.02])
    assert sharpe_ratio(lost, 252, mean) < 0


@pytest.mark.parametrize("returns", [[], [0.1, 0.2], [0.01] * 50, [0.0] * 50, [np.nan] * 5])
def test_nothing_to_tell(returns: list) -> None:
    assert math.isnan(deflated_sharpe_ratio(np.array(returns), 10, 0.01))
    assert math.isnan(sharpe_ratio(np.array(returns), sample=True))


def test_impossible_moments_and_one_period() -> None:
    assert math.isnan(probabilistic_sharpe_ratio(1.0, 0.0, 100, skewness=3, kurtosis=1))
    assert math.isnan(probabilistic_sharpe_ratio(1.0, 0.0, 1))


@pytest.mark.parametrize("trials", [0, -1, 1.5])
def test_impossible_trials(trials: float) -> None:
    with pytest.raises(ValueError, match="whole number from 1 on"):
        expected_maximum(trials, 0.1)


@pytest.mark.parametrize("variance", [-0.1, math.nan, math.inf])
def test_impossible_variance(variance: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        expected_maximum(2, variance)


@pytest.fixture
def pair():
    data = planted_market(0, 8, days=120, assets=6)
    weights = data.sel(field="close", drop=True).isel(time=slice(40, None)).transpose("time", "asset")
    shares = np.random.default_rng(1).dirichlet(np.ones(weights.shape[1]), len(weights))
    return data, weights.copy(data=shares)


def platform_ratio(data, weights, factor=None):
    stats = qns.calc_stat(data, weights, slippage_factor=factor)
    return float(stats.sel(field="sharpe_ratio")[-1])


def test_ratios_under_friction_are_the_platform_s_of_other_weights_and_costs(pair):
    data, weights = pair
    found = under_friction(data, weights, RULES)
    assert list(found) == friction_names() == ["sharpe_late", "sharpe_cost_2", "sharpe_cost_3"]
    late = weights.copy(data=np.concatenate([weights.values[:1] * 0, weights.values[:-1]]))
    expected = [
        platform_ratio(data, late),
        platform_ratio(data, weights, 0.1),
        platform_ratio(data, weights, 0.15),
    ]
    assert list(found.values()) == pytest.approx(expected, abs=1e-9)
    assert found["sharpe_cost_3"] < found["sharpe_cost_2"] < platform_ratio(data, weights)


def test_friction_in_crypto_has_its_own_mean_and_cost(pair):
    data, weights = pair
    data = data.rename("cryptodaily")
    found = under_friction(data, weights, COMPETITIONS["crypto_daily_long"])
    assert found["sharpe_cost_2"] == pytest.approx(platform_ratio(data, weights, 0.08), abs=1e-9)


def test_weights_that_know_the_next_day_lose_by_coming_late(pair):
    data, weights = pair
    opened = data.sel(field="open")
    rises = (opened.shift(time=-2) / opened.shift(time=-1) - 1).sel(time=weights.time)
    known = (rises > 0).astype(float).transpose("time", "asset") / 6
    assert under_friction(data, known, RULES)["sharpe_late"] < platform_ratio(data, known) - 5


def test_no_weights_have_no_platform_ratio(pair):
    data, weights = pair
    assert not np.isfinite(list(under_friction(data, weights * 0, RULES).values())).any()
