"""Each question about a day is asked of the days it may see, and answered for them."""

import numpy as np

from lib.common.market_data import field
from lib.lookahead.questions import CHAIN, LATER, askable, questions_about, random_gaps
from lib.strategy import Strategy
from lib.universe import low_volatility
from tests.lookahead.planted import SMALL, small
from tests.markets import random_market
from tests.trained import needs_published_model

ROW = 28


def test_only_features_see_the_rows_after_it():
    market = random_market(0, days=60, assets=4)
    before, seen = market.copy(deep=True), {}

    def close(data, strategy):
        seen["feature"] = data.time.values[-1]
        return field(data, "close")

    def selection(data, strategy):
        seen["selection"] = data.time.values[-1]
        return low_volatility(data, strategy)

    strategy = Strategy(**SMALL, features=[close], selection=selection)
    gaps = random_gaps(market, ROW, np.random.default_rng(0))
    asked = questions_about(strategy, market, ROW, gaps, {})
    assert list(asked) == ["feature close", "selection", "training", "prediction"]
    assert asked["selection"]().shape == (1, 4)
    assert seen == {"selection": market.time.values[ROW]}
    alone, planted = asked["feature close"]()
    assert seen["feature"] == market.time.values[ROW + LATER]
    window = slice(ROW + 1 - len(alone), ROW + 1)
    assert np.array_equal(alone, field(market, "close")[window], equal_nan=True)  # without the gaps
    assert np.isnan(planted[gaps[window]]).all()
    assert np.array_equal(alone[~gaps[window]], planted[~gaps[window]], equal_nan=True)
    assert asked["training"]().shape[1] == 4
    assert asked["prediction"]().shape == (CHAIN, 4)
    assert seen["selection"] == market.time.values[ROW]
    assert market.identical(before)


def test_gaps_are_in_half_of_the_assets_up_to_the_row():
    market = random_market(0, days=40, assets=5)
    for seed in range(20):
        gaps = random_gaps(market, ROW, np.random.default_rng(seed))
        assert gaps.any(axis=0).sum() == 3
        assert gaps[ROW].sum() == 3
        assert not gaps[: ROW - 2].any()
        assert not gaps[ROW + 1 :].any()


def test_windows_are_whole_before_a_day_that_can_be_asked_about():
    market = random_market(0, days=40)
    rows = askable(market, Strategy(**SMALL))
    first_of_chain = market.time.values[rows[0] - CHAIN + 1]
    assert first_of_chain - np.timedelta64(21, "D") >= market.time.values[0]
    assert market.time.values[rows[0] - CHAIN] - np.timedelta64(21, "D") < market.time.values[0]
    assert rows.tolist() == list(range(rows[0], 39))


def test_what_is_loaded_through_the_strategy_ends_on_the_day():
    market = random_market(0, days=60, assets=4)
    ends = []

    def looks(data, strategy):
        ends.append(strategy.load_data(10).time.values[-1])
        return field(data, "close")

    def chooses(data, strategy):
        looks(data, strategy)
        return low_volatility(data, strategy)

    strategy = Strategy(**SMALL, features=[looks], selection=chooses)
    asked = questions_about(strategy, market, ROW, np.zeros(market.shape[1:], bool), {})
    for stage, ask in asked.items():
        ends.clear()
        ask()
        assert set(ends) <= set(market.time.values[ROW - CHAIN + 1 : ROW + 1]), stage
        assert ends, stage


@needs_published_model
def test_the_published_network_is_trained_once_on_the_same_examples():
    market = random_market(0, days=60, assets=4)
    gaps, trained = np.zeros(market.shape[1:], bool), {}
    first = questions_about(small(), market, ROW, gaps, trained)["training"]()
    assert len(trained) == 1
    again = questions_about(small(), market, ROW, gaps, trained)["training"]()
    assert np.array_equal(first, again, equal_nan=True)
    assert len(trained) == 1
    others = [small(learning_rate=0.1), small(target=lambda data, strategy: np.ones(data.shape[1:]))]
    for known, strategy in enumerate(others, 2):
        questions_about(strategy, market, ROW, gaps, trained)["training"]()
        assert len(trained) == known
