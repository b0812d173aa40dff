"""Any model against the fast path, in turns: `python -m pytest tests/benchmarks/bench_models.py -n 0`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.linear_model import Ridge

from lib import Strategy
from lib.contest.all_days import pass_identity, whole_run
from lib.engine.inputs import training_set_of
from lib.engine.training import train_sets
from tests.benchmarks.bench import large, on, window
from tests.engine.test_torch_models import Convolution, Mlp, Recurrent
from tests.vectors import vector

__all__ = ["large"]  # a fixture
pytestmark = pytest.mark.filterwarnings("default")
ROUNDS = 15
LSTM = partial(Recurrent, kind="LSTM", layers=2)
MODELS = {
    "GRU": {"model": Recurrent},
    "LSTM under another name": {"model": LSTM},
    "LSTM, hidden 64, to its fast path": {"model": LSTM, "hidden_size": 64},
    "MLP": {"model": Mlp},
    "convolution": {"model": Convolution},
}
PASS = """
import sys, torch
import numpy as np
sys.path.insert(0, {project!r})
from lib import Strategy
from tests.engine.test_torch_models import Recurrent
from tests.vectors import vector

def last(market, days):
    return market.sel(time=slice(market.time[-1] - days * 86_400_000_000_000, None))

{what}
"""


def seconds(function: Callable) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def in_turns(sides: dict[str, Callable], rounds: int = ROUNDS) -> dict[str, np.ndarray]:
    """Seconds (rounds,) of each side, all sides once in each round, after one that warms up."""
    taken = [[seconds(side) for side in sides.values()] for _ in range(rounds + 1)][1:]
    return dict(zip(sides, np.array(taken).T, strict=True))


def report(capsys: pytest.CaptureFixture, *columns: str) -> None:
    with capsys.disabled():
        print("\n|", " | ".join(columns), "|", end="")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("core_count", [1, 2])
def test_12_assets(capsys, name, core_count):
    data, options = window(vector("loaded"), 100), MODELS[name]
    published = {key: value for key, value in options.items() if key != "model"}
    with on(core_count):
        taken = in_turns(
            {
                "fast": lambda: Strategy(**published).train_model(data),
                "torch": lambda: Strategy(**options).train_model(data),
            }
        )
    ratio, times = np.median(taken["torch"] / taken["fast"]), [np.median(side) for side in taken.values()]
    report(capsys, name, f"{core_count} core(s)", *(f"{t * 1000:.0f} ms" for t in times), f"{ratio:.2f}")


def test_100_assets_against_12(capsys, large):
    data = window(large, 100)
    with on(1):
        taken = in_turns(
            {
                str(assets): partial(Strategy(model=Recurrent, top_assets=assets).train_model, data)
                for assets in (12, 100)
            },
            rounds=5,
        )
    report(capsys, "GRU", "100 assets to 12", f"{np.median(taken['100'] / taken['12']):.2f}")


def child(what: str) -> tuple[float, int]:
    """Seconds of CPU and MiB at the peak of a process that does this."""
    project = os.path.abspath(f"{__file__}/../../..")
    code = PASS.format(project=project, what=what) + (
        "import resource\n"
        "own, children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))\n"
        "print(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, own.ru_maxrss // 1024)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, cwd=project, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    cpu, peak = done.stdout.splitlines()[-1].split()
    return float(cpu), int(peak)


def test_memory_of_500_assets(capsys):
    train = (
        "from lib.offline.synthetic import generate\n"
        "market = generate(600, '2023-01-03', '2024-12-31', seed=5)\n"
        "Strategy(model=Recurrent, top_assets=500).train_model(last(market, 100))"
    )
    report(capsys, "GRU", "500 assets", f"{child(train)[1]} MiB")


def test_a_pass_with_torch(capsys):
    """CPU time of a pass with a GRU, to that of importing torch and the project and of training."""
    train = "Strategy(model=Recurrent).train_model(last(vector('loaded'), 100))"
    whole = (
        "strategy, data = Strategy(model=Recurrent), vector('loaded')\n"
        "models = strategy.train_model(last(data, 100))\n"
        "weights, state = strategy.predict(models, last(data, 155), None)"
    )
    taken = [[child(train)[0], child(whole)[0]] for _ in range(5)]
    parts, passes = np.array(taken).T
    report(capsys, "GRU", "pass to import and training", f"{np.median(passes / parts):.2f}")


FEATURES = [
    *("trend", "momentum(periods=5)", "momentum(periods=20)", "momentum(periods=60)", "volatility"),
    *("rsi", "atr_percent", "ema_ratio", "volume_ratio", "gap"),
]
POOLED = {"scope": "pooled", "features": FEATURES, "top_assets": 100, "train_period": 730}
BATCHES = {"window": 1, "optimiser": "Adam", "batch_size": 16, "epochs": 10, "loss": "bce", "scale": True}
LEARNERS = {
    "pooled Ridge": POOLED | {"model": Ridge},
    "pooled LightGBM, 100 trees": POOLED | {"model": LGBMClassifier(verbose=-1)},
    "pooled MLP, 10 epochs of Adam": POOLED | BATCHES | {"model": Mlp, "learning_rate": 0.003},
}


@pytest.mark.parametrize("name", LEARNERS)
def test_pooled_training_against_the_published_one(capsys, name, large):
    """Ten features, two years, 100 assets; only the training, since features cost the same for any model."""
    published, pooled = Strategy(), Strategy(**LEARNERS[name])
    sets = {
        side: training_set_of(window(large, strategy.train_period), strategy)
        for side, strategy in {"published": published, "pooled": pooled}.items()
    }
    taken = in_turns(
        {
            "published": lambda: train_sets([sets["published"]], published),
            "pooled": lambda: train_sets([sets["pooled"]], pooled),
        },
        rounds=5,
    )
    report(capsys, name, "training", f"{np.median(taken['pooled'] / taken['published']):.2f}")


def test_250_days_of_the_contest(capsys, tmp_path):
    end = np.datetime64("2024-12-30")
    start = end - np.timedelta64(362, "D")
    taken = {}
    sides = {"published": {}, "GRU": {"model": Recurrent}, "pooled Ridge": LEARNERS["pooled Ridge"]}
    for name, options in sides.items():
        strategy, folder = Strategy(**options), tmp_path / name
        data = strategy.load_range(start, end)
        run = partial(whole_run, strategy, data, start, end, folder, pass_identity(strategy), workers=2)
        taken[name] = seconds(run)
    for name in list(sides)[1:]:
        report(capsys, name, "250 days of lib.contest", f"{taken[name] / taken['published']:.2f}")
