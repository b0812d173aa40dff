"""The run before a change beside the one after it."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.report import earlier_runs
from lib.report.earlier_runs import EarlierRun, check_names, days_key, find_run, keep_run
from lib.report.evaluation import BEFORE, STRATEGY, evaluate
from lib.stats.performance import performance_table
from lib.stats.portfolios import Portfolio, portfolio
from tests.switches import long
from tests.vectors import vector

RULES = COMPETITIONS["stocks_nasdaq100"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    clock = iter(range(10**9, 2 * 10**9))
    replace = earlier_runs.replace_file

    def stamped(path: Path, data: bytes) -> None:  # file times a nanosecond apart are equal on some disks
        replace(path, data)
        os.utime(path, ns=(next(clock) * 10**9,) * 2)

    monkeypatch.setattr(earlier_runs, "replace_file", stamped)
    return tmp_path / "runs" / "report"


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    loaded = vector("loaded").sel(time=slice("2024-07-01", None))
    return loaded.isel(asset=slice(None, 5)).rename("stocks_nasdaq100")


@pytest.fixture(scope="module")
def weights(data: xr.DataArray) -> xr.DataArray:
    days = data.time.values[-70:]
    held = xr.zeros_like(data.sel(field="close", drop=True, time=days)) + 0.1
    return held.where(held.asset != held.asset[0], 0.02)


@pytest.fixture(scope="module")
def present(data: xr.DataArray, weights: xr.DataArray) -> Portfolio:
    return portfolio(data, weights, RULES)


def run(present: Portfolio, factor: float) -> EarlierRun:
    return EarlierRun(
        f"times {factor}", "2024-01-01 12:00", present._replace(weights=present.weights * factor)
    )


@long
def test_a_run_and_the_one_before_it(data: xr.DataArray, weights: xr.DataArray) -> None:
    first = evaluate(data, weights, RULES, None, "last", "first")
    assert BEFORE not in first.portfolios
    for before in ("last", "first"):
        found = evaluate(data, weights / 2, RULES, None, before)
        np.testing.assert_allclose(found.portfolios[BEFORE].weights.values, weights.values)
        assert "before" in performance_table(found.portfolios, found.measures, STRATEGY).columns
        assert found.change is not None
        gained = found.measures[STRATEGY].sharpe_ratio - found.measures[BEFORE].sharpe_ratio
        assert found.change.sharpe_ratio == gained
        assert np.isfinite(found.change.sharpe_interval).all()
        assert found.change_sentence.startswith("Before: weights of a cell, run on 20")
        assert "The change adds" in found.change_sentence


def test_the_last_run_that_differs_is_before(present: Portfolio) -> None:
    first, second = run(present, 1), run(present, 2)
    for now, then in ((first, None), (first, None), (second, first), (second, first), (first, second)):
        found, note = find_run("last", "a key", now.portfolio)
        assert (found.label if found else None, note) == (then.label if then else None, "")
        keep_run(now, "a key")


def test_a_kept_run_is_chosen_by_its_name(present: Portfolio) -> None:
    # xarray cannot join arrays with different scalar coordinates
    noted = present._replace(returns=present.returns.assign_coords(field="a"))
    keep_run(run(noted._replace(turnover=noted.turnover.assign_coords(field="b")), 3), "a key", "first")
    keep_run(run(present, 2), "a key")
    found, _ = find_run("first", "a key", present)
    assert found is not None
    expected = run(present, 3)
    assert found[:2] == expected[:2]
    for kept, array in zip(found.portfolio, expected.portfolio, strict=True):
        assert kept.equals(array.reset_coords(drop=True))
    assert find_run("first", "another key", present) == (
        None,
        "The run kept as first is of another market or of other days: it is not shown.",
    )
    keep_run(run(present, 2), "a key", "0")
    with pytest.raises(ValueError, match=r"No run was kept as 'frist': kept are: 0, first\."):
        check_names("frist")
    for name in ("first", "0", "last", None):
        check_names(name, "any-name_1.x")


def test_the_first_run_to_keep_is_announced() -> None:
    with pytest.raises(ValueError, match=r"No run was kept as 'mine': keep one first, by keep or --keep\."):
        check_names("mine")


@pytest.mark.parametrize("name", ["last", "a/b", "../x", " "])
def test_a_name_that_is_no_file_s_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be kept as"):
        check_names(None, name)


def test_runs_of_another_market_are_not_compared(data: xr.DataArray, present: Portfolio) -> None:
    days = present.returns.time.values
    markets = [(data, days, "a"), (data, days[1:], "a"), (data * 1.01, days, "a"), (data, days, "b")]
    keys = [days_key(*market) for market in markets]
    assert len(set(keys)) == 4
    keep_run(run(present, 2), keys[0])
    assert [find_run("last", key, present)[0] is not None for key in keys] == [True, False, False, False]
    keep_run(run(present, 2), keys[1])  # the same weights take the place of no run on another market
    assert [find_run("last", key, present)[0] is not None for key in keys] == [True, True, False, False]


def test_nothing_is_read_or_written_unless_it_is_asked_for(
    folder: Path, data: xr.DataArray, weights: xr.DataArray
) -> None:
    evaluate(data, weights, RULES)
    assert not folder.exists()


def test_a_damaged_or_unwritable_file_is_no_error(
    folder: Path,
    data: xr.DataArray,
    weights: xr.DataArray,
    present: Portfolio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep_run(run(present, 2), days_key(data, present.returns.time.values, str(data.name)))
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:1000])

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(earlier_runs, "replace_file", full)
    found = evaluate(data, weights, RULES, None, "last")
    assert BEFORE not in found.portfolios
    assert found.change_sentence == "The run cannot be kept for later: no space left."


def test_an_old_run_that_another_process_removed_first_is_no_error(
    folder: Path, present: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [folder / f"{number}.last.nc" for number in range(earlier_runs.MOST + 1)]
    monkeypatch.setattr(earlier_runs, "_last_runs", lambda: gone)
    keep_run(run(present, 1), "a key")
    assert len(list(folder.iterdir())) == 1


def test_only_the_newest_runs_are_kept(folder: Path, present: Portfolio) -> None:
    for number in range(1, earlier_runs.MOST + 4):
        keep_run(run(present, number), "a key")
        keep_run(run(present, number), "a key", "kept")
    assert len(list(folder.iterdir())) == earlier_runs.MOST + 1
    found, _ = find_run("last", "a key", present)
    assert found is not None
    assert found.label == f"times {earlier_runs.MOST + 3}"
