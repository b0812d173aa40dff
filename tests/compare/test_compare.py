"""Comparisons as a whole: the same answer however they are run, and nothing lost or repeated."""

import functools
import json
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import lib.compare as comparison
from lib.compare import ComparisonStopped, RunWarning, compare, run_variants, single_run, tried
from lib.compare.single_run import run_once
from lib.strategy import Strategy
from tests.compare.shared import END, HERE, RANGE, SMALL, START, VARIANTS, Ratio, one_warning, two_days
from tests.switches import long, longest

LOCK = threading.Lock()
FIGURES = ("sharpe_ratio", "annual_return", "volatility", "max_drawdown", "avg_turnover", "win_rate")
ROOT = Path(__file__).parents[2]


def same(table):
    """A table without what may differ from call to call, or with the other runs of its folder."""
    changing = {"label", "seconds", "trials", "deflated_sharpe_ratio", "pbo", "pbo_runs"}
    changing |= set(Strategy().as_dict()) - {"run"}
    return table.drop(columns=changing & set(table.columns))


def test_a_table_with_every_run_and_its_figures(first):
    _, _, table = first
    good, bad = table[table["status"] == "finished"], table[table["status"] == "failed"]
    assert len(good) == 4
    assert np.isfinite(good[[*FIGURES, "deflated_sharpe_ratio", "seconds"]]).all(axis=None)
    assert good["win_rate"].between(0, 1).all()
    assert good["deflated_sharpe_ratio"].between(0, 1).all()
    assert (good["trials"] == 4).all()  # the one that failed was not tried
    assert bad["message"].tolist() == ["RuntimeError: no such column: earnings"]
    assert bad["sharpe_ratio"].isna().all()
    assert (good["label"].str.len() <= 40).all()
    for name in ("two_days(power=2)", "Ratio"):
        assert good["label"].str.contains(name, regex=False).sum() == 1
    assert {"lwma_period", "features"} <= set(table.columns)  # what differs
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


def planned(**parameters):
    ((_, record),) = comparison._plan([Strategy(**SMALL, **parameters)], START, END).values()
    return record


def test_an_edited_function_is_another_run(first):
    _, _, table = first
    edited = {"two_days": None}
    exec("def two_days(data, strategy, power=1):\n    return data.sel(field='open').values", edited)
    edited["two_days"].__module__ = two_days.__module__
    before = planned(features=[functools.partial(two_days, power=2)])
    after = planned(features=[functools.partial(edited["two_days"], power=2)])
    assert before["key"] in table["run"].tolist()
    assert before["parameters"] == after["parameters"]  # the same name
    assert before["key"] != after["key"]


def test_a_strategy_with_a_longer_lookback_is_planned_on_its_own_market():
    """The market of a run begins before the first day by the periods of its strategy."""
    strategies = [Strategy(**{**SMALL, "lookback_period": days}) for days in (40, 90)]
    together = comparison._plan(strategies, START, END)
    alone = [next(iter(comparison._plan([each], START, END))) for each in strategies]
    assert list(together) == alone


class Doubled(Strategy):
    """A loader of its own."""

    def load_data(self, period):
        return super().load_data(period) * 2


class Halved(Strategy):
    """Another one."""

    def load_data(self, period):
        return super().load_data(period) / 2


def test_strategies_with_loaders_of_their_own_share_no_market():
    planned = comparison._plan([kind(**SMALL) for kind in (Doubled, Halved)], START, END)
    assert len({record["market"] for _, record in planned.values()}) == 2


def test_the_state_of_a_callable_object_is_part_of_the_key(first):
    assert planned(features=[Ratio(3)])["key"] in first[2]["run"].tolist()
    assert planned(features=[Ratio(3)])["parameters"] == planned(features=[Ratio(4)])["parameters"]
    assert planned(features=[Ratio(3)])["key"] != planned(features=[Ratio(4)])["key"]


@long
def test_threads_of_one_process_give_the_same_table(first, tmp_path):
    """The library keeps settings for the whole process: runs in one must not see each other's."""
    variants, _, table = first
    threads = compare(variants[:2], folder=tmp_path, workers=2, backend="threading", **RANGE)
    both = table[table["run"].isin(threads["run"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(threads[list(FIGURES)], both[list(FIGURES)])


@longest
def test_functions_of_a_notebook_reach_the_workers_by_name_too(monkeypatch, tmp_path):
    """Workers are processes: they know neither the function nor that it was registered."""
    scope = {"__name__": "__main__", "plain": two_days}
    exec("def mine(data, strategy):\n    return plain(data, strategy)", scope)
    exec("def risen(data, strategy):\n    return plain(data, strategy) > 1", scope)
    features, targets = (getattr(sys.modules["lib.features"], name) for name in ("feature", "target"))
    for known, name in ((features, "mine"), (targets, "risen")):
        monkeypatch.setitem(known, name, None)  # removed again after the test
    mine, _ = features(scope["mine"]), targets(scope["risen"])
    assert Strategy(features=[mine]).features == ("mine",)
    variant = {**SMALL, "features": "mine", "target": "risen"}
    table = compare([variant], folder=tmp_path, workers=1, shuffles=1, **RANGE)
    assert table["status"].tolist() == ["finished"], table["message"].tolist()
    assert table["shuffles"].tolist() == [1]
    before = planned(features="mine", target="risen")["key"]
    assert before in table["run"].tolist()
    exec("def mine(data, strategy):\n    return plain(data, strategy, 2)", scope)
    features(scope["mine"])
    assert planned(features="mine", target="risen")["key"] != before


@longest
@pytest.mark.filterwarnings("ignore")  # of distributed
def test_a_local_cluster_of_dask_gives_the_same_table(first, tmp_path):
    distributed = pytest.importorskip("distributed", reason="install distributed to test comparisons on Dask")
    variants, _, table = first
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        there = compare(
            variants[1:3], folder=tmp_path, backend="dask", scheduler=cluster.scheduler_address, **RANGE
        )
    both = table[table["run"].isin(there["run"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        same(there.sort_values("run", ignore_index=True)), same(both.sort_values("run", ignore_index=True))
    )


def test_a_record_holds_all_it_takes_to_run_it_again(first):
    _, folder, table = first
    row = table[(table["status"] == "finished") & (table["features"] == "trend")].iloc[0]
    record = json.loads((folder / f"{row['run']}.json").read_text(encoding="utf-8"))
    assert {"python", "qnt", "numpy", "pandas", "xarray"} <= record["versions"].keys()
    assert record["parameters"]["seed"] == 42
    assert record["days"] == [START, END]
    strategy = Strategy(**record["parameters"])
    ((key, (_, planned)),) = comparison._plan([strategy], record["start"], record["end"]).items()
    again = run_once(strategy, planned)
    assert key == record["key"]
    changing = {"label", "seconds", "log", "checksum", "format"}
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in record.items() if k not in changing
    }


@longest
def test_killed_in_the_middle_it_goes_on_where_it_was(first, tmp_path):
    _, _, table = first
    sets, folder = tmp_path / "sets.json", tmp_path / "runs"
    sets.write_text(json.dumps(VARIANTS), encoding="utf-8")
    command = [sys.executable, "-m", "lib.compare", str(sets), "--start", START, "--end", END]
    command += ["--output", str(folder), "--workers", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, **quiet)
    while len(list(folder.glob("*.json"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be killed"
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for worker in workers:  # which would end by themselves after some minutes
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    damaged, *sound = sorted(folder.glob("*.json"))
    assert 1 <= len(sound) < 3
    damaged.write_text(
        damaged.read_text(encoding="utf-8").replace('"sharpe_ratio": ', '"sharpe_ratio": 9'), encoding="utf-8"
    )
    stamps = {path: path.stat().st_mtime_ns for path in sound}

    with one_warning(f"{damaged.name} is damaged"):
        resumed = compare(VARIANTS, folder=folder, **HERE, **RANGE)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}  # not run again
    assert single_run.read_records(folder)[1] == []
    both = resumed[resumed["run"].isin(table["run"])]
    assert len(both) == 2
    once = table[table["run"].isin(both["run"])].set_index("run").loc[both["run"]].reset_index()
    pd.testing.assert_frame_equal(same(both.reset_index(drop=True))[list(FIGURES)], once[list(FIGURES)])
    assert (resumed["status"] == "finished").all()


def test_stopped_by_hand_it_says_how_far_it_came(first, tmp_path, monkeypatch):
    variants, _, _ = first

    def stop_after_one(jobs, **_):
        name = next(iter(jobs))
        yield name, {"status": "finished", "figures": {}, "returns": []}, ""
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "run_all", stop_after_one)
    with pytest.raises(ComparisonStopped, match="the same call goes on") as stop:
        run_variants(variants[:3], folder=tmp_path, **RANGE)
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
    with pytest.warns(RunWarning) as warned:
        records = run_variants(variants[:3], folder=tmp_path, **RANGE)
    assert [str(each.message) for each in warned] == [
        "1 of 3 runs did not finish; the same call tries them again:\n"
        f"  {records[0]['key']} interrupted: its worker died"
    ]
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
        ([{}], START, "2024-11-01", r"end_date \(2024-11-01\) is before start_date"),
        (
            [{}],
            "1999-01-01",
            "1999-02-01",
            "start_date is 1999-01-01, but the data begin on .*: start_date can be",
        ),
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


def finish_all(jobs, **_):
    yield from ((key, {"status": "finished", "figures": {}, "returns": []}, "") for key in jobs)


def test_a_table_is_that_of_the_runs_with_all_options(monkeypatch, tmp_path):
    given = {"base": SMALL, "progress": False, "shuffles": 1, "universes": 2, "workers": 3}
    seen = []
    monkeypatch.setattr(
        comparison, "run_variants", lambda *args, **kwargs: seen.append((args, kwargs)) or "records"
    )
    monkeypatch.setattr(comparison, "tried", lambda *args: args)
    monkeypatch.setattr(comparison, "comparison_table", lambda *args: args)
    found = compare([{}], START, END, folder=tmp_path, **given)
    assert found == ("records", (tmp_path, "records"), SMALL)
    assert seen == [(([{}], START, END), {"folder": tmp_path, **given})]


def test_the_bar_counts_kept_runs_at_once_and_others_one_by_one(bars, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "run_all", finish_all)
    made = bars(comparison)
    folder = tmp_path / "two" / "folders"
    days = {"start_date": START, "end_date": END, "folder": folder}
    run_variants(VARIANTS[:1], **days)
    records = run_variants(VARIANTS[:3], **days, progress=False, shuffles=2)
    found = [
        (bar.options["total"], bar.options["disable"], [step for step in bar.steps if step]) for bar in made
    ]
    assert found == [(1, False, [1]), (9, True, [1, 1, 1, *[1] * 6])]
    draws = [{"shuffle": k} for _ in range(3) for k in range(2)]
    assert [record.get("draw") for record in records] == [None] * 3 + draws
    assert len(list(folder.glob("*.json"))) == 9
    (folder / f"{records[0]['key']}.json").write_text("[", "utf-8")
    with pytest.warns(RunWarning, match="is not counted, and is run again when needed") as warned:
        run_variants(VARIANTS[:3], **days, progress=False)
    assert len(warned) == 1
    assert [step for step in made[-1].steps if step] == [2, 1]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shuffles": -1}, "shuffles is -1"),
        ({"universes": 1.5}, "universes is 1.5"),
        ({"universes": 1}, "from 60 calendar days or more, not from 5"),
        ({"scheduler": "tcp://x:1"}, "a scheduler is for"),
    ],
)
def test_wrong_numbers_and_machines_are_refused_before_the_folder_is_made(options, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        compare([SMALL], folder=tmp_path / "new", **RANGE, **options)
    assert not (tmp_path / "new").exists()


def test_the_market_is_loaded_once_for_equal_periods(monkeypatch):
    calls, load = [], single_run.load_market
    monkeypatch.setattr(single_run, "load_market", lambda *given: calls.append(given) or load(*given))
    comparison._plan([Strategy(**variant) for variant in VARIANTS], START, END)
    assert len(calls) == 1


def test_equal_variants_run_once(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "run_all", lambda jobs, **_: iter_of(()))
    with pytest.warns(RunWarning, match="1 of 1"):
        assert len(run_variants([SMALL, {**SMALL, "seed": 42}], folder=tmp_path, **RANGE)) == 1


def test_a_full_disk_loses_nothing_that_is_finished(first, tmp_path, monkeypatch):
    """The first two runs cannot be written, until there is space again."""
    variants, _, _ = first
    left = [OSError(28, "No space left on device")] * 2
    keep = single_run.keep_record

    def full(folder, record):
        if left:
            raise left.pop()
        keep(folder, record)

    monkeypatch.setattr(single_run, "keep_record", full)
    monkeypatch.setattr(comparison, "run_all", finish_all)
    with pytest.warns(
        RunWarning, match="cannot be written \\(No space left on device\\): free space"
    ) as warned:
        records = run_variants(variants[:3], folder=tmp_path, **RANGE)
    assert len(warned) == 1
    assert [record["status"] for record in records] == ["finished"] * 3
    assert len(tried(tmp_path)) == 3

    monkeypatch.setattr(
        single_run, "keep_record", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.warns(RunWarning, match="cannot be written"):
        table = compare(variants[:3], folder=tmp_path / "full", **RANGE)
    assert table["status"].tolist() == ["finished"] * 3
    assert (table["trials"] == 3).all()
    assert tried(tmp_path / "full") == []


@long
def test_shuffles_and_universes_are_runs_that_are_kept_and_go_on(tmp_path, monkeypatch):
    """The target is the user's own; the second of two calls asks for more."""

    def mine(data, strategy):
        return np.where(data.sel(field="close") > data.sel(field="open"), 1.0, 0.0)

    variant = {**SMALL, "target": mine}
    days = {"start_date": "2024-10-01", "end_date": "2024-12-06", "progress": False}
    records = run_variants([variant], folder=tmp_path, shuffles=1, universes=1, **HERE, **days)
    first, shuffle, universe = records
    assert [record["status"] for record in records] == ["finished"] * 3
    assert "draw" not in first
    assert "friction" in first
    assert (shuffle["draw"], shuffle["dates"]) == ({"shuffle": 0}, first["dates"])
    assert len({record["weights_sha256"] for record in records}) == 3
    assert (
        universe["draw"]["start"] <= universe["dates"][0] < universe["dates"][-1] <= universe["draw"]["end"]
    )
    assert universe["parameters"] == first["parameters"]

    asked = []
    monkeypatch.setattr(comparison, "run_all", lambda jobs, **_: (asked.extend(jobs), iter_of(()))[1])
    with pytest.warns(RunWarning, match="2 of 5"):
        again = run_variants([variant], folder=tmp_path, shuffles=2, universes=2, **days)
    keys = [record["key"] for record in again]
    assert asked == [keys[2], keys[4]]
    assert {record["key"] for record in records} == {keys[0], keys[1], keys[3]}
    assert len(tried(tmp_path)) == 1


def test_a_variant_that_fails_is_not_shuffled(tmp_path, monkeypatch):
    asked = []

    def fail(jobs, **_):
        asked.extend(jobs)
        yield from ((key, {"status": "failed", "message": "why"}, "") for key in jobs)

    monkeypatch.setattr(comparison, "run_all", fail)
    with pytest.warns(RunWarning, match="1 of 1"):
        records = run_variants([SMALL], folder=tmp_path, shuffles=3, **RANGE)
    assert len(records) == len(asked) == 1


@longest
def test_every_sizing_can_be_compared_by_name_and_as_a_function(tmp_path):
    def upper_half(outputs, strategy):
        return np.where(outputs >= np.median(outputs), 1 / len(outputs), 0.0)

    sizings = ["as_output", "above_half", "ranked", upper_half]
    table = compare([{**SMALL, "sizing": each} for each in sizings], folder=tmp_path, **HERE, **RANGE)
    assert (table["status"] == "finished").all()
    assert table["run"].nunique() == 4
    assert table["label"].str.contains("upper_half").sum() == 1
