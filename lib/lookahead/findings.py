"""The findings of a look-ahead check and their report in plain words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from lib.common.errors import quantity

# Kinds of findings, the gravest first: how a line of the report begins.
LEAKS = {
    "future": "changes with what comes after the day",
    "memory": "keeps something between calls: it changes after a call with later days, as in a backtest",
}
KINDS = {"random": "differs when it is computed again with nothing changed"}
KINDS |= LEAKS | {
    "window": "changes on all days of its window with the last days of the window",
    "dates": "changes when the same prices stand under other dates or in a longer window",
}
HEADINGS = {
    "random": (
        "NOT DETERMINISTIC, so that a leak there cannot be distinguished from chance (draw random numbers "
        "from np.random.default_rng(strategy.seed)):"
    ),
    "window": (
        "SPOILS THE TRAINING, without knowing the future: each day of a window is computed with the end of "
        "the window, as close / close[-1] is. A model trained on such days learns from days that were still "
        "to come, which a prediction does not have; a backtest stays true. Use the days up to each day only:"
    ),
    "dates": (
        "DEPENDS ON THE DATES, which is a leak where prices are looked up, but not where only the "
        "calendar, or a table known in advance, is used; the check cannot distinguish the two:"
    ),
}


@dataclass(frozen=True)
class Leak:
    """A difference between answers that should be equal.

    The difference is a leak or a possible leak, depending on its kind.

    Attributes
    ----------
    stage : str
        "load_data", "feature NAME", "selection", "training" or "prediction".
    kind : str
        "future" or "memory": a leak. "random": the stage is not deterministic. "window": a feature spreads
        the end of its window over all days of it, which spoils the training. "dates": the stage depends on
        the dates themselves, or on how many days it is given.
    day, asset : numpy.datetime64[D], str
        Where it was first seen; the asset is empty where models of an own kind differ.
    size : float
        Largest difference, in units of the stage (a feature's; 1 for an asset selected or not; a model's
        output; weights). Infinite where values only appear, vanish or cannot be had.
    cases : int
        Number of the days tried on which it was seen.
    error : str
        The error that was raised, if any.
    cause : str
        The table whose later entries change the answer, where it is one known from elsewhere.
    """

    stage: str
    kind: str
    day: np.datetime64
    asset: str
    size: float
    cases: int = 1
    error: str = ""
    cause: str = ""

    def __str__(self) -> str:
        """Return the finding as one sentence."""
        size = f"by up to {self.size:.3g}" if np.isfinite(self.size) else "where a value appears or vanishes"
        days = f"{self.cases} of the days" if self.cases > 1 else "one of the days"
        what = f"changes with the entries of `{self.cause}` after the day" if self.cause else KINDS[self.kind]
        return (
            f"{self.stage} {what}; on {days} tried, first seen on {self.day}"
            f"{f' for {self.asset}' if self.asset else ''}, "
            f"{f'where it fails with {self.error}' if self.error else size}."
        )


@dataclass(frozen=True)
class LeakReport:
    """The result of `lib.lookahead.check`.

    ``print(report)`` shows it in plain words.

    Attributes
    ----------
    findings : tuple of Leak
        At most one per stage, in the order load_data, features, selection, training, prediction. A leak in
        one stage shows in those after it.
    days : numpy.ndarray of datetime64[D]
        The days tried.
    stages : tuple of str
        The stages tried.
    notes : tuple of str
        Sentences on what could not be seen.
    tables : tuple of str
        The tables known from elsewhere whose later entries were changed too.
    unseen : tuple of str
        Files, connections and objects that functions use and that could not be changed or followed.
    """

    findings: tuple[Leak, ...]
    days: np.ndarray
    stages: tuple[str, ...]
    notes: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Return True if a finding is a leak.

        A leak has the kind "future" or "memory". Findings of other kinds are in `findings` only.
        """
        return any(leak.kind in LEAKS for leak in self.findings)

    @property
    def complete(self) -> bool:
        """Return True if the check left nothing open.

        A stage that is random or depends on dates leaves a question open, and so does each entry of `unseen`.
        """
        return not self.unseen and all(leak.kind not in ("random", "dates") for leak in self.findings)

    def __str__(self) -> str:
        """Return the report, one finding per line.

        It is in plain words.
        """
        leaks = [leak for leak in self.findings if leak.kind in LEAKS]
        lines = [
            f"LOOK-AHEAD in {len(leaks)} place{'s' * (len(leaks) > 1)}:",
            *(f"- {leak}" for leak in leaks),
        ]
        looked_at = shortened([*self.stages, *self.tables])
        if not leaks and self.unseen:
            lines = [f"No look-ahead found in {looked_at}, but not all could be looked at:"]
        elif not leaks:
            lines = [
                f"No look-ahead found in {looked_at}: "
                "the results for a day are the same whatever days come after it."
            ]
        lines += [f"- not looked at: {item}" for item in self.unseen]
        for kind, heading in HEADINGS.items():
            found = [f"- {leak}" for leak in self.findings if leak.kind == kind]
            lines += [heading, *found] if found else []
        days = f"{quantity(len(self.days), 'day')} from {self.days[0]} to {self.days[-1]}"
        tables = f"; besides the data, these were changed after the day: {shortened(self.tables)}"
        tried = f"Tried: {days}; {', '.join(self.stages)}{tables if self.tables else ''}."
        return "\n".join([*lines, tried, *self.notes])


def shortened(items: Iterable[str], most: int = 8) -> str:
    """Return a shortened list as text.

    Only the number of the items beyond the first `most` is given.
    """
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def merged(leaks: Iterable[tuple[int, Leak]], stages: tuple[str, ...]) -> tuple[Leak, ...]:
    """Return one finding per stage.

    `leaks` holds the findings of each day tried as (row, finding). The result has the order of `stages`.

    The finding is of the gravest kind, see `KINDS`. It is the first in time, and has the largest size and the
    number of days. A stage that is not deterministic on one day counts as not deterministic, since the
    differences on its other days may be chance. Models of another kind may hold the time of their training.
    They give no finding as long as their predictions repeat themselves.
    """
    grave = list(KINDS).index
    leaks = list(leaks)
    kinds = {
        stage: min((leak.kind for _, leak in leaks if leak.stage == stage), key=grave, default="")
        for stage in stages
    }
    found: list[Leak] = []
    for stage, kind in kinds.items():
        of_stage = [(row, leak) for row, leak in leaks if leak.stage == stage and leak.kind == kind]
        if (
            kind == "random"
            and kinds.get("prediction") != "random"
            and not any(leak.asset for _, leak in of_stage)
        ):
            continue
        days = dict(sorted(of_stage, reverse=True, key=lambda pair: pair[0]))
        if days:
            size = max(leak.size for leak in days.values())
            found.append(replace(days[min(days)], size=size, cases=len(days)))
    return tuple(found)
