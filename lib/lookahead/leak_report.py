"""Which leaks were found, in plain words?"""

from dataclasses import dataclass, replace

import numpy as np

HOW = {
    "future": "changes with the days after it",
    "dates": (
        "changes when the same prices stand under other dates: it reads something besides the data it is "
        "given, and whether that knows the future cannot be told from here"
    ),
    "memory": "changes when it is asked again: it remembers later days that it saw in between",
}


@dataclass(frozen=True)
class Finding:
    """One leak.

    Attributes
    ----------
    level : str
        "feature NAME", "selection", "training" or "prediction".
    how : str
        "future", "dates" or "memory": a key of `HOW`.
    day, asset : numpy.datetime64[D], str
        Where it was first seen.
    size : float
        Largest difference, in units of the level (a feature's; 1 for an asset selected or not; a model's
        output; weights). Infinite where values only appear, vanish or cannot be had.
    cases : int
        On how many of the days tried.
    error : str
        What was raised, where it was.
    """

    level: str
    how: str
    day: np.datetime64
    asset: str
    size: float
    cases: int = 1
    error: str = ""

    def __str__(self) -> str:
        """In plain words."""
        size = f"by up to {self.size:.3g}" if np.isfinite(self.size) else "where a value appears or vanishes"
        times = "one of the days" if self.cases == 1 else f"{self.cases} of the days"
        return (
            f"{self.level} {HOW[self.how]}; on {times} tried, first seen on {self.day} for {self.asset}, "
            f"{f'where it fails with {self.error}' if self.error else size}."
        )


@dataclass(frozen=True)
class LeakReport:
    """What `lib.lookahead.check` found; print it.

    Attributes
    ----------
    findings : tuple of Finding
        In the order features, selection, training, prediction; a leak in one shows in those after it.
    days : numpy.ndarray of datetime64[D]
        Tried.
    levels : tuple of str
        Tried.
    note : str
        What could not be seen.
    """

    findings: tuple[Finding, ...]
    days: np.ndarray
    levels: tuple[str, ...]
    note: str = ""

    @property
    def leaks(self) -> bool:
        """Whether anything was found."""
        return bool(self.findings)

    def __str__(self) -> str:
        """In plain words."""
        tried = (
            f"Tried: {len(self.days)} days from {self.days[0]} to {self.days[-1]}; {', '.join(self.levels)}."
        )
        said = [f"LOOK-AHEAD in {len(self.findings)} places:", *(f"- {found}" for found in self.findings)]
        if not self.leaks:
            said = ["No look-ahead found: what is said of a day is the same whatever days come after it."]
        return "\n".join([*said, tried, *filter(None, [self.note])])


def merged(findings: list[tuple[int, Finding]]) -> tuple[Finding, ...]:
    """One finding for each level and way of leaking, from those of each day tried (day's number, finding).

    The first of them, with the largest size and the number of days.
    """
    found: dict[tuple[str, str], Finding] = {}
    days: dict[tuple[str, str], set[int]] = {}
    for number, one in findings:
        key = one.level, one.how
        days.setdefault(key, set()).add(number)
        first = found.setdefault(key, one)
        found[key] = replace(first, size=max(first.size, one.size), cases=len(days[key]))
    return tuple(found.values())
