"""The same weights later, and at a higher cost."""

import numpy as np
import pytest
import qnt.stats as qns

from lib.common.competitions import COMPETITIONS
from lib.stats import friction
from tests.report.planted import planted_market

RULES = COMPETITIONS["stocks_nasdaq100"]


@pytest.fixture
def pair():
    data = planted_market(0, 8, days=120, assets=6)
    weights = data.sel(field="close", drop=True).isel(time=slice(40, None)).transpose("time", "asset")
    shares = np.random.default_rng(1).dirichlet(np.ones(weights.shape[1]), len(weights))
    return data, weights.copy(data=shares)


def ratio(data, weights, factor=None):
    stats = qns.calc_stat(data, weights, slippage_factor=factor)
    return float(stats.sel(field="sharpe_ratio")[-1])


def test_they_are_the_platform_s_figures_of_other_weights_and_costs(pair):
    data, weights = pair
    found = friction.under_friction(data, weights, RULES)
    assert list(found) == friction.names() == ["sharpe_late", "sharpe_cost_2", "sharpe_cost_3"]
    late = weights.copy(data=np.concatenate([weights.values[:1] * 0, weights.values[:-1]]))
    expected = [ratio(data, late), ratio(data, weights, 0.1), ratio(data, weights, 0.15)]
    assert list(found.values()) == pytest.approx(expected, abs=1e-9)
    assert found["sharpe_cost_3"] < found["sharpe_cost_2"] < ratio(data, weights)


def test_crypto_has_its_own_mean_and_cost(pair):
    data, weights = pair
    data = data.rename("cryptodaily")
    found = friction.under_friction(data, weights, COMPETITIONS["crypto_daily_long"])
    assert found["sharpe_cost_2"] == pytest.approx(ratio(data, weights, 0.08), abs=1e-9)


def test_weights_that_know_the_next_day_lose_by_coming_late(pair):
    data, weights = pair
    opened = data.sel(field="open")
    rises = (opened.shift(time=-2) / opened.shift(time=-1) - 1).sel(time=weights.time)
    known = (rises > 0).astype(float).transpose("time", "asset") / 6
    assert friction.under_friction(data, known, RULES)["sharpe_late"] < ratio(data, known) - 5


def test_no_weights_have_no_ratio(pair):
    data, weights = pair
    assert not np.isfinite(list(friction.under_friction(data, weights * 0, RULES).values())).any()
