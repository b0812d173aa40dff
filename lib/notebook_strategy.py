"""The strategy that a notebook defines.

The module also reads code cells and checks parameters. Every command works on this strategy, except the one
that runs the notebook itself.
"""

import ast
import builtins
import contextlib
import dataclasses
import io
import json
import re
import symtable
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from lib.common.command_line import PROJECT, parse_day
from lib.common.errors import UserError, WrongTypeError, WrongValueError, suggest
from lib.common.files import valid_text
from lib.strategy import DATES, METHODS, Strategy

CHOICES = ("features", "target", "selection", "model", "sizing")  # names of functions

DEBUG = "#DEBUG#"  # the evaluator removes a cell that begins so
MAGIC = re.compile(r"^\s*[%!?]|^\s*\w+ *= *[%!]", re.MULTILINE)  # commands of IPython


class CodeCell(NamedTuple):
    """A code cell of a notebook.

    Its number is counted from 1 over all cells.
    """

    number: int
    source: str
    is_parameters: bool = False

    def __str__(self) -> str:
        """Return the cell's number and its first line.

        Empty lines and marks such as ``#DEBUG#`` do not count.
        """
        lines = [line.strip() for line in self.source.splitlines() if line.strip(" #")]
        first = next((line for line in lines if line != DEBUG), "empty")
        return f"cell {self.number} ({first[:48]}{'…' if len(first) > 48 else ''})"


def read_notebook(path: Path) -> dict[str, Any]:
    """Read a notebook (nbformat 4).

    The source of each cell is one text.

    Raises
    ------
    ValueError
        The file is not a notebook.
    OSError
        The file cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for cell in content["cells"]:
            cell["source"] = "".join(cell["source"])
            if not isinstance(cell["cell_type"], str) or not isinstance(tags_of(cell), list):
                raise TypeError
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no notebook {path}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):  # bad JSON and bad UTF-8 are ValueErrors
        raise WrongValueError(f"{path} is not a notebook (nbformat 4).") from None
    return content


def tags_of(cell: Mapping[str, Any]) -> list[str]:
    """Return the tags of a cell of `read_notebook`."""
    return cell.get("metadata", {}).get("tags", [])


def code_cells(path: Path) -> list[CodeCell]:
    """Read the code cells of a notebook.

    Commands of IPython become Python. Errors are those of `read_notebook`.
    """
    return [
        CodeCell(number, _as_python(cell["source"]), "parameters" in tags_of(cell))
        for number, cell in enumerate(read_notebook(path)["cells"], start=1)
        if cell["cell_type"] == "code"
    ]


def _as_python(source: str) -> str:
    if not MAGIC.search(source):
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def assignments(source: str) -> dict[str, Any]:
    """Return the names that a cell sets to literals.

    Each comes with its value.
    """
    found = {}
    for statement in _tree(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                found[statement.targets[0].id] = ast.literal_eval(statement.value)
            except ValueError:
                continue
    return found


def check_parameters(
    notebook: Path, known: Mapping[str, Any], settings: Mapping[str, Any], code: str
) -> Strategy | None:
    """Check the parameters of a run before it starts.

    Parameters
    ----------
    notebook : pathlib.Path
    known : mapping of str
        The values that the notebook's parameters cell sets.
    settings : mapping of str
        New values of some of them, or of optional parameters.
    code : str
        The source of all code cells. A parameter may name a function that it defines.

    Returns
    -------
    Strategy or None
        The strategy of these parameters, with default functions in place of the notebook's own. None where
        the notebook uses another strategy than the project's.

    Raises
    ------
    TypeError, ValueError
        The notebook has no such parameter (the nearest name is given), or its strategy allows no such value
        (the range is given).
    """
    ours = _uses_this_project(notebook, code)
    optional = optional_parameters() if ours and known and "from_names(" in code else []
    possible = [*known, *(name for name in optional if name not in known)]
    for name in settings:
        if name not in possible:
            raise WrongTypeError(f"{notebook.name} has no parameter {name!r}: {suggest(name, possible)}")
    if not ours:
        return None
    values = {**known, **settings}
    for name in DATES:
        parse_day(name, values.get(name))
    fields = {name: value for name, value in values.items() if name in Strategy.__dataclass_fields__}
    # a function that the notebook names by itself may be registered by a module that it imports
    open_choices = {name for name in CHOICES if name not in settings or _defines_any(settings[name], code)}
    return Strategy(**{name: value for name, value in fields.items() if name not in open_choices})


def optional_parameters() -> list[str]:
    """Return the optional parameters of `Strategy`.

    A parameters cell need not set them.
    """
    return [name for name, field in Strategy.__dataclass_fields__.items() if field.metadata.get("optional")]


def _uses_this_project(notebook: Path, code: str) -> bool:
    beside = notebook.absolute().parent / "lib"
    return "Strategy" in code and (not beside.exists() or beside.samefile(PROJECT / "lib"))


def _defines_any(value: Any, code: str) -> bool:
    """Return True if the code defines a named function.

    `value` names a function or class, such as "rsi(periods=21)".
    """
    words = re.findall(r"\w+", str(value))
    return any(re.search(rf"\b(?:def|class)\s+{word}\b", code) for word in words)


BACKTESTS = ("backtest", "backtest_ml")  # calls of qnt.backtester: cells with one are not executed
KEYWORDS = {"load_data": "load_data", "train_model": "train", "predict": "predict"}  # of backtest_ml
PERIODS = ("train_period", "lookback_period", "retrain_interval", "competition_type")


class NotebookStrategy(NamedTuple):
    """The strategy of a notebook.

    It comes with the days of the notebook's backtest and a headline.
    """

    strategy: Strategy
    start_date: Any  # None where the notebook sets none
    end_date: Any
    headline: str  # such as "strategy.ipynb: top_assets=6, own predict"


class NotebookError(UserError, ValueError):
    """The error for a notebook without a strategy.

    It also stands for a notebook whose cells fail.
    """


def strategy_of(path: Path | str, settings: Mapping[str, Any] | None = None) -> NotebookStrategy:
    """Execute a notebook's cells and return its strategy.

    The cells run in this process, in the notebook's folder, up to the last one that sets `strategy` or
    defines `load_data`, `train_model` or `predict`. Cells that begin with ``#DEBUG#``, cells that call
    `backtest_ml` or `backtest`, and commands of IPython (``!pip``, ``%matplotlib``) are left out.

    Parameters
    ----------
    path : path
    settings : mapping of str
        New values of the parameters cell, or of parameters of the strategy that it does not set.

    Returns
    -------
    NotebookStrategy
        The notebook's `strategy`; without one, a strategy of the functions that the notebook defines, with
        the periods of its call of `backtest_ml`.

    Raises
    ------
    NotebookError
        No cell makes a strategy, or a cell fails.
    TypeError, ValueError
        An unknown setting (the nearest name is given), or one that `Strategy` refuses.
    OSError
        The file cannot be read.
    """
    path, settings = Path(path).absolute(), dict(settings or {})
    cells = code_cells(path)
    known = assignments("\n".join(cell.source for cell in cells if cell.is_parameters))
    injected = {*known, *optional_parameters()} if known else set()
    names = _execute(path, _needed(path, cells), {n: v for n, v in settings.items() if n in injected})
    call = _backtest_call(cells)
    strategy = names.get("strategy")
    if not isinstance(strategy, Strategy):
        periods = {name: value for name in PERIODS if (value := _value(call.get(name), names)) is not None}
        strategy = Strategy(**periods)
        functions = {name: names[name] for name in METHODS if callable(names.get(name))}
    else:
        functions = {}
    for name, keyword in KEYWORDS.items():  # functions that the notebook's backtest calls
        passed = call.get(keyword)
        if isinstance(passed, ast.Name) and callable(names.get(passed.id)):
            functions[name] = names[passed.id]
    strategy = strategy.with_functions(**functions)
    left = {name: value for name, value in settings.items() if name not in known}
    fields = [field.name for field in dataclasses.fields(strategy)]
    for name in left:
        if name not in fields:
            raise WrongTypeError(
                f"{path.name} has no parameter {name!r}: {suggest(name, {**known, **dict.fromkeys(fields)})}"
            )
    if left:
        strategy = strategy.changed(**left)
    start, end = (names.get(name, _value(call.get(name), names)) for name in ("start_date", "end_date"))
    return NotebookStrategy(strategy, start, end, f"{valid_text(path.name)}: {described(strategy)}")


def described(strategy: Strategy) -> str:
    """Return the differences from the published strategy in words."""
    return ", ".join(strategy.differences()) or "as published"


def _needed(path: Path, cells: list[CodeCell]) -> list[CodeCell]:
    """Return the cells to execute.

    See `strategy_of`.
    """
    offered = [cell for cell in cells if not cell.source.startswith(DEBUG)]
    makers = [k for k, cell in enumerate(offered) if {"strategy", *METHODS} & _bound(cell.source)]
    if not makers:
        raise NotebookError(
            f"{path.name} makes no strategy: a cell without #DEBUG# must set strategy = Strategy(…), or "
            "define load_data, train_model and predict."
        )
    return [cell for cell in offered[: makers[-1] + 1] if not _calls(cell.source)]


def _execute(path: Path, cells: list[CodeCell], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Execute cells in one namespace and return it.

    `settings` replace values after the parameters cell.
    """
    run: list[str] = []  # the sources of the cells, as in a kernel
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins, "In": run}
    ipython = SimpleNamespace(run_line_magic=_nothing, run_cell_magic=_nothing, system=_nothing)
    names |= {"get_ipython": lambda: ipython, "display": _nothing}
    with _in_folder(path.parent):
        for cell in cells:
            run.append(cell.source)
            try:
                tree = ast.parse(cell.source, f"{path.name}, {cell}")
                exec(compile(tree, f"<{path.name}, {cell}>", "exec"), names)
            except UserError:
                raise
            except (Exception, SystemExit) as error:
                line = f": {type(error).__name__}: {error}".rstrip(": ")
                raise NotebookError(f"{path.name}, {cell}, fails{line}") from error
            if cell.is_parameters and settings:
                names |= settings
                run.append("\n".join(f"{name} = 0" for name in settings))  # a cell that sets them
    return names


def _nothing(*_: Any, **__: Any) -> None:
    """Stand in for a function of IPython."""


@contextlib.contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """Work in a notebook's folder without output.

    Its modules can be imported from then on.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    output = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        yield


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:  # running the cell raises it
        return ast.Module([], [])


def _bound(source: str) -> set[str]:
    """Return the names that a cell binds.

    The cells below it may use them.
    """
    try:
        table = symtable.symtable(source, "cell", "exec")
    except SyntaxError:
        return set()
    names = {item.get_name() for item in table.get_symbols() if item.is_assigned() or item.is_imported()}
    inner = [child for child in table.get_children() if child.get_type() == "function"]
    while inner:  # only a name that is declared global leaves a function
        scope = inner.pop()
        inner += scope.get_children()
        names |= {s.get_name() for s in scope.get_symbols() if s.is_declared_global() and s.is_assigned()}
    return names


def _calls(source: str) -> list[ast.Call]:
    """Return the backtest calls in a cell.

    They are the calls of `backtest_ml` and `backtest`.
    """
    calls = [node for node in ast.walk(_tree(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if _name(call.func) in BACKTESTS]


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _backtest_call(cells: list[CodeCell]) -> dict[str, ast.expr]:
    """Return the keywords of a notebook's last backtest.

    The backtest is a call of `backtest_ml`.
    """
    calls = [call for cell in cells for call in _calls(cell.source) if _name(call.func) == "backtest_ml"]
    return {word.arg: word.value for word in calls[-1].keywords if word.arg} if calls else {}


def _value(expression: ast.expr | None, names: Mapping[str, Any]) -> Any:
    """Return the value of a literal or known name.

    The result is None for any other expression.
    """
    if isinstance(expression, ast.Name):
        return names.get(expression.id)
    try:
        return None if expression is None else ast.literal_eval(expression)
    except ValueError:
        return None
