"""The report of a check: what leaks, what is not deterministic, what depends on dates, in plain words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

# Kinds of findings, the gravest first: how a line of the report begins.
LEAKS = {
    "future": "changes with what comes after the day",
    "memory": "remembers: its answer changes once it was asked about later days, as in a backtest",
}
KINDS = {"random": "differs when it is asked again with nothing changed"}
KINDS |= LEAKS | {"dates": "changes when the same prices stand under other dates or in a longer window"}
HEADINGS = {
    "random": (
        "NOT DETERMINISTIC, so that a leak there cannot be distinguished from chance (draw random numbers "
        "from np.random.default_rng(strategy.seed)):"
    ),
    "dates": (
        "DEPENDS ON THE DATES, which is a leak where prices are looked up, but not where only the "
        "calendar, or a table known in advance, is used; the check cannot distinguish the two:"
    ),
}


@dataclass(frozen=True)
class Leak:
    """A leak, or what may be one: a difference between two answers that should be the same.

    Attributes
    ----------
    stage : str
        "feature NAME", "selection", "training" or "prediction".
    kind : str
        "future" or "memory": a leak. "random": the stage is not deterministic. "dates": it depends on the
        dates themselves, or on how many days it is given.
    day, asset : numpy.datetime64[D], str
        Where it was first seen.
    size : float
        Largest difference, in units of the stage (a feature's; 1 for an asset selected or not; a model's
        output; weights). Infinite where values only appear, vanish or cannot be had.
    cases : int
        Number of the days tried on which it was seen.
    error : str
        What was raised, where it was.
    """

    stage: str
    kind: str
    day: np.datetime64
    asset: str
    size: float
    cases: int = 1
    error: str = ""

    def __str__(self) -> str:
        """One sentence."""
        size = f"by up to {self.size:.3g}" if np.isfinite(self.size) else "where a value appears or vanishes"
        days = f"{self.cases} of the days" if self.cases > 1 else "one of the days"
        return (
            f"{self.stage} {KINDS[self.kind]}; on {days} tried, first seen on {self.day} for {self.asset}, "
            f"{f'where it fails with {self.error}' if self.error else size}."
        )


@dataclass(frozen=True)
class LeakReport:
    """The result of `lib.lookahead.check`; print it.

    Attributes
    ----------
    findings : tuple of Leak
        At most one per stage, in the order features, selection, training, prediction. A leak in one stage
        shows in those after it.
    days : numpy.ndarray of datetime64[D]
        The days tried.
    stages : tuple of str
        The stages tried.
    notes : tuple of str
        What could not be seen.
    """

    findings: tuple[Leak, ...]
    days: np.ndarray
    stages: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether the future leaks; what is random or depends on dates is in `findings` only."""
        return any(leak.kind in LEAKS for leak in self.findings)

    def __str__(self) -> str:
        """Plain words, one finding a line."""
        leaks = [leak for leak in self.findings if leak.kind in LEAKS]
        lines = [
            f"LOOK-AHEAD in {len(leaks)} place{'s' * (len(leaks) > 1)}:",
            *(f"- {leak}" for leak in leaks),
        ]
        if not leaks:
            lines = ["No look-ahead found: the answers for a day are the same whatever days come after it."]
        for kind, heading in HEADINGS.items():
            found = [f"- {leak}" for leak in self.findings if leak.kind == kind]
            lines += [heading, *found] if found else []
        tried = f"Tried: {len(self.days)} days from {self.days[0]} to {self.days[-1]}"
        return "\n".join([*lines, f"{tried}; {', '.join(self.stages)}.", *self.notes])


def merged(leaks: Iterable[tuple[int, Leak]], stages: tuple[str, ...]) -> tuple[Leak, ...]:
    """One finding per stage from those of each day tried (row, finding), in the order of the stages.

    Of the gravest kind, see `KINDS`: the first in time, with the largest size and the number of days. A stage
    that is not deterministic on one day is not: what its other days seem to show is chance.
    """
    grave = list(KINDS).index
    found: list[Leak] = []
    for stage in stages:
        of_stage = [(row, leak) for row, leak in leaks if leak.stage == stage]
        kind = min((leak.kind for _, leak in of_stage), key=grave, default="")
        days = {
            row: leak
            for row, leak in sorted(of_stage, reverse=True, key=lambda pair: pair[0])
            if leak.kind == kind
        }
        if days:
            size = max(leak.size for leak in days.values())
            found.append(replace(days[min(days)], size=size, cases=len(days)))
    return tuple(found)
