"""Refusals of price sources: one clear sentence each, with file, line and ticker, and nothing written."""

import errno
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.prices import PricesError, convert_files, market_from_frames
from lib.prices import __main__ as command_line
from lib.prices.__main__ import main
from tests.prices.sources import AAA, BRK, TICKERS, adjusted, long, two_levels, wide
from tests.processes import PROJECT
from tests.switches import ALL, LONG


def csv_with(old, new):
    """The long CSV file with one text in it replaced."""

    def write(folder):
        text = long().to_csv(index=False)
        assert old in text
        (folder / "prices.csv").write_text(text.replace(old, new, 1), encoding="utf-8")

    return write


def text(content, name="prices.csv"):
    return lambda folder: (folder / name).write_bytes(content)


def frame(change, name="prices.csv"):
    return lambda folder: change(long()).to_csv(folder / name, index=False)


def half_adjusted(folder):
    long({"AAA": AAA, "BBB": adjusted()["AAA"]}).to_csv(folder / "prices.csv", index=False)


def small_splits(folder):
    long({"AAA": AAA.replace({"Stock Splits": {2.0: 1.05}})}).to_csv(folder / "prices.csv", index=False)


def wide_without_the_open(folder):
    for name in ("High", "Low", "Close"):
        wide()[name].to_csv(folder / f"{name}.csv")


def ambiguous_dates(folder):
    changed = long()
    changed["Date"] = changed["Date"].dt.strftime("%m/%d/%Y")
    changed.to_csv(folder / "prices.csv", index=False)


def dates_up_to_the_twelfth(folder):
    changed = long()
    changed["Date"] = (changed["Date"] + pd.DateOffset(months=11, days=4)).dt.strftime("%m/%d/%Y")
    changed.to_csv(folder / "prices.csv", index=False)


def with_members(content):
    def write(folder):
        long().to_csv(folder / "prices.csv", index=False)
        (folder / "members.csv").write_text(content, encoding="utf-8")

    return write


MEMBERS = ["prices.csv", "--members", "members.csv"]
ROW_OF_AAA = "2024-01-03,102.0,105.0,101.0,104.0,1100,0.5,0.0,AAA"
ROW_OF_BRK = "2024-01-04,21.0,21.5,20.5,21.25,0,0.0,0.0,BRK.B"
# by fault: what writes the source, the command's sources, the sentence
REFUSALS = {
    "no such file": (text(b"", "other.csv"), ["prices.csv"], r"prices\.csv: does not exist; expected is"),
    "another kind of file": (text(b"PK", "a.xlsx"), ["a.xlsx"], r"a\.xlsx: is neither CSV nor Parquet"),
    "an empty folder": (lambda f: (f / "a").mkdir(), ["a"], "a: the folder has no CSV or Parquet file"),
    "an empty file": (text(b""), ["prices.csv"], r"prices\.csv: its first line does not name the columns"),
    "no header": (
        lambda f: long().to_csv(f / "prices.csv", index=False, header=False),
        ["prices.csv"],
        r"prices\.csv: its first line does not name the columns",
    ),
    "blanks between cells": (
        text(b"Date Open High Low Close\n2024-01-02 1 2 1 2\n"),
        ["prices.csv"],
        r"prices\.csv: blanks separate its cells",
    ),
    "one price a day": (
        lambda f: AAA[["Close"]].to_csv(f / "AAA.csv"),
        ["AAA.csv"],
        r"AAA\.csv: lacks a column for open, low, high; .*closes alone are not enough",
    ),
    "an unknown name of the close": (
        frame(lambda f: f.rename(columns={"Close": "Kurs"})),
        ["prices.csv"],
        r'prices\.csv: lacks a column for close; .*--rename "Kurs=close"',
    ),
    "weekly bars": (
        lambda f: AAA.set_axis(pd.date_range("2024-01-02", periods=5, freq="7D", name="Date")).to_csv(
            f / "AAA.csv"
        ),
        ["AAA.csv"],
        r"AAA\.csv: the rows of AAA are 7 days apart: these are weekly bars",
    ),
    "a file of macOS": (text(b"\0\5", "._a.csv"), ["._a.csv"], r"\._a\.csv: is a file that macOS leaves"),
    "a header alone": (frame(lambda f: f[:0]), ["prices.csv"], r"prices\.csv: has no row"),
    "no close": (
        frame(lambda f: f.drop(columns="Close")),
        ["prices.csv"],
        r"prices\.csv: lacks a column for close; it has Date, Open, High",
    ),
    "an adjusted close only": (
        frame(lambda f: f.rename(columns={"Close": "Adj Close"})),
        ["prices.csv"],
        r"prices\.csv: has an adjusted close only",
    ),
    "a column twice": (
        frame(lambda f: f.assign(close=1.0)),
        ["prices.csv"],
        r"prices\.csv: has two columns of one name, 'Close' and 'close'",
    ),
    "no number": (
        csv_with(ROW_OF_AAA, ROW_OF_AAA.replace("105.0", "1O5")),
        ["prices.csv"],
        r"prices\.csv, line 3, AAA: '1O5' in the column High is not a number",
    ),
    "no number behind blank lines": (
        csv_with(ROW_OF_AAA, "\n\n" + ROW_OF_AAA.replace("105.0", "1O5")),
        ["prices.csv"],
        r"prices\.csv, line 5, AAA: '1O5' in the column High is not a number",
    ),
    "an infinite number": (
        csv_with(ROW_OF_AAA, ROW_OF_AAA.replace("105.0", "inf")),
        ["prices.csv"],
        r"prices\.csv, line 3, AAA: the number in the column High is infinite",
    ),
    "a negative price": (
        csv_with(ROW_OF_BRK, ROW_OF_BRK.replace("20.5", "-20.5")),
        ["prices.csv"],
        r"prices\.csv, line 8, BRK\.B: the low is -20\.5, but it cannot be negative",
    ),
    "a negative split": (
        csv_with("0.3,2.0,AAA", "0.3,-2.0,AAA"),
        ["prices.csv"],
        r"prices\.csv, line 5, AAA: a split of -2\.0 is impossible",
    ),
    "no date": (
        csv_with("2024-01-03,102.0", "2024-01-33,102.0"),
        ["prices.csv"],
        r"prices\.csv, line 3, AAA: '2024-01-33' is not a date",
    ),
    "a year out of reach": (
        csv_with("2024-01-03,102.0", "9999-01-03,102.0"),
        ["prices.csv"],
        r"prices\.csv, line 3, AAA: '9999-01-03' is not a date",
    ),
    "a missing date": (
        csv_with("2024-01-03,102.0", ",102.0"),
        ["prices.csv"],
        r"prices\.csv, line 3, AAA: there is no date in this row",
    ),
    "ambiguous dates": (
        ambiguous_dates,
        ["prices.csv"],
        r"prices\.csv: the dates, like '01/02/2024', do not",
    ),
    "ambiguous dates up to a twelfth": (
        dates_up_to_the_twelfth,
        ["prices.csv"],
        r"prices\.csv: the dates, like '12/06/2024', do not",
    ),
    "no ticker": (
        csv_with(ROW_OF_BRK, ROW_OF_BRK.removesuffix("BRK.B")),
        ["prices.csv"],
        r"prices\.csv, line 8: there is no ticker in this row",
    ),
    "a day twice": (
        csv_with(ROW_OF_BRK, ROW_OF_BRK + "\n" + ROW_OF_BRK.replace("21.25", "21.3")),
        ["prices.csv"],
        r"prices\.csv, line 9, BRK\.B: 2024-01-04 is also in prices\.csv, line 8, with other numbers",
    ),
    "a row too long": (
        csv_with(ROW_OF_BRK, ROW_OF_BRK + ",1,2"),
        ["prices.csv"],
        r"prices\.csv: cannot be read: .*line 8",
    ),
    "not UTF-8": (text(b"Date,Open\xff"), ["prices.csv"], r"prices\.csv: is not text in UTF-8"),
    "damaged Parquet": (text(b"PAR1", "a.parquet"), ["a.parquet"], r"a\.parquet: cannot be read: "),
    "no prices at all": (
        frame(lambda f: f.assign(Close=np.nan)),
        ["prices.csv"],
        r"prices\.csv: no row has a price",
    ),
    "half adjusted": (
        half_adjusted,
        ["prices.csv"],
        "On AAA 2024-01-05 the price jumps by the ratio of the split, on BBB 2024-01-05 it does not: ",
    ),
    "small splits only": (small_splits, ["prices.csv"], "No split is large enough.*add --prices raw or"),
    "a field without a file": (wide_without_the_open, ["."], r"lacks the file of open"),
    "members without a column": (
        with_members("ticker,since\nAAA,2024-01-02\n"),
        MEMBERS,
        r"members\.csv: lacks a column for from, to; it has ticker, since",
    ),
    "a stay that ends before it begins": (
        with_members("ticker,from,to\nAAA,,\nBRK.B,2024-01-05,2024-01-03\n"),
        MEMBERS,
        r"members\.csv, line 3, BRK\.B: this stay ends before it begins",
    ),
    "members by other names": (
        with_members("ticker,from,to\nNAS:AAA,,\n"),
        MEMBERS,
        r"members\.csv: no member has a price while it is one \(NAS:AAA\)",
    ),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_source_is_refused_in_one_sentence(fault, tmp_path, monkeypatch, capsys):
    write, words, sentence = REFUSALS[fault]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.nc").write_bytes(b"what was there")
    write(tmp_path)
    assert main([*words, "--output", "market.nc"]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert re.search(sentence, line)
    assert line.endswith(".")
    assert (tmp_path / "market.nc").read_bytes() == b"what was there"
    assert printed.out == ""


@pytest.mark.parametrize(
    ("output", "sentence"),
    [("nowhere/market.nc", "lies in a folder that does not exist"), (".", "is a folder"), ("", "is empty")],
)
def test_an_impossible_output_is_refused_before_anything_is_read(
    output, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["prices.csv", "--output", output]) == 2
    assert sentence in capsys.readouterr().err


def test_the_command_ends_with_2_and_without_a_traceback_or_torch(tmp_path):
    code = (
        "import atexit, runpy, sys; sys.argv = ['lib.prices', 'none.csv', '--output', 'market.nc'];"
        "atexit.register(lambda: print('torch' in sys.modules));"
        "runpy.run_module('lib.prices', run_name='__main__')"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == "False\n"
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("none.csv: does not exist; expected is")


def test_a_file_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    def full(path, data):
        raise OSError(errno.ENOSPC, "no space left", str(path))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_line, "replace_file", full)
    long().to_csv("prices.csv", index=False)
    assert main(["prices.csv", "--output", "market.nc"]) == 2
    assert capsys.readouterr().err == "market.nc: no space left. The file that was there is untouched.\n"


def test_a_day_beyond_what_is_stored_is_no_date():
    far = AAA.set_axis(
        np.array(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "9999-01-01"], "M8[s]")
    )
    with pytest.raises(PricesError, match=r"the frame of AAA, row 5, AAA: .* is not a date"):
        market_from_frames({"AAA": far})


def test_frames_are_named_in_refusals():
    with pytest.raises(PricesError, match=r"the frame of AAA, row 2, AAA: the close is -1"):
        market_from_frames({"AAA": AAA.assign(Close=[1.0, -1, 1, 1, 1])})
    with pytest.raises(PricesError, match="frame 1: lacks a column for ticker"):
        market_from_frames([AAA])
    with pytest.raises(PricesError, match="The source: has no row"):
        market_from_frames({})
    with pytest.raises(PricesError, match="prices is 'both': it can be raw or adjusted"):
        market_from_frames(TICKERS, prices="both")


def test_intraday_rows_are_refused():
    hours = pd.concat([BRK, BRK.set_axis(BRK.index + pd.Timedelta(hours=1)).assign(Open=20.7)])
    with pytest.raises(PricesError, match=r"row 4, BRK: has several bars on 2024-01-03 \(at 0:00 and 1:00\)"):
        market_from_frames({"BRK": hours})


JUNK = [
    ",",
    '"',
    "\n",
    "\x00",
    "abc",
    "-1",
    "1e400",
    "inf",
    "2024-01-33",
    "",
    ";",
    "\t",
    "1/0",
    "Ticker",
    "Price",
    "Ä",
]


@settings(max_examples=300 if ALL else 80 if LONG else 15, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data):
    """Cells, characters and lines replaced or cut anywhere: no traceback, and one line of text."""
    forms = [
        *(form.to_csv() for form in (long().set_index("Date"), two_levels(), wide()["Close"], AAA)),
        *(AAA.to_csv(sep=mark, decimal=",", date_format="%d.%m.%Y") for mark in ";\t"),
        "sep=|\n# a line\n" + AAA.to_csv(sep="|"),
        two_levels().reset_index().to_csv(),
        two_levels().set_axis([f"{a}_{b}" for a, b in two_levels().columns], axis=1).to_csv(),
    ]
    content = data.draw(st.sampled_from(forms))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 60))
        content = content[:start] + data.draw(st.sampled_from(JUNK)) + content[start + cut :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / data.draw(st.sampled_from(["Close.csv", "prices.csv"]))
        path.write_text(content, encoding="utf-8")
        try:
            outcome = f"{convert_files([path])[0].sizes['asset']} assets"
        except PricesError as error:
            outcome = str(error)
    assert outcome != "0 assets"
    assert len(outcome.splitlines()) == 1
