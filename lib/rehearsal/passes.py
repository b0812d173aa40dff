"""The passes of a rehearsal.

Each has a fresh copy of the submission, receives the state, and leaves files.
"""

import contextlib
import fnmatch
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.common.command_line import PROJECT, environment
from lib.common.errors import WrongValueError
from lib.rehearsal.submission import Execution, Submission, execute, last_lines
from lib.runs.provenance import is_stand_in
from lib.state import DEFAULT_PATH, State, StateError, state_read

if TYPE_CHECKING:
    import xarray as xr

# results of earlier runs, caches and environments beside a notebook: a submission does not have them
LEFT_BEHIND = ("fractions.nc.gz", "last_data.txt", "state.*pickle.gz", "data-cache", "runs", "__pycache__")
WRITTEN_BY_ANY = (*LEFT_BEHIND, ".ipynb_checkpoints", "id-translation.csv")  # by the libraries, in any pass
JUPYTER = ("nbconvert", "ipykernel")  # what runs a notebook, init.ipynb included
LARGEST = 1 << 28  # bytes of weights, unpacked; those of twenty years of all assets take a tenth


@dataclass(frozen=True)
class Stage:
    """The folders and limits of the passes.

    Attributes
    ----------
    folder : pathlib.Path
        Gets `submission`, `work`, in which the notebook runs, and `results` outside of it, as on the
        platform.
    host : str
        Address of the data service, without a day.
    limit : float
        Seconds that a pass may take.
    chained : bool
        True where the state is handed from pass to pass, as in the contest and not in the precheck.
    python : str
        The interpreter that runs the notebook.
    """

    folder: Path
    host: str
    limit: float
    chained: bool = True
    python: str = sys.executable

    @property
    def submission(self) -> Path:
        """Return the folder that each pass copies."""
        return self.folder / "submission"

    @property
    def work(self) -> Path:
        """Return the folder in which the notebook runs."""
        return self.folder / "work"

    @property
    def results(self) -> Path:
        """Return the folder of its results."""
        return self.folder / "results"


@dataclass(frozen=True)
class PassResult:
    """One run of the notebook and its results.

    Attributes
    ----------
    day : numpy.datetime64[D]
        The last day of its data.
    run : Execution
    weights : xarray.DataArray or None
        (time, asset), under the server's ids.
    weights_problem : str
        Why the file of weights could not be read.
    state : State or None
        The state of this project that it left.
    state_problem : str
        Why its state file could not be read.
    other_state : str
        A checksum of a state of another kind, which is never unpickled.
    saw_last_day : bool
        True where it loaded data without an end of its own.
    changed_files : tuple of str
        Files that it wrote or changed in its folder, and which no other pass will see.
    differences, other_differences : tuple of str
        What differed when the pass was run a second time, as a fault and as a note.
    """

    day: np.datetime64
    run: Execution = field(default_factory=Execution)
    weights: "xr.DataArray | None" = None
    weights_problem: str = ""
    state: State | None = None
    state_problem: str = ""
    other_state: str = ""
    saw_last_day: bool = True
    changed_files: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    other_differences: tuple[str, ...] = ()


# ---- the folder of a submission ----


def copy_submission(submission: Submission, folder: Path) -> None:
    """Copy a submission into a folder.

    The notebook becomes `strategy.ipynb`. The files and folders beside it are copied too. Results of earlier
    runs, hidden files and this project's tests stay behind. The project's `lib` and its stand-in for the
    platform's library are added where the notebook has none beside it.

    Raises
    ------
    OSError
        A file cannot be read, or the disk is full.
    """
    folder.mkdir(exist_ok=True)
    (folder / "strategy.ipynb").write_text(json.dumps(submission.content), encoding="utf-8")
    notebook = submission.path.absolute()
    for path in [*sorted(notebook.parent.iterdir()), PROJECT / "lib", PROJECT / "qnt"]:
        target = folder / path.name
        if target.exists() or path in (notebook, PROJECT / "tests") or (path / "pyvenv.cfg").exists():
            continue
        if path.name not in _left_behind(str(path.parent), [path.name]):
            _copy(path, target)


def _copy(path: Path, target: Path) -> None:
    """Copy a file or folder without links.

    The content of a link takes its place.
    """
    try:
        if path.is_dir():
            shutil.copytree(path, target, ignore=_left_behind, ignore_dangling_symlinks=True)
        elif path.is_file():
            shutil.copy2(path, target)
    except shutil.Error as error:  # a list of (source, target, reason)
        source, _, reason = error.args[0][0]
        raise OSError(f"{source} cannot be copied: {reason}") from None


def _left_behind(folder: str, names: list[str]) -> set[str]:
    """Return the names that a submission does not have.

    The names are in a folder. They include hidden files, results of earlier runs, pipes and circular links.
    """
    found = {name for name in names if name.startswith(".")}
    found |= {name for pattern in LEFT_BEHIND for name in fnmatch.filter(names, pattern)}
    for name in set(names) - found:
        path = Path(folder, name)
        circular = path.is_symlink() and Path(folder).resolve().is_relative_to(path.resolve())
        if circular or not (path.is_file() or path.is_dir()):
            found.add(name)
    return found


def _lay_out(stage: Stage) -> None:
    """Make the working folder afresh.

    Only the state thus travels from one pass to the next.
    """
    shutil.rmtree(stage.work, ignore_errors=True)  # Windows keeps a file that a process still holds open
    shutil.copytree(stage.submission, stage.work, dirs_exist_ok=True)


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the files that a notebook may have written.

    Each comes with its size and time of change. Files that the libraries write in any pass are left out.
    """
    for place, folders, files in os.walk(folder):
        for names in (folders, files):
            names[:] = [name for name in names if not any(fnmatch.fnmatch(name, p) for p in WRITTEN_BY_ANY)]
        for name in files:
            path = Path(place, name)
            with contextlib.suppress(OSError):
                status = path.stat()
                yield path.relative_to(folder).as_posix(), (status.st_size, status.st_mtime_ns)


# ---- one pass ----


def run_pass(stage: Stage, day: np.datetime64, again: bool = False) -> PassResult:
    """Run the notebook once and collect its results.

    The data end on `day`. In a chain the pass gets the state that the last pass wrote. With `again`, it gets
    the state that the last pass got.
    """
    weights, last = (stage.results / name for name in ("weights", "last"))
    stage.results.mkdir(exist_ok=True)
    for path in (weights, last):
        path.unlink(missing_ok=True)
    _lay_out(stage)
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
    out, paths = _hand_over_state(stage, again)
    before = dict(_files(stage.work))
    run = execute(stage.work, stage.results, variables | paths, stage.limit, stage.python)
    changed = [name for name, status in _files(stage.work) if before.get(name) != status]
    written, weights_problem = read_weights(weights, day)
    state, state_problem, other_state = _read_state(out)
    return PassResult(
        day=day,
        run=run,
        weights=written,
        weights_problem=weights_problem,
        state=state,
        state_problem=state_problem,
        other_state=other_state,
        saw_last_day=last.exists(),
        changed_files=tuple(sorted(changed)),
    )


def _hand_over_state(stage: Stage, again: bool) -> tuple[Path, dict[str, str | None]]:
    """Copy the state for a pass.

    The path of the next state, and the environment variables that name both, are returned.
    """
    if not stage.chained:
        return stage.work / DEFAULT_PATH, {"OUT_STATE_PATH": None, "IN_STATE_PATH": None}
    out, given = stage.results / "state.out", stage.results / "state.in"
    if again:
        out.unlink(missing_ok=True)
        if given.exists():
            shutil.copy(given, out)
    elif out.exists():
        shutil.copy(out, given)
    return out, {"OUT_STATE_PATH": str(out), "IN_STATE_PATH": str(given) if given.exists() else None}


# ---- what a pass leaves ----


def read_weights(path: Path, day: np.datetime64) -> "tuple[xr.DataArray | None, str]":
    """Return the weights in a file.

    The second value is the reason why they cannot be read. Weights without days are of `day`. The file is the
    notebook's: it may hold anything.
    """
    import xarray as xr

    if not path.exists():
        return None, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weights = xr.load_dataarray(io.BytesIO(_unpacked(path)))
    except Exception as error:  # a damaged file fails anywhere in the libraries that read it
        reason = str(error).partition("\n")[0] or "it ends too early"
        return None, f"it is no complete gzip file of NetCDF ({type(error).__name__}: {reason:.200})"
    if "asset" not in weights.dims or "asset" not in weights.coords:
        return None, f"its dimensions are {', '.join(map(str, weights.dims))}, and none is asset"
    if weights.dtype.kind not in "biuf":
        return None, "its values are not numbers"
    if "time" not in weights.coords:
        if "time" in weights.dims:
            return None, "its rows have no days: keep the coordinate time"
        weights = weights.expand_dims(time=[day.astype("M8[ns]")])
    if weights.time.dtype.kind != "M" or weights.time.isnull().any():
        return None, "its days are not dates: keep the coordinate time as the data have it"
    return weights.assign_coords(asset=weights.asset.values.astype(str)), ""


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST >> 20} MiB")
    return content


def _read_state(path: Path) -> tuple[State | None, str, str]:
    """Return this project's state from a file.

    The second value describes the problem of an unreadable file. The third value is the checksum of a state
    of another kind.
    """
    if not path.exists():
        return None, "", ""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return state_read(path), "", ""
        except StateError as error:
            problem = str(error)
    try:
        content = _unpacked(path)
    except Exception:  # as above
        return None, problem, ""
    if content[:1] == b"\x80" and content[-1:] == b"." and b"lib.state" not in content:  # a whole pickle
        return None, "", hashlib.sha256(content).hexdigest()
    return None, problem, ""


def differences(first: PassResult, second: PassResult) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the differences between two runs of a pass.

    The runs are compared bit by bit. The result has faults and notes. A state of another kind may differ in
    its bytes and still hold the same.
    """
    found = []
    if first.run.exit_code != second.run.exit_code:
        found.append("another exit code")
    if _bits(first.weights) != _bits(second.weights):
        found.append("other weights")
    if first.state != second.state or first.state_problem != second.state_problem:
        found.append("another state")
    other = ("other bytes in its state file",) if first.other_state != second.other_state else ()
    return tuple(found), other


def _bits(weights: "xr.DataArray | None") -> tuple | None:
    if weights is None:
        return None
    labels = {str(name): values.values.tolist() for name, values in weights.coords.items()}
    return weights.dims, labels, weights.values.dtype.str, weights.values.tobytes()


# ---- an environment of its own ----


def fresh_python(folder: Path, submission: Path) -> str:
    """Make an environment and return its interpreter.

    Besides Jupyter, `init.ipynb` alone installs packages in it.

    Parameters
    ----------
    folder : pathlib.Path
        Where the environment is made.
    submission : pathlib.Path
        The folder whose `init.ipynb` runs, as the evaluator runs it: once.

    Raises
    ------
    ValueError
        There is no `init.ipynb`, it fails, or the platform's own library is in use here: that is not on PyPI,
        so that a new environment would lack it.
    """
    if not (submission / "init.ipynb").exists():
        raise WrongValueError("There is no init.ipynb beside the notebook: --fresh runs it to prepare.")
    if not is_stand_in():
        raise WrongValueError(
            "--fresh cannot install qnt, which is not on PyPI: use it where qnt is not installed."
        )
    place = folder / "environment"
    _run([sys.executable, "-m", "venv", str(place)], "The environment could not be made", folder)
    python = str(place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    _run([*install, *JUPYTER], "Jupyter could not be installed", folder)
    words = ["-m", "nbconvert", "--to", "html", "--execute", "init.ipynb", "--output-dir", str(folder)]
    _run([python, *words], "init.ipynb fails", submission)
    return python


def _run(words: Sequence[str], problem: str, place: Path) -> None:
    """Run a command as a submission.

    A failure raises a ValueError with the end of the output.
    """
    with environment({"SUBMISSION_ID": "-1", "PYTHONPATH": None, "JUPYTER_PREFER_ENV_PATH": "1"}):
        done = subprocess.run(
            words,
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
    if done.returncode:
        raise WrongValueError(f"{problem}:\n        {last_lines(done.stdout + done.stderr)}")
