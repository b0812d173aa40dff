"""The notebook, executed once for each finished run of a comparison."""

import contextlib
import io
import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.compare.run_table import DEFAULTS
from lib.runs.store import Record, RunWarning
from lib.runs.workers import pack, run_all

NOTEBOOK = Path(__file__).resolve().parents[2] / "strategy.ipynb"


def execute_notebooks(
    records: Sequence[Record], folder: Path, notebook: Path = NOTEBOOK, **where: Any
) -> list[Path]:
    """Execute the notebook with the parameters and the range of each run, in parallel, unless it was before.

    Each run gets `notebooks/KEY` in `folder`, with notebook, weights and state, once it ran to the end; the
    folders are returned. For `where` see `lib.runs.workers.run_all`; a cluster must share the disk.

    Warns
    -----
    RunWarning
        A notebook that failed (how far it came is in `notebooks/KEY.part`), or that could not be started: it
        does not know a parameter, or a parameter is a function.
    """
    folders = {
        record["key"]: folder / "notebooks" / record["key"]
        for record in records
        if record["status"] == "finished"
    }
    jobs = {}
    for record in records:
        key = record["key"]
        if key not in folders or folders[key].exists():
            continue
        if record["functions"]:
            _warn(key, f"{', '.join(record['functions'])} is a function: a notebook takes names only")
            continue
        own = {name: value for name, value in record["parameters"].items() if value != DEFAULTS[name]}
        own |= {"start_date": record["start"], "end_date": record["end"]}
        jobs[key] = pack(_execute, str(notebook.resolve()), str(folders[key].resolve()), own)
    for key, answer, message in list(run_all(jobs, **where)):
        if answer != "":
            _warn(key, message or str(answer))
    return [path for path in folders.values() if path.exists()]


def _execute(notebook: str, folder: str, parameters: dict[str, Any]) -> str:
    """Run one notebook; return what went wrong, or nothing."""
    from lib.notebook.run import run_notebook

    part = f"{folder}.part"  # renamed when all of it is there
    shutil.rmtree(part, ignore_errors=True)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            run_notebook(notebook, part, parameters)
    except Exception as error:
        return f"{type(error).__name__}: {error}".strip()
    os.rename(part, folder)
    return ""


def _warn(key: str, message: str) -> None:
    warnings.warn(f"no notebook for {key}: {message}", RunWarning, stacklevel=3)
