"""The code cells of a notebook, and the check of its parameters."""

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lib.common.command_line import PROJECT, parse_day
from lib.common.errors import WrongTypeError, WrongValueError, suggest
from lib.strategy import DATES, Strategy

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


def code_cells(path: Path) -> list[CodeCell]:
    """Read the code cells of a notebook (nbformat 4).

    Commands of IPython become Python.

    Raises
    ------
    ValueError
        The file is not a notebook.
    OSError
        The file cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = [
            (cell["cell_type"], "".join(cell["source"]), cell.get("metadata", {}))
            for cell in content["cells"]
        ]
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no notebook {path}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):  # bad JSON and bad UTF-8 are ValueErrors
        raise WrongValueError(f"{path} is not a notebook (nbformat 4).") from None
    return [
        CodeCell(number, _as_python(source), "parameters" in metadata.get("tags", []))
        for number, (kind, source, metadata) in enumerate(cells, start=1)
        if kind == "code"
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
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # running the cell raises it
        return {}
    for statement in statements:
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
    """Return the parameters of `Strategy` that a parameters cell need not set."""
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
