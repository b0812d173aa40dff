"""The verdict: each rule of a competition, checked on the weights of all its days."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.common.rules import RuleCheck, as_table
from lib.stats.bootstrap import FEWEST, LEVEL

if TYPE_CHECKING:
    import xarray as xr


WIDEST = 32  # characters of a cell: the table fits a terminal of 100 columns
SOURCE = "stationary bootstrap, Politis and Romano, 1994"


@dataclass(frozen=True)
class Verdict:
    """What the contest would say; print it.

    Attributes
    ----------
    checks : tuple of RuleCheck
    sharpe_ratio : float
        Annualised, as the platform's filter computes it.
    interval : tuple of float
        Its confidence interval of `lib.stats.bootstrap`.
    relatives, by_year : pandas.DataFrame
        See `lib.contest.originality.relatives` and `by_year`.
    returns : xarray.DataArray
        (time,), of each day after costs.
    others : mapping of str to xarray.DataArray
        The same of those it is compared with.
    notes : tuple of str
        Sentences on the limits of the verdict.
    """

    checks: tuple[RuleCheck, ...]
    sharpe_ratio: float
    interval: tuple[float, float]
    relatives: pd.DataFrame
    by_year: pd.DataFrame
    returns: "xr.DataArray"
    others: Mapping[str, "xr.DataArray"]
    notes: tuple[str, ...]
    source: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def admitted(self) -> bool:
        """Whether every rule is known to hold."""
        return all(check.holds for check in self.checks)

    @property
    def in_words(self) -> str:
        """The verdict in one sentence."""
        failed = [check.rule for check in self.checks if check.holds is False]
        unknown = [check.rule for check in self.checks if check.holds is None]
        if failed:
            copy = any(check.found.startswith("a copy") for check in self.checks)
            what = "It is a copy. " if copy else ""
            return f"{what}It would not be admitted: {', '.join(failed)}."
        if unknown:
            return f"It cannot be told whether it would be admitted: {', '.join(unknown)}."
        return "It would be admitted."

    @property
    def sharpe_in_words(self) -> str:
        """The Sharpe ratio with its interval, in one sentence."""
        low, high = self.interval
        found = f"Sharpe ratio {self.sharpe_ratio:.2f}"
        if not np.isfinite(low):
            return f"{found}; an interval takes at least {FEWEST} days."
        return f"{found}, {LEVEL:.0%} interval {low:.2f} to {high:.2f} ({SOURCE})."

    def __str__(self) -> str:
        """The verdict as tables and sentences."""
        first, last = (str(day)[:10] for day in self.returns.time.values[[0, -1]])
        parts = [
            f"{first} to {last}, {self.returns.sizes['time']} days. Prices: {self.source or 'not named'}",
            in_lines(as_table(list(self.checks)).reset_index()),
            self.sharpe_in_words,
            in_columns(self.by_year[["days", "sharpe_ratio"]]),
        ]
        if len(self.relatives):
            closest = self.relatives.index[0]
            parts += [in_columns(self.relatives), f"Closest: {closest}."]
        return "\n\n".join([*parts, *self.notes, self.in_words])


def in_lines(table: pd.DataFrame) -> str:
    """A table of words as text, its columns flush left and long cells on several lines."""
    rows = [[str(name) for name in table.columns], *table.to_numpy().tolist()]
    wrapped = [[textwrap.wrap(text, WIDEST, break_on_hyphens=False) for text in row] for row in rows]
    cells = [list(line) for row in wrapped for line in zip_longest(*row, fillvalue="")]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def with_headings(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose columns are named in words."""
    return table.rename(columns=lambda name: str(name).replace("_", " ").replace("sharpe", "Sharpe"))


def in_columns(table: pd.DataFrame) -> str:
    """A table as text, its numbers with three digits."""
    return with_headings(table).to_string(float_format="{:.3f}".format)
