"""The files of a price source, CSV or Parquet, read as plain tables whose rows keep their line."""

import csv
import gzip
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from lib.prices.cells import BLANK
from lib.prices.columns import find_columns, simplify_name
from lib.prices.findings import Origin, PricesError

TEXT, PARQUET = (".csv", ".csv.gz", ".txt"), (".parquet", ".pq")
TEXTS = ("day", "ticker", "from", "to")  # columns that are not numbers, however they look


def find_price_files(source: str | Path) -> tuple[list[Path], list[Path]]:
    """Split a source into the files to read, sorted by name, and what lies beside them.

    A file is itself; a folder is the files in it, not those of folders below.

    Raises
    ------
    PricesError
        It does not exist, is a file of another kind, or a folder without a file to read.
    """
    path = Path(source)
    kinds = f"expected is a file {', '.join(TEXT + PARQUET)} or a folder of such files"
    if path.is_file():
        if not _ends(path, TEXT + PARQUET):
            raise PricesError(f"{path}: is neither CSV nor Parquet by its name; {kinds}.")
        return [path], []
    if not path.is_dir():
        raise PricesError(f"{path}: does not exist; {kinds}.")
    inside = sorted(path.iterdir())
    readable = [file for file in inside if file.is_file() and _ends(file, TEXT + PARQUET)]
    if not readable:
        raise PricesError(f"{path}: the folder has no CSV or Parquet file; {kinds}.")
    return readable, [file for file in inside if file not in readable]


def file_stem(path: Path) -> str:
    """File name without its ending: "BRK.B.csv" -> "BRK.B"."""
    ending = next(end for end in sorted(TEXT + PARQUET, key=len, reverse=True) if _ends(path, (end,)))
    return path.name[: -len(ending)]


def read_price_file(path: Path) -> tuple[pd.DataFrame, Origin]:
    """Read a file; PricesError where it is empty, damaged or not what its name says.

    Tickers and dates are text, so that `0005`, `NA` and `TRUE` keep their names. Two header rows, as
    yfinance writes them for several tickers, become columns of two levels.
    """
    try:
        if _ends(path, PARQUET):
            return with_index_as_columns(pd.read_parquet(path)), Origin(str(path))
        return _read_text(path)
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


def with_index_as_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its index, where that holds days or tickers, as columns, and its rows counted from 0."""
    if isinstance(frame.index, pd.MultiIndex) or not isinstance(frame.index, pd.RangeIndex):
        index = frame.index.to_frame(index=False).set_axis(
            ["" if name is None else name for name in frame.index.names], axis=1
        )
        keep = [name for name in index.columns if name not in frame.columns]
        index = index[keep]
        if frame.columns.nlevels > 1:
            index.columns = pd.MultiIndex.from_tuples(
                [(name, *[""] * (frame.columns.nlevels - 1)) for name in keep]
            )
        return pd.concat([index, frame.reset_index(drop=True)], axis=1)
    return frame


def _read_text(path: Path) -> tuple[pd.DataFrame, Origin]:
    with _opened(path) as file:
        first = [file.readline() for _ in range(3)]
    separator = max(",;\t", key=first[0].count)
    header, second, third = (next(csv.reader([line], delimiter=separator), []) for line in first)
    if not re.search("[A-Za-z]", first[0]) or any(re.match(r"\d{4}[-/]\d", cell) for cell in header):
        raise PricesError(
            f"{path}: its first line does not name the columns; it should, as in "
            "date,ticker,open,high,low,close,volume."
        )
    double = bool(second) and simplify_name(second[0]) in ("ticker", "price", "symbol")
    skipped = (2 + (bool(third) and not any(third[1:]))) if double else 1
    names = list(header)
    if not double:
        _refuse_twice(names, str(path))
        found = find_columns(names, str(path))
        texts = {found[meaning] for meaning in TEXTS if meaning in found} | {names[0]}
        verbatim = {found.get("ticker")}
    else:
        texts, verbatim = {names[0]}, set()
    places = {position for position, name in enumerate(names) if name in texts}
    with _opened(path) as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            file,
            sep=separator,
            header=None,
            names=range(len(names)),
            skiprows=skipped,
            index_col=False,
            skip_blank_lines=False,
            dtype=dict.fromkeys(places, str),
            keep_default_na=False,
            na_values={k: list(BLANK) for k, name in enumerate(names) if name not in verbatim},
            float_precision="round_trip",
            low_memory=False,
        )
    if double:
        second[0] = ""
        frame.columns = pd.MultiIndex.from_arrays([["", *names[1:]], second])
    else:
        frame.columns = pd.Index(names, dtype=object)
    return frame, Origin(str(path), "line", skipped + 1)


def _refuse_twice(names: list[str], source: str) -> None:
    unique, times = np.unique(np.array(names, dtype=object), return_counts=True)
    if (times > 1).any():
        raise PricesError(f"{source}: has the column {str(unique[times > 1][0])!r} twice: leave one of them.")


def _opened(path: Path) -> io.TextIOWrapper:
    zipped = path.name.lower().endswith(".gz")
    raw = gzip.open(path) if zipped else path.open("rb")  # noqa: SIM115  (the wrapper closes it)
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")  # type: ignore[arg-type]


def _ends(path: Path, endings: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(endings)
