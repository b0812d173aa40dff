"""The conversion of tidy price tables into a market in the platform's layout."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.market_data import FIELDS, LAYOUT
from lib.prices import cells, checks, files, tables
from lib.prices.bars import Bars, apply_splits, join_bars
from lib.prices.columns import find_columns
from lib.prices.findings import ConversionReport, Origin, PricesError

PRICE_KINDS = ("raw", "adjusted")
EVER = "1700-01-01", "2200-01-01"  # where a stay has no first or last day
Members: TypeAlias = str | Path | pd.DataFrame
Frames: TypeAlias = pd.DataFrame | Mapping[object, pd.DataFrame] | Iterable[pd.DataFrame]


def convert_files(
    sources: Sequence[str | Path], members: Members | None = None, prices: str | None = None
) -> tuple[xr.DataArray, ConversionReport]:
    """Convert files and folders of files; see `lib.prices` for what they may be."""
    report = ConversionReport()
    made: list[tables.TidyTable] = []
    wide: dict[str, tables.TidyTable] = {}
    for source in sources:
        paths, beside = files.find_price_files(source)
        if beside:
            report.add("Dropped", f"{len(beside):,} entries of {source} that are not CSV or Parquet files",
                       [path.name for path in beside])  # fmt: skip
        for path in paths:
            frame, origin = files.read_price_file(path)
            stem = files.file_stem(path)
            if tables.is_wide(frame, stem):
                field = str(tables.field_of_file(stem))
                if field in wide:
                    raise PricesError(f"{path}: {wide[field][1].name} holds the {field} already.")
                wide[field] = frame, origin
            else:
                made.extend(tables.tidy_table(frame, origin, report, stem))
    if wide:
        made.append(tables.tidy_wide(wide, report))
    return _convert(made, members, prices, report)


def convert_frames(
    frames: Frames, members: Members | None = None, prices: str | None = None
) -> tuple[xr.DataArray, ConversionReport]:
    """Convert frames; see `lib.prices.market_from_frames`."""
    report = ConversionReport()
    if isinstance(frames, pd.DataFrame):
        frames = [frames]
    if isinstance(frames, Mapping):
        named = [(str(name).strip(), frame, f"the frame of {name}") for name, frame in frames.items()]
        made = [
            table
            for ticker, frame, label in named
            for table in tables.tidy_table(_without_tickers(frame), Origin(label), report, ticker)
        ]
    else:
        made = [
            table
            for k, frame in enumerate(frames, 1)
            for table in tables.tidy_table(files.with_index_as_columns(frame), Origin(f"frame {k}"), report)
        ]
    return _convert(made, members, prices, report)


def _without_tickers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame of one ticker without a column that names it again: the key counts."""
    flat = files.with_index_as_columns(frame)
    if flat.columns.nlevels > 1:
        fields = [
            level for level in (0, 1) if "close" in map(str.lower, flat.columns.get_level_values(level))
        ]
        flat = flat.set_axis(flat.columns.get_level_values(fields[0] if fields else 0), axis=1)
    column = tables.find_columns(flat.columns, "the frame").get("ticker")
    return flat if column is None else flat.drop(columns=column)


def _convert(
    made: Sequence[tables.TidyTable], members: Members | None, prices: str | None, report: ConversionReport
) -> tuple[xr.DataArray, ConversionReport]:
    if prices not in (None, *PRICE_KINDS):
        raise PricesError(f"prices is {prices!r}: it can be raw or adjusted, or left out.")
    if not made or all(frame.empty for frame, _ in made):
        where = made[0][1].name if made else "The source"
        raise PricesError(f"{where}: has no row: there is nothing to convert.")
    bars = join_bars(made, report)
    split_cumprod = apply_splits(bars, prices, report)
    values = bars.values
    priced = ~np.isnan(values["close"])
    dividends = _dividends(values["divs"], priced, bars, report)
    liquid = priced & ~(values["vol"] == 0)
    if np.isnan(values["vol"][priced]).all():
        report.add("Liquidity", "there are no volumes in the source: vol is NaN")
    if members is None:
        report.add("Liquidity", "no table of members: is_liquid means traded with a price that day")
    else:
        liquid &= membership(members, bars, report)
        report.add("Liquidity", "is_liquid means a member by the table, and traded with a price that day")
    fields = {name: values[name] for name in ("open", "low", "high", "close", "vol")}
    fields |= {"divs": dividends, "split_cumprod": split_cumprod, "is_liquid": liquid.astype(np.float64)}
    for name in ("divs", "split_cumprod", "is_liquid"):
        fields[name][~priced] = np.nan
    traded = priced.any(axis=1)
    days = bars.days[traded]
    stacked = np.stack([fields[name][traded] for name in FIELDS])
    checks.check_prices(days, bars.tickers, dict(zip(FIELDS, stacked, strict=True)), report)
    coords = {"field": list(FIELDS), "time": days, "asset": bars.tickers.astype(str)}
    report.add("Read", f"in all {len(bars.tickers):,} tickers on {len(days):,} days, "
                       f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}")  # fmt: skip
    return xr.DataArray(stacked, coords, LAYOUT, name="stocks"), report


def _dividends(divs: np.ndarray, priced: np.ndarray, bars: Bars, report: ConversionReport) -> np.ndarray:
    """Dividends by day, 0 where none is known; one of a day without a price counts on the next with one."""
    dividends = np.nan_to_num(divs)
    late = []
    for day, ticker in np.argwhere((dividends > 0) & ~priced):
        later = np.flatnonzero(priced[day:, ticker])
        name = f"{bars.tickers[ticker]} {bars.days[day]:%Y-%m-%d}"
        if len(later):
            dividends[day + later[0], ticker] += dividends[day, ticker]
            late.append(name)
        else:
            report.add("Dropped", f"the dividend of {name}: no price follows it")
    if late:
        report.add(
            "Plausibility", f"{len(late):,} dividends of days without a price, moved to the next", late
        )
    return dividends


def membership(members: str | Path | pd.DataFrame, bars: Bars, report: ConversionReport) -> np.ndarray:
    """Which tickers are members on which days: bool (day, ticker).

    Parameters
    ----------
    members : path or DataFrame
        Columns ticker, from and to, a row per stay; both days belong to it, and an empty cell, or a day
        of the year 9999, leaves that end open. A ticker may have several rows.
    bars : Bars
        Days and tickers of the answer.
    report : ConversionReport
        Takes the members that have no prices.

    Raises
    ------
    PricesError
        A column is missing, a day cannot be read, a stay ends before it begins, or no member has prices.
    """
    if isinstance(members, pd.DataFrame):
        frame, origin = files.with_index_as_columns(members), Origin("the table of members")
    else:
        path = Path(members)
        found, _ = files.find_price_files(path)
        if path.is_dir():
            raise PricesError(f"{path}: is a folder; --members takes one file.")
        frame, origin = files.read_price_file(found[0])
    columns = find_columns(frame.columns, origin.name, ("ticker", "from", "to"))
    frame = frame.set_axis(pd.RangeIndex(len(frame)))
    frame = frame[~(frame.isna() | (frame == "")).all(axis=1)]
    names = cells.parse_tickers(frame[columns["ticker"]], origin)
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
        days[~blank] = cells.parse_days(column[~blank], origin, names[~blank])
    return days
