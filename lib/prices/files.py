"""The files of a price source, CSV or Parquet.

They are read as plain tables whose rows keep their line.
"""

import csv
import gzip
import io
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import numpy as np
import pandas as pd

from lib.prices.cells import BLANK, detect_number_style, looks_like_day
from lib.prices.columns import (
    COLUMN_NAMES,
    NUMBERS,
    PRICES,
    UNNAMED,
    find_columns,
    rename_columns,
    simplify_name,
)
from lib.prices.findings import NumberStyle, Origin, PricesError

TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".tab", ".txt", ".txt.gz")
PARQUET = (".parquet", ".parq", ".pq")
TEXT_MEANINGS = ("day", "clock", "ticker", "name", "from", "to")  # columns that are not numbers
LEVEL_NAMES = ("ticker", "tickers", "price", "symbol", "symbols", "attributes", "date", "datetime", "")
GENERIC_STEM = re.compile(
    r"(part|data|chunk|file|output|result)?[-_. ]?\d*(-[0-9a-f-]{8,}.*|-c000.*)?|prices?|daily"
)
NO_PRICES = re.compile(r"\.|_?(readme|licen[cs]e|notes?|about|changelog)\.txt$", re.IGNORECASE)
OF_SERVICES = re.compile(  # Binance, CoinMarketCap, CoinGecko
    r"-1d-\d{4}-\d{2}(-\d{2})?$|_[\d.]+-[\d.]+_historical_data_coinmarketcap$|-usd-max$", re.IGNORECASE
)
# Binance's files have no names of columns.
KLINES = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"),
    *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
HEAD = 60  # lines that are searched for the header
SAMPLE = {";": 20_000}  # lines that are searched for the way numbers are written
FEW = 500  # where another mark than the semicolon separates cells


@dataclass
class PriceFiles:
    """Files of a source with their tickers.

    The path of each file gives its ticker. The other fields list the entries that lie beside the files.
    """

    tickers: dict[Path, str]
    others: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    of_macos: list[str] = field(default_factory=list)


def find_price_files(source: str | Path) -> PriceFiles:
    """Find the price files of a source.

    A source is a file, or a folder with its folders. The files are sorted by name.

    Raises
    ------
    PricesError
        It does not exist, is a file of another kind, or a folder without a file to read.
    """
    path = Path(source)
    kinds = f"expected is a file {', '.join(TEXT + PARQUET)} or a folder of such files"
    if path.is_file():
        if path.name.startswith("._"):
            raise PricesError(
                f"{path}: is a file that macOS leaves in archives, without prices: leave it out."
            )
        if not _ends(path, TEXT + PARQUET):
            raise PricesError(f"{path}: is neither CSV nor Parquet by its name; {kinds}.")
        return PriceFiles({path: file_stem(path)})
    if not path.is_dir():
        raise PricesError(f"{path}: does not exist; {kinds}.")
    found: list[Path] = []
    result = PriceFiles({})
    _collect(path, path, found, result)
    if not found:
        raise PricesError(f"{path}: the folder has no CSV or Parquet file; {kinds}.")
    result.tickers = _tickers_of_folder(found, path)
    return result


def _collect(folder: Path, source: Path, found: list[Path], result: PriceFiles) -> None:
    """Sort the entries of a folder by kind.

    Its folders are entered where it has no file of prices itself.
    """
    before, folders = len(found), []
    for entry in sorted(folder.iterdir()):
        name = str(entry.relative_to(source))
        if entry.name.startswith("._") or entry.name == "__MACOSX":
            result.of_macos.append(name)
        elif entry.is_dir() and not entry.name.startswith("."):
            folders.append(entry)
        elif not entry.is_file() or not _ends(entry, TEXT + PARQUET) or NO_PRICES.match(entry.name):
            result.others.append(name)
        elif entry.stat().st_size == 0:
            result.empty.append(name)
        else:
            found.append(entry)
    for entry in folders:
        if len(found) > before and entry.parent == found[before].parent:
            result.others.append(str(entry.relative_to(source)))
        else:
            _collect(entry, source, found, result)


def file_stem(path: Path) -> str:
    """Return a file's name without its ending.

    A service's own ending is removed too, so that "BTCUSDT-1d-2024-01.csv" becomes "BTCUSDT".
    """
    ending = next(end for end in TEXT + PARQUET if _ends(path, (end,)))
    return OF_SERVICES.sub("", path.name[: -len(ending)])


def _tickers_of_folder(found: list[Path], source: Path) -> dict[Path, str]:
    """Return the ticker of each file.

    It is the file's name, or its folder's where all files bear one name or general ones.
    """
    stems = {file_stem(path) for path in found}
    folders = [path.parent.name for path in found]
    generic = len(found) > 1 and (
        len(stems) == 1 or all(GENERIC_STEM.fullmatch(stem.lower()) and not stem.isdigit() for stem in stems)
    )
    by_folder = generic and source not in {path.parent for path in found}
    by_folder &= not all(re.fullmatch(r"(\w+=)?\d{1,4}", name) for name in folders)
    return {path: path.parent.name if by_folder else file_stem(path) for path in found}


def read_price_file(path: Path, renames: Mapping[str, str] | None = None) -> tuple[pd.DataFrame, Origin]:
    """Read a price file.

    Tickers and dates are text, so that `0005`, `NA` and `TRUE` keep their names. Two header rows, as yfinance
    writes them for several tickers, become columns of two levels.

    Raises
    ------
    PricesError
        It is empty, damaged or not what its name says.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if _ends(path, PARQUET):
                frame = with_index_as_columns(pd.read_parquet(path))
                frame, origin = rename_frame(frame, renames or {}), Origin(str(path))
            else:
                frame, origin = _read_text(path, renames or {})
            return _with_partitions(frame, path), origin
    except PricesError:
        raise
    except UnicodeDecodeError as error:
        raise PricesError(f"{path}: is not text in UTF-8 ({error.reason}); save it as UTF-8.") from None
    except pd.errors.ParserWarning:
        raise PricesError(
            f"{path}: cannot be read: a row has more cells than the first line names."
        ) from None
    except Exception as error:  # damage deep in a file surfaces as almost anything
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip().rstrip(".")
        raise PricesError(f"{path}: cannot be read: {' '.join(reason.split())}.") from None


def _with_partitions(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Add the ticker or day of a partition.

    A path like `Ticker=AAPL/part-0.parquet` gives them where the table has none.
    """
    for part in path.parts[:-1] if frame.columns.nlevels == 1 else ():
        key, separator, value = part.partition("=")
        for meaning in ("day", "ticker", "name"):
            known = find_columns(frame.columns, str(path)).keys()
            if separator and simplify_name(key) in COLUMN_NAMES[meaning] and meaning not in known:
                frame = frame.assign(**{key: unquote(value)})
    return frame


def rename_frame(frame: pd.DataFrame, renames: Mapping[str, str]) -> pd.DataFrame:
    """Return a frame with renamed columns.

    The names are text, after `renames`.
    """
    levels = [
        rename_columns(
            [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in level], renames
        )
        for level in (frame.columns.get_level_values(k) for k in range(frame.columns.nlevels))
    ]
    if frame.columns.nlevels == 1:
        return frame.set_axis(pd.Index(levels[0], dtype=object), axis=1)
    return frame.set_axis(pd.MultiIndex.from_arrays(levels, names=frame.columns.names), axis=1)


def with_index_as_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its index as columns.

    The index is one of days or tickers. Rows of the result are counted from 0.
    """
    if isinstance(frame.index, pd.RangeIndex):
        return frame
    index = frame.index.to_frame(index=False).set_axis(
        ["" if name is None else name for name in frame.index.names], axis=1
    )
    index = index[[name for name in index.columns if name not in frame.columns]]
    if frame.columns.nlevels > 1:
        index.columns = pd.MultiIndex.from_tuples(
            [(name, *[""] * (frame.columns.nlevels - 1)) for name in index.columns]
        )
    joined = pd.concat([index, frame.reset_index(drop=True)], axis=1)
    if frame.columns.nlevels > 1:
        joined.columns.names = frame.columns.names
    return joined


@dataclass
class _Header:
    """Rows of names above the data.

    They come with the line where they end, and with the mark that separates the cells of a line.
    """

    separator: str
    rows: list[list[str]]
    end: int  # lines up to the first row of data
    numbered: bool = False  # the first column counts the rows


def _read_text(path: Path, renames: Mapping[str, str]) -> tuple[pd.DataFrame, Origin]:
    with _opened(path) as file:
        lines = list(islice(file, FEW))
        header = _find_header(lines, str(path), renames)
        lines += islice(file, SAMPLE.get(header.separator, FEW) - FEW)
    names = header.rows[0]
    width = len(names)
    plain = header.separator == "," and not any('"' in line for line in lines)
    sample = [] if plain else lines[header.end :]
    data = _split(sample, header.separator)
    if len(header.rows) == 1:
        _refuse_twice(names, str(path))
        found = find_columns(names, str(path))
        texts = {found[meaning] for meaning in TEXT_MEANINGS if meaning in found} | {names[header.numbered]}
        verbatim = {found.get("ticker"), found.get("name")}
        wide = not {"open", "low", "high", "close"} <= found.keys()
        numbers = {
            k for k, name in enumerate(names) if name not in texts and (wide or name in found.values())
        }
        volumes = {k for k in numbers if names[k] == found.get("vol")}
    else:
        texts, verbatim = {names[header.numbered]}, set()
        numbers = set(range(1 + header.numbered, width))
        either = list(zip(*header.rows, strict=True))
        volumes = {
            k for k in numbers if any(simplify_name(name) in COLUMN_NAMES["vol"] for name in either[k])
        }
    columns = {k: [cells[k] for cells in data if k < len(cells)] for k in numbers}
    style = detect_number_style(columns, volumes, header.separator, str(path))
    places = {k for k, name in enumerate(names) if name in texts}
    if style != NumberStyle():
        places |= numbers
    with _opened(path) as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        for _ in range(header.end):
            file.readline()
        try:
            frame = pd.read_csv(
                file,
                sep=header.separator,
                header=None,
                names=range(width),
                index_col=False,
                skip_blank_lines=False,
                skipinitialspace=True,
                dtype=dict.fromkeys(places, str),
                keep_default_na=False,
                na_values={k: list(BLANK) for k, name in enumerate(names) if name not in verbatim},
                float_precision="round_trip",
                low_memory=False,
            )
        except pd.errors.EmptyDataError:
            frame = pd.DataFrame(columns=range(width), dtype=object)
        except pd.errors.ParserError as error:
            raise PricesError(
                re.sub(
                    r"line (\d+)",
                    lambda match: f"line {int(match[1]) + header.end}",
                    f"{path}: cannot be read: "
                    f"{str(error).removeprefix('Error tokenizing data. C error: ').strip()}.",
                )
            ) from None
    if len(header.rows) == 2:
        upper, lower = (["", *row[1:]] for row in (row[header.numbered :] for row in header.rows))
        frame = frame.iloc[:, int(header.numbered) :]
        frame.columns = pd.MultiIndex.from_arrays([upper, lower])
        frame.columns.names = [_level_name(row[header.numbered]) for row in header.rows]
    else:
        frame.columns = pd.Index(names, dtype=object)
    return frame, Origin(str(path), "line", header.end + 1, style)


def _level_name(cell: str) -> str | None:
    return cell.strip() if simplify_name(cell) in LEVEL_NAMES[:6] else None


def _find_header(lines: list[str], source: str, renames: Mapping[str, str]) -> _Header:
    """Find the rows of names in a file.

    There are one or two, below comments and other lines without names.
    """
    start, forced = 0, ""
    if lines and (match := re.fullmatch(r'"?sep=(.)"?\s*', lines[0], re.IGNORECASE)):
        start, forced = 1, match[1]
    separators = forced or ",;\t|"
    above: tuple[int, str] | None = None  # the last line that was neither blank nor a comment
    chosen: tuple[int, str] | None = None
    for at in range(start, min(len(lines), HEAD)):
        text = lines[at].strip("\r\n")
        if not text.strip(f' "{separators}') or "\0" in text:
            continue
        separator = max(separators, key=lambda mark: (_meanings(text, mark, renames), text.count(mark)))
        if _meanings(text, separator, renames) >= 2 and len(_cells(text, separator)) > 2:
            chosen = at, separator
            upper = _cells(lines[above[0]], separator) if above else []
            counted = [cell for cell in upper if cell] == [
                str(k) for k in range(len(list(filter(None, upper))))
            ]
            if above and len(upper) == len(_cells(text, separator)) and any(upper[1:]) and not counted:
                chosen = above[0], separator  # tickers stand above the fields
            break
        separator = max(separators, key=text.count)
        cells = _cells(text, separator)
        if any(map(looks_like_day, cells)) and any(re.fullmatch(r"[\d.,]+", cell) for cell in cells[1:]):
            if above and 0 <= len(cells) - len(_cells(lines[above[0]], separator)) <= 1:
                chosen = above[0], separator
            break
        if not text.lstrip().startswith(("#", "//")):
            above = at, separator
    if chosen is None:
        first = lines[start] if len(lines) > start else ""
        if re.fullmatch(r"\d{13}(\d{3})?(,[\d.e+-]+){11}\s*", first):
            return _Header(",", [list(KLINES)], start)
        separator = max(separators, key=first.count)
        cells = _cells(first.strip("\r\n"), separator)
        if len(cells) == 1 and _meanings(",".join(first.split()), ",", renames) > 2:
            raise PricesError(f"{source}: blanks separate its cells: separate them by commas.")
        if not re.search("[A-Za-z]", first) or any(map(looks_like_day, cells)):
            raise PricesError(
                f"{source}: its first line does not name the columns; it should, as in "
                "date,ticker,open,high,low,close,volume."
            )
        chosen = start, separator
    return _complete_header(lines, *chosen, source, renames)


def _complete_header(
    lines: list[str], at: int, separator: str, source: str, renames: Mapping[str, str]
) -> _Header:
    """Read the names that begin in a line.

    They take one row or two, and have all cells that the rows below have.
    """
    names = _cells(lines[at].lstrip("# "), separator)
    below = [
        (k, cells)
        for k, cells in enumerate(_split(lines[at + 1 : at + 200], separator), at + 1)
        if any(cells)
    ]
    first = [cells[0] for _, cells in below]
    counts = [text for text in first if text.isdigit()]
    if names[0] == "0" and counts[:1] == ["1"]:  # the names were read and written as a row of data
        names[0] = ""
    blank_first = UNNAMED.fullmatch(names[0]) or simplify_name(names[0]) in ("", "index", "price", "ticker")
    second = simplify_name(names[1]) if len(names) > 1 else ""
    numbered = bool(
        blank_first
        and len(counts) > 1
        and [int(text) for text in counts] == list(range(int(counts[0]), int(counts[0]) + len(counts)))
        and counts[0] in ("0", "1", "2")
        and second in (*COLUMN_NAMES["day"], *LEVEL_NAMES, *COLUMN_NAMES["ticker"])
    )
    rows, end = [names], at + 1
    if below and sum(map(bool, names[1:])) < sum(map(bool, below[0][1][1:])):
        filled = pd.Series(names[1:], dtype=object).replace("", None).ffill().fillna("")
        if _is_second_row([names[0], *filled], below[0][1]):  # merged cells of a spreadsheet
            names[1:] = filled
    if below and _is_second_row(names[numbered:], below[0][1][numbered:]):
        lower = [*below[0][1], *[""] * len(names)][: len(names)]
        bases = [[re.sub(r"\.\d+$", "", name) for name in row] for row in (names, lower)]
        rows = [["" if UNNAMED.fullmatch(name) else name for name in row] for row in bases]
        end = below[0][0] + 1
        if len(below) > 1 and not any(below[1][1][1 + numbered :]):  # the name of the column of dates
            end = below[1][0] + 1
    else:
        numbered = False
    lengths = {len(cells) for _, cells in below}
    if lengths == {len(names) + 1} and len(rows) == 1:
        trailing = not any(cells[-1] for _, cells in below)
        rows = [[*names, ""] if trailing else ["", *names]]
    return _Header(separator, [rename_columns(row, renames) for row in rows], end, numbered)  # type: ignore[misc]


def _is_second_row(upper: list[str], lower: list[str]) -> bool:
    """Return True if two rows are a header.

    One row names fields and the other one tickers, in either order.
    """
    cells = lower[1:]
    if not any(cells) or any(map(looks_like_day, lower)):
        return False
    if simplify_name(lower[0]) not in LEVEL_NAMES and not UNNAMED.fullmatch(lower[0]):
        return False
    for fields, tickers in ((upper[1:], cells), (cells, upper[1:])):
        by_field: dict[str, set[str]] = {}
        for name, ticker in zip(fields, tickers, strict=False):
            plain = re.sub(r"\.\d+$", "", name)
            by_field.setdefault(simplify_name(plain), set()).add(re.sub(r"\.\d+$", "", ticker))
        if by_field.keys() >= set(PRICES):
            alike = len({frozenset(by_field[name]) for name in PRICES}) == 1
            return alike or not any(re.fullmatch(r"[\d.,]+", cell) for cell in cells)
    return False


def _meanings(text: str, separator: str, renames: Mapping[str, str]) -> int:
    """Count the known column names in a line."""
    names = {simplify_name(name) for name in rename_columns(_cells(text.lstrip("# "), separator), renames)}
    letters = {"o", "h", "l", "c"} <= names
    return sum(
        any(name in names and (len(name) > 1 or letters) for name in COLUMN_NAMES[meaning])
        for meaning in ("day", "ticker", "name", "gains", "from", "to", *NUMBERS)
    )


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(iter(_split([line], separator)), [])]


def _split(lines: Iterable[str], separator: str) -> list[list[str]]:
    """Return the cells of lines.

    Quotes do not lead from one line to the next.
    """
    return [
        [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
        for line in (line.strip("\r\n").replace("\0", "") for line in lines)
    ]


def _refuse_twice(names: list[str], source: str) -> None:
    unique, times = np.unique(np.array([name for name in names if name], dtype=object), return_counts=True)
    if (times > 1).any():
        raise PricesError(f"{source}: has the column {str(unique[times > 1][0])!r} twice: leave one of them.")


def _opened(path: Path) -> io.TextIOWrapper:
    raw: IO[bytes] = gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[assignment]  # noqa: SIM115
    mark = raw.read(2)
    raw.seek(0)
    encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return io.TextIOWrapper(raw, encoding=encoding, newline="")


def _ends(path: Path, endings: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(endings)
