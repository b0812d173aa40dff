"""The notebook as the evaluator runs it: its cells and its parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lib.common.competitions import rules_of
from lib.notebook.cells import assignments, check_parameters
from lib.rehearsal.source_code import literal_of
from lib.strategy import Strategy

DEBUG = "#DEBUG#"


class Cell(NamedTuple):
    """A cell of the notebook: its number, counted from 1 over all cells, and its source."""

    number: int
    source: str

    def __str__(self) -> str:
        """Number and first line."""
        lines = [line.strip() for line in self.source.splitlines() if line.strip(" #")]
        first = next((line for line in lines if line != DEBUG), "empty")
        return f"cell {self.number} ({first[:48]}{'…' if len(first) > 48 else ''})"


@dataclass(frozen=True)
class Submission:
    """A notebook, ready to be run as the evaluator runs it.

    Attributes
    ----------
    path : pathlib.Path
        The notebook that it was made from.
    content : dict
        The notebook that is run (nbformat 4): without `#DEBUG#` cells, with the settings.
    cells, removed : tuple of Cell
        The cells of `content`, one for each of its entries, and the code cells that the evaluator removes.
    competition_type : str
        The competition that the notebook trades.
    """

    path: Path
    content: dict[str, Any]
    cells: tuple[Cell, ...]
    removed: tuple[Cell, ...]
    competition_type: str


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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        raw = [(cell, "".join(cell["source"])) for cell in content["cells"]]
        kinds = [cell["cell_type"] for cell, _ in raw]
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no notebook {path}.") from None
    except (ValueError, KeyError, TypeError):  # bad JSON and bad UTF-8 are ValueErrors
        raise ValueError(f"{path} is not a notebook (nbformat 4).") from None
    kept: list[tuple[dict, Cell]] = []
    removed = []
    known: dict[str, Any] = {}
    for number, ((cell, source), kind) in enumerate(zip(raw, kinds, strict=True), start=1):
        if kind == "code" and source.startswith(DEBUG):
            removed.append(Cell(number, source))
            continue
        kept.append((cell, Cell(number, source)))
        if kind == "code" and "parameters" in cell.get("metadata", {}).get("tags", []):
            known |= assignments(source)
            if settings:
                lines = "\n".join(f"{name} = {value!r}" for name, value in settings.items())
                kept.append((cell | {"id": "settings", "source": lines}, Cell(number, lines)))
    code = "\n".join(cell.source for raw_cell, cell in kept if raw_cell["cell_type"] == "code")
    settings = dict(settings or {})
    check_parameters(path, known, settings, code)
    kind = literal_of("competition_type", known | settings, code) or Strategy.competition_type
    rules_of(kind)
    return Submission(
        path=path,
        content=content | {"cells": [cell for cell, _ in kept]},
        cells=tuple(cell for _, cell in kept),
        removed=tuple(removed),
        competition_type=kind,
    )
