"""A pass gets what the platform gives it, and what it leaves is read; a program stands for the notebook."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.rehearsal import submission
from lib.rehearsal.assessment import assess
from lib.rehearsal.passes import PassResult, Stage, differences, read_weights, run_pass
from lib.state import State
from tests.markets import random_market
from tests.switches import long

DAY = np.datetime64("2024-12-27")
WRITE_VARIABLES = """
import json, os
names = ["SUBMISSION_ID", "DATA_BASE_URL", "OUTPUT_PATH", "LAST_DATA_PATH", "OUT_STATE_PATH", "IN_STATE_PATH"]
names += ["MULTI_PASS_MODE_ENABLED"]
json.dump({name: os.environ.get(name) for name in names}, open("variables", "w"))
"""
WRITE_STATE = "import os; open(os.environ['OUT_STATE_PATH'], 'a').write('x')"
SEE_LAST_DAY = "import os; open(os.environ['LAST_DATA_PATH'], 'w')"


@pytest.fixture
def stage(tmp_path) -> Stage:
    (tmp_path / "submission").mkdir()
    return Stage(tmp_path, "http://localhost", limit=60)


@pytest.fixture
def run(stage, monkeypatch):
    def run_program(source: str, again: bool = False, stage: Stage = stage) -> PassResult:
        monkeypatch.setattr(submission, "command", lambda python, results: [python, "-c", source])
        return run_pass(stage, DAY, again)

    return run_program


def variables(stage: Stage) -> dict[str, str]:
    return json.loads((stage.work / "variables").read_text(encoding="utf-8"))


def test_a_pass_gets_the_platforms_variables(run, stage, monkeypatch):
    monkeypatch.setenv("MULTI_PASS_MODE_ENABLED", "1")
    monkeypatch.setenv("IN_STATE_PATH", "left over")
    done = run(WRITE_VARIABLES)
    seen = variables(stage)
    assert seen["SUBMISSION_ID"] == "-1"
    assert seen["DATA_BASE_URL"] == "http://localhost/last/2024-12-27/"
    assert seen["MULTI_PASS_MODE_ENABLED"] is None
    assert seen["IN_STATE_PATH"] is None  # there is none on the first day
    assert Path(seen["OUTPUT_PATH"]).parent == Path(seen["OUT_STATE_PATH"]).parent == stage.results
    assert (done.run.exit_code, done.weights, done.state, done.saw_last_day) == (0, None, None, False)
    assert done.run.seconds > 0


def test_the_state_of_one_pass_is_handed_to_the_next(run, stage):
    assert "not a gzip file" in run(WRITE_STATE).state_problem
    run(WRITE_VARIABLES)
    seen = variables(stage)
    assert (
        Path(seen["IN_STATE_PATH"]).read_text(encoding="utf-8")
        == Path(seen["OUT_STATE_PATH"]).read_text(encoding="utf-8")
        == "x"
    )


def test_a_pass_that_is_run_again_gets_the_same_state(run, stage):
    out = stage.results / "state.out"
    run(WRITE_STATE)
    run(WRITE_STATE, again=True)
    assert out.read_text(encoding="utf-8") == "x"  # again from no state
    run(WRITE_STATE)
    run(WRITE_STATE, again=True)
    assert out.read_text(encoding="utf-8") == "xx"


def test_a_pass_of_the_precheck_has_no_state(run, stage):
    alone = Stage(stage.folder, stage.host, stage.limit, chained=False)
    run("open('state.out.pickle.gz', 'w').write('of an earlier pass')", stage=alone)
    run(WRITE_VARIABLES, stage=alone)
    assert variables(stage)["OUT_STATE_PATH"] is variables(stage)["IN_STATE_PATH"] is None
    assert not (stage.work / "state.out.pickle.gz").exists()


def test_a_pass_changes_neither_the_submission_nor_the_next_pass(run, stage):
    (stage.submission / "lib").mkdir()
    (stage.submission / "lib" / "sizing.py").write_text("x = 1\n", encoding="utf-8")
    source = "open('lib/sizing.py', 'a').write('x = 2'); open('seen.json', 'a').write('1')"
    for _ in range(2):
        done = run(source)
        assert done.changed_files == ("lib/sizing.py", "seen.json")
        assert (stage.work / "seen.json").read_text(encoding="utf-8") == "1"
    assert (stage.submission / "lib" / "sizing.py").read_text(encoding="utf-8") == "x = 1\n"
    assert not (stage.submission / "seen.json").exists()
    assert run("open('data-cache', 'w')").changed_files == ()  # as the platform's library writes


def test_what_one_pass_wrote_is_not_taken_for_the_next_ones(run):
    assert run(SEE_LAST_DAY).saw_last_day
    assert not run("").saw_last_day


SAVE = """
import gzip, os, numpy as np, xarray as xr
weights = {weights}
open(os.environ["OUTPUT_PATH"], "wb").write(gzip.compress(bytes(weights.to_netcdf(engine="scipy"))))
"""


@long
def test_weights_without_days_are_of_the_day(run):
    source = "xr.DataArray([0.1, 0.2], {'asset': ['A', 'B']}, 'asset')"
    weights = run(SAVE.format(weights=source)).weights
    assert weights.dims == ("time", "asset")
    assert weights.time.values.astype("M8[D]") == [DAY]


def packed(weights: xr.DataArray) -> bytes:
    return bytes(weights.to_netcdf(engine="scipy"))


def plain(values=((0.1, 0.2),), days=("2024-12-27",), names=("A", "B"), kind="M8[ns]") -> xr.DataArray:
    coords = {"time": np.array(days, kind), "asset": np.array(names, dtype=object)}
    return xr.DataArray(np.array(values), coords, ("time", "asset"))


GOOD = packed(plain())
ODD_FILES = {
    "empty": b"",
    "not gzip": GOOD,
    "cut gzip": gzip.compress(GOOD)[:-20],
    "damaged deflate stream": gzip.compress(GOOD)[:40] + b"\xff" * 40 + gzip.compress(GOOD)[80:],
    "wrong checksum": gzip.compress(GOOD)[:-8] + bytes(8),
    "cut NetCDF": gzip.compress(GOOD[: len(GOOD) // 2]),
    "header only": gzip.compress(GOOD[:12]),
    "not NetCDF": gzip.compress(b"weights"),
    "two variables": gzip.compress(bytes(xr.Dataset({"a": plain(), "b": plain()}).to_netcdf())),
    "text values": gzip.compress(packed(plain(values=[["a", "b"]]))),
    "no labels of time": gzip.compress(packed(plain().drop_vars("time"))),
    "no labels of assets": gzip.compress(packed(plain().drop_vars("asset"))),
    "no dimension": gzip.compress(packed(xr.DataArray(1.0, name="w"))),
    "days as text": gzip.compress(packed(plain(kind="U10"))),
    "days as numbers": gzip.compress(packed(plain(days=[20241227], kind="i4"))),
    "a day that is none": gzip.compress(packed(plain(days=["NaT"]))),
    "a bomb": gzip.compress(bytes((1 << 28) + 1), 1),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_an_odd_file_of_weights_is_a_problem_and_no_crash(name, tmp_path):
    (tmp_path / "weights").write_bytes(ODD_FILES[name])
    weights, problem = read_weights(tmp_path / "weights", DAY)
    assert weights is None
    assert len(problem) > 10
    assert "\n" not in problem


@pytest.mark.parametrize(
    "weights", [plain([[]], names=()), plain(np.empty((0, 2)), days=())], ids=["assets", "days"]
)
def test_weights_without_assets_or_days_are_assessed(weights, tmp_path):
    weights.to_netcdf(tmp_path / "plain", engine="h5netcdf")
    (tmp_path / "weights").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    read, problem = read_weights(tmp_path / "weights", DAY)
    assert problem == ""
    data = random_market(0, days=20)
    found = assess([PassResult(DAY, weights=read)], data, COMPETITIONS["stocks_nasdaq100"])
    assert len(found[0].faults) == 1


STATES = {
    "a dict": (gzip.compress(pickle.dumps({"days": 3})), "other"),
    "an object of the notebook": (gzip.compress(b"\x80\x04\x8c\x08__main__\x8c\x05Model\x93."), "other"),
    "a command": (gzip.compress(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x08touch bad\x85R."), "other"),
    "text": (b"mine", "problem"),
    "cut": (gzip.compress(pickle.dumps({"days": 3}))[:-9], "problem"),
    "nothing": (b"", "problem"),
    "one of this project, damaged": (
        gzip.compress(pickle.dumps(State(DAY, {"A": 0.1}, {}, {})).replace(b"version", b"virsion")),
        "problem",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_of_another_kind_is_told_from_a_damaged_one_and_never_unpickled(name, run, stage, tmp_path):
    content, expected = STATES[name]
    (tmp_path / "given").write_bytes(content)
    source = "import os, shutil; shutil.copy(r'{}', os.environ['OUT_STATE_PATH'])"
    done = run(source.format(tmp_path / "given"))
    assert done.state is None
    assert bool(done.other_state) == (expected == "other")
    assert bool(done.state_problem) == (expected == "problem")
    assert not Path("bad").exists()
    assert not (stage.work / "bad").exists()


def row(weight: float) -> xr.DataArray:
    return xr.DataArray([[weight]], {"time": [DAY.astype("M8[ns]")], "asset": ["A"]}, ("time", "asset"))


def test_differences_are_found_bit_by_bit():
    first = PassResult(DAY, weights=row(0.1), state=State(DAY, {"A": 0.1}, {}, {}))
    least = np.nextafter(0.1, 1)
    same = PassResult(DAY, weights=row(0.1), state=State(DAY, {"A": 0.1}, {}, {}))
    assert differences(first, same) == ((), ())
    other = PassResult(DAY, weights=row(least), state=first.state)
    assert differences(first, other) == (("other weights",), ())
    other = PassResult(DAY, weights=row(0.1), state=State(DAY, {"A": least}, {}, {}))
    assert differences(first, other) == (("another state",), ())
    crashed = PassResult(DAY, submission.Execution(exit_code=1), state=first.state)
    assert differences(first, crashed) == (("another exit code", "other weights"), ())
    foreign = [PassResult(DAY, weights=row(0.1), other_state=text) for text in ("1", "2")]
    assert differences(*foreign) == ((), ("other bytes in its state file",))
