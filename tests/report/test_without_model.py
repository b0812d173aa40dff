from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr

from lib import Strategy
from lib.backtest import backtest
from lib.common.competitions import COMPETITIONS
from lib.report.backtest_report import NOT_THESE, NOTHING, WITHOUT, Evaluation, evaluate
from lib.report.training_log import TrainingLog
from lib.report.without_model import without_model
from lib.stats.added_value import verdict
from tests.report.planted import STRATEGY, planted_market
from tests.switches import long

RULES = COMPETITIONS["stocks_nasdaq100"]
SMALL = Strategy(top_assets=4, hidden_size=3, retrain_interval=10)
START = "2024-12-02"


class Run(NamedTuple):
    log: TrainingLog
    weights: xr.DataArray
    data: xr.DataArray


def run(strategy: Strategy, start: str = START) -> Run:
    log = TrainingLog(strategy.train_model)
    weights = backtest(strategy, start, train=log)[0]
    return Run(log, weights, strategy.load_range(start))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"max_weight": 0.3, "sizing": "ranked"}, {"whole_sequence": True, "sizing": "ranked"}],
    ids=["published", "cleaned", "ranked"],
)
def test_it_is_the_backtest_of_the_constant_model_without_its_training(parameters: dict) -> None:
    strategy = replace(SMALL, **parameters)
    done = run(strategy)
    found = without_model(done.log, done.data, done.weights)
    expected = run(replace(strategy, model="constant")).weights
    assert found is not None
    assert found.replaced == ""
    same = found.weights.reindex_like(expected, fill_value=0)
    np.testing.assert_allclose(same.values, expected.values, rtol=0, atol=1e-12)
    assert (expected != 0).any()


def test_an_asset_without_features_that_day_is_left_out_in_both() -> None:
    def sometimes(data: xr.DataArray, strategy: Strategy) -> xr.DataArray:
        even = data.time.dt.day % 2 == 0
        return (data.sel(field="close") * 0 + 0.1).where(even)

    strategy = replace(SMALL, features=("trend", sometimes))
    done = run(strategy)
    found = without_model(done.log, done.data, done.weights)
    assert found is not None
    expected = run(replace(strategy, model="constant")).weights
    np.testing.assert_allclose(
        found.weights.reindex_like(expected, fill_value=0).values, expected.values, atol=1e-12
    )


def test_a_sizing_that_holds_nothing_without_a_model_is_replaced() -> None:
    strategy = replace(SMALL, sizing="above_half", whole_sequence=True)
    done = run(strategy)
    found = without_model(done.log, done.data, done.weights)
    assert found is not None
    assert found.replaced == "as_output"
    equal = run(replace(strategy, model="constant", sizing="as_output")).weights
    np.testing.assert_allclose(
        found.weights.reindex_like(equal, fill_value=0).values, equal.values, atol=1e-12
    )


def test_weights_of_something_else_have_no_line_without_the_model() -> None:
    done = run(SMALL)
    assert without_model(done.log, done.data, done.weights * 0.9) is None
    assert evaluate(done.data, done.weights * 0.9, RULES, done.log).sentence == NOT_THESE
    assert without_model(TrainingLog(SMALL.train_model), done.data, done.weights) is None


def test_a_strategy_that_holds_nothing() -> None:
    done = run(replace(SMALL, sizing=lambda outputs, strategy: outputs * 0))
    assert evaluate(done.data, done.weights, RULES, done.log).sentence == NOTHING


def planted(strength: float, seed: int, days: int, use_market) -> Evaluation:
    market = planted_market(strength, seed, days)
    use_market(market)
    done = run(STRATEGY, str(market.time.values[90])[:10])
    return evaluate(done.data, done.weights, RULES, done.log)


def test_an_edge_that_the_feature_sees_is_reported(use_market) -> None:
    """With 0.3 of the daily volatility: a model that sees it is right on 62 of 100 days."""
    found = planted(0.3, 1, 330, use_market)
    assert found.value is not None
    assert verdict(found.value) == "adds"
    assert found.value.return_interval[0] > 0
    ratios = {name: measures.sharpe_ratio for name, measures in found.measures.items()}
    assert ratios["strategy"] > ratios[WITHOUT] + 1


@long
def test_on_pure_chance_it_is_reported_no_more_often_than_stated(use_market) -> None:
    """One of 40 by chance; more than two of 20 would have a probability of 1.2 %."""
    found = [planted(0.0, seed, 160, use_market).value for seed in range(20)]
    assert [verdict(value) for value in found if value is not None].count("adds") <= 2
