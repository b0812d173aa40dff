"""Every kind of strategy means the same in backtest, report, contest, comparison and look-ahead check.

What users met as faults lay between features: so each ready feature, target and sizing, and models and
methods of a user's own go through every tool.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from lib import Strategy, lookahead
from lib.backtest import backtest, leaving_no_files
from lib.compare import compare
from lib.contest.all_days import pass_identity, whole_run
from lib.features import feature, target
from lib.report.__main__ import evaluated
from lib.sizing import sizing
from lib.strategy import uses_methods_of_strategy
from tests.conftest import REAL
from tests.switches import ALL, LONG, long
from tests.vectors import CRYPTO as VECTORS

SMALL = {"top_assets": 4, "hidden_size": 4, "lookback_period": 60, "train_period": 60, "lwma_period": 5}
START, END = "2024-12-13", "2024-12-18"


class Normed(nn.Module):
    """A module with buffers: the running mean and variance of its inputs."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(n_features), nn.Linear(n_features, 1)

    def forward(self, x):
        return self.linear(self.norm(x.transpose(1, 2)).transpose(1, 2)).squeeze(-1)


class Sign(nn.Module):
    """A rule: a module without parameters."""

    def __init__(self, n_features, strategy):
        super().__init__()

    def forward(self, x):
        return (x[..., 0] > 0).to(x.dtype)


class Windowed(nn.Module):
    """A convolution over three days, padded so that no later day is seen."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.convolution = nn.Conv1d(n_features, 1, 3)

    def forward(self, x):
        padded = nn.functional.pad(x.transpose(1, 2), (2, 0))
        return self.convolution(padded).squeeze(1)


class Renamed(nn.Module):
    """The published network under another name."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.lstm = nn.LSTM(n_features, strategy.hidden_size, num_layers=2, batch_first=True)
        self.linear = nn.Linear(strategy.hidden_size, 1)

    def forward(self, x):
        return self.linear(self.lstm(x)[0]).squeeze(-1)


class Fewer(Strategy):
    """A training of one's own."""

    def train_model(self, data):
        models = super().train_model(data)
        return {asset: models[asset] for asset in list(models)[1:]}


class Halved(Strategy):
    """A prediction of one's own, with a memory."""

    def predict(self, models, data, state):
        weights, state = super().predict(models, data, state)
        days = state.memory.get("days", 0) + 1
        return weights / (1 + days % 2), state.with_memory({"days": days})


class Rows(Strategy):
    """A loader of one's own: no asset of the second half of the alphabet."""

    def load_data(self, period):
        data = super().load_data(period)
        return data.isel(asset=slice(None, data.sizes["asset"] // 2))


def mean_model(data):
    return float(data.sel(field="close").mean())


def equal_rule(models, data, state):
    liquid = (data.sel(field="is_liquid") > 0).isel(time=[-1]).astype(float)
    return liquid / 50 * (models > 0), None


def above_zero(x):
    return (x[..., 0] > 0).astype(float)


class Mixed(nn.Module):
    """A module that looks across assets."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.linear = nn.Linear(2 * n_features, 1)

    def forward(self, x, known):
        mean = (x * known[..., None]).sum(0, keepdim=True) / known.sum(0).clamp(min=1)[..., None]
        return self.linear(torch.cat([x, mean.expand_as(x)], dim=-1)).squeeze(-1)


POOLED = {**SMALL, "scope": "pooled", "features": ["trend", "momentum(periods=3)"]}
BATCHES = {"window": 2, "optimiser": "Adam", "batch_size": 16, "epochs": 2, "scale": True, "loss": "bce"}
STOPPED = {"validation": 0.25, "patience": 2}
LEARNERS = {
    "Ridge pooled": lambda: Strategy(**POOLED, model=Ridge(alpha=0.1), window=2, scale=True),
    "Ridge each day": lambda: Strategy(**POOLED, model=Ridge, select_each_day=True, sizing="ranked"),
    "Ridge per asset": lambda: Strategy(**SMALL, model=Ridge),
    "logistic factory": lambda: Strategy(**POOLED, model=lambda: LogisticRegression(C=0.5)),
    "LightGBM pooled": lambda: Strategy(**POOLED, model=LGBMClassifier(n_estimators=4, verbose=-1)),
    "rule": lambda: Strategy(**SMALL, model=above_zero),
    "rule pooled": lambda: Strategy(**POOLED, model=above_zero, window=2),
    "module in batches": lambda: Strategy(**POOLED, model=Mixed, **BATCHES, **STOPPED),
    "module in sequence": lambda: Strategy(**POOLED, model=Mixed, epochs=4),
    "network with Adam": lambda: Strategy(**SMALL, optimiser="Adam", epochs=3, validation=0.2),
}


def own(kind):
    return kind(**SMALL)


STRATEGIES = {
    **{f"feature {name}": lambda name=name: Strategy(**SMALL, features=["trend", name]) for name in feature},
    **{f"target {name}": lambda name=name: Strategy(**SMALL, target=name) for name in target},
    **{f"sizing {name}": lambda name=name: Strategy(**SMALL, sizing=name) for name in sizing},
    **{
        f"model {kind.__name__}": lambda kind=kind: Strategy(
            **SMALL, model=kind, whole_sequence=kind is Windowed
        )
        for kind in (Normed, Sign, Windowed, Renamed)
    },
    "model constant": lambda: Strategy(**SMALL, model="constant"),
    **{f"own {kind.__name__}": lambda kind=kind: own(kind) for kind in (Fewer, Halved, Rows)},
    **{f"learner {name}": make for name, make in LEARNERS.items()},
    "own functions": lambda: Strategy(**SMALL).with_functions(train_model=mean_model, predict=equal_rule),
}
ORDINARY = ("rank", "Halved", "functions", "Ridge each day")
MORE = (*ORDINARY, "Windowed", "Ridge pooled", "with Adam")
pytestmark = [
    pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning"),
    pytest.mark.filterwarnings("ignore:.*loky.*"),
]
STOCKS, CRYPTO = "stocks_nasdaq100", "crypto_daily_long_short"  # the latter for sizings with shorts
CASES = [(name, STOCKS) for name in STRATEGIES if ALL or name.endswith(MORE if LONG else ORDINARY)]
CASES += [
    (name, CRYPTO)
    for name in STRATEGIES
    if ALL or name.endswith(("rank", "Ridge each day") if LONG else "model constant")
]
each = pytest.mark.parametrize(("name", "kind"), CASES)


@pytest.fixture
def strategy(name, kind, use_market):
    """A strategy of `STRATEGIES` on the market of a competition."""
    made = STRATEGIES[name]()
    if kind == STOCKS:
        return made
    use_market(xr.load_dataarray(VECTORS / "market.nc", engine="h5netcdf"))
    return replace(made, competition_type=kind, max_weight=1.0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def in_every_pass(strategy):
    """The weights of a backtest that trains every day."""
    with leaving_no_files():
        return backtest(strategy, START, END, retrain_interval=1)[0]


@each
def test_backtest_contest_and_comparison_hold_the_same(name, strategy, here, tmp_path, monkeypatch):
    expected = in_every_pass(strategy)
    data = strategy.load_range(START, END)
    days = (np.datetime64(START), np.datetime64(END))
    (found, _), _ = whole_run(strategy, data, *days, tmp_path, pass_identity(strategy), progress=False)
    found = found.reindex(asset=expected.asset, fill_value=0)
    assert (expected.values != 0).any() or "above_half" in name  # so small a network stays near one half
    assert found.time.equals(expected.time)
    assert np.abs(found.values - expected.values).max() <= 1e-9
    assert uses_methods_of_strategy(strategy) == (not name.startswith("own") or "Rows" in name)
    if ALL and not REAL:
        table = compare(
            [{"retrain_interval": 1}],
            START,
            END,
            base=strategy,
            folder=tmp_path / "runs",
            progress=False,
            workers=1,
            backend="threading",  # a process would import the conftest, and its market
        )
        assert table["status"].tolist() == ["finished"]
        assert np.isfinite(table["sharpe_ratio"]).all() or "above_half" in name


@long
@each
def test_no_honest_strategy_is_accused_of_look_ahead(strategy):
    report = lookahead.check(strategy, strategy.load_data(300), days=1)
    assert not report.leaks, str(report)


@long
@each
def test_the_report_of_each_is_of_that_strategy(name, strategy):
    found, _ = evaluated(strategy, START, END)
    if "above_half" in name:  # so small a network stays near one half: nothing is held
        return
    assert np.isfinite(found.measures["strategy"].sharpe_ratio)
    if uses_methods_of_strategy(strategy) and "Sign" not in name and "rule" not in name:
        assert found.value is not None, found.sentence
