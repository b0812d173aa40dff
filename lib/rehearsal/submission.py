"""The notebook as the evaluator runs it: its cells, its parameters, and facts read from its source."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.common.competitions import COMPETITIONS, rules_of
from lib.notebook_strategy import DEBUG, CodeCell, assignments, check_parameters, read_notebook, tags_of
from lib.strategy import Strategy

MAY_FAIL = "raises-exception"  # Jupyter goes on after an error in a cell with this tag


@dataclass(frozen=True)
class Submission:
    """A notebook, ready to be run as the evaluator runs it.

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
    """Read a notebook, remove its `#DEBUG#` cells and set parameters.

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
    """Return the names that a cell defines: variables, functions, classes and imports.

    The cell may hold commands of IPython.
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
    """Return the competition that a notebook names, or whose loader it calls; else the default one."""
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
