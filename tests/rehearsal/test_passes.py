"""A pass gets what the platform gives it, and what it leaves is read; a program stands for the notebook."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lib.rehearsal import execution
from lib.rehearsal.passes import PassResult, Stage, differences, run_pass
from lib.state import State

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
    (tmp_path / "work").mkdir()
    return Stage(tmp_path, "http://localhost", limit=60)


@pytest.fixture
def run(stage, monkeypatch):
    def run_program(source: str, again: bool = False, stage: Stage = stage) -> PassResult:
        monkeypatch.setattr(execution, "command", lambda python, results: [python, "-c", source])
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
    (stage.work / "state.out.pickle.gz").write_text("of an earlier pass", encoding="utf-8")
    run(WRITE_VARIABLES, stage=alone)
    assert variables(stage)["OUT_STATE_PATH"] is variables(stage)["IN_STATE_PATH"] is None
    assert not (stage.work / "state.out.pickle.gz").exists()


def test_what_one_pass_wrote_is_not_taken_for_the_next_ones(run):
    assert run(SEE_LAST_DAY).saw_last_day
    assert not run("").saw_last_day


SAVE = """
import gzip, os, numpy as np, xarray as xr
weights = {weights}
open(os.environ["OUTPUT_PATH"], "wb").write(gzip.compress(bytes(weights.to_netcdf(engine="scipy"))))
"""


def test_weights_without_days_are_of_the_day(run):
    source = "xr.DataArray([0.1, 0.2], {'asset': ['A', 'B']}, 'asset')"
    weights = run(SAVE.format(weights=source)).weights
    assert weights.dims == ("time", "asset")
    assert weights.time.values.astype("M8[D]") == [DAY]


def row(weight: float) -> xr.DataArray:
    return xr.DataArray([[weight]], {"time": [DAY.astype("M8[ns]")], "asset": ["A"]}, ("time", "asset"))


def test_differences_are_found_bit_by_bit():
    first = PassResult(DAY, weights=row(0.1), state=State(DAY, {"A": 0.1}, {}, {}))
    least = np.nextafter(0.1, 1)
    assert differences(first, PassResult(DAY, weights=row(0.1), state=State(DAY, {"A": 0.1}, {}, {}))) == ()
    assert differences(first, PassResult(DAY, weights=row(least), state=first.state)) == ("other weights",)
    assert differences(first, PassResult(DAY, weights=row(0.1), state=State(DAY, {"A": least}, {}, {}))) == (
        "another state",
    )
    assert differences(first, PassResult(DAY, execution.Execution(exit_code=1), state=first.state)) == (
        "another exit code",
        "other weights",
    )
