"""The column names of price tables in common libraries and data services."""

import re
from collections.abc import Iterable

from lib.prices.findings import PricesError

PRICES = ("open", "low", "high", "close")
NUMBERS = (*PRICES, "vol", "divs", "split")
# By meaning, in order of preference; written as `simplify_name` leaves them. `Adj Close` is absent on purpose: it is
# lowered by every later dividend, which the field divs would then count a second time.
COLUMN_NAMES = {
    "day": ("date", "datetime", "timestamp", "time", "day", "tradedate", "index", "unnamed:0", ""),
    "ticker": ("ticker", "symbol", "tic", "asset", "instrument", "code", "name"),
    "open": ("open",),
    "low": ("low",),
    "high": ("high",),
    "close": ("close", "close/last"),
    "vol": ("volume", "vol"),
    "divs": ("dividends", "dividend", "divs", "divcash", "dividendamount"),
    "split": (
        "stocksplits",
        "stocksplit",
        "splits",
        "split",
        "splitratio",
        "splitfactor",
        "splitcoefficient",
    ),
    "from": ("from", "start", "startdate", "datefrom", "added"),
    "to": ("to", "end", "enddate", "dateto", "removed"),
}
ADJUSTED = ("adjclose", "adjustedclose", "closeadj", "closeadjusted")


def simplify_name(name: object) -> str:
    """Reduce a column's name to what names have in common: `Adj Close`, `adj_close` -> "adjclose".

    Case, blanks, `_`, `-`, the brackets of `<OPEN>` and the number of `1. open` do not count.
    """
    text = re.sub(r"^\d+\.\s*", "", str(name).strip().strip("<>").lower())
    return re.sub(r"[\s_-]", "", text)


def find_columns(columns: Iterable[object], source: str, required: Iterable[str] = ()) -> dict[str, object]:
    """Find the column of each meaning in `COLUMN_NAMES`.

    Parameters
    ----------
    columns : iterable
        The table's column names.
    source : str
        What to call the table in a refusal.
    required : iterable of str
        Meanings that must be there.

    Returns
    -------
    dict
        By meaning, the column's own name; meanings without a column are absent.

    Raises
    ------
    PricesError
        A column is there twice, or a required one is not.
    """
    columns = list(columns)
    found: dict[str, object] = {}
    for meaning, names in COLUMN_NAMES.items():
        for name in names:
            same = [column for column in columns if simplify_name(column) == name]
            if len(same) > 1:
                both = " and ".join(repr(str(column)) for column in same[:2])
                raise PricesError(f"{source}: has two columns of one name, {both}: leave one of them.")
            if same:
                found[meaning] = same[0]
                break
    missing = [meaning for meaning in required if meaning not in found]
    if missing == ["close"] and any(simplify_name(column) in ADJUSTED for column in columns):
        raise PricesError(
            f"{source}: has an adjusted close only, which dividends have lowered: add the column Close "
            "(yfinance writes it with auto_adjust=False)."
        )
    if missing:
        needed = ", ".join({"day": "date", "vol": "volume"}.get(meaning, meaning) for meaning in missing)
        listed = ", ".join(str(column) for column in columns[:12])
        raise PricesError(f"{source}: lacks a column for {needed}; it has {listed or 'none'}.")
    return found


def field_of_file(stem: str) -> str | None:
    """Name the field that a wide file holds, by its name: `close`, `prices_Open` -> "close", "open"."""
    if simplify_name(stem).endswith(ADJUSTED):
        return None
    for name in (simplify_name(stem), simplify_name(re.split(r"[\s_.-]", stem)[-1])):
        for field in NUMBERS:
            if name in COLUMN_NAMES[field]:
                return field
    return None
