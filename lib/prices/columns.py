"""The column names of price tables in common libraries and data services."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from lib.prices.findings import PricesError

PRICES = ("open", "low", "high", "close")
NUMBERS = (*PRICES, "vol", "divs", "split", "adj")
# By meaning, in order of preference; written as `simplify_name` leaves them. The adjusted close is no close:
# every later dividend lowers it, which the field divs would then count a second time.
COLUMN_NAMES: dict[str, Sequence[str]] = {
    "day": (
        *("date", "datetime", "timestamp", "time", "day", "tradedate", "tradingdate", "tradingday"),
        *(
            "pricedate",
            "dt",
            "dtyyyymmdd",
            "caldt",
            "datadate",
            "asofdate",
            "timeopen",
            "opentime",
            "snappedat",
        ),
        *("windowstart", "gmttime", "localtime", "unix", "unixtime", "unixtimestamp", "epoch"),
        *("datum", "fecha", "data", "dato", "index", "unnamed:0", ""),
    ),
    "clock": ("time", "uhrzeit"),  # beside a column of dates
    "ticker": (
        *("ticker", "tickers", "symbol", "symbols", "tic", "tickersymbol", "stocksymbol", "actsymbol"),
        *("tscode", "asset", "instrument", "code", "stockcode", "securitycode", "ric", "sid"),
        *("permno", "secid", "isin", "cusip", "figi", "wkn"),
    ),
    "name": ("name", "stock", "security", "company", "companyname", "stockname", "securityname"),
    "open": (
        *("open", "openprice", "openingprice", "openprc", "priceopen", "pxopen"),
        *("eröffnung", "eroeffnung", "eröffn", "eröffnungskurs", "erster", "apertura", "abertura"),
        *("ouverture", "ouv", "o"),
    ),
    "low": (
        *("low", "lowprice", "lowestprice", "bidlo", "pricelow", "pxlow"),
        *("tief", "tiefst", "tagestief", "tiefstkurs", "mínimo", "minimo", "minima", "bas", "plusbas", "l"),
    ),
    "high": (
        *("high", "highprice", "highestprice", "askhi", "pricehigh", "pxhigh"),
        *(
            "hoch",
            "höchst",
            "tageshoch",
            "höchstkurs",
            "máximo",
            "maximo",
            "massimo",
            "haut",
            "plushaut",
            "h",
        ),
    ),
    "close": (
        *("close", "close/last", "closelast", "closeprice", "closingprice", "priceclose", "pxlast", "prc"),
        *("schluss", "schluß", "schlusskurs", "schlußkurs", "zuletzt", "cierre", "último", "ultimo"),
        *("fechamento", "chiusura", "clôture", "dernier", "last", "lastprice", "price", "c"),
    ),
    "vol": (
        *("volume", "vol", "volumen", "sharevolume", "tradingvolume", "tradedvolume", "volumetraded"),
        *(
            "totaltradequantity",
            "totaltradedquantity",
            "tottrdqty",
            "tickvol",
            "totalvolume",
            "stück",
            "pxvolume",
            "v",
        ),
    ),
    "divs": (
        *("dividends", "dividend", "divs", "div", "divcash", "dividendamount", "exdividend", "exdiv"),
        *("exdividends", "cashdividend", "cashdividends", "dividendcash", "dividendpershare"),
        *("dividendspershare", "divamt", "distribution", "distributions", "dividende", "dividenden"),
    ),
    "gains": ("capitalgains", "capitalgain"),  # paid out by funds, like dividends
    "split": (
        *("stocksplits", "stocksplit", "splits", "split", "splitratio", "splitfactor"),
        *("splitcoefficient", "splitcoef", "stocksplitratio"),
    ),
    "adj": ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice", "adjclosing"),
    "from": ("from", "start", "startdate", "datefrom", "added"),
    "to": ("to", "end", "enddate", "dateto", "removed"),
}
SINGLE_LETTERS = {"o": "open", "l": "low", "h": "high", "c": "close"}
# What a user writes for a meaning, in messages and in --rename.
WORDS = {"day": "date", "vol": "volume", "divs": "dividends", "split": "splits", "adj": "adj close"}
UNNAMED = re.compile(r"unnamed: ?\d+(_level_\d+)?", re.IGNORECASE)


def simplify_name(name: object) -> str:
    """Reduce a column's name to a plain form.

    `Adj. Close` and `adj_close` both become "adjclose". Case, blanks, `_`, `-`, `.`, the brackets of
    `<OPEN>`, the number of `1. open` and the unit of `Close (USD)` do not count.
    """
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    text = re.sub(r"^\d+\.\s+", "", text.strip().strip("<>").lower())
    return re.sub(r"[\s_.\-]", "", re.sub(r"(?<=\w)\s*[(\[][^()\[\]]*[)\]]$", "", text))


def _has_unit(name: object) -> bool:
    return str(name).strip().endswith((")", "]"))


def find_columns(columns: Iterable[object], source: str) -> dict[str, object]:
    """Find the column of each meaning in `COLUMN_NAMES`.

    Parameters
    ----------
    columns : iterable
        The table's column names.
    source : str
        What to call the table in a refusal.

    Returns
    -------
    dict
        By meaning, the column's own name; meanings without a column are absent.

    Raises
    ------
    PricesError
        A column is there twice.
    """
    columns = list(columns)
    by_name: dict[str, list[object]] = {}
    for column in sorted(columns, key=_has_unit):
        same = by_name.setdefault(simplify_name(column), [])
        if not (same and _has_unit(column)):  # of `Volume (BTC)` and `Volume (USD)` the first counts
            same.append(column)
    letters = by_name.keys() >= SINGLE_LETTERS.keys()  # one letter alone is more likely a ticker
    if letters:
        by_name["timestamp"] = by_name.get("timestamp", []) + by_name.pop("t", [])
    found: dict[str, object] = {}
    for meaning, names in COLUMN_NAMES.items():
        for name in names:
            same = by_name.get(name, [])
            if (
                not same
                or (len(name) == 1 and not letters)
                or (meaning == "clock" and same[0] == found.get("day"))
            ):
                continue
            if len(same) > 1:
                both = " and ".join(repr(str(column)) for column in same[:2])
                raise PricesError(f"{source}: has two columns of one name, {both}: leave one of them.")
            found[meaning] = same[0]
            break
    volumes = [same[0] for name, same in by_name.items() if name.startswith("volume")]
    if volumes:  # `Volume BTC`, beside `Volume USD`
        found.setdefault("vol", volumes[0])
    return found


def require_columns(
    required: Iterable[str], found: Mapping[str, object], columns: Iterable[object], source: str
) -> None:
    """Raise PricesError unless the required columns exist.

    `required` lists their meanings. The message shows the renaming that would help.
    """
    columns = list(columns)
    missing = [meaning for meaning in required if meaning not in found]
    if not missing:
        return
    if missing == ["close"] and "adj" in found:
        raise PricesError(
            f"{source}: has an adjusted close only, which dividends have lowered: add the column Close "
            "(yfinance writes it with auto_adjust=False)."
        )
    needed = ", ".join(WORDS.get(meaning, meaning) for meaning in missing)
    listed = ", ".join(str(column) for column in columns[:12])
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    free = [str(column) for column in columns if column not in found.values() and str(column).strip()]
    if {"open", "low", "high"} <= set(missing) and "close" in found:
        hint = "; closes alone are not enough: a market needs open, high, low and close"
    elif free:
        word = WORDS.get(missing[0], missing[0])
        near = difflib.get_close_matches(word, [name.lower() for name in free], n=1, cutoff=0.4)
        shown = next((name for name in free if near and name.lower() == near[0]), free[0])
        hint = f'; if one of these holds it, name it, for example --rename "{shown}={word}"'
    else:
        hint = ""
    if missing == ["ticker"]:
        hint += '; a frame of one ticker is given by its name, {"AAPL": frame}'
    raise PricesError(f"{source}: lacks a column for {needed}; it has {listed or 'none'}{more}{hint}.")


def field_of_file(stem: str) -> str | None:
    """Return the field in a wide file's name.

    `close` gives "close", and `prices_Open` gives "open". The result is None for other names.
    """
    for name in (simplify_name(stem), simplify_name(re.split(r"[\s_.-]", stem)[-1])):
        for field in ("adj", "gains", *NUMBERS):
            if any(
                name == known or (field == "adj" and name.endswith(known)) for known in COLUMN_NAMES[field]
            ):
                return field if len(name) > 1 else None
    return None


def parse_renames(words: Iterable[str]) -> dict[str, str]:
    """Parse words like "Schluss=close".

    The result has the names of the meanings by column.

    Raises
    ------
    PricesError
        A word without "=", or a name that columns do not have.
    """
    renames: dict[str, str] = {}
    for word in words:
        column, separator, target = word.rpartition("=")
        if not (separator and column.strip() and target.strip()):
            raise PricesError(f'--rename {word!r}: write COLUMN=NAME, like --rename "Schluss=close".')
        renames[column.strip()] = target.strip()
    return renames


def check_renames(renames: Mapping[str, str]) -> dict[str, str]:
    """Check renames and unify their targets.

    The result has targets by column, each in the form that `find_columns` prefers. PricesError is raised for
    an unknown target.
    """
    known = {name: meaning for meaning, names in COLUMN_NAMES.items() for name in names if len(name) > 1}
    known |= {WORDS.get(meaning, meaning).replace(" ", ""): meaning for meaning in COLUMN_NAMES}
    result = {}
    for column, target in renames.items():
        meaning = known.get(simplify_name(target))
        if meaning is None:
            raise PricesError(
                f"{target!r} is not a column of prices: a column can be renamed to date, ticker, open, "
                "high, low, close, volume, dividends or splits."
            )
        result[str(column)] = COLUMN_NAMES[meaning][0]
    return result


def rename_columns(names: Iterable[object], renames: Mapping[str, str]) -> list[object]:
    """Return column names after `renames`.

    A column that had a target's name before is set aside.
    """
    names = list(names)
    targets = {renames[text] for text in (str(name).strip() for name in names) if text in renames}
    if not targets:
        return names
    taken = {name for target in targets for name in _same_meaning(target)}
    return [
        renames.get(str(name).strip(), f"{name} (not used)" if simplify_name(name) in taken else name)
        for name in names
    ]


def _same_meaning(target: str) -> Sequence[str]:
    return next((names for names in COLUMN_NAMES.values() if names[0] == target), ())


def split_flat_names(names: Sequence[object]) -> pd.MultiIndex | None:
    """Split flat names of fields and tickers.

    The result has columns of two levels, or is None where the names are not of this kind.

    The function takes `('Close', 'AAPL')`, `Close_AAPL`, `AAPL.Close`, `Close AAPL`, `AAPL|Close` and the
    like, where every ticker's four prices are there for at least one ticker. The first column may hold the
    dates.
    """
    for order in (0, 1):
        pairs = [_field_and_ticker(str(name), order) for name in names]
        fields: dict[str, set[str]] = {}
        for pair in filter(None, pairs):
            fields.setdefault(pair[1], set()).add(pair[0])
        whole = [ticker for ticker, own in fields.items() if own >= set(PRICES)]
        if whole and 2 * sum(pair is None for pair in pairs) <= len(pairs):
            return pd.MultiIndex.from_tuples(
                [
                    (COLUMN_NAMES[pair[0]][0], pair[1]) if pair else (_date_of_tuple(name), "")
                    for name, pair in zip(names, pairs, strict=True)
                ]
            )
    return None


def _date_of_tuple(name: object) -> str:
    return re.sub(r"^\(['\"](.*?)['\"], ['\"]{2}\)$", r"\1", str(name)).strip("_|. ")


def _field_and_ticker(name: str, order: int) -> tuple[str, str] | None:
    if match := re.fullmatch(r"\(['\"](.*)['\"], ['\"](.*)['\"]\)", name.strip()):
        parts = [(match[1], match[2])]
    else:
        parts = [(name[: at.start()], name[at.end() :]) for at in re.finditer(r"[\s_|:./-]+", name.strip())]
    for left, right in reversed(parts) if order == 0 else parts:
        field, ticker = (left, right) if order == 0 else (right, left)
        for meaning in NUMBERS:
            if ticker and len(field) > 1 and simplify_name(field) in COLUMN_NAMES[meaning]:
                return meaning, ticker.strip()
    return None
