"""The notebook as the evaluator runs it, and its execution.

Each execution has a process of its own.
"""

import ast
import contextlib
import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from lib.common.command_line import environment
from lib.common.competitions import COMPETITIONS, rules_of
from lib.notebook_strategy import DEBUG, CodeCell, assignments, check_parameters, read_notebook, tags_of
from lib.strategy import Strategy

MAY_FAIL = "raises-exception"  # Jupyter goes on after an error in a cell with this tag


ERROR_LINES = 6
CONFIG = Path(__file__).with_name("cell_log_config.py")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
NOISE = "Kernel is running over TCP"  # ipykernel's warning, which is about no fault of the notebook
MARK = "REHEARSAL_PASS"  # the environment variable by which the processes of a pass are found
PATIENCE = 2  # seconds in which helpers of libraries end by themselves
# A process reports at least the memory of the one that started it: so a small one starts the notebook's.
MEASURE = """
import subprocess, sys
code = subprocess.call(sys.argv[2:])
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    open(sys.argv[1], "w", encoding="utf-8").write(str(peak))
except ImportError:
    pass
sys.exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True)
class Submission:
    """A notebook in the form that the evaluator runs.

    Attributes
    ----------
    path : pathlib.Path
        The notebook that it was made from.
    content : dict
        The notebook that is run (nbformat 4): without `#DEBUG#` cells, with the settings.
    cells, removed : tuple of CodeCell
        The cells of `content`, one for each of its entries, and the code cells that the evaluator removes.
    may_fail : tuple of CodeCell
        The cells tagged `raises-exception`.
    competition_type : str
        The competition that the notebook trades.
    keeps_state : bool
        True where the notebook reads or writes a state of this project.
    """

    path: Path
    content: dict[str, Any]
    cells: tuple[CodeCell, ...]
    removed: tuple[CodeCell, ...]
    may_fail: tuple[CodeCell, ...]
    competition_type: str
    keeps_state: bool


def read_submission(path: Path, settings: Mapping[str, Any] | None = None) -> Submission:
    """Read a notebook, drop `#DEBUG#` cells and set parameters.

    Parameters
    ----------
    path : pathlib.Path
    settings : mapping of str to literal
        New values of names in the cell tagged `parameters`.

    Raises
    ------
    TypeError, ValueError
        The file is not a notebook, a name is not in the parameters cell, or a value is not allowed.
    OSError
        The file cannot be read.
    """
    content = read_notebook(path)
    kept: list[tuple[dict, CodeCell]] = []
    removed, may_fail = [], []
    known: dict[str, Any] = {}
    settings = dict(settings or {})
    for number, cell in enumerate(content["cells"], start=1):
        source, tags, is_code = cell["source"], tags_of(cell), cell["cell_type"] == "code"
        if is_code and source.startswith(DEBUG):
            removed.append(CodeCell(number, source))
            continue
        kept.append((cell, CodeCell(number, source)))
        if is_code and MAY_FAIL in tags:
            may_fail.append(CodeCell(number, source))
        if is_code and "parameters" in tags:
            known |= assignments(source)
            if settings:
                lines = "\n".join(f"{name} = {value!r}" for name, value in settings.items())
                kept.append((cell | {"id": "settings", "source": lines}, CodeCell(number, lines)))
    code = "\n".join(cell.source for raw_cell, cell in kept if raw_cell["cell_type"] == "code")
    check_parameters(path, known, settings, code)
    kind = _competition(known | settings, code)
    rules_of(kind)
    return Submission(
        path=path,
        content=content | {"cells": [cell for cell, _ in kept]},
        cells=tuple(cell for _, cell in kept),
        removed=tuple(removed),
        may_fail=tuple(may_fail),
        competition_type=kind,
        keeps_state=bool(re.search(r"\bstate_(read|write)\b", code)),
    )


def defined_names(source: str) -> set[str]:
    """Return the names that a cell defines.

    They are variables, functions, classes and imports. The cell may hold commands of IPython.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return names


def _competition(parameters: Mapping[str, Any], code: str) -> str:
    """Return the competition of a notebook.

    The notebook names it or calls its loader. Otherwise the result is the default one.
    """
    if parameters.get("competition_type") is not None:
        return parameters["competition_type"]
    named = r"""(?:\bcompetition_type *= *|\bload_data_by_type\( *)(['"])(.*?)\1"""
    if found := re.search(named, code):
        return found[2]
    by_loader = {row.loader: kind for kind, row in reversed(COMPETITIONS.items())}  # of several the first
    called = {
        kind
        for loader, kind in by_loader.items()
        if loader.removeprefix("stocks.") in code or loader.replace(".", "_") in code
    }
    return called.pop() if len(called) == 1 else Strategy.competition_type


class CellRun(NamedTuple):
    """The record of an executed cell.

    It has the index in the notebook, the seconds, and the error if there was one.
    """

    cell: int
    seconds: float
    error: str = ""  # the exception's name
    text: str = ""  # and what it says


@dataclass(frozen=True)
class Execution:
    """The record of one execution.

    Attributes
    ----------
    exit_code : int
        0 where it ran to its end.
    seconds : float
        Wall time.
    memory : int or None
        Bytes of its largest process at their peak; None where the system does not tell.
    timed_out : bool
        True where it was stopped for taking too long.
    cells : tuple of CellRun
        In the order in which they ran.
    last_lines : str
        The end of its output, where it failed.
    left_running : tuple of str
        Commands of the processes that it left running; they are ended here.
    """

    exit_code: int = 0
    seconds: float = 0.0
    memory: int | None = None
    timed_out: bool = False
    cells: tuple[CellRun, ...] = ()
    last_lines: str = ""
    left_running: tuple[str, ...] = ()


def command(python: str, results: Path) -> list[str]:
    """Return the evaluator's command.

    Its configuration logs the cells.
    """
    words = ["-m", "nbconvert", "--to", "html", "--execute", "strategy.ipynb"]
    config = ["--config", str(results / CONFIG.name)]
    return [python, *words, "--output-dir", str(results), "--output", "strategy", *config]


def execute(
    work: Path, results: Path, variables: Mapping[str, str | None], limit: float, python: str = sys.executable
) -> Execution:
    """Execute `strategy.ipynb` in the folder `work`.

    The execution takes at most `limit` seconds.

    Parameters
    ----------
    work, results : pathlib.Path
        The folder that it runs in, and one for records.
    variables : mapping of str to str or None
        Environment variables to set, or to unset where None.
    limit : float
    python : str
        The interpreter that has nbconvert.
    """
    log, peak, cells = (results / name for name in ("log", "peak", "cells"))
    for path in (peak, cells):
        path.unlink(missing_ok=True)
    shutil.copy(CONFIG, results)
    words = [sys.executable, "-c", MEASURE, str(peak), *command(python, results)]
    mark = secrets.token_hex(8)
    started = time.perf_counter()
    with log.open("wb") as output, environment({**variables, MARK: mark}):
        process = subprocess.Popen(words, cwd=work, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        code, timed_out = process.wait(limit), False
    except subprocess.TimeoutExpired:
        end(process)
        code, timed_out = process.wait(), True
    except BaseException:
        end(process)
        _end_marked(mark)
        raise
    seconds = time.perf_counter() - started
    left_running = _end_marked(mark)
    return Execution(
        exit_code=code,
        seconds=seconds,
        memory=int(peak.read_text(encoding="utf-8")) if peak.exists() else None,
        timed_out=timed_out,
        cells=_cells(cells),
        last_lines=last_lines(log.read_text(encoding="utf-8", errors="replace")) if code else "",
        left_running=() if timed_out else left_running,
    )


def end(process: subprocess.Popen) -> None:
    """End a process and all that it started.

    This works on every system. A kernel is not in its parent's group, so each process is ended by itself.
    """
    try:
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        tree = []
    for member in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(tree[1:], timeout=10)
    process.wait()


def _end_marked(mark: str) -> tuple[str, ...]:
    """End the processes that a pass left running.

    The commands of all that did not end by themselves are returned. Their parents have ended, so only a
    variable of their environment shows their origin.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                found.append((process, " ".join(process.cmdline()) or process.name()))
    if not found:
        return ()
    _, alive = psutil.wait_procs([process for process, _ in found], timeout=PATIENCE)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return tuple(command for process, command in found if process in alive)


def last_lines(output: str) -> str:
    """Return the last lines of an output.

    Empty lines do not count.
    """
    lines = [line.rstrip() for line in COLOURS.sub("", output).splitlines() if line.strip(" -")]
    return "\n        ".join([line for line in lines if NOISE not in line][-ERROR_LINES:])


def _cells(path: Path) -> tuple[CellRun, ...]:
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(CellRun(**json.loads(line)) for line in lines)
