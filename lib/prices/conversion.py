"""The conversion of tidy price tables into a market in the platform's layout."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.market_data import FIELDS, LAYOUT
from lib.prices import bars as joined
from lib.prices import files, plausibility, shapes
from lib.prices.adjusting import adjust
from lib.prices.bars import Bars
from lib.prices.errors import Origin, PricesError
from lib.prices.members import membership
from lib.prices.report import Report

KINDS = ("raw", "adjusted")
Members: TypeAlias = str | Path | pd.DataFrame
Frames: TypeAlias = pd.DataFrame | Mapping[object, pd.DataFrame] | Iterable[pd.DataFrame]


def from_files(
    sources: Sequence[str | Path], members: Members | None = None, prices: str | None = None
) -> tuple[xr.DataArray, Report]:
    """Convert files and folders of files; see `lib.prices` for what they may be."""
    report = Report()
    tables: list[shapes.Tidy] = []
    wide: dict[str, shapes.Tidy] = {}
    for source in sources:
        paths, beside = files.listed(source)
        if beside:
            report.add("Dropped", f"{len(beside):,} entries of {source} that are not CSV or Parquet files",
                       [path.name for path in beside])  # fmt: skip
        for path in paths:
            frame, origin = files.read(path)
            stem = files.stem(path)
            if shapes.is_wide(frame, stem):
                field = str(shapes.field_of(stem))
                if field in wide:
                    raise PricesError(f"{path}: {wide[field][1].name} holds the {field} already.")
                wide[field] = frame, origin
            else:
                tables.extend(shapes.tidy(frame, origin, report, stem))
    if wide:
        tables.append(shapes.tidy_wide(wide, report))
    return _convert(tables, members, prices, report)


def from_frames(
    frames: Frames, members: Members | None = None, prices: str | None = None
) -> tuple[xr.DataArray, Report]:
    """Convert frames; see `lib.prices.market_from_frames`."""
    report = Report()
    if isinstance(frames, pd.DataFrame):
        frames = [frames]
    if isinstance(frames, Mapping):
        named = [(str(name).strip(), frame, f"the frame of {name}") for name, frame in frames.items()]
        tables = [
            table
            for ticker, frame, label in named
            for table in shapes.tidy(_without_tickers(frame), Origin(label), report, ticker)
        ]
    else:
        tables = [
            table
            for k, frame in enumerate(frames, 1)
            for table in shapes.tidy(files.indexed(frame), Origin(f"frame {k}"), report)
        ]
    return _convert(tables, members, prices, report)


def _without_tickers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame of one ticker without a column that names it again: the key counts."""
    flat = files.indexed(frame)
    if flat.columns.nlevels > 1:
        fields = [
            level for level in (0, 1) if "close" in map(str.lower, flat.columns.get_level_values(level))
        ]
        flat = flat.set_axis(flat.columns.get_level_values(fields[0] if fields else 0), axis=1)
    column = shapes.recognise(flat.columns, "the frame").get("ticker")
    return flat if column is None else flat.drop(columns=column)


def _convert(
    tables: Sequence[shapes.Tidy], members: Members | None, prices: str | None, report: Report
) -> tuple[xr.DataArray, Report]:
    if prices not in (None, *KINDS):
        raise PricesError(f"prices is {prices!r}: it can be raw or adjusted, or left out.")
    if not tables or all(frame.empty for frame, _ in tables):
        where = tables[0][1].name if tables else "The source"
        raise PricesError(f"{where}: has no row: there is nothing to convert.")
    bars = joined.join(tables, report)
    split_cumprod = adjust(bars, prices, report)
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
    plausibility.check(days, bars.tickers, dict(zip(FIELDS, stacked, strict=True)), report)
    coords = {"field": list(FIELDS), "time": days, "asset": bars.tickers.astype(str)}
    report.add("Read", f"in all {len(bars.tickers):,} tickers on {len(days):,} days, "
                       f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}")  # fmt: skip
    return xr.DataArray(stacked, coords, LAYOUT, name="stocks"), report


def _dividends(divs: np.ndarray, priced: np.ndarray, bars: Bars, report: Report) -> np.ndarray:
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
