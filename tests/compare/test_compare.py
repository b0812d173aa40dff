"""Comparisons as a whole: the same answer however they are run, and nothing lost or repeated."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.compare import comparison, main, runs
from lib.compare.comparison import ComparisonStopped, RunWarning, compare, run, tried
from lib.compare.run_one import FIGURES, execute
from lib.compare.variants import grid
from lib.compare.workers import NotPicklableError, pack, run_all
from lib.strategy import Strategy

LOCK = threading.Lock()
ROOT = Path(__file__).parents[2]
START, END = "2024-12-02", "2024-12-06"
SMALL = {"hidden_size": 4, "train_period": 40, "lookback_period": 40}
VARIANTS = [{**SMALL, **more} for more in grid({"top_assets": [3, 12], "lwma_period": [3, 5]})]
RANGE = {"start_date": START, "end_date": END, "progress": False}


def two_days(data, strategy):
    """A feature of the user's own."""
    close = data.sel(field="close").values
    return np.concatenate([np.ones_like(close[:2]), close[2:] / close[:-2]])


def broken(data, strategy):
    raise RuntimeError("no such column: earnings")


def same(table):
    """A table without what may differ from call to call."""
    return table.drop(columns="seconds")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Four variants, one with a feature of the user's own, one that fails; two workers."""
    folder = tmp_path_factory.mktemp("first")
    variants = [*VARIANTS, {**SMALL, "features": [two_days]}, {**SMALL, "features": ["trend", broken]}]
    empty = tmp_path_factory.mktemp("empty")
    with (
        contextlib.chdir(empty),
        pytest.warns(RunWarning, match="1 of 6 runs did not finish(.|\n)*no such column: earnings"),
    ):
        table = compare(reversed(variants), folder=folder, workers=2, **RANGE)
    assert list(empty.iterdir()) == []
    return variants, folder, table


def test_a_table_with_every_run_and_its_figures(first):
    _, _, table = first
    good, bad = table[table["status"] == "finished"], table[table["status"] == "failed"]
    assert len(good) == 5
    assert np.isfinite(good[[*FIGURES, "deflated_sharpe_ratio", "seconds"]]).all(axis=None)
    assert good["hit_rate"].between(0, 1).all()
    assert good["deflated_sharpe_ratio"].between(0, 1).all()
    assert (good["trials"] == 5).all()  # the one that failed was not tried
    assert bad["message"].tolist() == ["RuntimeError: no such column: earnings"]
    assert bad["sharpe_ratio"].isna().all()
    assert {"top_assets", "lwma_period", "features"} <= set(table.columns)  # what differs
    assert "hidden_size" not in table.columns


def test_a_run_that_is_finished_is_not_repeated_and_one_that_failed_is(first, monkeypatch):
    variants, folder, table = first
    asked = []
    monkeypatch.setattr(comparison, "run_all", lambda jobs, **_: (asked.extend(jobs), iter_of(()))[1])
    with pytest.warns(RunWarning):
        again = compare(variants, folder=folder, **RANGE)
    assert asked == table.loc[table["status"] == "failed", "run"].tolist()
    pd.testing.assert_frame_equal(again, table)  # to the second


def holds_a_lock():
    def feature(data, strategy):
        return lock

    lock = LOCK
    return feature


def iter_of(items):
    yield from items


def test_an_edited_function_is_another_run(first, monkeypatch):
    variants, _, table = first
    edited = {"two_days": None}
    exec("def two_days(data, strategy):\n    return data.sel(field='open').values", edited)
    edited["two_days"].__module__ = __name__
    before = next(iter(comparison._plan([Strategy(**variants[4])], START, END).values()))[1]
    after = next(
        iter(comparison._plan([Strategy(**SMALL, features=[edited["two_days"]])], START, END).values())
    )[1]
    assert before["key"] in table["run"].tolist()
    assert before["parameters"] == after["parameters"]  # the same name
    assert before["key"] != after["key"]


def test_threads_of_one_process_give_the_same_table(first, tmp_path):
    """The library keeps settings for the whole process: runs in one must not see each other's."""
    variants, _, table = first
    threads = compare(variants[:2], folder=tmp_path, workers=2, backend="threading", **RANGE)
    both = table[table["run"].isin(threads["run"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(threads[list(FIGURES)], both[list(FIGURES)])


@pytest.mark.filterwarnings("ignore")  # of distributed
def test_a_local_cluster_of_dask_gives_the_same_table(first, tmp_path):
    distributed = pytest.importorskip("distributed", reason="install distributed to test comparisons on Dask")
    variants, _, table = first
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        there = compare(
            variants, folder=tmp_path, backend="dask", scheduler=cluster.scheduler_address, **RANGE
        )
    pd.testing.assert_frame_equal(same(there), same(table))


def test_a_record_holds_all_it_takes_to_run_it_again(first):
    _, folder, table = first
    row = table[(table["status"] == "finished") & (table["features"] == "trend")].iloc[0]
    record = json.loads((folder / f"{row['run']}.json").read_text())
    assert record["versions"].keys() == {
        "python",
        "qnt",
        "numpy",
        "pandas",
        "xarray",
    }  # no torch: it was not used
    assert record["parameters"]["seed"] == 42
    assert record["days"] == [START, END]
    strategy = Strategy(**record["parameters"])
    ((key, (_, planned)),) = comparison._plan([strategy], record["start"], record["end"]).items()
    again = execute(strategy, planned)
    assert key == record["key"]
    changing = {"seconds", "log", "checksum"}
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in record.items() if k not in changing
    }


def test_killed_in_the_middle_it_goes_on_where_it_was_with_one_worker_as_with_two(first, tmp_path):
    variants, _, table = first
    sets, folder = tmp_path / "sets.json", tmp_path / "runs"
    sets.write_text(json.dumps(variants[:4]))
    command = [sys.executable, "-m", "lib.compare", str(sets), "--start", START, "--end", END]
    command += ["--folder", str(folder), "--workers", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **quiet)
    while len(list(folder.glob("*.json"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)  # its workers, which would end by themselves after some minutes
    damaged, *sound = sorted(folder.glob("*.json"))
    assert 1 <= len(sound) < 3
    damaged.write_text(damaged.read_text().replace('"sharpe_ratio": ', '"sharpe_ratio": 9'))
    stamps = {path: path.stat().st_mtime_ns for path in sound}

    with pytest.warns(RunWarning, match=f"{damaged.name} is damaged"):
        resumed = compare(variants[:4], folder=folder, workers=1, **RANGE)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}  # not run again
    assert runs.read(folder)[1] == []
    of_the_folder = {
        "seconds",
        "trials",
        "deflated_sharpe_ratio",
        "features",
    }  # all that is tried there, or differs
    columns = [name for name in resumed.columns if name not in of_the_folder]
    both = table[table["run"].isin(resumed["run"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(resumed[columns], both[columns])


def test_stopped_by_hand_it_says_how_far_it_came(first, tmp_path, monkeypatch):
    variants, _, _ = first

    def stop_after_one(jobs, **_):
        name = next(iter(jobs))
        yield name, {"status": "finished", "figures": {}, "returns": []}, ""
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "run_all", stop_after_one)
    with pytest.raises(ComparisonStopped, match="the same call goes on") as stop:
        run(variants[:3], folder=tmp_path, **RANGE)
    assert [record["status"] for record in stop.value.records] == ["finished", "not run", "not run"]
    assert len(tried(tmp_path)) == 1


def test_a_worker_that_dies_is_reported_and_costs_its_own_run_only(first, tmp_path, monkeypatch):
    variants, _, _ = first

    def one_dies(jobs, **_):
        lost, *rest = jobs
        yield lost, None, "its worker died"
        for name in rest:
            yield name, {"status": "finished", "figures": {}, "returns": []}, ""

    monkeypatch.setattr(comparison, "run_all", one_dies)
    with pytest.warns(RunWarning, match="interrupted: its worker died"):
        records = run(variants[:3], folder=tmp_path, **RANGE)
    assert [record["status"] for record in records] == ["interrupted", "finished", "finished"]


@pytest.mark.parametrize(
    ("variants", "start", "end", "sentence"),
    [
        (
            [{"top_asset": 6}],
            START,
            END,
            "variant top_asset=6: Strategy has no parameter 'top_asset': did you mean 'top_assets'",
        ),
        ([{}, {"epochs": 0}], START, END, "variant epochs=0: epochs is 0: it must be a whole number from 1"),
        ([{"features": ["tend"]}], START, END, "did you mean 'trend'"),
        ([], START, END, "nothing to compare"),
        ([6], START, END, "a variant is a dict"),
        ([{}], "tomorrow-ish", END, "start_date is 'tomorrow-ish': it must be a date"),
        ([{}], START, "2024-11-01", "start_date 2024-12-02 is after the end of the range"),
        ([{}], "1999-01-01", "1999-02-01", "no data from 1999-01-01 to 1999-02-01"),
        (
            [{"features": [holds_a_lock()]}],
            START,
            END,
            "cannot be sent to a",
        ),
    ],
)
def test_what_is_wrong_is_refused_before_anything_runs(variants, start, end, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "run_all", lambda *_, **__: pytest.fail("something ran"))
    with pytest.raises((TypeError, ValueError), match=sentence):
        compare(variants, start, end, folder=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_end_is_the_last_day_there_is():
    ((_, planned),) = comparison._plan([Strategy(**SMALL)], START, None).values()
    assert planned["end"] == "2024-12-30"


def test_equal_variants_run_once(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "run_all", lambda jobs, **_: iter_of(()))
    with pytest.warns(RunWarning, match="1 of 1"):
        assert len(run([SMALL, {**SMALL, "seed": 42}], folder=tmp_path, **RANGE)) == 1


# the command line


def test_the_command_line_from_arguments_to_files(first, tmp_path, capsys):
    _, folder, table = first
    sets = tmp_path / "sets.json"
    sets.write_text(json.dumps([{"top_assets": 3}, {"top_assets": 12}]))
    arguments = [
        str(sets),
        "--grid",
        "lwma_period=3,5",
        "--set",
        *(f"{name}={value}" for name, value in SMALL.items()),
    ]
    arguments += ["--start", START, "--end", END, "--folder", str(folder)]
    arguments += ["--table", str(tmp_path / "t.csv"), "--plot", str(tmp_path / "p.html")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "4 variants, 2024-12-02 to 2024-12-06; 5 runs tried" in out
    assert "Bailey and Lopez de Prado" in out
    written = pd.read_csv(tmp_path / "t.csv")
    assert written["run"].tolist() == table[table["run"].isin(written["run"])]["run"].tolist()
    page = (tmp_path / "p.html").read_text()
    assert written["run"][0] in page
    assert "Sharpe ratio" in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--grid", "top_asset=6,12"], "did you mean 'top_assets'"),
        (["--grid", "top_assets"], "must read NAME=VALUE"),
        (["--grid", "top_assets=six"], "top_assets must be a whole number"),
        (["--grid", "epochs=1,2", "--set", "epochs=3"], "epochs is set twice"),
        (["--set", "epochs=1,2"], "several go with --grid"),
        (["--table", "t.xlsx"], "must end in .parquet or .csv"),
        (["--plot", "p.png"], "must end in .html"),
        (["--oddities", "--grid", "log_price=True"], "log_price is set twice"),
        (["--start", "yesterday-ish"], "must be a date"),
        (["--scheduler", "tcp://there"], "a scheduler is for"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_wrong_arguments_are_refused_with_a_sentence(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["--start", START, "--end", END, "--set", "seed=1", *arguments])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))


def test_the_command_line_tells_of_what_failed(tmp_path, monkeypatch, capsys):
    def fail(jobs, **_):
        yield from ((key, {"status": "failed", "message": "why"}, "") for key in jobs)

    monkeypatch.setattr(comparison, "run_all", fail)
    assert main(["--start", START, "--end", END, "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "1 of 1 runs did not finish" in said.err
    assert "failed" in said.out
    assert pd.read_parquet(tmp_path / "table.parquet")["message"].tolist() == ["why"]


# workers


@pytest.mark.parametrize("count", [1, 2])
def test_a_killed_worker_costs_its_own_call_only(count):
    def die_at_three(k):  # local, so that a worker need not import this module
        if k == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return k, os.getpid(), os.environ.get("OMP_NUM_THREADS")

    jobs = {str(k): pack(die_at_three, k) for k in range(6)}
    answers = {name: (answer, message) for name, answer, message in run_all(jobs, count)}
    assert [answers[str(k)][0][0] for k in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
    assert answers["3"][0] is None
    assert "its worker died: TerminatedWorkerError" in answers["3"][1]
    assert all(answer[1] != os.getpid() and answer[2] == "1" for answer, _ in answers.values() if answer)


def test_a_function_that_cannot_be_sent_is_refused():
    with pytest.raises(NotPicklableError, match="make them inside the function"):
        pack(threading.Lock().acquire)


def test_workers_of_an_earlier_call_are_not_used_again(monkeypatch):
    monkeypatch.setenv("COLOUR", "red")
    before = [answer for _, answer, _ in run_all({"a": pack(os.environ.get, "COLOUR")}, 2)]
    monkeypatch.setenv("COLOUR", "blue")
    assert before == ["red"]
    assert [answer for _, answer, _ in run_all({"a": pack(os.environ.get, "COLOUR")}, 2)] == ["blue"]


def test_a_backend_that_answers_all_at_once_is_fed_in_lots():
    answers = list(run_all({str(k): pack(abs, -k) for k in range(7)}, 2, "multiprocessing"))
    assert sorted(answers) == [(str(k), k, "") for k in range(7)]


def test_an_unknown_backend_is_an_error():
    with pytest.raises(ValueError, match="cloud"):
        list(run_all({"a": pack(abs, 1)}, 2, "cloud"))
