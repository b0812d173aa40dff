"""The whole run: equal to a chain of single passes, however it is computed, interrupted or extended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from lib import Strategy
from lib.contest import all_days
from lib.contest.all_days import PassError, RunStopped, whole_run
from lib.contest.kept_days import identity_of
from lib.contest.windows import days_between, seen_on
from lib.engine import training
from tests.contest.strategies import OWN, TINY, broken
from tests.markets import changed_after, random_market
from tests.switches import LONG, long
from tests.systems import needs_fork

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning")
START, END = np.datetime64("2024-10-30"), np.datetime64("2024-12-30")
MARKET = random_market(11, days=130, assets=12)


def run(folder, strategy=OWN, market=MARKET, start=START, end=END, **where):
    data = market.sel(time=slice(None, end))
    return whole_run(strategy, data, start, end, Path(folder), identity_of(strategy), progress=False, **where)


def chain(strategy, market, start, end):
    """Weights of single passes, one after the other, on every asset of the market."""
    state, rows = None, []
    for day in days_between(market, start, end):
        models = strategy.train_model(seen_on(market, day, strategy.train_period))
        weights, state = strategy.predict(models, seen_on(market, day, strategy.lookback_period), state)
        rows.append(weights.isel(time=-1, drop=True).reindex(asset=market.asset, fill_value=0).values)
    return np.stack(rows)


@pytest.fixture(scope="module")
def expected():
    return chain(OWN, MARKET, START, END)


def test_it_equals_a_chain_of_single_passes(here, tmp_path, expected):
    (weights, passes), damaged = run(tmp_path)
    assert np.abs(weights.values - expected).max() <= 1e-9
    assert weights.dims == ("time", "asset")
    assert (np.abs(weights) > 0).any("asset").mean() > 0.9
    assert not damaged
    assert here.months == [("2024-10", 2), ("2024-11", 21), ("2024-12", 21)]
    assert {asset for entry in passes for asset in entry.outputs} <= set(MARKET.asset.values.tolist())


class Line(nn.Module):
    """A model of the user's own."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.linear = nn.Linear(n_features, 1)

    def forward(self, x):
        return self.linear(x).squeeze(-1)


def test_a_model_in_torch_and_memory_equal_the_chain_too(here, tmp_path):
    strategy = Strategy(**TINY, model=Line, whole_sequence=True, leave_out_unknown=True)
    start = np.datetime64("2024-12-17")
    (weights, _), _ = run(tmp_path, strategy, start=start)
    assert np.abs(weights.values - chain(strategy, MARKET, start, END)).max() <= 1e-9


def test_an_interrupted_run_goes_on_where_it_was(here, tmp_path, expected):
    here.stop = 2
    with pytest.raises(RunStopped, match="the same command continues"):
        run(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    here.stop, here.months = None, []
    (weights, _), _ = run(tmp_path)
    assert here.months == [("2024-12", 21)]
    assert np.array_equal(weights.values, expected)


def test_a_later_end_computes_only_the_new_days(here, tmp_path, expected):
    run(tmp_path, end=np.datetime64("2024-12-11"))
    here.months.clear()
    run(tmp_path, end=np.datetime64("2024-12-12"))
    assert here.months == [("2024-12", 1)]
    here.months.clear()
    (weights, _), _ = run(tmp_path)
    assert here.months == [("2024-12", 12)]
    assert np.array_equal(weights.values, expected)
    here.months.clear()
    run(tmp_path)
    run(tmp_path, start=np.datetime64("2024-11-11"))  # within what is kept
    assert here.months == []


def test_another_market_is_another_run_from_the_change_on(here, tmp_path):
    short = {"start": np.datetime64("2024-11-26")}
    (before, _), _ = run(tmp_path, **short)
    here.months.clear()
    row = MARKET.get_index("time").get_loc("2024-12-05")
    other = changed_after(MARKET, row)
    (weights, _), _ = run(tmp_path, market=other, **short)
    assert [name for name, _ in here.months] == ["2024-12"]
    assert np.array_equal(weights.values, chain(OWN, other, short["start"], END))
    here.months.clear()
    (again, _), _ = run(tmp_path, **short)  # what belongs to the first market is still there
    assert again.equals(before)
    assert here.months == []


def test_whatever_decides_a_pass_changes_the_key(monkeypatch):
    def other(data, strategy):
        return data.sel(field="open")

    strategies = OWN, Strategy(**TINY), Strategy(**TINY, features=[other])
    keys = [identity_of(strategy).key for strategy in strategies]
    monkeypatch.setattr("lib.runs.project_code.fingerprint", lambda files: "edited")
    keys += [identity_of(strategy).key for strategy in strategies]
    monkeypatch.setattr("lib.runs.provenance.versions", lambda strategy: {"numpy": "3.0"})
    keys += [identity_of(strategy).key for strategy in strategies]
    assert len(set(keys)) == 9


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"2024-12-', '"2024-12-0', 1),
        lambda text: "[]",
        lambda text: json.dumps({"passes": json.loads(text)["passes"]}),
    ],
    ids=["cut off", "changed", "another thing", "no checksum"],
)
def test_a_damaged_file_is_computed_again_with_a_message(here, tmp_path, damage):
    short = {"start": np.datetime64("2024-11-27"), "end": np.datetime64("2024-12-04")}
    (first, _), _ = run(tmp_path, **short)
    (path,) = tmp_path.glob("2024-12*")
    path.write_text(damage(path.read_text("utf-8")), "utf-8")
    here.months.clear()
    (weights, _), damaged = run(tmp_path, **short)
    assert [name for name, _ in here.months] == ["2024-12"]
    assert len(damaged) == 1
    assert path.name in damaged[0]
    assert weights.equals(first)


def test_a_foreign_file_is_left_alone(here, tmp_path):
    (tmp_path / "a_b_c.json").write_text("mine", "utf-8")
    _, damaged = run(tmp_path, start=np.datetime64("2024-12-27"))
    assert not damaged
    assert (tmp_path / "a_b_c.json").read_text("utf-8") == "mine"


def test_a_pass_that_fails_is_named(here, tmp_path):
    with pytest.raises(PassError, match="A pass in 2024-12 failed: ValueError: no such column: earnings"):
        run(tmp_path, Strategy(**TINY, features=[broken]), start=np.datetime64("2024-12-27"))


def test_a_worker_with_another_version_is_refused(here, tmp_path, monkeypatch):
    known = identity_of(OWN)
    monkeypatch.setattr("tests.contest.test_all_days.identity_of", lambda _: known._replace(code="older"))
    with pytest.raises(PassError, match="another version of the code"):
        run(tmp_path, start=np.datetime64("2024-12-27"))


def test_the_modules_of_a_pass_are_among_the_files_that_decide_it():
    files = identity_of(OWN).files
    assert {"lib/contest/passes.py", "lib/contest/windows.py", "lib/engine/training.py"} <= set(files)
    assert "tests/contest/strategies.py" in files
    assert "lib/contest/page.py" not in files


def test_market_data_are_sent_in_lots(here, tmp_path, monkeypatch):
    short = {"start": np.datetime64("2024-11-28"), "end": np.datetime64("2024-12-03")}
    at_once = run(tmp_path / "at once", **short)[0].weights
    monkeypatch.setattr(all_days, "BYTES_AT_ONCE", 1)
    assert run(tmp_path / "in lots", **short)[0].weights.equals(at_once)


@pytest.mark.parametrize("workers", [1, 2] if LONG else [2])
def test_workers_have_no_say_in_the_result(tmp_path, workers, expected):
    assert np.array_equal(run(tmp_path, workers=workers)[0].weights.values, expected)


@long
def test_a_local_cluster_of_dask_gives_the_same(tmp_path, expected):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        weights = run(tmp_path, backend="dask", scheduler=cluster.scheduler_address)[0].weights
    assert np.array_equal(weights.values, expected)


@needs_fork
@long
def test_a_killed_run_loses_only_what_was_in_progress(tmp_path, expected):
    code = "from tests.contest.test_all_days import *; import sys; run(sys.argv[1], workers=1)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, start_new_session=True
    )
    while not list(tmp_path.glob("*.json")):
        time.sleep(0.01)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(tmp_path.glob("*.json")))
    assert kept >= 1
    assert np.array_equal(run(tmp_path, workers=2)[0].weights.values, expected)


def test_windows_trained_together_have_the_bits_of_windows_trained_alone():
    strategy = Strategy(hidden_size=5, top_assets=4, train_period=60)
    days = days_between(MARKET, np.datetime64("2024-12-09"), END)
    windows = [seen_on(MARKET, day, 60) for day in days]
    together = training.train_lessons([training.lesson_of(window, strategy) for window in windows], strategy)
    for models, window in zip(together, windows, strict=True):
        alone = strategy.train_model(window)
        assert list(models) == list(alone)
        assert models.fits == alone.fits
        assert all(np.array_equal(models.row(asset), alone.row(asset)) for asset in alone)
