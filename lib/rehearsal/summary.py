"""The printed report of a rehearsal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lib.common.competitions import Competition
from lib.rehearsal.judgement import MAX_MEMORY, Verdict
from lib.rehearsal.one_pass import Pass

if TYPE_CHECKING:
    from lib.rehearsal.submission import Cell

SUBMISSION = 5_000  # passes, one for each trading day since 2006
SLOWEST = 6  # cells listed by name


def summary(
    passes: Sequence[Pass],
    verdicts: Sequence[Verdict],
    rules: Competition,
    cells: "Sequence[Cell]" = (),
    notes: Sequence[str] = (),
) -> str:
    """Return a line for each day, fault and note, the seconds of the cells, and the outcome.

    Parameters
    ----------
    passes, verdicts : sequences of Pass and Verdict
        Of the same length.
    rules : Competition
    cells : sequence of Cell
        The notebook's cells.
    notes : sequence of str
        About the notebook as a whole.
    """
    lines = []
    for done, verdict in zip(passes, verdicts, strict=True):
        run = done.run
        memory = "" if run.memory is None else f", {run.memory / 2**20:.0f} MiB"
        outcome = "FAILED" if verdict.faults else "ok"
        lines.append(f"{done.day}  {outcome}  {run.seconds:.1f} s{memory}{_invested(done)}")
        lines += [f"    {fault}" for fault in verdict.faults]
        lines += [f"    note: {note}" for note in verdict.notes]
    lines += _cell_lines(passes, cells)
    lines += [f"Note: {note}" for note in notes]
    seconds = float(np.mean([done.run.seconds for done in passes]))
    lines.append(
        f"A submission of about {SUBMISSION:,} passes would take {seconds * SUBMISSION / 3600:.1f} hours "
        f"here, at {seconds:.1f} s a pass (allowed: {rules.minutes_per_pass} minutes a pass, "
        f"{MAX_MEMORY >> 30} GiB)."
    )
    failed = sum(bool(verdict.faults) for verdict in verdicts)
    lines.append(
        f"FAILED on {failed} of {len(passes)} days."
        if failed
        else f"PASSED: weights on each of {len(passes)} days, liquid and within the limits."
    )
    return "\n".join(lines)


def _cell_lines(passes: Sequence[Pass], cells: "Sequence[Cell]") -> list[str]:
    """Mean seconds of the slowest cells, and of all that is not a cell."""
    seconds: dict[int, list[float]] = {}
    for done in passes:
        for cell in done.run.cells:
            seconds.setdefault(cell.cell, []).append(cell.seconds)
    if not seconds or not cells:
        return []
    mean = {index: float(np.mean(values)) for index, values in seconds.items()}
    slowest = sorted((index for index in mean if mean[index] >= 0.05), key=lambda index: -mean[index])[
        :SLOWEST
    ]
    rest = [index for index in mean if index not in slowest]
    total = float(np.mean([done.run.seconds for done in passes]))
    lines = [f"  {mean[index]:6.2f} s  {cells[index]}" for index in sorted(slowest)]
    if rest:
        lines.append(f"  {sum(mean[index] for index in rest):6.2f} s  {len(rest)} other cells")
    started = max(total - sum(mean.values()), 0.0)
    return ["Seconds of a pass:", *lines, f"  {started:6.2f} s  starting Jupyter and making the page"]


def _invested(done: Pass) -> str:
    if done.weights is None or set(done.weights.dims) != {"time", "asset"} or not done.weights.size:
        return ""
    row = np.abs(done.weights.isel(time=-1).values)
    return f", {np.count_nonzero(row)} positions, {row.sum():.1%} of the capital"
