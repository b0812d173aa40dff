"""What does one run of the notebook leave behind, as the platform runs it?"""

import contextlib
import gzip
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from lib.state import State, StateError, state_read

if TYPE_CHECKING:
    import xarray as xr

LONGEST = 30 * 60  # seconds of a pass
ERROR_LINES = 6
RUN = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "strategy.ipynb", "--output", "pass"]
# A process reports at least the memory of the one that started it: so a small one starts the notebook's.
MEASURED = """
import subprocess, sys
code = subprocess.call(sys.argv[1:])
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    open("peak", "w").write(str(peak))
except ImportError:
    pass
sys.exit(code if code >= 0 else 128 - code)
"""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Pass:
    """What one run of the notebook left behind.

    Attributes
    ----------
    day : numpy.datetime64[D]
        The day on which its data ended.
    exit_code : int
        0 where it ran to its end.
    error : str
        The last lines it said, where it did not.
    seconds, memory : float, int or None
        Wall time; bytes of its largest process at their peak, None where the system does not tell.
    weights : xarray.DataArray or None
        (time, asset), what it wrote.
    state : State or None
        What the state file held after it.
    state_problem : str
        Why that could not be read.
    saw_last_day : bool
        Whether it loaded data without an end of its own.
    """

    day: np.datetime64
    exit_code: int = 0
    error: str = ""
    seconds: float = 0.0
    memory: int | None = None
    weights: "xr.DataArray | None" = None
    state: State | None = None
    state_problem: str = ""
    saw_last_day: bool = True


def run_pass(folder: Path, day: np.datetime64, host: str) -> Pass:
    """Run `strategy.ipynb` in `folder` once, with data that end on `day`, and collect what it leaves.

    The state that the last pass wrote to `state.out` in the folder is handed on.
    """
    out, given, weights, last = (folder / name for name in ("state.out", "state.in", "weights", "last"))
    peak = folder / "peak"
    for left in (weights, last, peak):
        left.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "MULTI_PASS_MODE_ENABLED"}
    environment |= {"SUBMISSION_ID": "-1", "DATA_BASE_URL": f"{host}/last/{day}/"}
    environment |= {"OUTPUT_PATH": str(weights), "LAST_DATA_PATH": str(last), "OUT_STATE_PATH": str(out)}
    environment |= {"PYTHONUNBUFFERED": "1"}  # what is said last stands last, error or not
    environment.pop("IN_STATE_PATH", None)
    if out.exists():
        shutil.copy(out, given)
        environment["IN_STATE_PATH"] = str(given)
    with (folder / "said").open("wb") as said:
        started = time.perf_counter()
        code = _run(folder, environment, said)
        seconds = time.perf_counter() - started
    state, problem = _state(out)
    return Pass(
        day=day,
        exit_code=code,
        error=_last_lines((folder / "said").read_text(errors="replace")) if code else "",
        seconds=seconds,
        memory=int(peak.read_text()) if peak.exists() else None,
        weights=_weights(weights),
        state=state,
        state_problem=problem,
        saw_last_day=last.exists(),
    )


def _run(folder: Path, environment: dict[str, str], said: IO[bytes]) -> int:
    """Exit code of the notebook's process; it is stopped where the platform would stop it."""
    command = [sys.executable, "-c", MEASURED, *RUN]
    own_group: dict[str, Any] = {"start_new_session": True} if hasattr(os, "killpg") else {}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said, **own_group)
    try:
        return process.wait(LONGEST)
    except BaseException as stopped:
        if own_group:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        code = process.wait()
        if not isinstance(stopped, subprocess.TimeoutExpired):
            raise
        return code


def _last_lines(said: str) -> str:
    lines = [line.rstrip() for line in COLOURS.sub("", said).splitlines() if line.strip(" -")]
    return "\n        ".join(lines[-ERROR_LINES:])


def _weights(path: Path) -> "xr.DataArray | None":
    import xarray as xr

    if not path.exists():
        return None
    weights = xr.load_dataarray(io.BytesIO(gzip.decompress(path.read_bytes())))
    return weights.assign_coords(asset=weights.asset.values.astype(str))


def _state(path: Path) -> tuple[State | None, str]:
    if not path.exists():
        return None, ""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return state_read(path), ""
        except StateError as error:
            return None, str(error)
