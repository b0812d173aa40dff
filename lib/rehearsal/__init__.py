"""A rehearsal of a submission.

The notebook runs as on the platform, and its files are checked.

python -m lib.rehearsal --days 5 [--end 2024-12-30] [--notebook strategy.ipynb] [--set top_assets=6]
    python -m lib.rehearsal --dates precheck

Exit code 0 if the platform would accept every day, 1 if not, 2 if the input was refused.
"""

import contextlib
import dataclasses
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lib.common.command_line import parse_day
from lib.common.competitions import COMPETITIONS, Competition
from lib.common.errors import quantity
from lib.notebook_strategy import CodeCell
from lib.rehearsal import market
from lib.rehearsal.assessment import MAX_MEMORY, Assessment, assess
from lib.rehearsal.passes import PassResult, Stage, copy_submission, differences, fresh_python, run_pass
from lib.rehearsal.submission import COLOURS, MAY_FAIL, Submission, read_submission
from lib.state.positions import in_words

SLOWEST = 6  # cells listed by name


@dataclass(frozen=True)
class Rehearsal:
    """The passes of a rehearsal and their assessment.

    ``print(rehearsal)`` shows the report.

    Attributes
    ----------
    passes : list of PassResult
    assessments : list of Assessment
        Faults and notes of each pass.
    submission : Submission
        The notebook that was run.
    """

    passes: list[PassResult]
    assessments: list[Assessment]
    submission: Submission

    @property
    def passed(self) -> bool:
        """Return True if no pass has a fault."""
        return not any(found.faults for found in self.assessments)

    def __str__(self) -> str:
        """Return the report of `report_text`."""
        name = self.submission.path.name
        notes = [] if name == "strategy.ipynb" else [f"submit {name} under the name strategy.ipynb"]
        notes += [
            f"{cell} is tagged {MAY_FAIL}: an error in it does not end the pass"
            for cell in self.submission.may_fail
        ]
        rules = COMPETITIONS[self.submission.competition_type]
        return report_text(self.passes, self.assessments, rules, self.submission.cells, notes)


def rehearse(
    notebook: Path | str,
    days: int | str = 5,
    end: Any = None,
    settings: Mapping[str, Any] | None = None,
    twice: bool = False,
    fresh: bool = False,
) -> Rehearsal:
    """Run the notebook as the platform does.

    It runs once per day, each time in a new process.

    Each pass runs in a fresh copy of the notebook, without the `#DEBUG#` cells, and of the files beside it.
    Only the state is handed from one pass to the next.

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
        Run it in a new environment in which only `init.ipynb` installed packages.

    Raises
    ------
    TypeError, ValueError
        A wrong date, parameter or notebook, fewer trading days than asked for, or an environment that could
        not be made. No pass has run then.
    OSError
        The notebook or a file beside it cannot be read, or the disk is full.
    """
    last = parse_day("--end", end)
    submission = read_submission(Path(notebook), settings)
    kind = submission.competition_type
    # On Windows a file that an ended pass held open may stay for a moment.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        with _market_folder(folder, submission):
            stage = Stage(
                folder=folder,
                host=market.host(),
                limit=60 * COMPETITIONS[kind].minutes_per_pass,
                chained=isinstance(days, int),
            )
            copy_submission(submission, stage.submission)
            dates = market.days_of(kind, days, last)
            if fresh:
                stage = dataclasses.replace(stage, python=fresh_python(folder, stage.submission))
            passes = [_run(stage, day, twice) for day in tqdm(dates, unit="pass", desc="Rehearsal")]
            shown = market.shown_names(stage.submission)
            passes = [_renamed(done, shown) for done in passes]
            data = market.prices_of(passes, kind, stage.submission)
    assessments = assess(passes, data, COMPETITIONS[kind], submission, stage.chained)
    return Rehearsal(passes, assessments, submission)


@contextlib.contextmanager
def _market_folder(folder: Path, submission: Submission) -> Iterator[None]:
    """Work in a folder for the platform's library.

    The library keeps a cache and a table of names in the folder where it runs. The table beside the notebook
    is copied there.
    """
    place = folder / "market"
    place.mkdir()
    table = submission.path.absolute().parent / market.TABLE
    if table.is_file():
        shutil.copy(table, place)
    with contextlib.chdir(place):
        yield


def _run(stage: Stage, day: np.datetime64, twice: bool) -> PassResult:
    first = run_pass(stage, day)
    if not twice:
        return first
    found, other = differences(first, run_pass(stage, day, again=True))
    return dataclasses.replace(first, differences=found, other_differences=other)


def _renamed(done: PassResult, shown: Mapping[str, str]) -> PassResult:
    """Return the pass with renamed assets.

    The weights get the names that the notebook saw, which the state has too.
    """
    if done.weights is None:
        return done
    names = [shown.get(asset, asset) for asset in done.weights.asset.values.tolist()]
    return dataclasses.replace(done, weights=done.weights.assign_coords(asset=names))


# ---- the printed report ----


def report_text(
    passes: Sequence[PassResult],
    assessments: Sequence[Assessment],
    rules: Competition,
    cells: Sequence[CodeCell] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return the report of a rehearsal as text.

    It has a line for each day, fault and note, the seconds of the cells, and the outcome. A note that holds
    for every pass is printed once, at the end. Control characters, which names of assets and errors may
    contain, are escaped.

    Parameters
    ----------
    passes, assessments : sequences of PassResult and Assessment
        Of the same length.
    rules : Competition
    cells : sequence of CodeCell
        The notebook's cells.
    notes : sequence of str
        About the notebook as a whole.
    """
    counts = Counter(note for found in assessments for note in dict.fromkeys(found.notes))
    common = [note for note, count in counts.items() if count == len(passes) > 1]
    lines = []
    for done, found in zip(passes, assessments, strict=True):
        run = done.run
        memory = "" if run.memory is None else f", {run.memory / 2**20:.0f} MiB"
        outcome = "FAILED" if found.faults else "ok"
        lines.append(f"{done.day}  {outcome}  {run.seconds:.1f} s{memory}{_invested(done)}")
        lines += [f"    {fault}" for fault in found.faults]
        lines += [f"    note: {note}" for note in found.notes if note not in common]
    lines += _cell_lines(passes, cells)
    lines += [f"Note: {note}" for note in [*(f"on every day, {note}" for note in common), *notes]]
    lines.append(_forecast(passes, rules))
    failed = sum(bool(found.faults) for found in assessments)
    lines.append(
        f"FAILED on {failed} of {quantity(len(passes), 'day')}."
        if failed
        else f"PASSED: weights on each of {quantity(len(passes), 'day')}, liquid and within the limits."
    )
    return printable("\n".join(lines))


def printable(text: str) -> str:
    """Return text without colours and control characters.

    Colours are removed, and other control characters except line breaks are escaped.
    """
    text = COLOURS.sub("", text)
    return re.sub(r"[^\n]", lambda found: found[0] if found[0].isprintable() else ascii(found[0])[1:-1], text)


def _forecast(passes: Sequence[PassResult], rules: Competition) -> str:
    """Return the estimated time of a submission.

    The estimate uses the passes that ran to their end.
    """
    allowed = f"(allowed: {rules.minutes_per_pass} minutes a pass, {MAX_MEMORY >> 30} GiB)"
    complete = [done.run.seconds for done in passes if not done.run.exit_code]
    if not complete:
        return f"No pass ran to its end, so that the time of a submission cannot be told {allowed}."
    seconds = float(np.mean(complete))
    years = (max(done.day for done in passes) - np.datetime64(rules.first_day)) / np.timedelta64(8766, "h")
    number = max(round(float(years) * rules.days_a_year / 100), 1) * 100
    return (
        f"A submission of about {number:,} passes would take {seconds * number / 3600:.1f} hours "
        f"here, at {seconds:.1f} s a pass {allowed}."
    )


def _cell_lines(passes: Sequence[PassResult], cells: Sequence[CodeCell]) -> list[str]:
    """Return the mean seconds of the slowest cells.

    Further lines have the seconds of the other cells, and of all that is not a cell.
    """
    seconds: dict[int, list[float]] = {}
    for done in passes:
        for cell in done.run.cells:
            seconds.setdefault(cell.cell, []).append(cell.seconds)
    if not seconds or not cells:
        return []
    mean = {index: float(np.mean(values)) for index, values in seconds.items()}
    by_time = sorted((index for index in mean if mean[index] >= 0.05), key=lambda index: -mean[index])
    slowest = by_time[:SLOWEST]
    rest = [index for index in mean if index not in slowest]
    total = float(np.mean([done.run.seconds for done in passes]))
    lines = [f"  {mean[index]:6.2f} s  {cells[index]}" for index in sorted(slowest)]
    if rest:
        lines.append(f"  {sum(mean[index] for index in rest):6.2f} s  {len(rest)} other cells")
    started = max(total - sum(mean.values()), 0.0)
    return ["Seconds of a pass:", *lines, f"  {started:6.2f} s  starting Jupyter and making the page"]


def _invested(done: PassResult) -> str:
    if done.weights is None or set(done.weights.dims) != {"time", "asset"} or not done.weights.size:
        return ""
    return f", {in_words(done.weights.isel(time=-1).values.tolist())}"
