"""One pass of a submission: the variables that the platform sets, and what the notebook leaves behind."""

import contextlib
import gzip
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.rehearsal.execution import Execution, execute
from lib.rehearsal.stage import Stage, hand_over_state
from lib.state import State, StateError, state_read

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Pass:
    """One run of the notebook and what it left behind.

    Attributes
    ----------
    day : numpy.datetime64[D]
        The day on which its data ended.
    run : Execution
    weights : xarray.DataArray or None
        (time, asset), what it wrote, under the server's ids.
    weights_problem : str
        Why the file of weights could not be read.
    state : State or None
        What the state file held after it.
    state_problem : str
        Why that could not be read.
    saw_last_day : bool
        Whether it loaded data without an end of its own.
    differences : tuple of str
        What was different when the pass was run a second time.
    """

    day: np.datetime64
    run: Execution = field(default_factory=Execution)
    weights: "xr.DataArray | None" = None
    weights_problem: str = ""
    state: State | None = None
    state_problem: str = ""
    saw_last_day: bool = True
    differences: tuple[str, ...] = ()


def run_pass(stage: Stage, day: np.datetime64, again: bool = False) -> Pass:
    """Run the notebook once with data that end on `day`, and collect what it leaves.

    Chained, it gets the state that the last pass wrote; with `again`, the state that the last pass got.
    """
    weights, last = (stage.results / name for name in ("weights", "last"))
    stage.results.mkdir(exist_ok=True)
    for path in (weights, last):
        path.unlink(missing_ok=True)
    variables = {
        "SUBMISSION_ID": "-1",
        "DATA_BASE_URL": f"{stage.host}/last/{day}/",
        "OUTPUT_PATH": str(weights),
        "LAST_DATA_PATH": str(last),
        "MULTI_PASS_MODE_ENABLED": None,
        "PYTHONUNBUFFERED": "1",  # the last line of the output is the last that was printed, error or not
    }
    if stage.python != sys.executable:  # nothing of this Python's may be found there
        variables |= {"PYTHONPATH": None, "JUPYTER_PREFER_ENV_PATH": "1"}
    out, paths = hand_over_state(stage, again)
    run = execute(stage.work, stage.results, variables | paths, stage.limit, stage.python)
    written, weights_problem = _weights(weights, day)
    state, state_problem = _state(out)
    return Pass(
        day=day,
        run=run,
        weights=written,
        weights_problem=weights_problem,
        state=state,
        state_problem=state_problem,
        saw_last_day=last.exists(),
    )


def differences(first: Pass, second: Pass) -> tuple[str, ...]:
    """Differences between the results of two runs of a pass, compared bit by bit."""
    found = []
    if first.run.exit_code != second.run.exit_code:
        found.append("another exit code")
    if _bits(first.weights) != _bits(second.weights):
        found.append("other weights")
    if first.state != second.state or first.state_problem != second.state_problem:
        found.append("another state")
    return tuple(found)


def _bits(weights: "xr.DataArray | None") -> tuple | None:
    if weights is None:
        return None
    labels = {str(name): values.values.tolist() for name, values in weights.coords.items()}
    return weights.dims, labels, weights.values.dtype.str, weights.values.tobytes()


def _weights(path: Path, day: np.datetime64) -> "tuple[xr.DataArray | None, str]":
    """The weights in a file, or what is wrong with it; weights without days are of `day`."""
    import xarray as xr

    if not path.exists():
        return None, ""
    try:
        weights = xr.load_dataarray(io.BytesIO(gzip.decompress(path.read_bytes())))
    except (OSError, EOFError, ValueError) as error:
        return None, str(error).partition("\n")[0]
    if "asset" not in weights.dims or "asset" not in weights.coords:
        return None, f"its dimensions are {', '.join(map(str, weights.dims))}, and none is asset"
    if "time" not in weights.coords:
        weights = weights.expand_dims(time=[day.astype("M8[ns]")])
    return weights.assign_coords(asset=weights.asset.values.astype(str)), ""


def _state(path: Path) -> tuple[State | None, str]:
    if not path.exists():
        return None, ""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return state_read(path), ""
        except StateError as error:
            return None, str(error)
