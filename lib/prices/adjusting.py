"""Splits: whether prices are adjusted for them already, and how they are applied, once."""

from dataclasses import dataclass

import numpy as np

from lib.prices.bars import Bars
from lib.prices.columns import PRICES
from lib.prices.errors import PricesError
from lib.prices.report import Report

LEAST = np.log(1.15)  # smaller splits are hidden by an ordinary day's change
MAJORITY = 2 / 3


@dataclass
class Evidence:
    """Splits whose day shows the price jump by the ratio (raw), or not (adjusted), as "AAPL 2014-06-09"."""

    raw: list[str]
    adjusted: list[str]


def adjust(bars: Bars, kind: str | None, report: Report) -> np.ndarray:
    """Express prices, volumes and dividends in shares of the last day, in place.

    Parameters
    ----------
    bars : Bars
        Its prices, vol and divs are changed where they are raw.
    kind : "raw", "adjusted" or None
        What the prices are; None: what the days of the splits show.
    report : Report
        Takes what was found.

    Returns
    -------
    ndarray (day, ticker)
        Product of a ticker's splits so far, the field `split_cumprod`.

    Raises
    ------
    PricesError
        The splits contradict one another, or none is large enough to tell.
    """
    split = bars.values["split"]
    so_far = np.cumprod(split, axis=0)
    later = so_far[-1] / so_far  # product of the splits after each day
    count = int((split != 1).sum())
    if not count:
        what = f"taken as {kind}, as --prices says" if kind else "taken as they are"
        report.add("Prices", f"there are no splits in the source: prices are {what}")
        return so_far
    evidence = _evidence(bars)
    if kind is None:
        kind = _decide(evidence, later, report)
    else:
        report.add("Prices", f"{kind}, as --prices says; {count:,} splits")
    if kind == "raw":
        for field in (*PRICES, "divs"):
            bars.values[field] /= later
        bars.values["vol"] *= later
        report.add("Prices", "the splits were applied to prices, volumes and dividends")
    else:
        report.add("Prices", "the splits are in prices, volumes and dividends already; nothing was applied")
    return so_far


def _decide(evidence: Evidence, later: np.ndarray, report: Report) -> str:
    """Which of the two the days of the splits show."""
    seen = {"raw": evidence.raw, "adjusted": evidence.adjusted}
    total = len(evidence.raw) + len(evidence.adjusted)
    if total == 0:
        if (later == 1).all():  # splits before all prices change nothing
            return "adjusted"
        raise PricesError(
            "No split is large enough, or has prices on both sides, to tell whether the prices are adjusted "
            "for splits: add --prices raw or --prices adjusted."
        )
    kind = max(seen, key=lambda name: len(seen[name]))
    against = seen["adjusted" if kind == "raw" else "raw"]
    if len(seen[kind]) / total < MAJORITY:
        raise PricesError(
            f"On {evidence.raw[0]} the price jumps by the ratio of the split, on {evidence.adjusted[0]} it "
            "does not: the source is neither raw nor adjusted as a whole. Make it one of them, or "
            "add --prices raw or --prices adjusted."
        )
    what = "raw: the price jumps by the ratio" if kind == "raw" else "adjusted: the price does not jump"
    report.add("Prices", f"{what} on {len(seen[kind]):,} of {total:,} days of splits")
    if against:
        report.add("Plausibility", f"{len(against):,} splits show the opposite", against)
    return kind


def _evidence(bars: Bars) -> Evidence:
    found = Evidence([], [])
    opened, closed = bars.values["open"], bars.values["close"]
    for ticker in np.flatnonzero((bars.values["split"] != 1).any(axis=0)):
        priced = np.flatnonzero(np.isfinite(closed[:, ticker]))
        for day in np.flatnonzero(bars.values["split"][:, ticker] != 1):
            before, after = priced[priced < day], priced[priced >= day]
            ratio = np.log(bars.values["split"][day, ticker])
            if abs(ratio) < LEAST or not len(before) or not len(after):
                continue
            jump = np.log(opened[after[0], ticker] / closed[before[-1], ticker])
            name = f"{bars.tickers[ticker]} {bars.days[day]:%Y-%m-%d}"
            # Raw prices move by minus the ratio, adjusted ones by 0; halfway between shows nothing.
            if abs(jump + ratio) < abs(ratio) / 3:
                found.raw.append(name)
            elif abs(jump) < abs(ratio) / 3:
                found.adjusted.append(name)
    return found
