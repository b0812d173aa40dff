"""The verdict: each rule of a competition, checked on all weights."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.common.competitions import Competition
from lib.common.errors import quantity
from lib.common.rules import SHARPE_RATIO, RuleCheck, check_rules, rules_table
from lib.contest import peers
from lib.stats.performance import measured
from lib.stats.portfolios import equal_weights, exposure, portfolio
from lib.stats.resampling import FEWEST, LEVEL, coverage_sentence, interval
from lib.stats.sharpe import annual_sharpe_ratio

if TYPE_CHECKING:
    import xarray as xr


WIDEST = 32  # characters of a cell: the table fits a terminal of 100 columns
SOURCE = "stationary bootstrap, Politis and Romano, 1994"
LONGEST_GAP = 10  # calendar days on which a market is closed
SYNTHETIC = (
    "These prices are random. The rules are checked as on real ones, but the Sharpe ratio, and whatever is "
    "compared by it, mean nothing here."
)
ELSEWHERE = "The systems of other contestants are known to the platform alone."


@dataclass(frozen=True)
class Verdict:
    """The expected verdict of the contest.

    Print it to see its tables and sentences.

    Attributes
    ----------
    checks : tuple of RuleCheck
    sharpe_ratio : float
        Annualised, as the platform's filter computes it.
    interval : tuple of float
        Its confidence interval of `lib.stats.resampling`.
    relatives, by_year : pandas.DataFrame
        See `lib.contest.peers.relatives` and `by_year`.
    returns : xarray.DataArray
        (time,), the daily returns after costs.
    others : mapping of str to xarray.DataArray
        The daily returns of the systems it is compared with.
    notes : tuple of str
        Sentences on the limits of the verdict.
    source, title : str
        The source of the prices, and the name of the strategy.
    parameters : mapping
        The parameters of the strategy.
    is_copy : bool
        True if the weights or the returns are nearly those of the published template.
    exposure : mapping of str to float
        Long, short, gross and net exposure of an average day, as shares of the capital.
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
    title: str = ""  # of the strategy, such as "strategy.ipynb: top_assets=6"
    is_copy: bool = False
    exposure: Mapping[str, float] = field(default_factory=dict)

    @property
    def admitted(self) -> bool:
        """Return True if every rule is known to hold."""
        return all(check.holds for check in self.checks)

    @property
    def in_words(self) -> str:
        """Return the verdict in one sentence."""
        failed = [check.rule for check in self.checks if check.holds is False]
        unknown = [check.rule for check in self.checks if check.holds is None]
        if failed:
            what = "It is a copy. " if self.is_copy else ""
            return f"{what}It would not be admitted: {', '.join(failed)}."
        if unknown:
            return f"It cannot be told whether it would be admitted: {', '.join(unknown)}."
        return "It would be admitted."

    @property
    def days_in_words(self) -> str:
        """Return first day, last day and number of days."""
        first, last = (str(day)[:10] for day in self.returns.time.values[[0, -1]])
        return f"{first} to {last}, {quantity(self.returns.sizes['time'], 'day')}"

    @property
    def sharpe_in_words(self) -> str:
        """Return a sentence with the Sharpe ratio and interval."""
        if not np.isfinite(self.sharpe_ratio):
            return "There is no Sharpe ratio: the returns never change."
        low, high = self.interval
        found = f"Sharpe ratio {self.sharpe_ratio:.2f}"
        if not np.isfinite(low):
            return f"{found}; an interval takes at least {FEWEST} days."
        few = coverage_sentence(self.returns.sizes["time"])
        return f"{found}, {LEVEL:.0%} interval {low:.2f} to {high:.2f} ({SOURCE}). {few}".strip()

    @property
    def exposure_in_words(self) -> str:
        """Return a sentence with the average day's exposure."""
        shares = ", ".join(f"{name} {share:z.1%}" for name, share in self.exposure.items())
        return f"Exposure on an average day: {shares or 'not known'} of the capital."

    def __str__(self) -> str:
        """Return the verdict as tables and sentences."""
        parts = [
            f"{self.days_in_words}. Prices: {self.source or 'not named'}",
            in_lines(rules_table(list(self.checks)).reset_index()),
            self.sharpe_in_words,
            self.exposure_in_words,
            in_columns(self.by_year[["days", "sharpe_ratio"]]),
            in_columns(self.relatives),
        ]
        if np.isfinite(self.relatives["correlation"].iloc[0]):
            parts.append(f"Closest: {self.relatives.index[0]}.")
        return "\n\n".join([*parts, *self.notes, self.in_words])


def in_lines(table: pd.DataFrame) -> str:
    """Return a table of words as text.

    Its columns are flush left; long cells take several lines.
    """
    rows = [[str(name) for name in table.columns], *table.to_numpy().tolist()]
    wrapped = [[textwrap.wrap(text, WIDEST, break_on_hyphens=False) for text in row] for row in rows]
    cells = [list(line) for row in wrapped for line in zip_longest(*row, fillvalue="")]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def with_headings(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with column names in words."""
    return table.rename(columns=lambda name: str(name).replace("_", " ").replace("sharpe", "Sharpe"))


def in_columns(table: pd.DataFrame) -> str:
    """Return a table as text with three digits."""
    return with_headings(table).to_string(float_format="{:.3f}".format)


def contest_verdict(
    data: "xr.DataArray",
    weights: "xr.DataArray",
    rules: Competition,
    *,
    template: "xr.DataArray",
    selected: "xr.DataArray | None" = None,
    earlier: Mapping[str, "xr.DataArray"] | None = None,
    seconds: float = 0.0,
    complete: bool = True,
    synthetic: bool = False,
    scaled: bool = False,
    **described: Any,
) -> Verdict:
    """Check weights against the rules of a competition.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs.
    weights : xarray.DataArray
        (time, asset) of all days, as they would be submitted.
    rules : Competition
    template : xarray.DataArray
        Weights of the published template on the same days.
    selected : xarray.DataArray, optional
        Equal weights of the selected assets.
    earlier : mapping of str to xarray.DataArray, optional
        Daily returns of earlier systems.
    seconds : float
        Training and prediction of a day, the mean of the slowest month.
    complete : bool
        True if the days end with the last day of the data.
    synthetic : bool
        True if the prices are random.
    scaled : bool
        Compare with the benchmark at the volatility of the payout too.
    **described
        `source`, `parameters` and `title` of the verdict.
    """
    data = data.sel(time=slice(None, weights.time.values[-1]))
    returns = portfolio(data, weights, rules).returns
    template_returns = portfolio(data, template, rules).returns
    others = {peers.TEMPLATE: template_returns}
    if selected is not None:
        others[peers.SELECTED] = portfolio(data, selected, rules).returns
    universe = equal_weights(data, weights.time.values)
    others |= {peers.UNIVERSE: portfolio(data, universe, rules).returns, **(earlier or {})}
    ratio = annual_sharpe_ratio(returns, rules)
    is_copy = peers.is_copy(weights, template, returns, template_returns)
    few = "" if complete else "the days end before the data"
    if not peers.covers(returns, rules):
        few = f"the days are fewer than the {rules.comparison_years} years that systems are compared by"
    checks = [
        *(_as_far_as_known(check, few) for check in check_rules(data, weights, ratio, rules)),
        _time_of_a_pass(seconds, rules),
        peers.check_originality(returns, template_returns, rules, is_copy),
    ]
    notes = [
        *peers.benchmark_sentences(returns, others[peers.UNIVERSE], rules, scaled),
        *[SYNTHETIC] * synthetic,
        ELSEWHERE,
    ]
    if any(check.rule == SHARPE_RATIO and check.holds is None for check in checks) and few:
        notes.insert(0, f"The Sharpe ratio cannot be told: {few}.")
    notes += _gaps(weights.time.values)
    return Verdict(
        checks=tuple(checks),
        sharpe_ratio=ratio,
        interval=_interval(returns, rules),
        relatives=peers.relatives(returns, others, rules),
        by_year=peers.by_year(returns, others, rules),
        returns=returns,
        others=others,
        notes=tuple(notes),
        is_copy=is_copy,
        exposure=exposure(weights).means(),
        **described,
    )


def _as_far_as_known(check: RuleCheck, few: str) -> RuleCheck:
    """Return the check with the result that is certain.

    A passed check of the Sharpe ratio has no result if the days are too few.
    """
    return check._replace(holds=None) if few and check.rule == SHARPE_RATIO and check.holds else check


def _gaps(days: np.ndarray) -> list[str]:
    """Return a sentence on gaps in the days.

    The list is empty without gaps.
    """
    length = np.diff(days.astype("M8[D]")).astype(int)
    wide = np.flatnonzero(length > LONGEST_GAP)
    if not len(wide):
        return []
    place = wide[length[wide].argmax()]
    first, last = (str(days[k])[:10] for k in (place, place + 1))
    others = len(wide) - 1
    more = f", and {others} more gap{'s' * (others > 1)}" if others else ""
    return [f"The market has no day between {first} and {last}{more}: the contest has days there."]


def _interval(returns: "xr.DataArray", rules: Competition) -> tuple[float, float]:
    if returns.sizes["time"] < 2:
        return float("nan"), float("nan")
    return interval(measured({"strategy": returns}, rules)["strategy"].ratios_sampled)


def _time_of_a_pass(seconds: float, rules: Competition) -> RuleCheck:
    found = f"{seconds:.1f} s of training and prediction, without start-up"
    limit = rules.minutes_per_pass
    return RuleCheck("time of a pass", found, f"at most {limit} minutes", seconds <= 60 * limit)
