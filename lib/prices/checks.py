"""Checks of a converted market.

They find bars out of order, jumps, gaps, stale series, and one series under two names. They change nothing;
each adds a line to the report, with the first few places.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.common.competitions import COMPETITIONS, Competition
from lib.common.errors import quantity
from lib.prices.bars import Bars
from lib.prices.findings import ConversionReport, PricesError
from lib.prices.tables import TidyTable

BAR_ROUNDING = 1e-6  # relative: what adjusting and storing leave on a price
UNEXPLAINED_JUMP = 1.8  # factor from one close to the next, up or down
GAP = 5  # days in a row without a price, between two that have one
STALE = 10  # days in a row with the same close and no range
LONGEST_BREAK = 7  # calendar days between two days of trading
SPARSE, FEWEST_STEPS = 5, 3  # calendar days between daily bars are fewer, and how many steps show it
SPACINGS = ((10, "weekly"), (20, "fortnightly"), (45, "monthly"), (200, "quarterly"))
COMMON, SAME = 20, 0.9  # days that two series share, and how many of them must have equal closes


def check_spacing(bars: Bars, tables: Sequence[TidyTable], report: ConversionReport) -> None:
    """Report tickers without daily bars.

    Their bars are weekly, monthly or rarer. A source of such tickers alone is refused.

    Raises
    ------
    PricesError
        All tickers with enough bars have them `SPARSE` days apart or more.
    """
    sparse: dict[str, float] = {}
    dense = 0
    days = bars.days.to_numpy().astype("datetime64[D]").astype(np.int64)
    for ticker, closes in zip(bars.tickers, bars.values["close"].T, strict=True):
        steps = np.diff(days[np.isfinite(closes)])
        if len(steps) < FEWEST_STEPS or np.median(steps) < SPARSE:
            dense += 1
        else:
            sparse[str(ticker)] = float(np.median(steps))
    if not sparse:
        return
    shown, step = next(iter(sparse.items()))
    kind = next((name for most, name in SPACINGS if step <= most), "yearly")
    if not dense:
        name = next(origin.name for table, origin in tables if (table["ticker"] == shown).any())
        raise PricesError(
            f"{name}: the rows of {shown} are {step:g} days apart: these are {kind} bars, but a market has "
            "a bar per day of trading; download daily prices."
        )
    report.add(
        "Plausibility",
        f"{quantity(len(sparse), 'ticker')} with {kind} bars, {step:g} days apart, and no daily ones",
        list(sparse),
    )


def check_prices(
    days: pd.DatetimeIndex,
    tickers: np.ndarray,
    fields: dict[str, np.ndarray],
    rules: Competition,
    report: ConversionReport,
) -> None:
    """Add implausible prices to the report.

    The market has dims (day, ticker).
    """
    opened, low, high, close = (fields[name] for name in ("open", "low", "high", "close"))
    at = _Places(days, tickers)
    wrong = (low > np.minimum(opened, close) * (1 + BAR_ROUNDING)) | (
        high < np.maximum(opened, close) * (1 - BAR_ROUNDING)
    )
    if wrong.any():
        report.add(
            "Plausibility",
            f"{quantity(wrong.sum(), 'bar')} with open or close outside low to high",
            at(wrong),
        )
    weekend = (days.dayofweek >= 5).sum()
    if weekend and not rules.every_day:
        always_open = next(name for name, row in COMPETITIONS.items() if row.every_day)
        report.add(
            "Plausibility",
            f"{quantity(weekend, 'day')} on a Saturday or Sunday: check the time zone of the dates, or, for "
            f"crypto, add --competition {always_open}",
        )
    breaks = np.flatnonzero(np.diff(days) > np.timedelta64(LONGEST_BREAK, "D"))
    if len(breaks):
        spans = [f"{days[k]:%Y-%m-%d} to {days[k + 1]:%Y-%m-%d}" for k in breaks]
        report.add(
            "Plausibility", f"{quantity(len(breaks), 'break')} of more than a week in all tickers", spans
        )
    known = pd.DataFrame(close).ffill().to_numpy()
    jumps = np.zeros(close.shape, dtype=bool)
    change = close[1:] / known[:-1]
    jumps[1:] = (change > UNEXPLAINED_JUMP) | (change < 1 / UNEXPLAINED_JUMP)
    if jumps.any():
        shown = [f"{place} (times {change[row - 1, k]:.3g})" for place, row, k in at.each(jumps)]
        report.add("Plausibility", f"{quantity(jumps.sum(), 'jump')} that no split explains", shown)
    runs = _runs(np.isnan(close) & ~np.isnan(known) & _later(close))
    if (runs >= GAP).any():
        report.add(
            "Plausibility", f"{quantity((runs >= GAP).sum(), 'gap')} of {GAP} days or more", at(runs >= GAP)
        )
    flat = np.zeros(close.shape, dtype=bool)
    flat[1:] = (close[1:] == close[:-1]) & (high[1:] == low[1:])
    runs = _runs(flat)
    if (runs >= STALE).any():
        report.add(
            "Plausibility",
            f"{quantity((runs >= STALE).sum(), 'period')} of {STALE} days or more at one price",
            at(runs >= STALE),
        )
    same = _same_series(close)
    if same:
        names = [f"{tickers[a]} and {tickers[b]}" for a, b in same]
        report.add("Plausibility", f"{quantity(len(same), 'pair')} of tickers with one series", names)


class _Places:
    """Names of the cells of a matrix.

    The matrix has dims (day, ticker), and a name is like "AAPL 2014-06-09".
    """

    def __init__(self, days: pd.DatetimeIndex, tickers: np.ndarray):
        self.days, self.tickers = days, tickers

    def each(self, chosen: np.ndarray) -> list[tuple[str, int, int]]:
        ticker, day = np.nonzero(chosen.T)
        return [
            (f"{self.tickers[k]} {self.days[row]:%Y-%m-%d}", int(row), int(k))
            for k, row in zip(ticker, day, strict=True)
        ]

    def __call__(self, chosen: np.ndarray) -> list[str]:
        return [place for place, _, _ in self.each(chosen)]


def _later(close: np.ndarray) -> np.ndarray:
    """Return True up to the last price.

    Each ticker has a last price of its own, in dims (day, ticker).
    """
    return np.logical_or.accumulate(~np.isnan(close[::-1]), axis=0)[::-1]


def _runs(chosen: np.ndarray) -> np.ndarray:
    """Return the length of each run of True.

    A run goes down the days. Its length stands at its first day, and all else is 0.
    """
    padded = np.pad(chosen.T, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(padded, axis=1)
    lengths = np.zeros(chosen.T.shape, dtype=int)
    ticker, start = np.nonzero(change == 1)
    _, end = np.nonzero(change == -1)
    lengths[ticker, start] = end - start
    return lengths.T


def _same_series(close: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of tickers with equal closes.

    The closes agree on nearly all of the days that both tickers have.
    """
    pairs: Counter[tuple[int, int]] = Counter()
    for row in close[:: max(1, len(close) // 250)]:  # equal closes on a sample of days nominate a pair
        order = np.argsort(row, kind="stable")
        for k in np.flatnonzero(row[order][1:] == row[order][:-1]):
            pairs[tuple(sorted((int(order[k]), int(order[k + 1]))))] += 1  # type: ignore[index]
    found = []
    for a, b in pairs:
        both = ~np.isnan(close[:, a]) & ~np.isnan(close[:, b])
        moved = len(np.unique(close[both, a])) > 1
        if both.sum() >= COMMON and moved and (close[both, a] == close[both, b]).mean() >= SAME:
            found.append((a, b))
    return sorted(found)
