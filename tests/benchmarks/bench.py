"""How fast, against the plain reference in the same run: `python -m pytest tests/benchmarks/bench.py`."""

import contextlib
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
import qnt.backtester as qnbt
import torch
from threadpoolctl import threadpool_limits

from lib import Strategy
from lib.common.market_data import days_between, window_of
from lib.contest.all_days import pass_identity, whole_run
from tests import reference
from tests.conftest import REAL
from tests.vectors import vector

PROJECT = Path(__file__).parents[2]
ENGINE = "real library" if REAL else "offline engine"
THREADS = [1, 2]
CONTEST = np.datetime64("2006-01-03"), np.datetime64("2024-12-30")
PUBLISHED_DAYS = 20
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def large():
    """A synthetic market with 600 assets over the lengths that a growth needs."""
    from lib.offline.synthetic import generate

    return generate(600, "2017-01-03", "2024-12-31", seed=5)


def window(market, days):
    return market.sel(time=slice(market.time[-1] - days * 86_400_000_000_000, None))


@contextlib.contextmanager
def on(core_count: int) -> Iterator[None]:
    """Limit numpy, torch and this project's processes to a number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(core_count)
    with threadpool_limits(core_count):
        yield
    torch.set_num_threads(before)


def measure(benchmark, group, side, function, rounds):
    benchmark.group, benchmark.extra_info["side"] = group, side
    benchmark.pedantic(function, rounds=rounds, warmup_rounds=1 if rounds > 1 else 0)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("side", ["published", "here"])
def test_train_12_assets(benchmark, side, threads):
    train = reference.train_model if side == "published" else Strategy().train_model
    data = window(vector("loaded"), 100)
    rounds = 3 if side == "published" else 15
    with on(threads):
        measure(benchmark, f"train 12 assets, {threads} thread(s)", side, lambda: train(data), rounds)


@pytest.mark.parametrize("side", ["published", "here"])
def test_train_100_assets(benchmark, side, large):
    data = window(large, 100)
    strategy = Strategy(top_assets=100)
    train = (
        (lambda: reference.train_model(data, 100))
        if side == "published"
        else lambda: strategy.train_model(data)
    )
    with on(1):
        measure(benchmark, "train 100 assets, 1 thread", side, train, 1 if side == "published" else 5)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("side", ["published", "here"])
def test_predict_a_day(benchmark, side, threads):
    train, look = window(vector("loaded"), 100), window(vector("loaded"), 155)
    side_of = reference if side == "published" else Strategy()
    models = side_of.train_model(train)
    _, state = side_of.predict(models, look.isel(time=slice(None, -1)), None)
    group = f"predict one day, {threads} thread(s)"
    with on(threads):
        measure(benchmark, group, side, lambda: side_of.predict(models, look, state), 40)


@pytest.mark.parametrize("side", ["published", "here"])
def test_one_year_of_multi_pass(benchmark, side):
    side_of = reference if side == "published" else Strategy()

    def run():
        qnbt.backtest_ml(
            load_data=side_of.load_data,
            train=side_of.train_model,
            predict=side_of.predict,
            train_period=100,
            retrain_interval=180,
            retrain_interval_after_submit=1,
            predict_each_day=True,
            competition_type="stocks_nasdaq100",
            lookback_period=155,
            start_date="2023-12-29",
            build_plots=False,
        )

    group = f"one year of multi-pass, 2 threads, {ENGINE}"
    with on(2):
        measure(benchmark, group, side, run, 1 if side == "published" else 3)


PUBLISHED_PASS = [
    """
    import xarray as xr
    import qnt.data as qndata
    import qnt.backtester as qnbt
    import qnt.ta as qnta
    import qnt.stats as qns
    import qnt.graph as qngraph
    import qnt.output as qnout
    import qnt.filter as qnfilter
    import qnt.exposure as qnexp
    import numpy as np
    import pandas as pd
    import torch
    from IPython.display import display
    from tests.reference import *
    """,
    """
    import gzip
    import os
    import pickle

    def state_read(path=os.environ["OUT_STATE_PATH"]):
        try:
            with gzip.open(path, "rb") as file:
                return pickle.load(file)
        except Exception as error:
            print(error)

    def state_write(state, path=os.environ["OUT_STATE_PATH"]):
        with gzip.open(path, "wb") as file:
            pickle.dump(state, file)
    """,
    """
    data_train = load_data(100)
    models = train_model(data_train)
    data_predict = load_data(155)
    weights, state = predict(models, data_predict, state_read())
    stats = qns.calc_stat(data_predict, weights)
    display(stats.to_pandas().tail())
    performance = stats.to_pandas()["equity"]
    qngraph.make_plot_filled(performance.index, performance, name="PnL (Equity)", type="log")
    state_write(state)
    """,
    "qnout.write(weights)",
]


def notebook(side, folder):
    """The single pass of the published strategy, or of `strategy.ipynb` as the evaluator runs it."""
    path = folder / "strategy.ipynb"
    if side == "here":
        cells = nbformat.read(PROJECT / "strategy.ipynb", 4).cells
        cells = [cell for cell in cells if not cell.source.startswith("#DEBUG#")]
    else:
        first = "import lib\n" if not REAL else ""
        sources = [textwrap.dedent(source).strip() for source in PUBLISHED_PASS]
        sources[0] = first + sources[0]
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        ),
        path,
    )
    return path


@pytest.mark.parametrize("side", ["published", "here"])
def test_a_contest_pass(benchmark, side, tmp_path):
    """A whole process, as the evaluator starts it: wall time, and what it and its kernel took."""
    path = notebook(side, tmp_path)
    environment = os.environ | {
        "SUBMISSION_ID": "-1",
        "OUT_STATE_PATH": str(tmp_path / "state.pickle.gz"),
        "OUTPUT_PATH": str(tmp_path / "fractions.nc.gz"),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", str(path)]

    def run():
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    measure(benchmark, f"a contest pass, {ENGINE}", side, run, 3)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 4
    benchmark.extra_info |= {"cpu_seconds": round(cpu, 2), "peak_mebibytes": _peak(command, environment)}
    print(f"\n{side}: {cpu:.1f} s of CPU, {benchmark.extra_info['peak_mebibytes']} MiB at the peak")


def _peak(command, environment):
    """The largest process of one more pass, in a child of its own: the maximum is kept for ever."""
    code = f"import resource, subprocess; subprocess.run({command!r}, capture_output=True);"
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    return int(
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
    )


@pytest.mark.skipif(REAL, reason="runs on the synthetic market")
@pytest.mark.parametrize("side", ["published", "here"])
def test_the_whole_contest(benchmark, side, tmp_path, monkeypatch):
    """Every day from 2006 on: here in two processes, the published code extrapolated from 20 days in one."""
    monkeypatch.delenv("QNT_OFFLINE_MARKET", raising=False)
    strategy, (start, end) = Strategy(), CONTEST
    data = strategy.load_range(start, end)
    days = days_between(data, start, end)

    def published():
        state = None
        for day in days[:PUBLISHED_DAYS]:
            models = reference.train_model(window_of(data, day, reference.TRAIN_PERIOD))
            _, state = reference.predict(models, window_of(data, day, reference.LOOKBACK_PERIOD), state)

    def here():
        whole_run(strategy, data, start, end, tmp_path, pass_identity(strategy), workers=2)
        print(f"\nlargest worker: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MiB")

    if side == "published":
        benchmark.extra_info["times"] = len(days) / PUBLISHED_DAYS
    group = f"the whole contest, {len(days):,} days, 2 processes (published: 1)"
    with on(1):
        measure(benchmark, group, side, published if side == "published" else here, 1)


@pytest.mark.parametrize("assets", [12, 25, 50, 100, 500])
def test_growth_with_assets(benchmark, assets, large):
    grow(benchmark, "assets", assets, Strategy(top_assets=assets), window(large, 100))


@pytest.mark.parametrize("days", [100, 400, 1600])
def test_growth_with_training_days(benchmark, days, large):
    grow(benchmark, "calendar days", days, Strategy(), window(large, days))


@pytest.mark.parametrize("hidden", [17, 34, 68, 136])
def test_growth_with_hidden_size(benchmark, hidden, large):
    grow(benchmark, "hidden size", hidden, Strategy(hidden_size=hidden), window(large, 100))


def grow(benchmark, group, size, strategy, data):
    benchmark.group, benchmark.extra_info["size"] = group, size
    benchmark.pedantic(lambda: strategy.train_model(data), rounds=3, warmup_rounds=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\n{group} {size}: at most {peak} MiB in this process so far")
