"""The cells of a price table.

They are tickers, days, numbers and ratios of splits, read or refused with their place.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.common.errors import quantity
from lib.prices.findings import NumberStyle, Origin, PricesError

BLANK = (
    *("", "nan", "NaN", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaT", "None", "none", "null", "NULL", "-"),
    *("--", ".", "n.a.", "nil"),
)
YEARS = range(1700, 2200)  # within nanoseconds, and narrow enough to catch typing errors
_CLOCK = (
    r"(?:[T ,]\s*(?P<hour>\d{1,2}):?(?P<minute>\d{2})(?::?\d{2}(?:[.,]\d+)?)?\s*(?P<half>[AaPp]\.?[Mm])?"
    r"(?P<zone>.*))?"
)
_WEEKDAY = r"(?:(?:mo|tu|we|th|fr|sa|su)[a-z]*\.?,?\s+)?"
_MONTH, _YEAR = r"(?P<name>[^\W\d_]{3,9})", r"(?P<year>\d{4}|\d{2})"
YEAR_FIRST = re.compile(r"(?P<year>\d{4})([-/.]?)(?P<month>\d{1,2})\2(?P<day>\d{1,2})" + _CLOCK)
YEAR_LAST = re.compile(r"(?P<first>\d{1,2})([/.-])(?P<second>\d{1,2})\2" + _YEAR + _CLOCK)
NAMED = [
    re.compile(pattern + ("" if "hour" in pattern else _CLOCK), re.IGNORECASE)
    for pattern in (
        _WEEKDAY + r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?[\s\-/,]*" + _MONTH + r"\.?[\s\-/,']*" + _YEAR,
        _WEEKDAY + _MONTH + r"\.?[\s\-/]*(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,\s*|[\s\-/]+)" + _YEAR,
        r"(?P<year>\d{4})[\s\-/]*" + _MONTH + r"[\s\-/]*(?P<day>\d{1,2})",
        _WEEKDAY + _MONTH + r"\s+(?P<day>\d{1,2})\s+(?P<hour>\d{1,2}):(?P<minute>\d{2}):\d{2}(?P<zone> \w+)?"
        r"(?P<half>)\s+(?P<year>\d{4})",
    )
]
MONTH_ALONE = re.compile(
    rf"{_MONTH}[\s\-/.,']*(?:\d{{4}}|\d{{2}})|\d{{4}}[\s\-/.]*{_MONTH.replace('name', 'other')}"
    r"|\d{4}[-/.M ]\d{1,2}|\d{1,2}[-/.]\d{4}|(?:19|20)\d{2}(?:0[1-9]|1[0-2])"
)
MONTHS = (
    *("january januar", "february februar", "march märz mrz", "april", "may mai", "june juni", "july juli"),
    *("august", "september", "october oktober", "november", "december dezember"),
)
RATIO = re.compile(r"(\d+(?:\.\d+)?) ?-?(?::|/|for)-? ?(\d+(?:\.\d+)?)")
FLAGS = {"true", "false", "yes", "no", "y", "n", "t", "f"}
SUFFIXES = {"": 1.0, "k": 1e3, "tsd": 1e3, "m": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9, "mrd": 1e9, "t": 1e12}
_GAP = " \u00a0\u2009\u202f'\u2019"  # marks between thousands that are never decimal marks
_AMOUNT = re.compile(
    rf"([-+]?)\s*[$€£¥₹]?\s*([-+]?)([\d.,{_GAP}]*\d[.,]?(?:e[-+]?\d+)?)\s*(tsd|mio|mrd|bn|[kmbt])?\.?\s*[$€£¥₹]?",
    re.IGNORECASE,
)


def parse_tickers(cells: pd.Series, origin: Origin) -> np.ndarray:
    """Return tickers as text.

    They are as written, but without surrounding blanks. A whole number becomes its digits.
    """
    codes, unique = pd.factorize(cells)
    names = np.array([*(ticker_text(name) for name in unique), ""], dtype=object)[codes]
    origin.refuse(names == "", cells.index.to_numpy(), None, "there is no ticker in this row.")
    return names


def ticker_text(name: object) -> str:
    """Return a ticker as text.

    `b'AAPL'` becomes "AAPL", and 600519.0 becomes "600519".
    """
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    text = str(name).strip()
    return re.sub(r"^b(['\"])(.*)\1$", r"\2", text)


@dataclass
class DayCells:
    """Calendar days and clock times of cells.

    Days are datetime64[ns] at midnight. Clock times are minutes after midnight, where they are written.
    """

    days: np.ndarray
    minutes: np.ndarray
    note: str = ""


def parse_days(
    cells: pd.Series, origin: Origin, names: np.ndarray | None = None, clock: pd.Series | None = None
) -> DayCells:
    """Read calendar days as they are written.

    Clock times and time zones are dropped. A bar stamped midnight in New York thus keeps its day, with an
    offset as well as in UTC. Stamps of the evening before (Sundays to Thursdays, no Friday) mean the next
    day, and stamps of the morning after mean the day before.

    The function accepts ISO dates, `20240102`, names of months, `1/31/2024` or `31/1/2024` where the order of
    day and month shows somewhere in the column, and seconds, milliseconds, micro- or nanoseconds since 1970.
    """
    rows = cells.index.to_numpy()
    utc = isinstance(cells.dtype, pd.DatetimeTZDtype) and str(cells.dt.tz) in ("UTC", "UTC+00:00")
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_localize(None)
    if cells.dtype.kind == "M" and cells.dt.year.dropna().isin(YEARS).all():
        stamps = cells.dt.normalize().astype("datetime64[ns]").to_numpy()
        minutes = (60 * cells.dt.hour + cells.dt.minute).fillna(0).to_numpy(np.int64)
    else:
        codes, unique = pd.factorize(cells.astype(str).str.strip().to_numpy())
        texts = [re.sub(r"^(\d+)\.0+$", r"\1", ticker_text(text)) for text in unique]
        days, clocks, utc = _parse_texts(texts, origin)
        stamps, minutes = days[codes], clocks[codes]
    missing = cells.isna().to_numpy() | cells.isin(["", "None", "nan"]).to_numpy()
    origin.refuse(missing, rows, names, "there is no date in this row.")
    bad = np.isnat(stamps)
    if bad.any():
        origin.refuse(bad, rows, names, _why_no_date(str(cells.to_numpy()[np.argmax(bad)])), cells.to_numpy())
    if clock is not None:
        minutes = _parse_clock(clock)
    return _shift_nights(stamps.copy(), minutes, utc, origin)


def _why_no_date(text: str) -> str:
    text = text.strip().removesuffix(".0")
    if re.fullmatch(r"\d{4}(Q\d)?", text) and (not text.isdigit() or int(text) in YEARS):
        return "{cell} is a year or a quarter and not a day; a market has a bar per day of trading."
    if MONTH_ALONE.fullmatch(text) and (text[0].isdigit() or _month_number(re.match(r"[^\W\d_]+", text)[0])):  # type: ignore[index]
        return "{cell} is a month and not a day; write the day as 2024-01-31."
    if re.fullmatch(r"[2-7]\d{4}", text):
        return "{cell} looks like a spreadsheet's number of a day; write it as 2024-01-31."
    return "{cell} is not a date; write it as 2024-01-31."


def looks_like_day(text: str) -> bool:
    """Return True if a text could be a date.

    A count of seconds, milliseconds, micro- or nanoseconds since 1970 could be one too.
    """
    text = text.strip()
    if (match := YEAR_FIRST.fullmatch(text)) and (match[2] or re.match(r"(1[7-9]|2[01])\d{6}(?!\d)", text)):
        return True
    if YEAR_LAST.fullmatch(text) or re.fullmatch(r"1\d{9}(\d{3}){0,3}", text):
        return True
    return any(_month_number(match["name"]) for match in _named_matches(text))


def _named_matches(text: str) -> list[re.Match]:
    """Return the matches of dates with named months.

    They are matches of the whole text with the patterns in `NAMED`.
    """
    return [match for match in (pattern.fullmatch(text) for pattern in NAMED) if match]


def _month_number(word: str) -> int:
    word = word.lower()
    return next(
        (k for k, names in enumerate(MONTHS, 1) if any(name.startswith(word) for name in names.split())), 0
    )


def _parse_texts(texts: list[str], origin: Origin) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return days and minutes of distinct texts.

    A day is NaT where the text is not a date. The third value is True if all days are in UTC.
    """
    epochs = _parse_epochs(texts)
    if epochs is not None:
        days = epochs.astype("datetime64[D]")
        minutes = (epochs - days).astype("timedelta64[m]").astype(np.int64)
        return days.astype("datetime64[ns]"), minutes, True
    day_first = _order_of_numbers([m for m in map(YEAR_LAST.fullmatch, texts) if m], origin)
    days = np.full(len(texts), np.datetime64("NaT", "ns"))
    minutes = np.zeros(len(texts), dtype=np.int64)
    utc = True
    today = pd.Timestamp.today()
    for at, text in enumerate(texts):
        if match := YEAR_FIRST.fullmatch(text):
            if not match[2] and len(match["month"] + match["day"]) != 4:
                continue
            month, day = int(match["month"]), int(match["day"])
        elif match := YEAR_LAST.fullmatch(text):
            first, second = int(match["first"]), int(match["second"])
            month, day = (second, first) if day_first else (first, second)
        else:
            match = next((m for m in _named_matches(text) if _month_number(m["name"])), None)
            if match is None:
                continue
            month, day = _month_number(match["name"]), int(match["day"])
        year = int(match["year"])
        try:
            if len(match["year"]) == 2:  # no price lies in the future
                year += 2000 if pd.Timestamp(year + 2000, month, day) <= today else 1900
            if year in YEARS:
                days[at] = np.datetime64(pd.Timestamp(year, month, day), "ns")
        except ValueError:  # no such day
            continue
        if match["hour"] is not None:
            noon = {"a": -12 * (int(match["hour"]) == 12), "p": 12 * (int(match["hour"]) < 12)}
            hour = int(match["hour"]) + noon.get((match["half"] or " ")[0].lower(), 0)
            minutes[at] = 60 * hour + int(match["minute"])
            utc &= bool(re.match(r"\s*(Z|UTC|GMT|[+-]?00:?00)", match["zone"] or "", re.IGNORECASE))
    return days, minutes, utc


def _parse_epochs(texts: list[str]) -> np.ndarray | None:
    """Return the instants of counts since 1970.

    Their size shows the unit. The result is None where the texts are no such counts.
    """
    given = [text for text in texts if text not in BLANK]
    if not given or not all(re.fullmatch(r"-?[0-8]?\d{1,18}(\.0*)?", text) for text in given):
        return None
    counts = [int(text.split(".")[0]) for text in given]
    size = max(map(abs, counts))
    if size < 1e8 or all(re.fullmatch(r"(1[7-9]|2[01])\d{6}(\.0*)?", text) for text in given):
        return None
    unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
    instants = pd.to_datetime(pd.Series(counts), unit=unit, errors="coerce").to_numpy()  # type: ignore[call-overload]
    found = dict(zip(given, instants, strict=True))
    return np.array([found.get(text, np.datetime64("NaT")) for text in texts], dtype="datetime64[ns]")


def _order_of_numbers(matches: list[re.Match], origin: Origin) -> bool:
    """Return True if dates begin with the day.

    A number above 12, as in 31/1/2024, or points between the numbers show the order. PricesError is raised
    where nothing shows it.
    """
    if not matches:
        return False
    first, second = ({int(match[name]) for match in matches} for name in ("first", "second"))
    years = {match["year"] for match in matches}
    settled = max(first) > 12 or max(second) > 12 or all(match[2] == "." for match in matches)
    if all(len(year) == 2 for year in years) and len(years) > max(2, len(first)):
        settled = False  # the year may stand first
    if not settled or (max(first) > 12 and max(second) > 12):
        raise PricesError(
            f"{origin.name}: the dates, like {matches[0][0]!r}, do not show which number is the month; "
            "write them as 2024-01-31."
        )
    return max(second) <= 12


def _parse_clock(cells: pd.Series) -> np.ndarray:
    """Return clock times as minutes after midnight.

    The minutes are 0 where a cell is no clock time.
    """
    texts = cells.astype(str).str.strip().str.replace(r"\.0$", "", regex=True)
    found = texts.str.extract(r"^(\d{1,2}):(\d{2})")
    digits = texts.where(texts.str.fullmatch(r"\d{5,6}"), "0").str.zfill(6)
    hours = found[0].fillna(digits.str[:2]).astype(int)
    return (60 * hours + found[1].fillna(digits.str[2:4]).astype(int)).to_numpy(np.int64)


def _shift_nights(stamps: np.ndarray, minutes: np.ndarray, utc: bool, origin: Origin) -> DayCells:
    """Move stamps of nearby nights to their day.

    Stamps of the evening before move to the next day, and stamps of the morning after move to the day before.
    PricesError is raised where the days are a time zone off.
    """
    result = DayCells(stamps, minutes)
    for part, step, whole, none in (
        (minutes >= 720, 1, 6, (4, 5)),
        ((minutes > 0) & (minutes < 720), -1, 5, (0, 6)),
    ):
        weekdays = (np.unique(stamps[part]).astype("datetime64[D]").astype(np.int64) + 3) % 7
        if len(weekdays) < 4 or not (weekdays == whole).any() or np.isin(weekdays, none).any():
            continue
        clocks = np.unique(minutes[part])
        shown = f"{clocks[0] // 60:02d}:{clocks[0] % 60:02d}"
        days = (
            "Sundays to Thursdays, with no Friday" if step == 1 else "Tuesdays to Saturdays, with no Monday"
        )
        if step == 1 and clocks[0] < 1200 and not (utc and (clocks % 30 == 0).all()):
            raise PricesError(
                f"{origin.name}: its rows stand at {shown} of {days}: the days are a time zone off; write "
                "them as the exchange's own days, without a clock time."
            )
        stamps[part] += np.timedelta64(step, "D")
        meant = "the next day" if step == 1 else "the day before"
        result.note = f"{origin.name}: its rows stand at {shown} of {days}: each was read as {meant}"
    return result


def detect_number_style(
    columns: Mapping[int, Iterable[str]], volumes: Iterable[int], separator: str, source: str
) -> NumberStyle:
    """Find the marks in numbers.

    One mark stands before decimals, and the other between thousands.

    Parameters
    ----------
    columns : mapping
        Cells by column, of numbers only.
    volumes : iterable
        Columns that hold counts, which have no decimals.
    separator : str
        Mark between the cells of a line: a semicolon suggests that the comma has another use.
    source : str
        What to call the table in a refusal.

    Raises
    ------
    PricesError
        Nothing shows whether 16.769 is 16769.
    """
    decimal, group, either = set[str](), set[str](), dict[str, str]()
    long_whole, mixed = False, dict[str, tuple[str, str]]()
    for column, cells in columns.items():
        whole, grouped = "", {}
        for cell in set(cells):
            match = _AMOUNT.fullmatch(cell.strip())
            if not match:
                continue
            text = re.sub(f"[{_GAP}]|e.*", "", match[3], flags=re.IGNORECASE)
            if text.isdigit():
                long_whole |= len(text) > 3
                whole = text
            elif {".", ","} <= set(text):
                last = max(".,", key=text.rfind)
                decimal.add(last)
                group.add("," if last == "." else ".")
            elif (mark := "." if "." in text else ",") and text.count(mark) > 1:
                group.add(mark)
            elif match[4] or not re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", text):
                decimal.add(mark)
            else:
                either[mark] = grouped[mark] = cell.strip()
        if column in set(volumes) and whole and len(whole) <= 3:
            mixed |= {mark: (cell, whole) for mark, cell in grouped.items()}
    if not decimal and not group and separator == ";":
        group |= set(either) & set(mixed)
        if either and not group and not long_whole:
            mark, cell = next(iter(either.items()))
            raise PricesError(
                f"{source}: does the {'point' if mark == '.' else 'comma'} in {cell!r} separate thousands "
                "or decimals? Nothing in the file shows it: write numbers like 1234.5."
            )
    elif not decimal and separator != ";":
        group |= set(either) & set(mixed)
    if decimal - group == {","} or "." in group - decimal:
        return NumberStyle(",", ".")
    if not decimal and not group and set(either) == {","} and separator != "," and long_whole:
        return NumberStyle(",", ".")
    return NumberStyle()


def parse_numbers(cells: pd.Series, column: object, origin: Origin, names: np.ndarray) -> np.ndarray:
    """Return numbers (float64), NaN where a cell is blank.

    Accepts marks between thousands, a currency's sign, and K, M or B for thousands, millions and billions.
    """
    rows = cells.index.to_numpy()
    if pd.api.types.is_numeric_dtype(cells.dtype):
        values = cells.to_numpy(np.float64, na_value=np.nan)
    else:
        codes, unique = pd.factorize(cells.astype(str).to_numpy())
        read = np.array([_parse_amount(text.strip(), origin.style) for text in unique], dtype=np.float64)
        values = read[codes]
        blank = np.array([text.strip() in BLANK for text in unique], dtype=bool)[codes]
        sentence = f"{{cell}} in the column {column} is not a number; write it like 1234.5."
        origin.refuse(np.isnan(values) & ~blank, rows, names, sentence, cells.to_numpy())
    sentence = f"the number in the column {column} is infinite; leave the cell empty instead."
    origin.refuse(np.isinf(values), rows, names, sentence)
    return values


def _parse_amount(text: str, style: NumberStyle) -> float:
    if style.decimal == ".":
        try:
            return float(text) if "_" not in text else np.nan
        except ValueError:
            pass
    match = _AMOUNT.fullmatch(text)
    if not match or (match[1] and match[2]):
        return np.nan
    mark = re.escape(style.decimal)
    gap = f"[{re.escape(style.thousands)}{_GAP}]"
    form = rf"(\d+|\d{{1,3}}(?:{gap}\d{{2,3}})*{gap}\d{{3}})?(?:{mark}(\d*))?(e[-+]?\d+)?"
    parts = re.fullmatch(form, match[3], re.IGNORECASE)
    if not parts or not (parts[1] or parts[2]):
        return np.nan
    whole = re.sub(gap, "", parts[1] or "0")
    value = float(f"{whole}.{parts[2] or 0}{parts[3] or ''}") * SUFFIXES[(match[4] or "").lower()]
    return -value if "-" in (match[1], match[2]) else value


def parse_split_ratios(
    cells: pd.Series, column: object, origin: Origin, names: np.ndarray
) -> tuple[np.ndarray, str]:
    """Return the split ratios of a column.

    A ratio is the number of shares that one share became. The second value is a note if the column holds no
    ratios.

    The ratio is 2 for `2`, `2:1` or `2/1`, and 1 where a cell is blank, 0 or 1. A column of flags (true or
    false, or 0 and 1) gives no ratios.
    """
    if cells.dtype == bool or not pd.api.types.is_numeric_dtype(cells.dtype):
        texts = cells.astype(str).str.strip()
        given = set(texts.str.lower()) - {blank.lower() for blank in BLANK}
        if given & FLAGS and given <= FLAGS | {"0", "1"}:
            return np.ones(len(cells)), f"the column {column} holds flags and no ratios: not used"
        pairs = [RATIO.fullmatch(text) for text in texts]
        if any(pairs):
            shares = [
                float(pair[1]) / max(float(pair[2]), 1e-300) if pair else cell
                for pair, cell in zip(pairs, cells, strict=True)
            ]
            cells = pd.Series(shares, index=cells.index, dtype=object)
    values = parse_numbers(cells, column, origin, names)
    known = set(np.unique(values[~np.isnan(values)]))
    if known == {0.0, 1.0}:
        days = int((values == 1).sum())
        few = f" on {quantity(days, 'row')}" if days < len(values) / 2 else ""
        return np.ones(
            len(values)
        ), f"the column {column} holds 0 and 1{few} and no ratio of a split: not used"
    values = np.where(np.isnan(values) | (values == 0), 1.0, values)
    sentence = (
        "a split of {cell} is impossible; write 2 where one share became two, 0.5 where two became one."
    )
    origin.refuse((values < 1e-5) | (values > 1e5), cells.index.to_numpy(), names, sentence, cells.to_numpy())
    changed = pd.Series(values != 1).groupby(names)
    often = changed.sum() > np.maximum(3, changed.size() / 10)
    if often.any():
        raise PricesError(
            f"{origin.name}: the column {column} would split {often.index[often.argmax()]} on "
            f"{changed.sum()[often].iloc[0]:,} days: it does not hold ratios of splits; delete it or rename "
            "it."
        )
    return values, ""
