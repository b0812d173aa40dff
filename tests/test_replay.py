"""A run that is interrupted, repeated, or made of single passes gives the weights of an uninterrupted run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lib import backtest as backtests
from lib.sizing import sizing
from lib.state import State, state_read, state_write
from lib.state.positions import StateWarning
from lib.strategy import Strategy
from tests.markets import random_market, window
from tests.processes import run_python
from tests.switches import ALL, LONG, long, longest
from tests.trained import needs_published_model
from tests.vectors import REAL_MARKET, vector

PROJECT = Path(__file__).parents[1]
DAYS = 32 if ALL else 6 if LONG else 5
EXACT = 1e-9

# As published, but for a small network, quickly trained, and more assets: so no weight reaches the cut at
# max_weight, which would hide differences.
STRATEGY = Strategy(hidden_size=4, top_assets=16)


@pytest.fixture(params=["synthetic", pytest.param("real", marks=longest)])
def market(request) -> xr.DataArray:
    if request.param == "synthetic":
        return vector("market").isel(time=slice(-260, None))
    if not REAL_MARKET.exists():
        pytest.skip("the real market is not beside the project")
    real = xr.load_dataarray(REAL_MARKET / "market.nc").isel(time=slice(-260, None))
    # whole weeks later, so that it ends near the day on which the data of these tests end
    return real.assign_coords(time=real.time.values + np.timedelta64(62 * 7, "D"))


def run(
    strategy: Strategy, market: xr.DataArray, rows: range, state: State | None
) -> tuple[list[xr.DataArray], State | None]:
    """Passes over rows of a market, each on the windows that would be loaded that day."""
    days = []
    for row in rows:
        models = strategy.train_model(window(market, row, strategy.train_period))
        weights, state = strategy.predict(models, window(market, row, strategy.lookback_period), state)
        days.append(weights)
    return days, state


def through_a_file(state: State | None, path: Path) -> State | None:
    state_write(state, path)
    return state_read(path)


def same(first: xr.DataArray, second: xr.DataArray) -> bool:
    """Return True if two days' weights agree; assets without a position may be missing."""
    first, second = (row.isel(time=-1).to_series() for row in (first, second))
    union = first.index.union(second.index)
    return bool(
        np.allclose(
            first.reindex(union, fill_value=0), second.reindex(union, fill_value=0), rtol=0, atol=EXACT
        )
    )


# ---- interrupted and resumed ----


def test_a_run_resumed_after_any_day_goes_on_as_if_uninterrupted(market, tmp_path):
    rows = range(market.sizes["time"] - DAYS, market.sizes["time"])
    whole, last = run(STRATEGY, market, rows, None)
    assert sum(bool((np.abs(row) > 0).any()) for row in whole) >= DAYS - 2
    state = None
    for cut, expected in zip(rows, whole, strict=True):  # the process ends after every single day
        (weights,), state = run(
            STRATEGY, market, range(cut, cut + 1), through_a_file(state, tmp_path / "state")
        )
        assert same(weights, expected)
        assert weights.equals(expected)
    assert state == last


@long
def test_without_its_state_it_would_not(market):
    """The guard above can fail: a run that loses its state differs within days."""
    rows = range(market.sizes["time"] - DAYS, market.sizes["time"])
    whole, _ = run(STRATEGY, market, rows, None)
    lost, _ = run(STRATEGY, market, rows[DAYS // 2 :], None)
    assert not all(same(one, other) for one, other in zip(whole[DAYS // 2 :], lost, strict=True))


# ---- the backtest and the single passes ----


@pytest.fixture
def backtest(use_market, monkeypatch, tmp_path):
    """Weights and states of `backtest_ml` over the last days of a market."""
    monkeypatch.chdir(tmp_path)

    def test(strategy: Strategy, market: xr.DataArray, days: int) -> tuple[xr.DataArray, list[State]]:
        use_market(market)
        first, last = (str(market.time.values[k])[:10] for k in (-days, -1))
        return backtests.backtest(strategy, first, last, retrain_interval=1, collect_all_states=True)

    return test


def test_single_passes_are_the_backtest_that_retrains_daily(market, backtest, tmp_path):
    market = market.sel(time=slice(None, "2024-12-30"))  # where the loaders of these tests end
    weights, states = backtest(STRATEGY, market, DAYS)
    assert weights.sizes["time"] == len(states) == DAYS
    state = None
    for k, row in enumerate(range(market.sizes["time"] - DAYS, market.sizes["time"])):
        (passed,), state = run(
            STRATEGY, market, range(row, row + 1), through_a_file(state, tmp_path / "state")
        )
        assert same(passed, weights.isel(time=[k]))
        assert state.date == states[k].date
        assert dict(state.weights) == pytest.approx(dict(states[k].weights), rel=0, abs=EXACT)
    assert state.weights


def squared(outputs: np.ndarray, strategy: Strategy) -> np.ndarray:
    """A sizing of a user's own."""
    return outputs**2


@long
@pytest.mark.parametrize("name", [squared, *sorted(set(sizing) - {"as_output"})])
def test_single_passes_are_the_backtest_whatever_the_sizing(name, backtest, tmp_path):
    strategy = replace(STRATEGY, sizing=name, whole_sequence=True)
    market = vector("market").isel(time=slice(-260, None)).sel(time=slice(None, "2024-12-30"))
    weights, _ = backtest(strategy, market, 3)
    assert (weights != 0).any("asset").all()  # something is compared on each day
    state = None
    for k, row in enumerate(range(market.sizes["time"] - 3, market.sizes["time"])):
        (passed,), state = run(
            strategy, market, range(row, row + 1), through_a_file(state, tmp_path / "state")
        )
        assert same(passed, weights.isel(time=[k]))


@longest
def test_real_processes_resume_one_another(tmp_path):
    """Two days in two processes, with nothing in common but the state file."""
    market = vector("market").isel(time=slice(-200, -1))
    program = (
        "import lib, sys, xarray as xr; from tests.test_replay import *\n"
        "market = vector('market').isel(time=slice(-200, -1)); row = int(sys.argv[1])\n"
        "(weights,), state = run(STRATEGY, market, range(row, row + 1), state_read())\n"
        "state_write(state); np.save('weights.npy', weights.values)"
    )
    rows = range(market.sizes["time"] - 2, market.sizes["time"])
    whole, _ = run(STRATEGY, market, rows, None)
    for row, expected in zip(rows, whole, strict=True):
        run_python(program, row, cwd=tmp_path, OUT_STATE_PATH=str(tmp_path / "state"))
        assert np.abs(np.load(tmp_path / "weights.npy") - expected.values).max() <= EXACT


# ---- days that do not follow one another ----

SMALL = Strategy(
    lookback_period=40, train_period=30, hidden_size=3, top_assets=3, lwma_period=4, max_weight=1.0
)


def test_a_day_run_again_says_the_same_and_leaves_the_same(tmp_path):
    market = random_market(1)
    _, state = run(SMALL, market, range(50, 53), None)
    (first,), after = run(SMALL, market, range(53, 54), state)
    again = after
    for _ in range(3):
        (weights,), again = run(SMALL, market, range(53, 54), through_a_file(again, tmp_path / "state"))
        assert weights.equals(first)
        assert again == after
    assert dict(after.carried_in) == dict(state.weights) != dict(after.weights)


def test_the_first_day_run_again(tmp_path):
    market = random_market(1)
    (first,), state = run(SMALL, market, range(53, 54), None)
    (again,), after = run(SMALL, market, range(53, 54), through_a_file(state, tmp_path / "state"))
    assert again.equals(first)
    assert after == state


@needs_published_model
def test_after_a_gap_of_days_the_last_positions_are_the_day_before():
    market = random_market(1)
    _, state = run(SMALL, market, range(45, 48), None)
    with pytest.warns(StateWarning, match="7 trading days lie between"):
        (weights,), after = run(SMALL, market, range(55, 56), state)
    assert dict(after.carried_in) == dict(state.weights) != {}
    (fresh,), _ = run(SMALL, market, range(55, 56), None)
    assert not same(weights, fresh)


def test_a_first_pass_in_the_middle_of_history_starts_without_positions():
    market = random_market(1)
    (weights,), state = run(SMALL, market, range(50, 51), None)
    assert dict(state.carried_in) == {}
    assert dict(state.weights) == {
        asset: weight
        for asset, weight in zip(weights.asset.values.tolist(), weights.values[0].tolist(), strict=True)
        if weight
    }
    assert state.weights


def test_a_state_of_a_later_day_is_set_aside():
    market = random_market(1)
    _, later = run(SMALL, market, range(53, 54), None)
    (fresh,), _ = run(SMALL, market, range(50, 51), None)
    with pytest.warns(StateWarning, match="positions from the future are not used"):
        (weights,), state = run(SMALL, market, range(50, 51), later)
    assert weights.equals(fresh)
    assert dict(state.carried_in) == {}


def test_an_asset_that_leaves_the_data_is_blended_away():
    market = random_market(1)
    _, state = run(SMALL, market, range(50, 53), None)
    gone = max(state.weights, key=state.weights.get)
    rest = market.sel(asset=[asset for asset in market.asset.values.tolist() if asset != gone])
    held = [state.weights[gone]]
    for row in range(53, 60):
        (weights,), state = run(SMALL, rest, range(row, row + 1), state)
        assert gone not in weights.asset.values  # nothing is handed out that is not in the data
        held.append(state.weights.get(gone, 0))
    assert held == sorted(held, reverse=True)
    assert held[-1] == 0 < held[0]
    assert float(np.abs(weights).sum()) <= 1 + EXACT
