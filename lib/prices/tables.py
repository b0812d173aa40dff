"""The shapes of a price table, long, by ticker, two-level and wide, brought into one: tidy."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from lib.prices import cells
from lib.prices.columns import NUMBERS, PRICES, field_of_file, find_columns, simplify_name
from lib.prices.findings import ConversionReport, Origin, PricesError

# A tidy table has the columns ticker, day, row (of its origin), and NUMBERS: NaN where unknown, split 1.
TidyTable = tuple[pd.DataFrame, Origin]


def tidy_table(
    frame: pd.DataFrame, origin: Origin, report: ConversionReport, ticker: str | None = None
) -> Iterator[TidyTable]:
    """TidyTable a table that holds whole bars.

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
    """
    if frame.columns.nlevels == 2:
        yield from _two_levels(frame, origin, report)
        return
    required = ("day", *PRICES) if ticker is not None else ("day", "ticker", *PRICES)
    columns = find_columns(frame.columns, origin.name, required)
    used = {meaning: columns[meaning] for meaning in ("day", "ticker", *NUMBERS) if meaning in columns}
    given = frame[list(used.values())]
    empty = (given.isna() | (given == "")).all(axis=1).to_numpy()
    frame = frame.set_axis(pd.RangeIndex(len(frame)))[~empty]
    if "ticker" in used:
        names = cells.parse_tickers(frame[used["ticker"]], origin)
    else:
        names = np.full(len(frame), ticker, dtype=object)
    table = _table(frame, used, names, origin)
    left_out = [str(column) for column in frame.columns if column not in {*used.values(), ""}]
    report.add("Read", _line(table, origin, left_out))
    yield table, origin


def is_wide(frame: pd.DataFrame, stem: str) -> bool:
    """Whether a table is one field of many tickers: no bars in it, and a field's name on it."""
    if frame.columns.nlevels > 1 or field_of_file(stem) is None:
        return False
    return not set(PRICES) <= find_columns(frame.columns, stem).keys()


def tidy_wide(tables: Mapping[str, TidyTable], report: ConversionReport) -> TidyTable:
    """Join wide tables, one by field, dates in the first column, into a tidy one; rows are the close's."""
    missing = [field for field in PRICES if field not in tables]
    if missing:
        there = ", ".join(origin.name for _, origin in tables.values())
        raise PricesError(f"{there}: one file per field lacks the file of {', '.join(missing)}.")
    long = {}
    for field, (frame, origin) in tables.items():
        frame = frame.set_axis(pd.RangeIndex(len(frame)))[~frame.isna().all(axis=1).to_numpy()]
        names = np.array([str(name).strip() for name in frame.columns[1:]], dtype=object)
        if len(set(names)) < len(names):
            raise PricesError(f"{origin.name}: has two columns of one ticker: leave one of them.")
        day = cells.parse_days(frame.iloc[:, 0], origin)
        grid = pd.MultiIndex.from_arrays([np.repeat(day, len(names)), np.tile(names, len(day))])
        values = [_numbers(field, frame.iloc[:, k + 1], f"{name}", origin) for k, name in enumerate(names)]
        matrix = np.stack(values, axis=1) if values else np.empty((len(day), 0))
        stacked = pd.DataFrame({field: matrix.ravel(), "row": np.repeat(frame.index, len(names))}, index=grid)
        twice = stacked.index.duplicated()
        rows = stacked["row"].to_numpy()
        origin.refuse(twice, rows, stacked.index.get_level_values(1).to_numpy(), "this day is there twice.")
        long[field] = stacked
        report.add("Read", f"{origin.name}: the {field} of {len(names):,} tickers on {len(day):,} days")
    joined = pd.concat([table[field] for field, table in long.items()], axis=1)
    row = long["close"]["row"].reindex(joined.index).fillna(0).astype(int)
    table = joined.reset_index(names=["day", "ticker"]).reindex(columns=["ticker", "day", *NUMBERS])
    table["split"] = table["split"].fillna(1.0)
    table["row"] = row.to_numpy()
    return table, tables["close"][1]


def _two_levels(frame: pd.DataFrame, origin: Origin, report: ConversionReport) -> Iterator[TidyTable]:
    """A table by ticker for each name of the level that does not hold fields."""
    fields = [
        len({simplify_name(name) for name in frame.columns.get_level_values(level)} & set(PRICES))
        for level in (0, 1)
    ]
    level = 1 - int(np.argmax(fields))
    day = frame.iloc[:, 0].rename("date")
    rest = frame.iloc[:, 1:]
    count = 0
    for name in rest.columns.get_level_values(level).unique():
        part = rest.xs(name, axis=1, level=level)
        quiet = ConversionReport()
        yield from tidy_table(pd.concat([day, part], axis=1), origin, quiet, str(name).strip())
        count += 1
    report.add("Read", f"{origin.name}: {len(frame):,} days of {count:,} tickers in columns of two levels")


def _table(
    frame: pd.DataFrame, used: Mapping[str, object], names: np.ndarray, origin: Origin
) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {
        "ticker": names,
        "day": cells.parse_days(frame[used["day"]], origin, names),
    }
    for field in NUMBERS:
        if field in used:
            columns[field] = _numbers(field, frame[used[field]], used[field], origin, names)
        else:
            columns[field] = np.full(len(frame), 1.0 if field == "split" else np.nan)
    return pd.DataFrame(columns | {"row": frame.index.to_numpy()})


def _numbers(
    field: str, column: pd.Series, name: object, origin: Origin, names: np.ndarray | None = None
) -> np.ndarray:
    if names is None:
        names = np.full(len(column), name, dtype=object)
    return (cells.parse_split_ratios if field == "split" else cells.parse_numbers)(
        column, name, origin, names
    )


def _line(table: pd.DataFrame, origin: Origin, left_out: list[str]) -> str:
    tickers = table["ticker"].unique()
    whose = f"{len(tickers):,} tickers" if len(tickers) != 1 else str(tickers[0])
    unused = f"; not used: {', '.join(left_out[:8])}" if left_out else ""
    return f"{origin.name}: {len(table):,} rows of {whose}{unused}"
