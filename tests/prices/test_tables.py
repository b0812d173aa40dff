"""Shapes of a table, long, by ticker, two-level and wide, as one tidy table; and what each is refused for."""

import numpy as np
import pandas as pd
import pytest

from lib.prices import PricesError, tables
from lib.prices.findings import ConversionReport, Origin

nan = np.nan
HERE = Origin("a.csv", "line", 2)
OHLC = ["Open", "High", "Low", "Close"]
DAYS = ["2024-01-02", "2024-01-03"]
BAR = dict(zip(OHLC, (1.0, 3.0, 0.5, 2.0), strict=True))
FULL = {"open": 1.0, "low": 0.5, "high": 3.0, "close": 2.0, "vol": nan, "divs": nan, "split": 1.0, "adj": nan}


def bars(days=DAYS, **more):
    """Return bars of equal prices, one a day."""
    return pd.DataFrame({"Date": days} | dict.fromkeys(OHLC, 1.0) | BAR | more)


def refusal(function, *arguments, **options):
    with pytest.raises(PricesError) as refused:
        function(*arguments, **options)
    return str(refused.value)


def tidy(frame, ticker=None, every_day=False):
    """Return the tables, and the report's lines by section."""
    report = ConversionReport()
    made = list(tables.tidy_table(frame, HERE, report, ticker, every_day))
    lines = {section: report.lines(section) for section in ("Read", "Dropped", "Prices")}
    return made, {section: found for section, found in lines.items() if found}


def expected(tickers, days=DAYS, rows=None, **values):
    """Return a tidy table of equal bars."""
    frame = pd.DataFrame({"ticker": tickers, "day": pd.to_datetime(days)} | FULL | values)
    return frame.assign(row=range(len(frame)) if rows is None else rows)


def same(found, table):
    pd.testing.assert_frame_equal(found.reset_index(drop=True), table, check_dtype=False, check_like=True)


def test_a_table_of_one_ticker():
    frame = bars(Volume=[5, 6], Dividends=[0.0, 0.5], **{"Stock Splits": [0.0, 2.0]}).set_axis([7, 7])
    made, lines = tidy(frame, "AAA")
    ((table, origin),) = made
    same(table, expected("AAA", vol=[5, 6], divs=[0, 0.5], split=[1, 2]))
    assert lines == {"Read": ["a.csv: 2 rows of AAA"]}
    assert origin == Origin("a.csv", "line", 2, of_history=True)
    for spoiled in (
        frame.assign(**{"Adj Close": 1.0}),
        frame.rename(columns={"Dividends": "divs"}),
        frame.drop(columns="Stock Splits"),
        bars(),
    ):
        assert tidy(spoiled, "AAA")[0][0][1].of_history is False


def test_a_long_table():
    frame = pd.concat([bars(Symbol="BBB"), bars(Symbol="AAA")]).assign(x=1, Exchange="X")
    made, lines = tidy(frame)
    same(made[0][0], expected(["BBB", "BBB", "AAA", "AAA"], DAYS * 2))
    assert lines == {"Read": ["a.csv: 4 rows of 2 tickers; not used: x, Exchange"]}
    same(tidy(frame, "CCC")[0][0][0], made[0][0])  # the column counts, not the file's name


def test_blank_rows_are_left_out_and_the_others_keep_their_number():
    frame = bars(x=1.0).astype(object)
    frame = pd.concat([frame[:1], pd.DataFrame([dict.fromkeys(frame, "")]).assign(x=7), frame[1:]])
    frame.iloc[1, 1] = nan
    same(tidy(frame, "AAA")[0][0][0], expected("AAA", rows=[0, 2]))


def test_lines_of_text_below_prices_are_left_out():
    below = ["Downloaded from here", "5 January 2024", "  Terms of use "]
    frame = bars([*DAYS, *below]).astype(dict.fromkeys(OHLC, object))
    frame.loc[2:, OHLC] = ""
    frame.loc[3, OHLC] = nan
    (table, _), lines = tidy(frame, "AAA")[0][0], tidy(frame, "AAA")[1]
    assert table["row"].tolist() == [0, 1, 3]
    assert table["day"].iloc[2] == pd.Timestamp("2024-01-05")
    assert lines["Dropped"] == ["a.csv: 2 lines of text: 'Downloaded from here'"]
    for word, place in (("Downloaded", 4), ("ab cd", 4)):
        sentence = refusal(tidy, frame.assign(Date=[*DAYS, word, DAYS[0], DAYS[0]]), "AAA")
        assert sentence.startswith(f"a.csv, line {place}, AAA: '{word}' is not a date")
    priced = frame.assign(Date=[DAYS[0], below[0], *DAYS, DAYS[0]])
    assert refusal(tidy, priced, "AAA").startswith("a.csv, line 3, AAA: 'Downloaded from here' is not a date")
    priced.loc[1, "Low"] = ""
    assert "line 3, AAA: 'Downloaded from here' is not a date" in refusal(tidy, priced, "AAA")
    stamps = frame[:3].assign(Date=pd.to_datetime([*DAYS, "2024-01-04"]))
    assert tidy(stamps, "AAA")[1] == {"Read": ["a.csv: 3 rows of AAA"]}


def test_needed_columns_are_required():
    assert refusal(tidy, bars()).startswith("a.csv: lacks a column for ticker; it has Date, Open")
    assert refusal(tidy, bars()[OHLC]).startswith("a.csv: lacks a column for date, ticker; it has Open")
    assert refusal(tidy, bars()[["Date", *OHLC[1:]]], "AAA").startswith("a.csv: lacks a column for open;")
    levels = pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("a", "b", "c")]))
    assert refusal(tidy, levels) == "a.csv: has columns of 3 levels: two can be read."


def test_closes_alone_make_bars_where_a_market_never_closes():
    frame = pd.DataFrame(
        {"Date": [DAYS[1], "2024-01-04", DAYS[0], DAYS[0]], "Symbol": [*"AAAB"], "Close": [2, 1, 3, 9]}
    )
    ((table, _),), lines = tidy(frame, every_day=True)
    same(
        table,
        expected(
            [*"AAAB"],
            frame["Date"],
            open=[3, 2, nan, nan],
            high=[3, 2, nan, nan],
            low=[2, 1, nan, nan],
            close=[2, 1, nan, nan],
        ),
    )
    assert lines["Prices"] == [
        "a.csv: has one price a day: the open is the price of the day before, and high and low are the "
        "larger and the smaller of the two"
    ]
    assert "lacks a column for open, low, high" in refusal(tidy, frame)
    assert "lacks a column for open, low" in refusal(tidy, frame.assign(High=9.0), every_day=True)
    assert tidy(bars(), "AAA", every_day=True)[1] == {"Read": ["a.csv: 2 rows of AAA"]}


@pytest.mark.parametrize(
    ("frame", "day"),
    [
        (bars(), None),
        (bars(["x", "y"]), None),
        (bars().rename(columns={"Date": ""}), None),
        (bars().rename(columns={"Date": "Handelstag"}), "Handelstag"),
        (bars().rename(columns={"Date": "Handelstag"}).assign(index=[0, 1]), "Handelstag"),
        (bars().rename(columns={"Date": "Handelstag"}).assign(Date=["x", "y"]), None),
        (
            bars().rename(columns={"Date": "Handelstag"}).assign(code=20240102)[["code", "Handelstag"]],
            "Handelstag",
        ),
        (bars().rename(columns={"Date": "Uhrzeit"}), "Uhrzeit"),
        (bars(["x", "y"]).rename(columns={"Date": "Handelstag"}), None),
    ],
)
def test_a_column_of_days_is_seen_by_its_cells(frame, day):
    columns = tables.find_columns(frame.columns, "a.csv")
    assert tables._day_column(frame, columns) == ({} if day is None else {"day": day})


def test_a_column_holds_days_where_all_its_cells_do():
    columns = [
        (pd.Series(DAYS), True),
        (pd.Series(pd.to_datetime(DAYS)), True),
        (pd.Series(pd.to_datetime(DAYS).tz_localize("Asia/Tokyo")), True),
        (pd.Series([], dtype="datetime64[ns, UTC]"), True),
        (pd.Series([20240102, 20240103]), True),
        (pd.Series(["", " - ", DAYS[0]]), True),
        (pd.Series([DAYS[0]] * 20 + ["x"]), True),
        (pd.Series([DAYS[0]] * 19 + ["x"]), False),
        (pd.Series(["x", "y"]), False),
        (pd.Series(["", "-"]), False),
        (pd.Series([], dtype=object), False),
        (pd.Series([20240102.0]), False),
        (pd.Series([1, 2]), False),
        (pd.DataFrame({"a": DAYS}), False),
    ]
    assert [tables._holds_days(column) for column, _ in columns] == [holds for _, holds in columns]


@pytest.mark.parametrize(
    ("names", "days", "ticker", "used"),
    [
        (["AAA", "AAA"], DAYS, None, True),
        (["AAA", "AAA"], DAYS, "BBB", True),
        (["Alpha Inc.", "Alpha Inc."], DAYS, None, True),
        (["Alpha Inc.", "Alpha Inc."], DAYS, "BBB", False),
        (["Alpha Inc.", "AAA"], DAYS, "BBB", False),
        (["Alpha Inc.", "B Co."], DAYS, "BBB", False),
        (["Alpha Inc.", "B Co."], DAYS[:1] * 2, "BBB", True),
        (["Alpha Inc.", "Alpha Inc."], DAYS[:1] * 2, "BBB", False),
        ([2781, 2781], DAYS, "BBB", False),
        ([nan, nan], DAYS, "BBB", False),
        (["", ""], DAYS, "BBB", False),
        (["BRK.B", ""], DAYS, "BBB", True),
    ],
)
def test_a_column_of_names_holds_tickers_or_companies(names, days, ticker, used):
    frame = bars(days, Name=names)
    columns = tables.find_columns(frame.columns, "a.csv")
    found = tables._whose(frame, columns, ticker)
    assert found == (columns | {"ticker": "Name"} if used else columns)
    both = columns | {"ticker": "Date"}
    assert tables._whose(frame, both, ticker) == both
    assert tables._whose(frame, {"close": "Close"}, ticker) == {"close": "Close"}
    undated = {"name": "Name", "close": "Close"}
    assert ("ticker" in tables._whose(frame, undated, ticker)) == (used and days == DAYS)


def test_capital_gains_count_as_dividends():
    days = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"]
    gains = bars(days, **{"Capital Gains": [0.5, nan, 1.0, 0.0, 2.0]})
    ((table, _),), lines = tidy(gains.assign(Dividends=[0.5, nan, 0.25, 0.5, 0.0]), "AAA")
    np.testing.assert_array_equal(table["divs"], [1, nan, 1.25, 0.5, 2])
    assert lines["Prices"] == [
        "a.csv: 3 capital gains count as dividends; 2 of these days have a dividend too: check that it does "
        "not hold the gain"
    ]
    ((table, _),), lines = tidy(gains, "AAA")
    np.testing.assert_array_equal(table["divs"], [0.5, nan, 1, 0, 2])
    assert lines["Prices"] == ["a.csv: 3 capital gains count as dividends"]
    ((table, _),), lines = tidy(
        gains.assign(Dividends=[nan, 0.5, 0.5, 0, 0], **{"Capital Gains": 0.0}), "AAA"
    )
    np.testing.assert_array_equal(table["divs"], [0, 0.5, 0.5, 0, 0])
    assert "Prices" not in lines


def test_a_mean_of_bid_and_ask_is_taken_without_its_sign():
    frame = bars().rename(columns={"Close": "PRC"}).assign(PRC=[-2.0, 2.0])
    ((table, _),), lines = tidy(frame, "AAA")
    assert table["close"].tolist() == [2, 2]
    assert lines["Prices"] == ["a.csv: 1 closes below 0 are means of bid and ask: taken without the sign"]
    assert "2 closes below 0" in tidy(frame.assign(PRC=-2.0), "AAA")[1]["Prices"][0]
    for price in (0.0, 0.5):
        assert "Prices" not in tidy(frame.assign(PRC=price), "AAA")[1]
    assert tidy(frame.assign(PRC=[-2.0, 0.0]), "AAA")[1]["Prices"] == lines["Prices"]
    ((table, _),), lines = tidy(frame.rename(columns={"PRC": "Close"}), "AAA")
    assert table["close"].tolist() == [-2, 2]
    assert "Prices" not in lines


def test_cells_that_are_no_numbers():
    assert "'x' in the column Low is not a number" in refusal(tidy, bars(Low=["1", "x"]), "AAA")
    ((table, _),), _ = tidy(bars(**{"Adj Close": ["1", "x"]}), "AAA")
    assert table["adj"].isna().all()
    ((table, _),), lines = tidy(bars(Split=["Y", "N"]), "AAA")
    assert table["split"].tolist() == [1, 1]
    assert lines["Prices"] == ["a.csv: the column Split holds flags and no ratios: not used"]


def test_notes_on_days_are_read():
    evenings = [f"2024-01-{day:02d} 20:00" for day in (7, 8, 9, 10, 11)]
    ((table, _),), lines = tidy(bars(evenings), "AAA")
    assert table["day"].dt.day.tolist() == [8, 9, 10, 11, 12]
    assert lines["Read"][0].startswith("a.csv: its rows stand at 20:00 of Sundays")
    long = bars(evenings).set_axis(
        pd.MultiIndex.from_tuples([("Date", ""), *((n, "A") for n in OHLC)]), axis=1
    )
    ((table, _),), lines = tidy(long)
    assert table["day"].dt.day.tolist() == [8, 9, 10, 11, 12]
    assert lines["Read"][0].startswith("a.csv: its rows stand at 20:00 of Sundays")
    report = ConversionReport()
    wide = {name.lower(): (bars(evenings)[["Date", "Open"]], HERE) for name in OHLC}
    assert tables.tidy_wide(wide, report)[0]["day"].dt.day.tolist() == [8, 9, 10, 11, 12]
    assert report.lines("Read")[0].startswith("a.csv: its rows stand at 20:00 of Sundays")


@pytest.mark.parametrize(
    ("stamps", "names", "times"),
    [
        (["2024-01-02 09:30", "2024-01-02 10:05"], "AA", "2024-01-02 (at 9:30 and 10:05)"),
        (["2024-01-02", "2024-01-02 00:01"], "AA", "2024-01-02 (at 0:00 and 0:01)"),
        (["2024-01-02 09:30", "2024-01-02 10:05"], "AB", None),
        (["2024-01-02 09:30", "2024-01-03 10:05"], "AA", None),
        (["2024-01-02 09:30", "2024-01-02 09:30"], "AA", None),
        (["2024-01-02", "2024-01-02"], "AA", None),
        (
            ["2024-01-02 09:30", "2024-01-03 09:30", "2024-01-03 16:00"],
            "AAA",
            "2024-01-03 (at 9:30 and 16:00)",
        ),
        (["1969-12-31 09:30", "1970-01-01 10:00"], "AB", None),
    ],
)
def test_several_bars_of_a_day_are_intraday_prices(stamps, names, times):
    frame = bars(stamps, Symbol=list(names))
    if times is None:
        assert len(tidy(frame)[0][0][0]) == len(stamps)
    else:
        row = len(stamps) + 1
        assert refusal(tidy, frame) == (
            f"a.csv, line {row}, A: has several bars on {times}: these are intraday prices; a market has one "
            "bar per day."
        )


def unknown(**more):
    """Return the refusal of two bars of one day in a frame of one ticker, or None."""
    frame = bars(DAYS * 2, **more)
    try:
        tidy(frame, "AAA")
    except PricesError as error:
        return str(error)
    return None


def test_an_unknown_column_of_tickers_is_named():
    sentence = (
        "a.csv: has several rows of a day, and the column Werk (A, B) tells them apart: if it holds the "
        'tickers, add --rename "Werk=ticker".'
    )
    assert unknown(Werk=[*"AABB"]) == sentence
    assert unknown(Werk=pd.Categorical([*"AABB"])) == sentence
    assert unknown(A1=[1, 1, 2, 2], Werk=[*"AABB"]) == sentence  # text before whole numbers
    assert "the column x (1, 2) tells them apart" in unknown(x=[1, 1, 2, 2])
    assert unknown(x=[1.0, 1.0, 2.0, 2.0]) is None
    assert unknown(x=[*"AAAB"]) is None
    assert unknown(x=[*"ABBA"]) == sentence.replace("Werk", "x")
    assert unknown(x=[*"ABCD"]) is None
    assert unknown(x=[*"AAAA"]) is None
    assert unknown(x=["2024-01-02", "2024-01-02", "2024-01-03", "2024-01-03"]) is None
    assert "the column x (20240102, B) tells them apart" in unknown(x=["20240102"] * 2 + ["B"] * 2)
    one_day = bars(DAYS[:1] * 4, x=[*"ABCD"])
    assert "the column x (A, B, C) tells them apart" in refusal(tidy, one_day, "AAA")
    assert (
        len(tidy(bars(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"], x=[*"AABB"]), "AAA")[0]) == 1
    )


@pytest.mark.parametrize(
    ("names", "stem", "wide"),
    [
        (["Date", "AAA"], "close", True),
        (["Date", "AAA", "BBB"], "Open", True),
        (["Date", "AAA"], "AAA", False),
        (["Date"], "close", False),
        (["Date", *OHLC], "close", False),
        (["Date", "Ticker", "x"], "close", False),
        (["Date", "Symbol", "x"], "close", False),
        (["Date", "code", "x"], "close", True),
        (["x", "Ticker"], "close", True),
        (["x", *OHLC], "close", False),
    ],
)
def test_a_wide_table_bears_the_name_of_a_field(names, stem, wide):
    assert tables.is_wide(pd.DataFrame(columns=names), stem) is wide


def test_columns_of_two_levels_are_not_wide():
    levels = pd.DataFrame([[DAYS[0], 1.0]], columns=pd.MultiIndex.from_tuples([("Date", ""), ("x", "AAA")]))
    assert not tables.is_wide(levels, "close")
    assert not tables.looks_wide(levels)


@pytest.mark.parametrize(
    ("columns", "wide"),
    [
        ({"Date": DAYS, "AAA": [1.0, 2.0], "BBB": [1, 2]}, True),
        ({"Date": DAYS, "AAA": ["1.5", "$1,000"], "BBB": ["", "n.a."]}, True),
        ({"Date": DAYS, "AAA": ["-1.5", " +2 "]}, True),
        ({"Date": DAYS}, False),
        ({"Date": ["x", "y"], "AAA": [1.0, 2.0]}, False),
        ({"Date": DAYS, "AAA": ["x", "1"]}, False),
        ({"Date": DAYS, "AAA": ["", ""]}, False),
        ({"Date": DAYS, "AAA": [1.0, 2.0], "BBB": ["x", "y"]}, False),
        ({"Date": DAYS, "Close": [1.0, 2.0]}, False),
        ({"Date": DAYS, "Adj Close": [1.0, 2.0]}, False),
        ({"Date": DAYS, "Ticker": [1, 2]}, False),
        ({"Date": DAYS, "Name": [1, 2]}, False),
        ({"Date": DAYS, "Low": [1.0, 2.0]}, True),
        ({"Date": DAYS, "Low": [1.0, 2.0], "High": [1.0, 2.0]}, False),
        ({"Date": DAYS} | {f"{name}_AAA": [1.0, 2.0] for name in OHLC}, False),
    ],
)
def test_a_table_of_unknown_numbers_looks_wide(columns, wide):
    assert bool(tables.looks_wide(pd.DataFrame(columns))) is wide


def sheet(*values, names=("AAA", "BBB"), days=DAYS):
    return pd.DataFrame({"when": days} | dict(zip(names, np.transpose(values).tolist(), strict=True)))


def test_wide_tables_are_joined():
    report = ConversionReport()
    origins = {
        name: Origin(f"{name}.csv", "line", 2) for name in ("open", "high", "low", "close", "vol", "split")
    }
    given = {
        "open": sheet([1, 4], [2, 5]),
        "high": sheet([9, 9], [9, 9]),
        "low": sheet([1, 1], [1, 1]),
        "close": sheet([1.5, 4.5], [nan, nan], [2.5, nan], days=[DAYS[0], nan, DAYS[1]]),
        "vol": sheet([7, 0], names=["AAA", " CCC "], days=DAYS[:1]),
        "split": sheet(["2:1", ""], ["", "3"]),
    }
    table, origin = tables.tidy_wide({name: (given[name], origins[name]) for name in given}, report)
    assert origin == origins["close"]
    table = table.sort_values(["ticker", "day"])
    want = pd.DataFrame(
        {
            "ticker": ["AAA", "AAA", "BBB", "BBB", "CCC"],
            "day": pd.to_datetime([*DAYS, *DAYS, DAYS[0]]),
            "open": [1, 2, 4, 5, nan],
            "low": [1, 1, 1, 1, nan],
            "high": [9, 9, 9, 9, nan],
            "close": [1.5, 2.5, 4.5, nan, nan],
            "vol": [7, nan, nan, nan, 0],
            "divs": nan,
            "split": [2, 1, 1, 3, 1],
            "adj": nan,
            "row": [0, 2, 0, 2, 0],
        }
    )
    same(table, want)
    assert report.lines("Read") == [
        f"{name}.csv: the {word} of 2 tickers on {days}"
        for name, word, days in (
            *((name, name, "2 days") for name in ("open", "high", "low", "close")),
            *(("vol", "volume", "1 day"), ("split", "splits", "2 days")),
        )
    ]


def test_wide_gains_are_added_to_dividends():
    files = {name: (sheet([1, 1], [1, 1]), HERE) for name in ("open", "high", "low", "close")}
    gains = sheet([2, nan], [nan, nan])
    divs = sheet([0.5, nan], [0.25, nan])
    report = ConversionReport()
    table, _ = tables.tidy_wide(files | {"gains": (gains, Origin("Capital Gains.csv"))}, report)
    np.testing.assert_array_equal(table["divs"], [2, nan, nan, nan])
    assert report.lines("Prices") == ["Capital Gains.csv: capital gains count as dividends"]
    table, _ = tables.tidy_wide(files | {"gains": (gains, HERE), "divs": (divs, HERE)}, report)
    np.testing.assert_array_equal(table["divs"], [2.5, nan, 0.25, nan])


def test_wide_tables_are_refused():
    files = {
        name: (sheet([1, 1], [1, 1]), Origin(f"{name}.csv")) for name in ("open", "high", "low", "close")
    }
    report = ConversionReport()
    some = {name: files[name] for name in ("high", "close")}
    assert refusal(tables.tidy_wide, some, report) == (
        "high.csv, close.csv: one file per field lacks the file of open, low: a market needs open, high, low "
        "and close."
    )
    twice = files | {"low": (sheet([1, 1], [1, 1], names=["AAA", "AAA "]), HERE)}
    assert refusal(tables.tidy_wide, twice, report) == (
        "a.csv: has two columns of one ticker: leave one of them."
    )
    again = files | {"low": (sheet([1, 1], [1, 1], days=DAYS[:1] * 2), HERE)}
    assert refusal(tables.tidy_wide, again, report) == "a.csv, line 3, AAA: this day is there twice."
    word = files | {"low": (sheet([1, "x"], [1, 1]), HERE)}
    assert refusal(tables.tidy_wide, word, report) == (
        "a.csv, line 2, BBB: 'x' in the column BBB is not a number; write it like 1234.5."
    )
    split = files | {"split": (sheet([1, -2.0], [1, 1]), HERE)}
    assert refusal(tables.tidy_wide, split, report).startswith(
        "a.csv, line 2, BBB: a split of -2.0 is impossible"
    )


def levels(names=(None, None), order=1):
    pairs = [(name, ticker) for name in OHLC for ticker in ("AAA", "BBB")]
    return pd.MultiIndex.from_tuples([pair[::order] for pair in pairs], names=names[::order])


@pytest.mark.parametrize("order", [1, -1])
def test_the_level_of_tickers_is_seen_by_name_or_by_the_fields(order):
    where = 1 if order == 1 else 0
    assert tables.ticker_level(levels(order=order)) == where
    assert tables.ticker_level(levels(("Price", "Ticker"), order)) == where
    assert tables.ticker_level(levels(("Symbols", None), order)) == 1 - where  # a name counts first
    letters = pd.MultiIndex.from_tuples([("o", "Open"), ("h", "AAA")])
    assert tables.ticker_level(letters) == 0


def two_levels(order=1):
    """Return bars of two tickers, below a blank row, with a third that has no price."""
    rows = [[nan] * 9, [DAYS[0], 1, 1, 3, 3, 0.5, 0.5, 2, 2], [DAYS[1], 1, nan, 3, nan, 0.5, nan, 2, nan]]
    columns = [("Date", ""), *levels(order=order).tolist()]
    frame = pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns), dtype=object)
    frame[("Close", "GONE")[::order]] = nan
    return frame


@pytest.mark.parametrize("order", [1, -1])
def test_columns_of_two_levels_are_a_table_by_ticker(order):
    made, lines = tidy(two_levels(order).set_axis([5, 5, 5]))
    assert [table["ticker"].iloc[0] for table, _ in made] == ["AAA", "BBB"]
    same(made[0][0], expected("AAA", rows=[1, 2]))
    gap = {name: [FULL[name], nan] for name in ("open", "low", "high", "close")}
    same(made[1][0], expected("BBB", rows=[1, 2], **gap))
    assert [origin.name for _, origin in made] == ["a.csv", "a.csv"]
    assert lines == {
        "Dropped": ["1 ticker without a price: GONE"],
        "Read": ["a.csv: 3 days of 2 tickers in columns of two levels"],
    }


def test_a_ticker_of_two_levels_is_refused_by_its_row():
    frame = two_levels()
    frame.loc[2, ("Low", "AAA")] = "x"
    assert refusal(tidy, frame).startswith("a.csv, line 4, AAA: 'x' in the column Low is not a number")
    frame = two_levels()
    frame.loc[2, ("Date", "")] = "x"
    assert refusal(tidy, frame).startswith("a.csv, line 4: 'x' is not a date")
    frame = two_levels().drop(columns=[("Low", "AAA")])
    assert refusal(tidy, frame).startswith("a.csv: lacks a column for low; it has date, Open, High, Close")
    frame = two_levels()
    frame[("Date", "")] = ["", "2024-01-02 09:30", "2024-01-02 10:00"]
    assert "line 4, : has several bars on 2024-01-02 (at 9:30 and 10:00)" in refusal(tidy, frame)


def test_notes_on_a_ticker_of_two_levels_are_kept():
    frame = two_levels()
    frame[("Capital Gains", "AAA")] = [nan, 2.0, nan]
    made, lines = tidy(frame)
    np.testing.assert_array_equal(made[0][0]["divs"], [2, nan])
    assert lines["Prices"] == ["a.csv: 1 capital gains count as dividends"]


def test_flat_names_of_field_and_ticker_are_columns_of_two_levels():
    frame = bars().rename(columns={name: f"{name}_AAA" for name in OHLC})
    made, lines = tidy(frame)
    same(made[0][0], expected("AAA"))
    assert lines["Read"] == ["a.csv: 2 days of 1 ticker in columns of two levels"]
    both = bars(**{f"{name}_{ticker}": 7.0 for ticker in ("AAA", "CCC") for name in OHLC})
    same(tidy(both, "BBB")[0][0][0], expected("BBB"))


def in_rows(*tickers, extra=None):
    melted = [bars().melt("Date", var_name="field").assign(Ticker=ticker) for ticker in tickers]
    frame = pd.concat(melted, ignore_index=True)
    return frame if extra is None else frame.assign(**extra)


def test_a_row_per_field_is_a_table_of_two_levels():
    frame = in_rows("AAA", "BBB").sample(frac=1, random_state=0)
    made, lines = tidy(frame)
    assert [table["ticker"].iloc[0] for table, _ in made] == ["AAA", "BBB"]
    for table, origin in made:
        same(table, expected(table["ticker"].iloc[0]))
        assert (origin.unit, origin.first) == ("day", 1)
    assert lines["Read"] == ["a.csv: 2 days of 2 tickers in columns of two levels"]
    one = in_rows("AAA").drop(columns="Ticker")
    same(tidy(one, "CCC")[0][0][0], expected("CCC"))
    stacked = one.rename(columns={"value": "AAA"}).assign(BBB=one["value"])
    made, _ = tidy(stacked)
    assert [table["ticker"].iloc[0] for table, _ in made] == ["AAA", "BBB"]
    same(tidy(stacked.drop(columns="BBB"))[0][0][0], expected("AAA"))
    assert tables._turn_fields_in_rows(stacked, "CCC").columns.names == ["ticker", None]


def test_other_tables_have_no_row_per_field():
    turn = tables._turn_fields_in_rows
    frame = in_rows("AAA")
    assert turn(frame.drop(columns="Date"), None) is None
    assert turn(frame.drop(columns="value"), None) is None
    assert turn(frame.drop(columns=["value", "Ticker"]), None) is None
    assert turn(frame.assign(x=1), None) is None
    assert turn(frame[frame["field"] != "Low"], None) is None
    assert turn(frame.assign(**BAR), None) is None
    assert turn(pd.concat([frame, frame[:1]]), None) is None
    assert turn(frame.assign(Ticker=frame["field"], field="x"), None) is None
    assert turn(bars(), "AAA") is None
    twice = pd.concat([frame, frame.assign(Ticker="BBB")])
    assert turn(twice.drop(columns="Ticker"), None) is None
    assert turn(twice, None) is not None


def test_a_line_on_what_was_read():
    renamed = bars(Volumen=[1, 2], ex_dividend=0.0, **{f"x{k}": 1 for k in range(12)})
    assert tidy(renamed.assign(Symbol="AAA"))[1]["Read"] == [
        "a.csv: 2 rows of AAA; volume from Volumen, dividends from ex_dividend; not used: x0, x1, x2, x3, "
        "x4, x5, x6, x7, x8, x9, x10, x11"
    ]
    more = bars(**{f"x{k}": 1 for k in range(14)}).rename(columns={"Close": "Last"})
    assert tidy(more, "AAA")[1]["Read"][0].endswith(
        "; close from Last; not used: " + ", ".join([f"x{k}" for k in range(12)]) + " and 2 more"
    )
    timed = bars(Time="00:00", **{"Adj Close": 1.0, "": [0, 1], "Capital Gains": 0.0})
    assert tidy(timed, "AAA")[1]["Read"] == ["a.csv: 2 rows of AAA; not used: Adj Close"]
    assert tidy(bars()[:0], "AAA")[1]["Read"] == ["a.csv: 0 rows of 0 tickers"]
