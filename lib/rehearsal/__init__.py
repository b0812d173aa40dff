"""A rehearsal of a submission: the notebook runs as the platform runs it, and what it leaves is judged.

    python -m lib.rehearsal --days 5 [--end 2024-12-30] [--notebook strategy.ipynb] [--set top_assets=6]
    python -m lib.rehearsal --dates precheck

Exit code 0 if the platform would accept every day, else 1.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from lib.cli import parse_day
from lib.competitions import COMPETITIONS
from lib.rehearsal import market
from lib.rehearsal.crash import explain
from lib.rehearsal.fresh import fresh_python
from lib.rehearsal.judgement import Verdict, judge
from lib.rehearsal.one_pass import Pass, differences, run_pass
from lib.rehearsal.stage import Stage
from lib.rehearsal.submission import Submission, read_submission
from lib.rehearsal.summary import summary
from lib.rehearsal.working_folder import copy_into

if TYPE_CHECKING:
    import xarray as xr

KNOWN_FOR = np.timedelta64(6 * 365, "D")  # an asset without data for longer is unknown; the loaders' default
EARLIEST = np.datetime64("1990-01-01")  # no competition has data before


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found; ``print(rehearsal)`` shows it.

    Attributes
    ----------
    passes : list of Pass
        What each run of the notebook left.
    verdicts : list of Verdict
        Faults and notes of each pass.
    submission : Submission
        The notebook that was run.
    """

    passes: list[Pass]
    verdicts: list[Verdict]
    submission: Submission

    @property
    def passed(self) -> bool:
        """Whether no pass has a fault."""
        return not any(verdict.faults for verdict in self.verdicts)

    def __str__(self) -> str:
        """The report: see `lib.rehearsal.summary.summary`."""
        name = self.submission.path.name
        notes = [] if name == "strategy.ipynb" else [f"submit {name} under the name strategy.ipynb"]
        rules = COMPETITIONS[self.submission.competition_type]
        return summary(self.passes, self.verdicts, rules, self.submission.cells, notes)


def rehearse(
    notebook: Path | str,
    days: int | str = 5,
    end: Any = None,
    settings: Mapping[str, Any] | None = None,
    twice: bool = False,
    fresh: bool = False,
) -> Rehearsal:
    """Run the notebook as the platform does, once per day, each time in a new process.

    It runs in a folder of its own, from a copy without its `#DEBUG#` cells; what lies beside it is there too.

    Parameters
    ----------
    notebook : path
    days : int or "precheck"
        The number of last trading days, the state handed on from day to day as in the contest; or the days of
        the platform's precheck, each without a state.
    end : date, optional
        The last of the days; by default the last one there is.
    settings : mapping of str, optional
        New values of the notebook's parameters.
    twice : bool
        Run each pass twice from the same state, and compare weights and state bit by bit.
    fresh : bool
        Run it in a new environment in which only `init.ipynb` installed something.

    Raises
    ------
    ValueError
        A wrong date, parameter or notebook, fewer trading days than asked for, or an environment that could
        not be made. No pass has run then.
    OSError
        The notebook cannot be read.
    """
    last = parse_day("--end", end)
    submission = read_submission(Path(notebook), settings)
    kind = submission.competition_type
    # On Windows a file that an ended pass held open may stay for a moment.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        stage = Stage(
            folder=Path(temporary).resolve(),
            host=market.host(),
            limit=60 * COMPETITIONS[kind].minutes_per_pass,
            chained=isinstance(days, int),
        )
        stage.work.mkdir()
        copy_into(submission, stage.work)
        with contextlib.chdir(stage.work):  # the platform's library keeps a cache where it runs
            dates = _dates(kind, days, last)
            if fresh:
                stage = dataclasses.replace(stage, python=fresh_python(stage.folder, stage.work))
            passes = [_run(stage, day, twice) for day in tqdm(dates, unit="pass", desc="Rehearsal")]
            shown = market.shown_names(stage.work)
            passes = [_renamed(done, shown) for done in passes]
            data = _data(passes, kind, stage.work)
    verdicts = judge(
        passes, data, COMPETITIONS[kind], lambda done: explain(done.run, submission), stage.chained
    )
    return Rehearsal(passes, verdicts, submission)


def _dates(kind: str, days: int | str, end: np.datetime64 | None) -> np.ndarray:
    if isinstance(days, int):
        return market.last_days(kind, days, end)
    if days != "precheck":
        raise ValueError(f"days is {days!r}: it must be a number of days or 'precheck'.")
    return market.precheck_days(kind, end)


def _run(stage: Stage, day: np.datetime64, twice: bool) -> Pass:
    first = run_pass(stage, day)
    if not twice:
        return first
    return dataclasses.replace(first, differences=differences(first, run_pass(stage, day, again=True)))


def _renamed(done: Pass, shown: Mapping[str, str]) -> Pass:
    """The pass with its weights under the names that the notebook saw, which the state has too."""
    if done.weights is None:
        return done
    names = [shown.get(asset, asset) for asset in done.weights.asset.values.tolist()]
    return dataclasses.replace(done, weights=done.weights.assign_coords(asset=names))


def _data(passes: Sequence[Pass], kind: str, work: Path) -> "xr.DataArray":
    """Prices of all assets and days that the passes wrote about."""
    days = [done.day for done in passes]
    assets: set[str] = set()
    for done in passes:
        if done.weights is not None:
            assets |= set(done.weights.asset.values.tolist())
            days += [day for day in done.weights.time.values.astype("M8[D]").ravel() if day >= EARLIEST]
        if done.state is not None:
            assets |= set(done.state.weights)
    first = min(days) - KNOWN_FOR
    return market.prices(kind, first, max(done.day for done in passes), assets, work)
