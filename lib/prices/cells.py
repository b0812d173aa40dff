"""Cells of a price table: tickers, days, numbers and ratios of splits, read or refused with their place."""

import re

import numpy as np
import pandas as pd

from lib.prices.findings import Origin, PricesError

BLANK = ("", "nan", "NaN", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaT", "None", "none", "null", "NULL", "-")
YEARS = range(1700, 2200)  # within nanoseconds, and narrow enough to catch typing errors
ISO = re.compile(r"(\d{4})([-/]?)(\d{1,2})\2(\d{1,2})(?:[T ]\d{1,2}:\d{2}.*)?")
SLASHES = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?: .*)?")
RATIO = re.compile(r"(\d+(?:\.\d+)?) ?(?::|/|for) ?(\d+(?:\.\d+)?)")


def parse_tickers(cells: pd.Series, origin: Origin) -> np.ndarray:
    """Names as text, as they are written but for blanks around them; a whole number is its digits."""
    codes, unique = pd.factorize(cells, use_na_sentinel=True)
    texts = [
        str(int(name)) if isinstance(name, float) and name.is_integer() else str(name) for name in unique
    ]
    names = np.array([*(text.strip() for text in texts), ""], dtype=object)[codes]
    origin.refuse(names == "", cells.index.to_numpy(), None, "there is no ticker in this row.")
    return names


def parse_days(cells: pd.Series, origin: Origin, names: np.ndarray | None = None) -> np.ndarray:
    """Calendar days (datetime64[ns], midnight), as they are written: clock times and time zones are dropped.

    A bar stamped midnight in New York, whether written with an offset or in UTC, thus keeps its day.
    Taken are ISO dates, `20240102`, names of months, and `1/31/2024` or `31/1/2024` where the order of day
    and month shows somewhere in the column.
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_localize(None)
    if cells.dtype.kind == "M" and cells.dt.year.dropna().isin(YEARS).all():
        stamps = cells.dt.normalize().astype("datetime64[ns]").to_numpy()
    else:
        texts = cells.astype(str).str.strip().to_numpy()
        codes, unique = pd.factorize(texts)
        stamps = _parse(unique, origin)[codes]
    rows = cells.index.to_numpy()
    origin.refuse(cells.isna().to_numpy(), rows, names, "there is no date in this row.")
    origin.refuse(
        np.isnat(stamps), rows, names, "{cell!r} is not a date; write it as 2024-01-31.", cells.to_numpy()
    )
    return stamps


def _parse(texts: np.ndarray, origin: Origin) -> np.ndarray:
    """Days of distinct texts, NaT where one is not a date."""
    slashes = [match for match in map(SLASHES.fullmatch, texts) if match]
    day_first = any(int(match[1]) > 12 for match in slashes)
    if slashes and not day_first and not any(int(match[2]) > 12 for match in slashes):
        raise PricesError(
            f"{origin.name}: the dates, like {slashes[0][0]!r}, do not show which number is the month; "
            "write them as 2024-01-31."
        )
    parsed = np.full(len(texts), np.datetime64("NaT", "ns"))
    for at, text in enumerate(texts):
        if match := ISO.fullmatch(text):
            year, month, day = match[1], match[3], match[4]
            if not match[2] and len(month + day) != 4:
                continue
        elif match := SLASHES.fullmatch(text):
            year, month, day = match[3], match[2 if day_first else 1], match[1 if day_first else 2]
        elif re.search("[A-Za-z]{3}", text) and re.search(r"\d", text):
            stamp = pd.to_datetime(text, errors="coerce")
            if stamp is not pd.NaT and stamp.year in YEARS:
                parsed[at] = np.datetime64(stamp.date(), "ns")
            continue
        else:
            continue
        if int(year) not in YEARS:
            continue
        try:
            parsed[at] = np.datetime64(pd.Timestamp(int(year), int(month), int(day)), "ns")
        except ValueError:  # no such day
            continue
    return parsed


def parse_numbers(cells: pd.Series, column: object, origin: Origin, names: np.ndarray) -> np.ndarray:
    """Numbers (float64), NaN where a cell is blank; a dollar sign before a number is dropped."""
    rows = cells.index.to_numpy()
    if pd.api.types.is_numeric_dtype(cells.dtype):
        values = cells.to_numpy(np.float64, na_value=np.nan)
    else:
        texts = cells.astype(str).str.strip()
        values = pd.to_numeric(texts.str.lstrip("$"), errors="coerce").to_numpy(np.float64, copy=True)
        bad = np.isnan(values) & ~texts.isin(BLANK).to_numpy()
        sentence = f"{{cell!r}} in the column {column} is not a number; write it like 1234.5."
        origin.refuse(bad, rows, names, sentence, cells.to_numpy())
    sentence = f"the number in the column {column} is infinite; leave the cell empty instead."
    origin.refuse(np.isinf(values), rows, names, sentence)
    return values


def parse_split_ratios(cells: pd.Series, column: object, origin: Origin, names: np.ndarray) -> np.ndarray:
    """Shares that one share became: 2 for `2`, `2:1` or `2/1`; 1 where a cell is blank, 0 or 1."""
    if not pd.api.types.is_numeric_dtype(cells.dtype):
        pairs = [RATIO.fullmatch(text.strip()) for text in cells.astype(str)]
        if any(pairs):
            shares = [
                float(pair[1]) / max(float(pair[2]), 1e-300) if pair else cell
                for pair, cell in zip(pairs, cells, strict=True)
            ]
            cells = pd.Series(shares, index=cells.index, dtype=object)
    values = parse_numbers(cells, column, origin, names)
    values = np.where(np.isnan(values) | (values == 0), 1.0, values)
    sentence = (
        "a split of {cell!r} is impossible; write 2 where one share became two, 0.5 where two became one."
    )
    origin.refuse((values < 1e-5) | (values > 1e5), cells.index.to_numpy(), names, sentence, cells.to_numpy())
    return values
