"""The platform's own backtest agrees: positions up to a day change with the days after it, or do not."""

from collections.abc import Callable

import pytest
import qnt.data as qndata
import xarray as xr

from lib.backtest import backtest
from lib.strategy import Strategy
from tests.lookahead.planted import (
    gappy_market,
    outside_fill,
    outside_norm,
    outside_peek,
    outside_selection,
    small,
    winners,
)
from tests.markets import changed_after
from tests.switches import ALL, LONG, long

pytestmark = pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning")


@pytest.fixture
def leaks_in_backtest(use_market, monkeypatch, tmp_path):
    """Return True if positions up to a row change with the days after that row."""
    monkeypatch.chdir(tmp_path)

    def states(make: Callable[[xr.DataArray], Strategy], market: xr.DataArray) -> list[dict]:
        use_market(market)
        strategy = make(market)
        first = str(market.time.values[-4])[:10]
        weights, kept = backtest(strategy, first, retrain_interval=3, collect_all_states=True)
        assert [state.date for state in kept] == weights.time.values.astype("M8[D]").tolist()
        return [dict(state.weights) for state in kept]

    def leaks(make: Callable[[xr.DataArray], Strategy], seed: int, rows: list[int]) -> bool:
        market = gappy_market(seed)
        before = states(make, market)
        for row in rows:
            again = states(make, changed_after(market, row, seed))
            known = len(before) - (39 - row)
            if before[:known] != again[:known]:
                return True
            assert before != again or row == 39  # the future did change something
        return False

    return leaks


@long
@pytest.mark.parametrize("seed", range(8 if ALL else 3 if LONG else 1))
def test_the_backtest_of_the_strategy_does_not_leak(seed, leaks_in_backtest):
    assert not leaks_in_backtest(lambda market: small(), seed, [36, 37, 38])


def loads_through_the_strategy(market: xr.DataArray) -> Strategy:
    return small(selection=winners(lambda strategy: strategy.load_data(20)))


def loads_directly(market: xr.DataArray) -> Strategy:
    return small(selection=winners(lambda strategy: qndata.stocks.load_ndx_data(tail=20)))


def test_the_backtest_of_a_strategy_that_loads_through_load_data_does_not_leak(leaks_in_backtest):
    assert not any(
        leaks_in_backtest(loads_through_the_strategy, seed, [37]) for seed in ((1, 2) if LONG else (1,))
    )


@long
@pytest.mark.parametrize(
    "leaky",
    [outside_peek, outside_fill, outside_norm, outside_selection, loads_directly][:: 1 if ALL else 4],
    ids=lambda leaky: leaky.__name__,
)
def test_the_backtest_of_a_strategy_that_knows_the_market_leaks(leaky, leaks_in_backtest):
    assert any(leaks_in_backtest(leaky, seed, [37, 36, 38]) for seed in range(1, 9))
