"""Files of prices: which ones a folder holds, where the names of columns stand, and how cells are read."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.prices import PricesError, files
from lib.prices.cells import BLANK
from lib.prices.findings import NumberStyle, Origin

OHLC = ["Open", "High", "Low", "Close"]
NAMES = ["Date", *OHLC]
ROW = "2024-01-02,1,2,1,2"
GERMAN = NumberStyle(",", ".")


def refusal(function, *arguments):
    with pytest.raises(PricesError) as refused:
        function(*arguments)
    return str(refused.value)


def write(path, content="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_a_folders_files_are_found_and_the_rest_is_named(tmp_path):
    for name in (
        *("b.csv", "a.CSV.GZ", "c.pq", "README.txt", "_notes.TXT", "license.txt", ".hidden.csv", "x.xlsx"),
        *("._b.csv", "old/b.csv", ".git/b.csv", "__MACOSX/b.csv", "notes on prices.txt"),
    ):
        write(tmp_path / name)
    (tmp_path / "void.csv").touch()
    found = files.find_price_files(tmp_path)
    assert found.tickers == {
        tmp_path / "a.CSV.GZ": "a",
        tmp_path / "b.csv": "b",
        tmp_path / "c.pq": "c",
        tmp_path / "notes on prices.txt": "notes on prices",
    }
    assert found.of_macos == ["._b.csv", "__MACOSX"]
    assert found.empty == ["void.csv"]
    assert found.others == [
        *(".git", ".hidden.csv", "README.txt", "_notes.TXT", "license.txt", "x.xlsx", "old"),
    ]


def test_folders_are_entered_where_no_file_lies_beside_them(tmp_path):
    for name in ("x/a.csv", "x/deep/b.csv", "y/z/c.csv", "y/note.md"):
        write(tmp_path / name)
    found = files.find_price_files(str(tmp_path))
    assert found.tickers == {tmp_path / "x/a.csv": "a", tmp_path / "y/z/c.csv": "c"}
    assert found.others == [str(Path("x/deep")), str(Path("y/note.md"))]
    assert found.empty == found.of_macos == []


def test_a_file_is_a_source_of_its_own(tmp_path):
    path = write(tmp_path / "AAA.tsv.gz")
    assert files.find_price_files(path).tickers == {path: "AAA"}
    kinds = (
        "expected is a file .csv, .csv.gz, .tsv, .tsv.gz, .tab, .txt, .txt.gz, .parquet, .parq, .pq or a "
        "folder of such files."
    )
    gone, other, macos = tmp_path / "gone.csv", write(tmp_path / "a.xlsx"), write(tmp_path / "._a.csv")
    assert refusal(files.find_price_files, gone) == f"{gone}: does not exist; {kinds}"
    assert refusal(files.find_price_files, other) == (
        f"{other}: is neither CSV nor Parquet by its name; {kinds}"
    )
    assert refusal(files.find_price_files, macos) == (
        f"{macos}: is a file that macOS leaves in archives, without prices: leave it out."
    )
    (tmp_path / "void").mkdir()
    assert refusal(files.find_price_files, tmp_path / "void") == (
        f"{tmp_path / 'void'}: the folder has no CSV or Parquet file; {kinds}"
    )


def test_a_files_name_without_its_ending():
    stems = {
        "AAA.csv": "AAA",
        "AAA.CSV.gz": "AAA",
        "BRK.B.parquet": "BRK.B",
        "AAA.txt.gz": "AAA",
        "BTCUSDT-1d-2024-01.csv": "BTCUSDT",
        "BTCUSDT-1d-2024-01-31.csv": "BTCUSDT",
        "Bitcoin_1.1.2024-31.1.2024_historical_data_coinmarketcap.csv": "Bitcoin",
        "btc-usd-max.csv": "btc",
    }
    assert {name: files.file_stem(Path("folder.csv", name)) for name in stems} == stems


@pytest.mark.parametrize(
    ("paths", "tickers"),
    [
        (["s/a.csv", "s/b.csv"], ["a", "b"]),
        (["s/A/prices.csv", "s/B/prices.csv"], ["A", "B"]),
        (["s/A/any.csv", "s/B/any.csv"], ["A", "B"]),
        (["s/A/part-0.parquet", "s/B/part-1.parquet"], ["A", "B"]),
        (["s/A/data_1.csv", "s/B/Daily.csv"], ["A", "B"]),
        (["s/A/a.csv", "s/B/part-0.csv"], ["a", "part-0"]),
        (["s/A/0005.csv", "s/B/0006.csv"], ["0005", "0006"]),
        (["s/A/prices.csv"], ["prices"]),
        (["s/prices.csv", "s/B/prices.csv"], ["prices", "prices"]),
        (["s/2023/part-0.csv", "s/2024/part-0.csv"], ["part-0", "part-0"]),
        (["s/year=2023/part-0.csv", "s/year=2024/part-0.csv"], ["part-0", "part-0"]),
        (["s/2023/part-0.csv", "s/B/part-0.csv"], ["2023", "B"]),
        (["s/12345/part-0.csv", "s/12346/part-0.csv"], ["12345", "12346"]),
    ],
)
def test_tickers_are_the_names_of_files_or_of_their_folders(paths, tickers):
    found = [Path(path) for path in paths]
    assert files._tickers_of_folder(found, Path("s")) == dict(zip(found, tickers, strict=True))


def test_partitions_give_the_ticker_or_the_day_that_a_table_lacks():
    frame = pd.DataFrame({"Date": ["2024-01-02"], "Close": [1.0]})
    path = Path("s", "Ticker=BRK%2FB", "year=2024", "Close=7", "part-0.parquet")
    expected = frame.assign(Ticker="BRK/B")
    pd.testing.assert_frame_equal(files._with_partitions(frame, path), expected)
    own = frame.assign(symbol="AAA")
    pd.testing.assert_frame_equal(files._with_partitions(own, path), own)
    dates = files._with_partitions(frame[["Close"]], Path("date=2024-01-02", "company=X", "a.csv"))
    pd.testing.assert_frame_equal(dates, pd.DataFrame({"Close": [1.0], "date": "2024-01-02", "company": "X"}))
    pd.testing.assert_frame_equal(files._with_partitions(frame, Path("Ticker", "Ticker=A.csv")), frame)
    levels = pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("Close", "AAA")]))
    pd.testing.assert_frame_equal(files._with_partitions(levels, path), levels)


def test_names_of_a_frame_are_text_after_renames():
    frame = pd.DataFrame([[1, 2, 3]], columns=[b"Kurs", "Close", 5])
    renamed = files.rename_frame(frame, {"Kurs": "close"})
    assert renamed.columns.tolist() == ["close", "Close (not used)", 5]
    levels = pd.DataFrame(
        [[1, 2]], columns=pd.MultiIndex.from_product([["Kurs", b"x"], ["A"]], names=["f", "t"])
    )
    renamed = files.rename_frame(levels.iloc[:, [0, 1]], {"Kurs": "close"})
    assert renamed.columns.tolist() == [("close", "A"), ("x", "A")]
    assert renamed.columns.names == ["f", "t"]


def test_an_index_of_days_or_tickers_becomes_columns():
    days = pd.DatetimeIndex(["2024-01-02", "2024-01-03"])
    frame = pd.DataFrame({"Close": [1.0, 2.0]}, days)
    flat = files.with_index_as_columns(frame)
    assert flat.columns.tolist() == ["", "Close"]
    assert flat.index.tolist() == [0, 1]
    assert flat[""].tolist() == days.tolist()
    named = frame.set_axis(pd.MultiIndex.from_arrays([["A", "B"], days], names=["Ticker", "Close"]))
    assert files.with_index_as_columns(named).columns.tolist() == ["Ticker", "Close"]
    assert files.with_index_as_columns(named)["Close"].tolist() == [1.0, 2.0]
    numbered = frame.reset_index(drop=True)
    assert files.with_index_as_columns(numbered) is numbered
    levels = frame.set_axis(pd.MultiIndex.from_tuples([("Close", "A")], names=["f", "t"]), axis=1)
    turned = files.with_index_as_columns(levels.rename_axis("Date"))
    assert turned.columns.tolist() == [("Date", ""), ("Close", "A")]
    assert turned.columns.names == ["f", "t"]


def header(*lines, renames=None):
    found = files._find_header([f"{line}\n" for line in lines], "a.csv", renames or {})
    return found.separator, found.rows, found.end, found.numbered


HEADERS = {
    "in the first line": ([",".join(NAMES), ROW], ",", [NAMES], 1),
    "with semicolons": ([";".join(NAMES), ROW.replace(",", ";")], ";", [NAMES], 1),
    "with bars, and commas in a name": (["Date|Open|High, too|Low", "2024-01-02|1|2|1"], "|",
        [["Date", "Open", "High, too", "Low"]], 1),
    "quoted": ([",".join(f'"{name}"' for name in NAMES), ROW], ",", [NAMES], 1),
    "below a comment of as many cells": (["# a,b,c,d,e", ",".join(NAMES), ROW], ",", [NAMES], 2),
    "below another comment": ([" // a,b,c,d,e", ",".join(NAMES), ROW], ",", [NAMES], 2),
    "in a comment": (["# " + ",".join(NAMES), ROW], ",", [NAMES], 1),
    "below a line and blanks": (["Some data, of 2024", "", ' ,"",', ",".join(NAMES), ROW], ",", [NAMES], 4),
    "below a title in its first cell": (["Alpha Inc.,,,,", ",".join(NAMES), ROW], ",", [NAMES], 2),
    "below a line of zeros": (["a\0,b,c,d,e", ",".join(NAMES), ROW], ",", [NAMES], 2),
    "below numbers of columns": ([",0,1,2,3", ",".join(NAMES), ROW], ",", [NAMES], 2),
    "below numbers from 1": ([",1,2,3,4", ",".join(NAMES), ROW], ",", [["", *"1234"], NAMES], 2),
    "below a mark of the separator": (["sep=;", "Date;Kurs, neu;b", "2024-01-02;1;2"], ";",
        [["Date", "Kurs, neu", "b"]], 2),
    "below a quoted mark": (['"SEP=|"', "Date|Open|High", "2024-01-02|1|2"], "|",
        [["Date", "Open", "High"]], 2),
    "below 59 lines": (["# x"] * 59 + [",".join(NAMES), ROW], ",", [NAMES], 60),
    "of unknown names": (["A title", "when,AAA,BBB", "2024-01-02,1,2"], ",", [["when", "AAA", "BBB"]], 2),
    "of two names below two cells": (["A title,of it", "Date,Close", "2024-01-02,1"], ",",
        [["Date", "Close"]], 2),
    "of unknown names above a word": (["A title", "when,AAA,BBB", "2024-01-02,1,n.a."], ",",
        [["when", "AAA", "BBB"]], 2),
    "two names short": (["A title", "AAA", "2024-01-02,1,2"], ",", [["A title"]], 1),
    "with more names than cells": (["A title", "a,b,c,d", "2024-01-02,1,2"], ",", [["A title"]], 1),
    "of a number in front": (["0,Open,High,Low,Close", ROW], ",", [["0", *OHLC]], 1),
    "with a cell more in each row": ([",".join(NAMES), ROW + ",", ROW + ",7"], ",", [["", *NAMES]], 1),
    "of two names": (["A title", "Date,Close", "2024-01-02,1"], ",", [["Date", "Close"]], 2),
    "one name short": (["A title", "AAA,BBB", "2024-01-02,1,2"], ",", [["", "AAA", "BBB"]], 2),
    "one known name short": ([",".join(OHLC), ROW], ",", [["", *OHLC]], 1),
    "with a separator at the end of each row": ([",".join(NAMES), ROW + ","], ",", [[*NAMES, ""]], 1),
    "with rows of several lengths": ([",".join(NAMES), ROW, ROW + ",7"], ",", [NAMES], 1),
    "without rows": ([",".join(NAMES)], ",", [NAMES], 1),
    "without rows or meaning": (["a;b,c;d"], ";", [["a", "b,c", "d"]], 1),
    "of single letters": (["t,o,h,l,c,v", "1704153600,1,2,1,2,9"], ",", [list("tohlcv")], 1),
    "tickers above fields": ([",AAA,AAA,AAA,AAA", "Date,Open,High,Low,Close", ROW], ",",
        [["", *["AAA"] * 4], NAMES], 2),
    "fields above tickers": (["Price,Open,High,Low,Close", "Ticker,AAA,AAA,AAA,AAA", "Date,,,,", ROW], ",",
        [["Price", *OHLC], ["Ticker", *["AAA"] * 4]], 3),
    "fields above tickers alone": (["Price,Open,High,Low,Close", "Ticker,A,A,A,A", ROW], ",",
        [["Price", *OHLC], ["Ticker", *"AAAA"]], 2),
    "with numbers behind repeated names": (["Price,Open,High,Low,Close,Open.1", "Ticker,A,A,A,A,B", ROW], ",",
        [["Price", *OHLC, "Open"], ["Ticker", *"AAAAB"]], 2),
    "of two rows alone": (["Price,Open,High,Low,Close", "Ticker,A,A,A,A"], ",",
        [["Price", *OHLC], ["Ticker", *"AAAA"]], 2),
    "of three rows alone": (["Price,Open,High,Low,Close", "Ticker,A,A,A,A", "Date,,,,"], ",",
        [["Price", *OHLC], ["Ticker", *"AAAA"]], 3),
    "above a row with a gap": (["Price,Open,High,Low,Close", "Ticker,A,A,A,A", "2024-01-02,1,,1,2"], ",",
        [["Price", *OHLC], ["Ticker", *"AAAA"]], 2),
    "above a row with one price": (["Price,Open,High,Low,Close", "Ticker,A,A,A,A", "2024-01-02,1,,,"], ",",
        [["Price", *OHLC], ["Ticker", *"AAAA"]], 2),
    "with merged cells of one ticker": ([",A,,,", ",".join(NAMES), ROW], ",", [["", *"AAAA"], NAMES], 2),
    "quoted after blanks": (['Date, "Open, x", High', ROW], ",", [["Date", "Open, x", "High"]], 1),
    "with one merged cell": ([",AAA,AAA,AAA,", ",".join(NAMES), ROW], ",", [["", *["AAA"] * 4], NAMES], 2),
    "with a lower row that ends early": (["Date,Open,High,Low,Close,x", "Ticker,A,A,A,A", ROW + ",7"], ",",
        [[*NAMES, "x"], ["Ticker", *"AAAA", ""]], 2),
    "with unnamed cells": (["Unnamed: 0_level_0,AAA,AAA,AAA,AAA", "Unnamed: 0,Open,High,Low,Close", ROW], ",",
        [["", *["AAA"] * 4], ["", *OHLC]], 2),
    "with merged cells": ([",AAA,,,,BBB,,,", "Date" + ",Open,High,Low,Close" * 2, ROW + ",1" * 4],
        ",", [["", *["AAA"] * 4, *["BBB"] * 4], [*NAMES, *OHLC]], 2),
}  # fmt: skip


def test_the_names_of_columns_are_found():
    for kind, (lines, separator, rows, end) in HEADERS.items():
        assert header(*lines) == (separator, rows, end, False), kind


def test_a_column_that_counts_rows_is_seen_below_two_rows_of_names():
    upper, lower = ["", "Date", *OHLC], ["", "", *"AAAA"]
    for first in (0, 1, 2):
        rows = [f"{k},2024-01-0{k + 1},1,2,1,2" for k in range(first, first + 3)]
        assert header(",".join(upper), ",".join(lower), *rows) == (",", [upper, lower], 2, True)
    found = header(",".join(["index", *upper[1:]]), ",".join(lower), "1,x,1,2,1,2", "2,x,1,2,1,2")
    assert found == (",", [["index", *upper[1:]], lower], 2, True)
    for counts in ((3, 4, 5), (0, 2, 3), (0,)):
        rows = [f"{k},x,1,2,1,2" for k in counts]
        assert header(",".join(upper), ",".join(lower), *rows) == (",", [upper, lower], 2, False)
    rows = [f"{k},2024-01-0{k + 1},1,2,1,2" for k in range(3)]
    for names in (["x", "Date"], ["", "x"]):
        found = header(",".join([*names, *OHLC]), ",".join(lower), *rows)
        assert found == (",", [[*names, *OHLC], lower], 2, False)
    for names in (["Price", "Ticker"], ["index", "Date"], ["Unnamed: 0", "symbol"], ["Ticker", ""]):
        found = header(",".join([*names, *OHLC]), ",".join(lower), *rows)
        assert found[2:] == (2, True)
    found = header("0,Price,Open,High,Low,Close", "1,Ticker,A,A,A,A", "2,Date,,,,", "3,2024-01-02,1,2,1,2")
    assert found == (",", [["", "Price", *OHLC], ["1", "Ticker", *"AAAA"]], 3, True)


def test_renames_help_to_find_the_names():
    lines = ["A title", "Tag,Kurs,zzz", "x,y,z"]
    assert header(*lines, renames={"Tag": "date", "Kurs": "close"})[1:3] == ([["date", "close", "zzz"]], 2)


def test_files_of_binance_have_no_names():
    for stamp in ("1704067200000", "1704067200000000"):
        line = stamp + ",42.5,4.4e+4,42,43,1e-3,1704153599999,1,2,3,4,0"
        assert header(line) == (",", [list(files.KLINES)], 0, False)
    for line in ("170406720000" + ",1" * 11, "1704067200000" + ",1" * 10, "1704067200000" + ",1" * 12):
        assert "its first line does not name the columns" in refusal(header, line)


def test_lines_without_names_are_refused():
    names = (
        "a.csv: its first line does not name the columns; it should, as in "
        "date,ticker,open,high,low,close,volume."
    )
    assert refusal(header) == refusal(header, "1,2,3") == refusal(header, "2024-01-02,AAA,x") == names
    assert refusal(header, "sep=;") == refusal(header, "sep=;", "1;2") == names
    blanks = "a.csv: blanks separate its cells: separate them by commas."
    assert refusal(header, "Date Open Close", "x") == blanks
    assert header("Date Close x", "y")[1] == [["Date Close x"]]


SECOND = {
    "tickers below fields": (["", *OHLC], ["Ticker", *"AAAA"], True),
    "fields below tickers": (["", *"AAAA"], ["Date", *OHLC], True),
    "with a cell of neither": (["", *"AAAA", "x"], ["Date", *OHLC, ""], True),
    "with numbers behind names": (["", "A", "A.1", "A.2", "A.3"], ["Date", *OHLC], True),
    "with numbers behind fields": (["", *OHLC, *[f"{name}.1" for name in OHLC]], ["", *"AAAABBBB"], True),
    "with tickers that are numbers": (["", *OHLC], ["Ticker", *["600519"] * 4], True),
    "with four tickers": (["", *OHLC], ["Ticker", *"ABCD"], True),
    "numbers below fields": (["", *OHLC], ["", "1", "2", "1", "1.5"], False),
    "one number below fields": (["", *OHLC], ["", "1", "x", "y", "z"], False),
    "nothing below fields": (["", *OHLC], ["Date", *[""] * 4], False),
    "a day below": (["", *OHLC], ["", "2024-01-02", "A", "A", "A"], False),
    "a day below the first": (["", *OHLC], ["2024-01-02", *"AAAA"], False),
    "another word in front": (["", *OHLC], ["AAA", *"AAAA"], False),
    "an unnamed cell in front": (["", *OHLC], ["Unnamed: 0", *"AAAA"], True),
    "three fields": (["", *OHLC[1:]], ["", *"AAA"], False),
    "no fields": (["", *"BBBB"], ["", *"AAAA"], False),
    "one name": ([""], ["", *"AAAA"], False),
}


def test_a_second_row_of_names_is_seen():
    seen = {kind: files._is_second_row(upper, lower) for kind, (upper, lower, _) in SECOND.items()}
    assert seen == {kind: so for kind, (_, _, so) in SECOND.items()}


def test_meanings_of_a_line_are_counted():
    lines = {"Date,Open,High": 3, "Date,date,x": 1, "a,b,c": 0, "# Date,Symbol": 2, "o,h,l,c": 4, "o,h,l": 0,
             ",,": 0, "Name,from,to,Capital Gains": 4, "Adj Close,Volume,t": 2}  # fmt: skip
    assert {line: files._meanings(line, ",", {}) for line in lines} == lines
    assert files._meanings("Kurs;Tag", ";", {"Kurs": "close"}) == 1


def read(path, content, renames=None):
    path.write_text(content, encoding="utf-8")
    frame, origin = files.read_price_file(path, renames)
    assert origin.name == str(path)
    assert origin.unit == "line"
    return frame, origin


def test_a_file_is_read_with_text_where_names_and_days_stand(tmp_path):
    content = (
        "Date,Ticker,Name,Open,x\n20240102,0005,NA,1.5,0007\n\n20240103, NA ,null,nan,n.a.\n20240104,,,,\n"
    )
    frame, origin = read(tmp_path / "a.csv", content)
    assert origin == Origin(str(tmp_path / "a.csv"), "line", 2)
    expected = pd.DataFrame(
        {
            "Date": ["20240102", np.nan, "20240103", "20240104"],
            "Ticker": ["0005", "", "NA ", ""],
            "Name": ["NA", "", "null", ""],
            "Open": [1.5, np.nan, np.nan, np.nan],
            "x": [7.0, np.nan, np.nan, np.nan],
        }
    )
    pd.testing.assert_frame_equal(frame.astype(object), expected.astype(object), check_column_type=False)
    assert frame["Open"].dtype == float
    frame, _ = read(tmp_path / "a.csv", "Ticker,Date,Open\n0005,20240102,1\n")
    assert frame.to_numpy().tolist() == [["0005", "20240102", 1]]
    frame, _ = read(tmp_path / "a.csv", "Tag,Ticker,Open\n0102,0005,1\n")
    assert frame.to_numpy().tolist() == [["0102", "0005", 1]]
    frame, _ = read(tmp_path / "a.csv", "Date,Kurs\n2024-01-02,1\n", {"Kurs": "close"})
    assert frame.columns.tolist() == ["Date", "close"]


def test_blanks_of_numbers_are_missing(tmp_path):
    lines = "".join(f"2024-01-02,{blank},1\n" for blank in BLANK)
    frame, _ = read(tmp_path / "a.csv", "Date,Open,High\n" + lines)
    assert frame["Open"].isna().all()
    assert len(frame) == len(BLANK)


def test_rows_are_counted_from_the_first_line_of_the_file(tmp_path):
    assert read(tmp_path / "a.csv", f"# c\n\n{','.join(NAMES)}\n{ROW}\n")[1].first == 4
    levels = f"Price,Open,High,Low,Close\nTicker,A,A,A,A\nDate,,,,\n{ROW}\n"
    frame, origin = read(tmp_path / "a.csv", levels)
    assert origin.first == 4
    assert frame.columns.tolist() == [("", ""), *((name, "A") for name in OHLC)]
    assert frame.columns.names == ["Price", "Ticker"]
    assert frame.iloc[0].tolist() == ["2024-01-02", 1, 2, 1, 2]
    sentence = refusal(read, tmp_path / "a.csv", f"# c\n\n{','.join(NAMES)}\n{ROW}\n{ROW},1,2\n")
    assert sentence == f"{tmp_path / 'a.csv'}: cannot be read: Expected 5 fields in line 5, saw 7."
    longer = f"{','.join(NAMES)}\n{ROW},1,2\n"
    assert refusal(read, tmp_path / "a.csv", longer) == (
        f"{tmp_path / 'a.csv'}: cannot be read: a row has more cells than the first line names."
    )
    assert len(read(tmp_path / "a.csv", ",".join(NAMES))[0]) == 0
    assert (
        read(tmp_path / "a.csv", f"x,A,A,A,A\nDate,Open,High,Low,Close\n{ROW}\n")[0].columns.names
        == [None] * 2
    )


def test_a_column_that_counts_rows_is_left_out_below_two_rows(tmp_path):
    names = f",Date,{','.join(OHLC)},Volume\n,,A,A,A,A,A\n"
    frame, _ = read(tmp_path / "a.csv", names + "0,20240102,1,2,1,2,7\n1,20240103,1,2,1,2,8\n")
    assert frame.columns.tolist() == [("", ""), *((name, "A") for name in [*OHLC, "Volume"])]
    assert frame.iloc[1].tolist() == ["20240103", 1, 2, 1, 2, 8]


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    assert (
        refusal(read, path, "Date,Open,Open,x,x\n")
        == f"{path}: has the column 'Open' twice: leave one of them."
    )
    assert len(read(path, "Date,,,Close\n")[0].columns) == 4


STYLES = {
    "points alone, without quotes": (
        "Date,Open,Volume\n2024-01-02,15,1.234\n2024-01-03,15,123\n", NumberStyle()),
    "a mark that prices do not show": (
        'Date,Open,Volume\n2024-01-02,"1.234","15"\n2024-01-03,123,15\n', NumberStyle()),
    "decimals of an unused column, below an unknown name": (
        'Handelstag,Open,High,Low,Close,x\n2024-01-02,"1","2","1","2","1,5"\n', NumberStyle()),
    "a mark that counts show": (
        'Date,Open,Volume\n2024-01-02,"15","1.234"\n2024-01-03,15,123\n', GERMAN),
    "one line of quotes": ('Date,Open,Volume\n2024-01-02,15,1\n2024-01-03,"1,5",1\n', GERMAN),
    "decimals of the dates": ('Date,Open,Volume\n"02.13,2024",15,1\n', NumberStyle()),
    "decimals of an unused column": (
        'Date,Open,High,Low,Close,x\n2024-01-02,"1","2","1","2","1,5"\n', NumberStyle()),
    "decimals of a wide file": ('Date,AAA,x\n2024-01-02,"1","1,5"\n', GERMAN),
    "rows that end early": ('Date,Open,Volume\n2024-01-02,"1,5"\n2024-01-03\n', GERMAN),
    "decimals behind 500 lines": (
        "Date;Open;High\n" + "2024-01-02;1.234;1.234\n" * 600 + "2024-01-02;1.5;1\n", NumberStyle()),
    "a volume below two rows": (
        ',"Open",High,Low,Close,Volume\n,A,A,A,A,A\nDate,,,,,\n2024-01-02,1,2,1,2,1.234\n2024-01-03,1,2,1,2,123\n',
        GERMAN),
    "a first price below two rows": (
        ',Open,High,Low,Close\n,A,A,A,A\nDate,,,,\n2024-01-02,"1,5",2,1,2\n', GERMAN),
    "dates below two rows": (
        ',Date,Open,High,Low,Close\n,,A,A,A,A\n0,"13.02.2024",1,2,1,2\n1,14.02.2024,1,2,1,2\n',
        NumberStyle()),
    "a price below two rows": (
        ',"Open",High,Low,Close,x\n,A,A,A,A,A\nDate,,,,,\n2024-01-02,1,2,1,2,1.234\n2024-01-03,1,2,1,2,123\n',
        NumberStyle()),
}  # fmt: skip


def test_the_style_of_numbers_is_that_of_the_columns_of_numbers(tmp_path):
    found = {kind: read(tmp_path / "a.csv", content)[1].style for kind, (content, _) in STYLES.items()}
    assert found == {kind: style for kind, (_, style) in STYLES.items()}
    frame, _ = read(tmp_path / "a.csv", STYLES["one line of quotes"][0])
    assert frame["Open"].tolist() == ["15", "1,5"]
    frame, _ = read(tmp_path / "a.csv", STYLES["a mark that counts show"][0])
    assert frame["Volume"].tolist() == ["1.234", "123"]
    frame, _ = read(tmp_path / "a.csv", "Date;Open;High\n2024-01-02;1,5;2\n")
    assert frame.to_numpy().tolist() == [["2024-01-02", "1,5", "2"]]


def test_files_in_other_encodings(tmp_path):
    content, path = f"{','.join(NAMES)}\n{ROW}\n", tmp_path / "A.CSV"
    packed = tmp_path / "A.CSV.GZ"
    packed.write_bytes(gzip.compress(content.encode()))
    for encoding in ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"):
        mark = "\ufeff" if encoding.startswith("utf-16") else ""
        path.write_bytes((mark + content).encode(encoding))
        assert files.read_price_file(path)[0].columns.tolist() == NAMES
    assert files.read_price_file(packed)[0]["High"].tolist() == [2]
    path.write_bytes(b"Date,Open\n\xff\xff\n")
    assert (
        refusal(files.read_price_file, path)
        == f"{path}: is not text in UTF-8 (invalid start byte); save it as UTF-8."
    )


def test_a_parquet_file_is_read_with_its_index(tmp_path):
    path = tmp_path / "A.PARQUET"
    pd.DataFrame({"Kurs": [1.5]}, pd.DatetimeIndex(["2024-01-02"], name="Date")).to_parquet(path)
    frame, origin = files.read_price_file(path, {"Kurs": "close"})
    assert origin == Origin(str(path), "row", 1)
    assert frame.columns.tolist() == ["Date", "close"]
    path.write_bytes(b"PAR1")
    assert refusal(files.read_price_file, path).startswith(f"{path}: cannot be read: ")
