"""Real prices: your own files or frames, converted to the platform's layout.

`python -m lib.prices SOURCE … --output market.nc` writes a NetCDF file that `QNT_OFFLINE_MARKET` takes;
`market_from_frames` does the same for frames that a program holds. Sources, in any mixture:

- a long CSV or Parquet file: columns date, ticker, open, high, low, close, volume, and, where there are any,
  dividends and splits (`Dividends`, `Stock Splits`);
- a folder of files, one per ticker, named after it, without the column of tickers, or folders of such files;
- wide files, one per field (`open.csv`, `close.csv` …): a column of dates, then one per ticker;
- files with two header rows, fields and tickers, as yfinance and pandas-datareader write them.

`lib/prices/columns.py` lists the names of columns, `lib/prices/cells.py` the ways to write days and numbers.

The layout is float64 of dims (field, time, asset), days ascending, assets sorted. In a gap, on a day without
a whole bar of the asset, every field is NaN. The fields follow what Quantiacs' own files hold
(data_2022_01_09.nc, read in 2026):

open, low, high, close
    In shares of the last day: the closes of AMZN do not jump at its 20:1 split in June 2022. Not adjusted for
    dividends.
vol
    Shares traded, in shares of the last day too (TSLA, PCAR; in Quantiacs' file AMZN's are as traded before
    its split). NaN where the source has no volumes.
divs
    Dividend per share on the ex-dividend day, in shares of the last day: PCAR's 0.34 of 2022 stands as
    0.34 / 1.5 after its 3:2 split of 2023. 0 on all other days. The platform's accounting adds it to the
    change of the opening price.
split_cumprod
    Product of the asset's splits from its first day to this one, as Quantiacs documents it; 1 without splits.
    A later split does not change it. Price divided by it is the price as traded, up to
    one factor per asset. (In Quantiacs' own index files it is 1 throughout.)
is_liquid
    1 where the asset may be traded that day, else 0: a member of the index by the table of members and
    traded, or, without a table, traded. Traded is a day with a price and a volume other than 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.competitions import COMPETITIONS, Competition, rules_of
from lib.common.errors import quantity
from lib.common.market_data import LAYOUT
from lib.prices import cells, checks, files, tables
from lib.prices.bars import Bars, apply_splits, count_dividends_once, find_unlisted_splits, join_bars
from lib.prices.columns import PRICES, check_renames, field_of_file, find_columns, require_columns
from lib.prices.findings import ConversionReport, Origin, PricesError

__all__ = ["PricesError", "market_from_frames"]

DEFAULT_COMPETITION = next(iter(COMPETITIONS))
PRICE_KINDS = ("raw", "adjusted")
EVER = "1700-01-01", "2200-01-01"  # where a stay has no first or last day
Members: TypeAlias = str | Path | pd.DataFrame
Frames: TypeAlias = pd.DataFrame | Mapping[object, pd.DataFrame] | Iterable[pd.DataFrame]


def market_from_frames(
    frames: Frames,
    members: Members | None = None,
    prices: str | None = None,
    report: bool = True,
    rename: Mapping[str, str] | None = None,
    competition: str = DEFAULT_COMPETITION,
) -> xr.DataArray:
    """Make a market from pandas frames.

    The market has the platform's layout.

    Parameters
    ----------
    frames : dict of DataFrame by ticker, or DataFrame, or list of DataFrame
        By ticker: indexed by date, or with a column of dates, and columns open, high, low, close, volume, and
        Dividends and Stock Splits where there are any. A single frame or those of a list are long, with a
        column of tickers, or have columns of two levels, as ``yf.download`` returns them.
    members : path or DataFrame, optional
        Columns ticker, from and to: the stays in the index, both days included, open where a cell is empty.
    prices : "raw" or "adjusted", optional
        Whether the prices are adjusted for splits already. By default the days of the splits show it: raw
        prices jump by the ratio.
    report : bool
        Print what was read and dropped, how prices were taken, and what does not look right.
    rename : dict, optional
        Columns by their own names that hold date, ticker, open, high, low, close, volume, dividends or
        splits, such as {"Schluss": "close"}.
    competition : str
        Whose fields and calendar the market has, such as "crypto_daily_long": six fields, every day.

    Returns
    -------
    xarray.DataArray
        float64 (field, time, asset) as the module describes it. `to_netcdf(path)` makes it a file for
        `QNT_OFFLINE_MARKET`.

    Raises
    ------
    PricesError
        One sentence that names frame, row and ticker.
    """
    market, findings = convert_frames(frames, members, prices, rename, competition)
    if report:
        print(findings)
    return market


def convert_files(
    sources: Sequence[str | Path],
    members: Members | None = None,
    prices: str | None = None,
    renames: Mapping[str, str] | None = None,
    competition: str = DEFAULT_COMPETITION,
) -> tuple[xr.DataArray, ConversionReport]:
    """Make a market from files and folders.

    The docstring of `lib.prices` lists the kinds of files.
    """
    report = ConversionReport()
    rules = rules_of(competition)
    renames = check_renames(renames or {})
    made: list[tables.TidyTable] = []
    wide: dict[str, tables.TidyTable] = {}
    unknown: list[tables.TidyTable] = []
    seen: set[str] = set()
    for source in sources:
        found = files.find_price_files(source)
        for entries, what in (
            (found.of_macos, "files that macOS leaves in archives"),
            (found.empty, "empty files"),
            (found.others, f"entries of {source} that are not files of prices"),
        ):
            if entries:
                report.add("Dropped", f"{len(entries):,} {what}", entries)
        for path, ticker in found.tickers.items():
            frame, origin = files.read_price_file(path, renames)
            seen |= {
                str(name)
                for level in range(frame.columns.nlevels)
                for name in frame.columns.get_level_values(level)
            }
            stem = files.file_stem(path)
            seen.add(stem)  # a wide file's name is renamed like a column
            stem = renames.get(stem, stem)
            if tables.is_wide(frame, stem):
                field = str(field_of_file(stem))
                if field in wide:
                    raise PricesError(f"{path}: {wide[field][1].name} holds the {field} already.")
                wide[field] = frame, origin
            elif tables.looks_wide(frame):
                unknown.append((frame, origin))
            else:
                made.extend(tables.tidy_table(frame, origin, report, ticker, rules.every_day))
    absent = [column for column, target in renames.items() if target not in seen and column not in seen]
    if absent:
        raise PricesError(f'--rename "{absent[0]}=…": no source has a column {absent[0]}.')
    if "adj" in wide:
        report.add("Read", f"{wide.pop('adj')[1].name}: not used, dividends have lowered its prices")
    if unknown and not made and not set(PRICES) <= wide.keys():
        raise PricesError(_closes_alone(*unknown[0]))
    for _, origin in unknown:
        report.add("Read", f"{origin.name}: not used, it holds no field of a market by its name")
    if wide:
        made.append(tables.tidy_wide(wide, report))
    return _convert(made, members, prices, rules, report)


def _closes_alone(frame: pd.DataFrame, origin: Origin) -> str:
    names = [str(name) for name in frame.columns[1:]]
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return (
        f"{origin.name}: has one price per day of {quantity(len(names), 'ticker')} ({shown}), but a "
        "market needs open, high, low and close: add the files open.csv, high.csv and low.csv beside "
        "close.csv, or, if these are "
        f'prices of one ticker, name them, for example --rename "{names[0]}=open".'
    )


def convert_frames(
    frames: Frames,
    members: Members | None = None,
    prices: str | None = None,
    renames: Mapping[str, str] | None = None,
    competition: str = DEFAULT_COMPETITION,
) -> tuple[xr.DataArray, ConversionReport]:
    """Convert pandas frames to a market and report.

    Arguments are as for `lib.prices.market_from_frames`.
    """
    report = ConversionReport()
    rules = rules_of(competition)
    renames = check_renames(renames or {})
    if isinstance(frames, pd.DataFrame):
        frames = [frames]
    made: list[tables.TidyTable] = []
    if isinstance(frames, Mapping):
        for name, frame in frames.items():
            ticker = cells.ticker_text(name)
            flat = _without_tickers(files.rename_frame(files.with_index_as_columns(frame), renames))
            made.extend(
                tables.tidy_table(flat, Origin(f"the frame of {ticker}"), report, ticker, rules.every_day)
            )
    else:
        for number, frame in enumerate(frames, 1):
            plain = files.rename_frame(files.with_index_as_columns(frame), renames)
            made.extend(tables.tidy_table(plain, Origin(f"frame {number}"), report, None, rules.every_day))
    return _convert(made, members, prices, rules, report)


def _without_tickers(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the columns that repeat the ticker.

    The frame is that of one ticker, whose key counts.
    """
    if frame.columns.nlevels == 2:
        frame = frame.set_axis(frame.columns.get_level_values(1 - tables.ticker_level(frame.columns)), axis=1)
        frame = frame.set_axis(["date", *frame.columns[1:]], axis=1)
    columns = find_columns(frame.columns, "the frame")
    return frame.drop(columns=[columns[meaning] for meaning in ("ticker", "name") if meaning in columns])


def _convert(
    made: Sequence[tables.TidyTable],
    members: Members | None,
    prices: str | None,
    rules: Competition,
    report: ConversionReport,
) -> tuple[xr.DataArray, ConversionReport]:
    if prices not in (None, *PRICE_KINDS):
        raise PricesError(f"prices is {prices!r}: it can be raw or adjusted, or left out.")
    if not made or all(frame.empty for frame, _ in made):
        where = made[0][1].name if made else "The source"
        raise PricesError(f"{where}: has no row: there is nothing to convert.")
    bars = join_bars(made, report)
    checks.check_spacing(bars, made, report)
    split_cumprod = apply_splits(bars, prices, report)
    of_history = {name for frame, origin in made if origin.of_history for name in frame["ticker"].unique()}
    history = np.array([name in of_history for name in bars.tickers])
    count_dividends_once(bars, split_cumprod, history, report)
    values = bars.values
    priced = ~np.isnan(values["close"])
    dividends = _dividends(values["divs"], priced, bars, report)
    liquid = priced & ~(values["vol"] == 0)
    if np.isnan(values["vol"][priced]).all():
        report.add("Liquidity", "there are no volumes in the source: vol is NaN")
    never = bars.tickers[~liquid.any(axis=0)]
    if len(never):
        report.add(
            "Liquidity",
            f"{quantity(len(never), 'ticker')} never liquid, with volumes of 0 throughout (leave the column "
            "of volumes out where the source has none)",
            never.tolist(),
        )
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
    stacked = np.stack([fields[name][traded] for name in rules.fields])
    unlisted = find_unlisted_splits(bars)
    if unlisted:
        report.add(
            "Plausibility", f"{quantity(len(unlisted), 'split')} that the source does not list", unlisted
        )
    checks.check_prices(days, bars.tickers, dict(zip(rules.fields, stacked, strict=True)), rules, report)
    coords = {"field": list(rules.fields), "time": days, "asset": bars.tickers.astype(str)}
    report.add(
        "Read",
        f"in all {quantity(len(bars.tickers), 'ticker')} on {quantity(len(days), 'day')}, {days[0]:%Y-%m-%d} "
        f"to {days[-1]:%Y-%m-%d}",
    )
    return xr.DataArray(stacked, coords, LAYOUT, name=rules.data_name), report


def _dividends(divs: np.ndarray, priced: np.ndarray, bars: Bars, report: ConversionReport) -> np.ndarray:
    """Return dividends on days with a price.

    A dividend of another day counts on the next day with a price.
    """
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
    """Return True where a ticker is a member.

    The result is bool (day, ticker).

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
        if path.is_dir():
            raise PricesError(f"{path}: is a folder; --members takes one file.")
        files.find_price_files(path)  # refuses what cannot be read
        frame, origin = files.read_price_file(path)
    columns = find_columns(frame.columns, origin.name)
    if "name" in columns:
        columns.setdefault("ticker", columns["name"])
    require_columns(("ticker", "from", "to"), columns, frame.columns, origin.name)
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
            f"{origin.name}: no member has a price while it is one ({listed}); tickers must be written as "
            f"in the prices ({', '.join(bars.tickers[:3])})."
        )
    if unknown:
        report.add("Liquidity", f"{len(unknown):,} members have no prices", unknown)
    return inside


def _days(column: pd.Series, origin: Origin, names: np.ndarray, open_end: str) -> np.ndarray:
    texts = column.astype(str).str.strip()
    blank = (texts.isin(cells.BLANK) | texts.str.startswith("9999")).to_numpy()
    days = np.full(len(column), np.datetime64(open_end, "ns"))
    if not blank.all():
        days[~blank] = cells.parse_days(column[~blank], origin, names[~blank]).days
    return days
