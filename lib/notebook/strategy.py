"""The strategy that a notebook defines.

Every command uses it, except the one that runs the notebook itself.
"""

import ast
import builtins
import contextlib
import dataclasses
import io
import symtable
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from lib.common.errors import UserError, WrongTypeError, suggest
from lib.common.files import valid_text
from lib.notebook.cells import DEBUG, CodeCell, assignments, code_cells, optional_parameters
from lib.strategy import METHODS, Strategy

BACKTESTS = ("backtest", "backtest_ml")  # calls of qnt.backtester: cells with one are not executed
KEYWORDS = {"load_data": "load_data", "train_model": "train", "predict": "predict"}  # of backtest_ml
PERIODS = ("train_period", "lookback_period", "retrain_interval", "competition_type")


class NotebookStrategy(NamedTuple):
    """The strategy of a notebook, the days of its backtest, and a headline."""

    strategy: Strategy
    start_date: Any  # None where the notebook sets none
    end_date: Any
    headline: str  # such as "strategy.ipynb: top_assets=6, own predict"


class NotebookError(UserError, ValueError):
    """A notebook that defines no strategy, or whose cells fail."""


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
    except SyntaxError:
        return ast.Module([], [])


def _bound(source: str) -> set[str]:
    """Return the names that a cell binds for the cells below it."""
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
    """Return the calls of `backtest_ml` and `backtest` in a cell."""
    calls = [node for node in ast.walk(_tree(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if _name(call.func) in BACKTESTS]


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _backtest_call(cells: list[CodeCell]) -> dict[str, ast.expr]:
    """Return the keywords of the notebook's last call of `backtest_ml`."""
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
