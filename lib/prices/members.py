"""The members of an index over time, from a table of tickers with first and last days."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.prices import cells, files
from lib.prices.bars import Bars
from lib.prices.columns import recognise
from lib.prices.errors import Origin, PricesError
from lib.prices.report import Report

EVER = "1700-01-01", "2200-01-01"  # where a stay has no first or last day


def membership(members: str | Path | pd.DataFrame, bars: Bars, report: Report) -> np.ndarray:
    """Which tickers are members on which days: bool (day, ticker).

    Parameters
    ----------
    members : path or DataFrame
        Columns ticker, from and to, a row per stay; both days belong to it, and an empty cell, or a day
        of the year 9999, leaves that end open. A ticker may have several rows.
    bars : Bars
        Days and tickers of the answer.
    report : Report
        Takes the members that have no prices.

    Raises
    ------
    PricesError
        A column is missing, a day cannot be read, a stay ends before it begins, or no member has prices.
    """
    if isinstance(members, pd.DataFrame):
        frame, origin = files.indexed(members), Origin("the table of members")
    else:
        path = Path(members)
        found, _ = files.listed(path)
        if path.is_dir():
            raise PricesError(f"{path}: is a folder; --members takes one file.")
        frame, origin = files.read(found[0])
    columns = recognise(frame.columns, origin.name, ("ticker", "from", "to"))
    frame = frame.set_axis(pd.RangeIndex(len(frame)))
    frame = frame[~(frame.isna() | (frame == "")).all(axis=1)]
    names = cells.tickers(frame[columns["ticker"]], origin)
    first = _days(frame[columns["from"]], origin, names, EVER[0])
    last = _days(frame[columns["to"]], origin, names, EVER[1])
    origin.refuse(
        last < first, frame.index.to_numpy(), names, "this stay ends before it begins: swap from and to."
    )
    inside = np.zeros((len(bars.days), len(bars.tickers)), dtype=bool)
    position = {name: k for k, name in enumerate(bars.tickers)}
    days = bars.days.to_numpy()
    for name, start, end in zip(names, first, last, strict=True):
        if name in position:
            inside[:, position[name]] |= (days >= start) & (days <= end)
    unknown = sorted(set(names) - set(position))
    if not inside.any():
        listed = ", ".join(unknown[:3]) or "none on these days"
        raise PricesError(
            f"{origin.name}: no member has a price while it is one ({listed}); tickers must be written as in "
            f"the prices ({', '.join(bars.tickers[:3])})."
        )
    if unknown:
        report.add("Liquidity", f"{len(unknown):,} members have no prices", unknown)
    return inside


def _days(column: pd.Series, origin: Origin, names: np.ndarray, open_end: str) -> np.ndarray:
    texts = column.astype(str).str.strip()
    blank = (texts.isin(cells.BLANK) | texts.str.startswith("9999")).to_numpy()
    days = np.full(len(column), np.datetime64(open_end, "ns"))
    if not blank.all():
        days[~blank] = cells.days(column[~blank], origin, names[~blank])
    return days
