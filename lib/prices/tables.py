"""The shapes of a price table, brought into one: tidy.

They are long, by ticker, two-level and wide.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from lib.common.errors import quantity
from lib.prices import cells
from lib.prices.columns import (
    COLUMN_NAMES,
    NUMBERS,
    PRICES,
    WORDS,
    field_of_file,
    find_columns,
    require_columns,
    simplify_name,
    split_flat_names,
)
from lib.prices.findings import ConversionReport, Origin, PricesError

# A tidy table has the columns ticker, day, row (of its origin), and NUMBERS: NaN where unknown, split 1.
TidyTable = tuple[pd.DataFrame, Origin]
TICKER = re.compile(r"(?!\d+$)[A-Z0-9^][A-Z0-9.\-=^:/]{0,11}")
USUAL_NAMES = (
    "date",
    "ticker",
    "symbol",
    *PRICES,
    "volume",
    "vol",
    "dividends",
    "dividend",
    "divs",
    "stocksplits",
    "splits",
)
LISTED_COLUMNS = 12  # unused columns that the report names


def tidy_table(
    frame: pd.DataFrame,
    origin: Origin,
    report: ConversionReport,
    ticker: str | None = None,
    every_day: bool = False,
) -> Iterator[TidyTable]:
    """Tidy a table that holds whole bars.

    Parameters
    ----------
    frame : DataFrame
        Long (a column of tickers), of one ticker, or with columns of two levels, fields and tickers.
    origin : Origin
        Where its rows stand.
    report : ConversionReport
        Takes a line on what was read.
    ticker : str, optional
        Whose table it is, where it has no column of tickers.
    every_day : bool
        True if the market never closes: then one price a day is enough, and the open is the price before.
    """
    if frame.columns.nlevels == 1 and (turned := _turn_fields_in_rows(frame, ticker)) is not None:
        frame, origin = turned, dataclasses.replace(origin, unit="day", first=1)
    if frame.columns.nlevels == 1:
        columns = find_columns(frame.columns, origin.name)
        flat = None if set(PRICES) <= columns.keys() else split_flat_names(list(frame.columns))
        if flat is not None:
            frame = frame.set_axis(flat, axis=1)
    if frame.columns.nlevels == 2:
        yield from _two_levels(frame, origin, report)
        return
    if frame.columns.nlevels > 2:
        raise PricesError(f"{origin.name}: has columns of {frame.columns.nlevels} levels: two can be read.")
    frame = frame.set_axis(pd.RangeIndex(len(frame)))
    columns = _whose(frame, columns | _day_column(frame, columns), ticker)
    closes_alone = every_day and "close" in columns and not {"open", "low", "high"} & columns.keys()
    needed = ("close",) if closes_alone else PRICES
    required = ("day", *needed) if ticker is not None else ("day", "ticker", *needed)
    require_columns(required, columns, frame.columns, origin.name)
    used = {
        meaning: columns[meaning] for meaning in ("day", "ticker", "gains", *NUMBERS) if meaning in columns
    }
    given = frame[list(dict.fromkeys(used.values()))]
    frame = frame[~(given.isna() | (given == "")).all(axis=1).to_numpy()]
    frame = _without_footers(frame, used, origin, report)
    if "ticker" in used:
        names = cells.parse_tickers(frame[used["ticker"]], origin)
    else:
        names = np.full(len(frame), ticker, dtype=object)
    table = _table(frame, used, columns.get("clock"), names, origin, report)
    if closes_alone:
        table = _bars_of_closes(table)
        report.add(
            "Prices",
            f"{origin.name}: has one price a day: the open is the price of the day before, and high and "
            "low are the larger and the smaller of the two",
        )
    kept = {column for meaning, column in used.items() if meaning != "adj"} | {columns.get("clock"), ""}
    unused = [column for column in frame.columns if column not in kept]
    if "ticker" not in used:
        _refuse_unknown_tickers(frame, table, unused, origin)
    report.add("Read", _line(table, origin, used, unused))
    names_of = {simplify_name(used[meaning]) for meaning in ("divs", "split") if meaning in used}
    history = names_of == {"dividends", "stocksplits"} and "adj" not in used
    yield table, dataclasses.replace(origin, of_history=history)


def _turn_fields_in_rows(frame: pd.DataFrame, ticker: str | None) -> pd.DataFrame | None:
    """Turn rows of fields into columns.

    A table with a row per day and field gets columns of two levels. The result is None for any other table.
    """
    columns = find_columns(frame.columns, "")
    if "day" not in columns or set(PRICES) <= columns.keys():
        return None
    for column in frame.columns:
        if frame[column].dtype != object or column in (columns["day"], columns.get("ticker")):
            continue
        values = {simplify_name(value) for value in frame[column].head(1000).unique()}
        rest = [name for name in frame.columns if name not in (columns["day"], column, columns.get("ticker"))]
        if not set(PRICES) <= values or not rest or ("ticker" in columns and len(rest) > 1):
            continue
        if frame.duplicated([columns[key] for key in ("day", "ticker") if key in columns] + [column]).any():
            return None
        if "ticker" in columns:
            turned = frame.pivot(  # noqa: PD010  (a pivot_table would average)
                index=columns["day"], columns=[columns["ticker"], column], values=rest[0]
            )
        else:
            turned = frame.pivot(index=columns["day"], columns=column)  # noqa: PD010
            if len(rest) == 1 and ticker is not None:
                turned.columns = pd.MultiIndex.from_product([[ticker], turned.columns.get_level_values(1)])
        turned = turned.reset_index()
        turned.columns.names = ["ticker", None]
        return turned
    return None


def _without_footers(
    frame: pd.DataFrame, used: Mapping[str, object], origin: Origin, report: ConversionReport
) -> pd.DataFrame:
    """Drop rows of text below the prices.

    Such a row, for example a service's name, has neither a date nor numbers.
    """
    numbers = frame[[column for meaning, column in used.items() if meaning not in ("day", "ticker")]]
    bare = np.flatnonzero((numbers.isna() | (numbers == "")).all(axis=1).to_numpy())
    if not len(bare) or frame[used["day"]].dtype.kind == "M":
        return frame
    texts = frame[used["day"]].iloc[bare].astype(str).str.strip()
    bad = [
        position
        for position, text in zip(bare, texts, strict=True)
        if re.search(r"[^\W\d_]{3}.*\s", text) and not cells.looks_like_day(text)
    ]
    if bad:
        report.add(
            "Dropped", f"{origin.name}: {len(bad):,} lines of text", [repr(frame[used["day"]].iloc[bad[0]])]
        )
    return frame.drop(index=frame.index[bad])


def _day_column(frame: pd.DataFrame, columns: Mapping[str, object]) -> dict[str, object]:
    """Find the column of dates by its cells.

    The result is empty where the name of a column shows it, or where no column holds dates.
    """
    named = columns.get("day")
    if named is not None and (
        simplify_name(named) not in ("", "index", "unnamed:0") or _holds_days(frame[named])
    ):
        return {}
    taken = {column for meaning, column in columns.items() if meaning not in ("day", "clock")}
    free = [column for column in frame.columns if column not in taken]
    return next(({"day": column} for column in free if _holds_days(frame[column])), {})


def _holds_days(column: pd.Series | pd.DataFrame) -> bool:
    if isinstance(column, pd.DataFrame) or column.dtype.kind == "f":
        return False
    if column.dtype.kind == "M":  # with or without a time zone
        return True
    texts = [text for text in column.head(20).astype(str) if text.strip() not in cells.BLANK]
    return bool(texts) and all(map(cells.looks_like_day, texts))


def _whose(frame: pd.DataFrame, columns: Mapping[str, object], ticker: str | None) -> dict[str, object]:
    """Take a column `name` for the tickers.

    The column stays unused where it names a company or a currency of one ticker's file.
    """
    columns = dict(columns)
    if "ticker" in columns or "name" not in columns:
        return columns
    names = {cells.ticker_text(name) for name in frame[columns["name"]].dropna().unique()} - {""}
    several = "day" in columns and frame[columns["day"]].duplicated().any() and len(names) > 1
    if ticker is None or several or (names and all(TICKER.fullmatch(name) for name in names)):
        columns["ticker"] = columns["name"]
    return columns


def _table(
    frame: pd.DataFrame,
    used: Mapping[str, object],
    clock: object,
    names: np.ndarray,
    origin: Origin,
    report: ConversionReport,
) -> pd.DataFrame:
    read = cells.parse_days(frame[used["day"]], origin, names, None if clock is None else frame[clock])
    if read.note:
        report.add("Read", read.note)
    columns: dict[str, np.ndarray] = {"ticker": names, "day": read.days}
    for field in NUMBERS:
        columns[field] = np.full(len(frame), 1.0 if field == "split" else np.nan)
        if field == "split" and field in used:
            columns[field], note = cells.parse_split_ratios(frame[used[field]], used[field], origin, names)
            if note:
                report.add("Prices", f"{origin.name}: {note}")
        elif field in used:
            try:
                columns[field] = cells.parse_numbers(frame[used[field]], used[field], origin, names)
            except PricesError:
                if field != "adj":  # of which nothing is taken
                    raise
    if "gains" in used:
        gains = cells.parse_numbers(frame[used["gains"]], used["gains"], origin, names)
        if (gains > 0).any():
            both = ((gains > 0) & (columns["divs"] > 0)).sum()
            also = (
                f"; {both:,} of these days have a dividend too: check that it does not hold the gain"
                if both
                else ""
            )
            report.add(
                "Prices", f"{origin.name}: {(gains > 0).sum():,} capital gains count as dividends{also}"
            )
        total = np.nan_to_num(gains) + np.nan_to_num(columns["divs"])
        columns["divs"] = np.where(np.isnan(gains) & np.isnan(columns["divs"]), np.nan, total)
    if "close" in used and simplify_name(used["close"]) == "prc" and (columns["close"] < 0).any():
        few = (columns["close"] < 0).sum()
        columns["close"] = np.abs(columns["close"])
        report.add(
            "Prices",
            f"{origin.name}: {few:,} closes below 0 are means of bid and ask: taken without the sign",
        )
    table = pd.DataFrame(columns | {"row": frame.index.to_numpy()})
    _refuse_intraday(table, read.minutes, origin)
    return table


def _bars_of_closes(table: pd.DataFrame) -> pd.DataFrame:
    """Make bars from closes alone.

    Each bar runs from the close before to its own close. The first close makes none.
    """
    table = table.sort_values(["ticker", "day"], kind="stable")
    before = table.groupby("ticker")["close"].shift()
    whole = table["close"].where(before.notna())
    return table.assign(
        open=before, high=np.maximum(before, whole), low=np.minimum(before, whole), close=whole
    ).sort_values("row")


def _refuse_intraday(table: pd.DataFrame, minutes: np.ndarray, origin: Origin) -> None:
    """Refuse a table of intraday bars.

    Such a table has several bars of one ticker and day, at different times.
    """
    if not minutes.any():
        return
    key = table["day"].astype(np.int64) // 86_400_000_000_000 + pd.factorize(table["ticker"])[0] * 200_000
    earlier = pd.Series(minutes).groupby(key.to_numpy()).transform("first").to_numpy()
    bad = earlier != minutes
    if bad.any():
        at = int(np.argmax(bad))
        times = " and ".join(f"{m // 60}:{m % 60:02d}" for m in (earlier[at], minutes[at]))
        origin.refuse(
            bad,
            table["row"].to_numpy(),
            table["ticker"].to_numpy(),
            f"has several bars on {table['day'].iloc[at]:%Y-%m-%d} (at {times}): these are intraday "
            "prices; a market has one bar per day.",
        )


def _refuse_unknown_tickers(
    frame: pd.DataFrame, table: pd.DataFrame, unused: Sequence[object], origin: Origin
) -> None:
    """Refuse a table with an unknown ticker column.

    The table has several tickers, and the name of their column is unknown.
    """
    days = table["day"].to_numpy()
    if not pd.Index(days).has_duplicates:
        return
    candidates = [
        column
        for column in unused
        if frame[column].dtype.kind in "OiuSU" or frame[column].dtype == "category"
    ]
    for column in sorted(candidates, key=lambda name: frame[name].dtype.kind in "iu"):
        codes, values = pd.factorize(frame[column].astype(str).to_numpy())
        once = not pd.MultiIndex.from_arrays([codes, days]).has_duplicates
        repeated = len(values) <= len(codes) / 2 or len(np.unique(days)) == 1
        if once and repeated and not all(map(cells.looks_like_day, values[:20])):
            raise PricesError(
                f"{origin.name}: has several rows of a day, and the column {column} "
                f"({', '.join(values[:3])}) tells "
                f'them apart: if it holds the tickers, add --rename "{column}=ticker".'
            )


def is_wide(frame: pd.DataFrame, stem: str) -> bool:
    """Return True if a table holds one field.

    It has many tickers, no bars, and the name of a field.
    """
    if frame.columns.nlevels > 1 or field_of_file(stem) is None:
        return False
    columns = find_columns(frame.columns, stem)
    long = {"ticker", "day"} <= columns.keys() and simplify_name(columns["ticker"]) in ("ticker", "symbol")
    return not set(PRICES) <= columns.keys() and not long and len(frame.columns) > 1


def looks_wide(frame: pd.DataFrame) -> bool:
    """Return True if a table looks wide.

    It has dates first and then columns of numbers alone, none of them known.
    """
    if frame.columns.nlevels > 1 or len(frame.columns) < 2 or not _holds_days(frame.iloc[:, 0]):
        return False
    columns = find_columns(frame.columns, "").keys()
    known = columns & {"ticker", "name", "close", "adj"} or len(columns & set(NUMBERS)) > 1
    return not known and split_flat_names(list(frame.columns)) is None and _all_numbers(frame)


def _all_numbers(frame: pd.DataFrame) -> bool:
    if all(pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes.iloc[1:]):
        return True
    texts = {str(cell).strip() for cell in frame.iloc[:50, 1:].to_numpy().ravel()} - set(cells.BLANK)
    return bool(texts) and all(re.fullmatch(r"[-+$\d.,]+", text) for text in texts)


def tidy_wide(tables: Mapping[str, TidyTable], report: ConversionReport) -> TidyTable:
    """Join wide tables into a tidy one.

    There is one table by field, with dates in the first column. Row numbers are from the table of closes.
    """
    missing = [field for field in PRICES if field not in tables]
    if missing:
        there = ", ".join(origin.name for _, origin in tables.values())
        raise PricesError(
            f"{there}: one file per field lacks the file of {', '.join(missing)}: a market needs open, "
            "high, low and close."
        )
    long = {}
    for field, (frame, origin) in tables.items():
        frame = frame.set_axis(pd.RangeIndex(len(frame)))[~frame.isna().all(axis=1).to_numpy()]
        names = np.array([cells.ticker_text(name) for name in frame.columns[1:]], dtype=object)
        if len(set(names)) < len(names):
            raise PricesError(f"{origin.name}: has two columns of one ticker: leave one of them.")
        read = cells.parse_days(frame.iloc[:, 0], origin)
        if read.note:
            report.add("Read", read.note)
        grid = pd.MultiIndex.from_arrays([np.repeat(read.days, len(names)), np.tile(names, len(read.days))])
        values = [
            _wide_column(field, frame.iloc[:, k + 1], f"{name}", origin) for k, name in enumerate(names)
        ]
        column = np.stack(values, axis=1).ravel()
        stacked = pd.DataFrame({field: column, "row": np.repeat(frame.index, len(names))}, index=grid)
        twice = stacked.index.duplicated()
        rows = stacked["row"].to_numpy()
        origin.refuse(twice, rows, stacked.index.get_level_values(1).to_numpy(), "this day is there twice.")
        long[field] = stacked
        word = WORDS.get(field, field)
        size = f"{quantity(len(names), 'ticker')} on {quantity(len(read.days), 'day')}"
        report.add("Read", f"{origin.name}: the {word} of {size}")
    joined = pd.concat([table[field] for field, table in long.items()], axis=1)
    if "gains" in joined:
        joined["divs"] = joined.reindex(columns=["divs", "gains"]).sum(axis=1, min_count=1)
        report.add("Prices", f"{tables['gains'][1].name}: capital gains count as dividends")
    row = long["close"]["row"].reindex(joined.index).fillna(0).astype(int)
    table = joined.reset_index(names=["day", "ticker"]).reindex(columns=["ticker", "day", *NUMBERS])
    table["split"] = table["split"].fillna(1.0)
    table["row"] = row.to_numpy()
    return table, tables["close"][1]


def _wide_column(field: str, column: pd.Series, name: str, origin: Origin) -> np.ndarray:
    names = np.full(len(column), name, dtype=object)
    if field == "split":
        return cells.parse_split_ratios(column, name, origin, names)[0]
    return cells.parse_numbers(column, name, origin, names)


def ticker_level(columns: pd.MultiIndex) -> int:
    """Return the level of columns with the tickers.

    The columns have two levels.
    """
    for level, name in enumerate(columns.names):
        if name is not None and simplify_name(name) in ("ticker", "tickers", "symbol", "symbols"):
            return level
    known = {name for field in PRICES for name in COLUMN_NAMES[field] if len(name) > 1}
    fields = [
        len({simplify_name(name) for name in columns.get_level_values(level)} & known) for level in (0, 1)
    ]
    return 1 - int(np.argmax(fields))


def _two_levels(frame: pd.DataFrame, origin: Origin, report: ConversionReport) -> Iterator[TidyTable]:
    """Yield a tidy table for each ticker.

    The tickers are the names on the level of columns that does not hold fields.
    """
    level = ticker_level(frame.columns)
    frame = frame.set_axis(pd.RangeIndex(len(frame)))
    rest = frame.iloc[:, 1:]
    empty = (rest.isna() | (rest == "")).all(axis=1).to_numpy()
    read = cells.parse_days(frame.iloc[:, 0][~empty], origin)
    _refuse_intraday(
        pd.DataFrame({"day": read.days, "ticker": "", "row": np.flatnonzero(~empty)}), read.minutes, origin
    )
    if read.note:
        report.add("Read", read.note)
    day = pd.Series(np.datetime64("NaT", "ns"), index=frame.index, name="date")
    day[~empty] = read.days
    count, without = 0, []
    for name in rest.columns.get_level_values(level).unique():
        part = rest.xs(name, axis=1, level=level)
        known = find_columns(part.columns, f"{origin.name}, {name}")
        if not set(PRICES) <= known.keys() and (part.isna() | (part == "")).to_numpy().all():
            without.append(str(name))
            continue
        quiet = ConversionReport()
        whole = pd.concat([day, part], axis=1)  # with the empty rows, so that the others keep their numbers
        yield from tidy_table(whole, origin, quiet, cells.ticker_text(name))
        for line in quiet.lines("Prices"):
            report.add("Prices", line)
        count += 1
    if without:
        report.add("Dropped", f"{quantity(len(without), 'ticker')} without a price", without)
    size = f"{quantity(len(frame), 'day')} of {quantity(count, 'ticker')}"
    report.add("Read", f"{origin.name}: {size} in columns of two levels")


def _line(table: pd.DataFrame, origin: Origin, used: Mapping[str, object], unused: Sequence[object]) -> str:
    tickers = table["ticker"].unique()
    whose = quantity(len(tickers), "ticker") if len(tickers) != 1 else str(tickers[0])
    taken = [
        f"{WORDS.get(meaning, meaning)} from {column}"
        for meaning, column in used.items()
        if meaning not in ("day", "adj", "gains") and simplify_name(column) not in USUAL_NAMES
    ]
    listed = [str(column) for column in unused[:LISTED_COLUMNS]]
    more = f" and {len(unused) - LISTED_COLUMNS} more" if len(unused) > LISTED_COLUMNS else ""
    names = f"; not used: {', '.join(listed)}{more}" if unused else ""
    rows = quantity(len(table), "row")
    return f"{origin.name}: {rows} of {whose}{'; ' if taken else ''}{', '.join(taken)}{names}"
