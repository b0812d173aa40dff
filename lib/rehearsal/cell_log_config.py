"""A configuration of nbconvert that logs cells.

It writes a line of JSON per cell into `cells`, beside this file. The rehearsal copies it into the folder of
results and names it to `jupyter nbconvert --config`.
"""

import json
import time
from pathlib import Path
from typing import Any

LOG = Path(__file__).with_name("cells")
c = get_config()  # type: ignore[name-defined]  # noqa: F821
started: dict[int, float] = {}  # by index of the cell


def note_start(cell: Any, cell_index: int) -> None:
    """Record the time at which a cell starts."""
    started[cell_index] = time.perf_counter()


def log_cell(cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
    """Log the seconds and error of a cell.

    The entry has the seconds that the cell took, and the error that ended it, if any.
    """
    content = execute_reply["content"]
    entry = {"cell": cell_index, "seconds": time.perf_counter() - started[cell_index]}
    if content["status"] == "error":
        entry |= {"error": content.get("ename", ""), "text": content.get("evalue", "")}
    with LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


c.ExecutePreprocessor.on_cell_execute = note_start
c.ExecutePreprocessor.on_cell_executed = log_cell
