"""The folders in which the passes of a rehearsal run, and the state handed from pass to pass."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from lib.state import DEFAULT_PATH


@dataclass(frozen=True)
class Stage:
    """The folders and limits of the passes.

    Attributes
    ----------
    folder : pathlib.Path
        It gets `work`, in which the notebook runs, and `results`, outside of it, as on the platform.
    host : str
        Address of the data service, without a day.
    limit : float
        Seconds that a pass may take.
    chained : bool
        Whether the state is handed from pass to pass, as the contest does and the precheck does not.
    python : str
        The interpreter that runs the notebook.
    """

    folder: Path
    host: str
    limit: float
    chained: bool = True
    python: str = sys.executable

    @property
    def work(self) -> Path:
        """The folder in which the notebook runs."""
        return self.folder / "work"

    @property
    def results(self) -> Path:
        """The folder for what it writes."""
        return self.folder / "results"


def hand_over_state(stage: Stage, again: bool) -> tuple[Path, dict[str, str | None]]:
    """Put the state in its place; return where the next one will be, and the variables that say so.

    Chained, the next pass gets the state that the last one wrote; with `again`, what the last one got.
    """
    if not stage.chained:
        for path in stage.work.glob("state.*pickle.gz"):
            path.unlink()
        return stage.work / DEFAULT_PATH, {"OUT_STATE_PATH": None, "IN_STATE_PATH": None}
    out, given = stage.results / "state.out", stage.results / "state.in"
    if again:
        out.unlink(missing_ok=True)
        if given.exists():
            shutil.copy(given, out)
    elif out.exists():
        shutil.copy(out, given)
    return out, {"OUT_STATE_PATH": str(out), "IN_STATE_PATH": str(given) if given.exists() else None}
