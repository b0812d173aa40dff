"""A rehearsal of a submission: the notebook runs as on the platform, and its files are judged.

    python -m lib.rehearsal --days 5 [--end 2024-12-30] [--notebook strategy.ipynb] [--set top_assets=6]
    python -m lib.rehearsal --dates precheck

Exit code 0 if the platform would accept every day, else 1.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lib.common.command_line import parse_day
from lib.common.competitions import COMPETITIONS
from lib.rehearsal import market
from lib.rehearsal.crash import explain
from lib.rehearsal.fresh import fresh_python
from lib.rehearsal.judgement import Verdict, judge
from lib.rehearsal.one_pass import Pass, differences, run_pass
from lib.rehearsal.stage import Stage
from lib.rehearsal.submission import Submission, read_submission
from lib.rehearsal.summary import summary
from lib.rehearsal.working_folder import copy_into


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

    A copy without the `#DEBUG#` cells runs in a folder of its own, with the files beside the notebook.

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
    TypeError, ValueError
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
            dates = market.days_of(kind, days, last)
            if fresh:
                stage = dataclasses.replace(stage, python=fresh_python(stage.folder, stage.work))
            passes = [_run(stage, day, twice) for day in tqdm(dates, unit="pass", desc="Rehearsal")]
            shown = market.shown_names(stage.work)
            passes = [_renamed(done, shown) for done in passes]
            data = market.prices_of(passes, kind, stage.work)
    verdicts = judge(
        passes, data, COMPETITIONS[kind], lambda done: explain(done.run, submission), stage.chained
    )
    return Rehearsal(passes, verdicts, submission)


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
