"""Published numbers: what only the unchanged template can meet."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import xarray as xr

from lib.backtest import backtest
from lib.contest.all_days import pass_identity, whole_run
from lib.engine.inputs import get_target_classes, model_inputs, select_assets
from lib.engine.prediction import model_outputs, predict
from lib.engine.torch_training import new_model
from lib.engine.training import train_model
from lib.strategy import Strategy
from tests import reference
from tests.contest.test_all_days import chain
from tests.engine.test_prediction import check_single_passes, window
from tests.labelled import get_features, weights_in
from tests.processes import run_python
from tests.switches import ALL, LONG, long
from tests.test_universe import WINDOW
from tests.trained import SMALL, outputs, use_torch
from tests.trained import window as training_window
from tests.vectors import REAL_MARKET, vector

real_market = pytest.mark.skipif(not REAL_MARKET.exists(), reason="the real market is not redistributed")

PASS = """
import json, sys
from tests.vectors import vector
from lib import Strategy
data = vector("loaded").isel(time=slice(-107, None))
strategy = Strategy()
weights, state = strategy.predict(strategy.train_model(data), data, None)
print(json.dumps([name for name in ("torch", "numba", "plotly", "qnt.ta", "qnt.stats", "lib.model",
                                    "lib.report.figures", "distributed", "joblib") if name in sys.modules]))
"""

TRAINING = """
import json, sys
import numpy as np
from tests.vectors import vector
from lib.engine.training import train_model
from lib.strategy import Strategy
models = train_model(vector("loaded").isel(time=slice(-71, None)), Strategy())
print(json.dumps({"torch": "torch" in sys.modules, "sum": [float(models.row(a).sum()) for a in models]}))
"""


def test_the_published_strategy_meets_the_vectors():
    window = vector("loaded").sel(time=vector("train_target").time)
    chosen = window.sel(asset=vector("train_target").asset)
    np.testing.assert_allclose(
        get_features(chosen, Strategy()).values, vector("train_features").values, atol=1e-5
    )
    np.testing.assert_array_equal(
        get_target_classes(chosen, Strategy()).values, vector("train_target").values
    )
    trained = train_model(window, Strategy())
    expected = vector("train_fitted_output").transpose("asset", "time")
    x, _ = model_inputs(chosen, Strategy())
    said = model_outputs(trained, dict(zip(chosen.asset.values.tolist(), x, strict=True)))
    assert list(said) == expected.asset.values.tolist()
    np.testing.assert_allclose(np.stack(list(said.values())), expected.values, atol=1e-5)


def test_the_defaults_are_the_published_ones():
    published = dict(
        lookback_period=155, train_period=100, retrain_interval=180, top_assets=12, hidden_size=34
    )
    published |= dict(learning_rate=0.08, epochs=1, seed=42, lwma_period=10, min_weight=0.005, max_weight=0.1)
    published |= dict(
        competition_type="stocks_nasdaq100", features=("trend",), target="next_open_up", model="LSTM"
    )
    published |= dict(
        selection="low_volatility",
        sizing="as_output",
        leave_out_unknown=False,
        whole_sequence=False,
        log_price=False,
    )
    published |= dict(scope="asset", window=0, optimiser="LBFGS", batch_size=0, loss="mse", validation=0.0)
    published |= dict(patience=0, scale=False, select_each_day=False)
    published |= dict(blend="mean", min_change=0.0, rebalance_interval=1)
    assert dataclasses.asdict(Strategy()) == published


def test_the_assets_of_the_vectors():
    assert (
        select_assets(vector("loaded").sel(time=WINDOW), Strategy())
        == vector("train_features").asset.values.tolist()
    )


def test_asking_whether_an_asset_has_a_model_makes_none():
    models = train_model(window(40), SMALL)
    asset = next(iter(models))
    assert asset in models
    assert "NAS:NONE" not in models
    assert models.row(asset) is not None


def test_the_weights_of_a_multi_pass_run_are_the_published_ones(tmp_path, monkeypatch):
    """The vectors, through the library's own backtest: cleaned weights, and the state of each day."""
    monkeypatch.chdir(tmp_path)
    strategy = Strategy()
    weights, states = backtest(
        strategy,
        "2023-06-30",
        None if LONG else "2024-02-15",  # one training after the first
        retrain_interval_after_submit=1,
        collect_all_states=True,
    )
    days = slice(None, weights.sizes["time"])
    expected, rows = vector("strategy_multi_pass")[days], vector("strategy_multi_pass_state")[days]
    assert not LONG or len(rows) == 392
    assert weights.time.values.tolist() == expected.time.values.tolist()
    assert [state.date for state in states] == expected.time.values.astype("M8[D]").tolist()
    liquid = vector("market").sel(field="is_liquid", time=expected.time) > 0
    published = expected.where(liquid.sel(asset=expected.asset), 0)
    ours = weights.reindex(asset=expected.asset, fill_value=0)
    assert weights.sum() == pytest.approx(ours.sum())
    assert np.abs(ours - published).max() < 1e-5
    for row, state in zip(rows, states, strict=True):
        kept = weights_in(state, rows.asset)
        assert np.abs(kept - row.values).max() < 1e-5


@long
def test_the_weights_of_single_passes_are_the_published_ones():
    check_single_passes(vector("market"), vector("strategy_single_pass"))


def real(name):
    """A stored array of the real market."""
    with xr.open_dataarray(REAL_MARKET / f"{name}.nc", engine="h5netcdf") as array:
        return array.load()


def check_whole_run(market, expected, folder):
    expected = expected if ALL else expected[:6]
    start, end = expected.time.values[[0, -1]].astype("M8[D]")
    strategy = Strategy()
    data = market.sel(time=slice(None, end))
    (weights, passes), _ = whole_run(
        strategy, data, start, end, folder, pass_identity(strategy), progress=False
    )
    assert [entry.day for entry in passes] == np.datetime_as_string(expected.time, "D").tolist()
    ours = weights.reindex(asset=expected.asset, fill_value=0)
    assert weights.sum() == pytest.approx(ours.sum())
    assert np.abs(ours.values - expected.fillna(0).values).max() < 1e-5


@long
@pytest.mark.usefixtures("here")
def test_the_whole_run_of_the_contest_is_the_published_chain_of_single_passes(tmp_path):
    check_whole_run(vector("market"), vector("strategy_single_pass"), tmp_path)


@long
@real_market
@pytest.mark.usefixtures("here")
def test_so_it_is_on_the_real_market(tmp_path):
    check_whole_run(real("market").sortby("asset"), real("strategy_single_pass"), tmp_path)


class Plain:
    """The plain strategy, to be called as a Strategy."""

    train_period, lookback_period = reference.TRAIN_PERIOD, reference.LOOKBACK_PERIOD
    predict = staticmethod(reference.predict)

    def __init__(self, top_assets, hidden_size):
        self.sizes = top_assets, hidden_size

    def train_model(self, data):
        return reference.train_model(data, *self.sizes, reference.Layers)


@long
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "name", ["synthetic", pytest.param("real", marks=real_market)] if LONG else ["synthetic"]
)
def test_the_whole_run_equals_the_plain_strategy(name, tmp_path):
    """Days of a network of the published size behind the switch, else of a small one."""
    days, top_assets, hidden_size = (60, 6, 34) if ALL else (6, 4, 34) if LONG else (2, 2, 3)
    market = vector("market") if name == "synthetic" else real("market").sortby("asset")
    start, end = market.time.values[[-days, -1]].astype("M8[D]")
    strategy = Strategy(top_assets=top_assets, hidden_size=hidden_size)
    (weights, _), _ = whole_run(
        strategy, market, start, end, tmp_path, pass_identity(strategy), progress=False
    )
    published = chain(Plain(top_assets, hidden_size), market, start, end)
    liquid = (
        market.sel(field="is_liquid", time=weights.time).values > 0
    )  # else this project decides otherwise
    assert np.abs(weights.values - published)[liquid].max() <= 1e-5


@long
@real_market
def test_on_the_real_market_too():
    market, rows = real("market").sortby("asset"), real("strategy_multi_pass_state")
    check_single_passes(market, real("strategy_single_pass"))
    strategy, state, trained = Strategy(), None, None
    for row in rows:
        day = row.time.values
        if trained is None or day >= trained + np.timedelta64(strategy.retrain_interval, "D"):
            start = day - np.timedelta64(strategy.train_period, "D")
            models, trained = strategy.train_model(market.sel(time=slice(start, day))), day
        start = day - np.timedelta64(strategy.lookback_period, "D")
        _, state = strategy.predict(models, market.sel(time=slice(start, day)), state)
        kept = weights_in(state, rows.asset)
        assert np.abs(kept - row.fillna(0).values).max() < 1e-5


@long
def test_days_in_a_row_equal_the_plain_strategy():
    strategy = Strategy() if LONG else Strategy(top_assets=4)
    ours = strategy.train_model(window(71, 700))
    plain = reference.train_model(window(71, 700), strategy.top_assets, network=reference.Layers)
    state, plain_state = None, None
    for end in range(700, 712 if LONG else 703):
        data = window(107, end)
        weights, state = predict(ours, data, state, strategy)
        plain_weights, plain_state = reference.predict(plain, data, plain_state)
        liquid = data.sel(field="is_liquid")[-1] > 0
        expected = plain_weights.sel(asset=data.asset).where(liquid, 0)
        assert weights.asset.values.tolist() == data.asset.values.tolist()
        assert weights.time.values == data.time.values[-1:]
        assert np.abs(weights - expected).max() < 1e-5


@long
def test_the_two_networks_of_the_plain_strategy_are_one():
    cells, layers = (
        reference.train_model(window(71, 700), top_assets=2, network=network)
        for network in (reference.LSTM, reference.Layers)
    )
    assert list(cells) == list(layers)
    x = torch.from_numpy(vector("train_features").values.transpose(2, 1, 0).astype(np.float32))
    for asset, model in cells.items():
        assert torch.allclose(model(x), layers[asset](x), rtol=0, atol=1e-6)


def test_a_pass_imports_nothing_that_it_does_not_need():
    out, _ = run_python(PASS, SUBMISSION_ID="-1")
    assert json.loads(out.splitlines()[-1]) == []


def test_the_untrained_output_of_the_vectors():
    x = torch.from_numpy(vector("train_features").values.transpose(2, 1, 0).astype(np.float32))
    assert (
        np.abs(new_model(Strategy())(x).detach().numpy() - vector("train_untrained_output").values).max()
        < 1e-6
    )


def test_it_is_two_layers_of_cells():
    cells = reference.LSTM(1, 34)
    cells.load_state_dict(
        dict(zip(cells.state_dict(), new_model(Strategy()).state_dict().values(), strict=True))
    )
    x = torch.randn(3, 20, 1, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(cells(x), new_model(Strategy())(x), atol=1e-6)


@pytest.mark.parametrize("in_torch", [False, True])
def test_the_fitted_output_of_the_vectors(in_torch, monkeypatch):
    if in_torch:
        use_torch(monkeypatch)
    models = train_model(training_window(), Strategy())
    expected = vector("train_fitted_output")
    assert list(models) == expected.asset.values.tolist()
    assert np.abs(outputs(models, training_window(), Strategy()) - expected).max() < 1e-5
    assert {len(fit.losses) for fit in models.fits.values()} == {20}


@long
def test_the_number_of_threads_changes_nothing_and_torch_is_not_imported():
    answers = []
    for threads in ("1", "2"):
        out, _ = run_python(TRAINING, OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
        answers.append(json.loads(out.splitlines()[-1]))
    assert answers[0] == answers[1]
    assert not answers[0]["torch"]
