"""Names of columns: their meaning, renames, and what a table without a column is told."""

import pandas as pd
import pytest

from lib.prices import PricesError, columns

OHLC = ["Open", "High", "Low", "Close"]
FOUND = {"open": "Open", "high": "High", "low": "Low", "close": "Close"}


def found(*names):
    return columns.find_columns(names, "a.csv")


def refusal(function, *arguments):
    with pytest.raises(PricesError) as refused:
        function(*arguments)
    return str(refused.value)


def test_names_have_in_common_what_is_left_of_them():
    names = {
        "Adj. Close": "adjclose",
        "adj_close": "adjclose",
        " Adj-Close ": "adjclose",
        "<OPEN>": "open",
        "1. open": "open",
        "12.  high": "high",
        "1.open": "1open",
        "Close (USD)": "close",
        "Close [USD]": "close",
        "Close(USD)": "close",
        "(USD)": "(usd)",
        "Close (USD) x": "close(usd)x",
        b"Close": "close",
        600519: "600519",
        "Close/Last": "close/last",
    }
    assert {name: columns.simplify_name(name) for name in names} == names


def test_columns_are_found_by_meaning():
    assert found("Date", "Symbol", *OHLC, "Vol.") == FOUND | {
        "day": "Date",
        "ticker": "Symbol",
        "vol": "Vol.",
    }
    assert found("price", "Close")["close"] == "Close"  # the better name first
    assert found("Last", "Price")["close"] == "Last"
    assert found("Volume (USD)", "volume")["vol"] == "volume"
    assert found("Volume (BTC)", "Volume (USD)")["vol"] == "Volume (BTC)"
    assert found("Volume USD", "Volume BTC")["vol"] == "Volume USD"
    assert found("Vol", "Volume USD")["vol"] == "Vol"
    assert found("Dollar volume") == {}
    assert found() == {}
    for name in ("Ex-Dividend", "Cash Dividend", "Div", "ex_dividend", "Dividend Amount"):
        assert found(name) == {"divs": name}
    assert found("Capital Gains") == {"gains": "Capital Gains"}


def test_one_letter_is_a_meaning_beside_its_like_only():
    letters = {"open": "o", "high": "h", "low": "l", "close": "c"}
    assert found("t", "o", "h", "l", "c", "v") == letters | {"day": "t", "vol": "v"}
    assert found("o", "h", "l", "c") == letters
    assert found("t", "o", "h", "l", "v") == {}
    assert found("o", "h", "l", "c", "Timestamp") == letters | {"day": "Timestamp"}
    both = refusal(found, "t", "o", "h", "l", "c", "timestamp")
    assert both == "a.csv: has two columns of one name, 'timestamp' and 't': leave one of them."


def test_a_time_is_the_day_or_the_clock():
    assert found("Time", *OHLC) == FOUND | {"day": "Time"}
    assert found("Date", "Time", *OHLC) == FOUND | {"day": "Date", "clock": "Time"}
    assert found("Time", "Uhrzeit", *OHLC) == FOUND | {"day": "Time", "clock": "Uhrzeit"}


def test_two_columns_of_one_name_are_refused():
    sentence = "a.csv: has two columns of one name, 'Close' and 'close': leave one of them."
    assert refusal(found, "Close", "close", "CLOSE") == sentence
    assert found("x", "X") == {}  # a name that means nothing may be there twice


def test_required_columns():
    columns.require_columns(["day", "close"], FOUND | {"day": "Date"}, ["Date", *OHLC], "a.csv")
    assert refusal(columns.require_columns, ["close", "day"], FOUND, OHLC, "a.csv") == (
        "a.csv: lacks a column for date; it has Open, High, Low, Close."
    )


IF = 'if one of these holds it, name it, for example --rename "'
ALONE = "closes alone are not enough: a market needs open, high, low and close"
ONE = 'a frame of one ticker is given by its name, {"AAPL": frame}'
LACKING = [
    (["Date", "x"], ["vol"], f'volume; it has Date, x; {IF}x=volume"'),
    (
        ["Date", "Foo", "Volum"],
        ["vol", "split"],
        f'volume, splits; it has Date, Foo, Volum; {IF}Volum=volume"',
    ),
    (["Date", "Foo", "Bar"], ["vol"], f'volume; it has Date, Foo, Bar; {IF}Foo=volume"'),
    (["Date", " "], ["close"], "close; it has Date, "),
    ([], ["close"], "close; it has none"),
    (["Date", "Close", "x"], ["open", "low", "high"], f"open, low, high; it has Date, Close, x; {ALONE}"),
    (["Close", "High", "x"], ["open", "low"], f'open, low; it has Close, High, x; {IF}x=open"'),
    (["x"], ["open", "low", "high", "close"], f'open, low, high, close; it has x; {IF}x=open"'),
    (["Date"], ["ticker"], f"ticker; it has Date; {ONE}"),
    (["Date", "Tick"], ["ticker"], f'ticker; it has Date, Tick; {IF}Tick=ticker"; {ONE}'),
    (["Date", "Adj Close"], ["open", "close"], "open, close; it has Date, Adj Close"),
    (list("bcfghijklmno"), ["day"], f'date; it has b, c, f, g, h, i, j, k, l, m, n, o; {IF}b=date"'),
    (
        list("bcfghijklmnop"),
        ["day"],
        f'date; it has b, c, f, g, h, i, j, k, l, m, n, o and 1 more; {IF}b=date"',
    ),
]


def test_a_missing_column_is_named_with_the_renaming_that_may_help():
    for names, required, sentence in LACKING:
        told = refusal(columns.require_columns, required, found(*names), names, "a.csv")
        assert told == " ".join(f"a.csv: lacks a column for {sentence}.".split())
    columns.require_columns(["close"], {"close": "x"}, [], "a.csv")
    assert refusal(columns.require_columns, ["close"], found("Adj Close"), ["Adj Close"], "a.csv") == (
        "a.csv: has an adjusted close only, which dividends have lowered: add the column Close (yfinance "
        "writes it with auto_adjust=False)."
    )


def test_a_file_is_a_field_by_its_name():
    stems = {
        "close": "close",
        "Open": "open",
        "prices_Open": "open",
        "my.volume": "vol",
        "Adj Close": "adj",
        "nasdaq-adj-close": "adj",
        "sp500adjclose": "adj",
        "my_dividends": "divs",
        "Capital Gains": "gains",
        "stock_splits": "split",
        "stock-splits": "split",
        "c": None,
        "prices_c": None,
        "market_cap": None,
        "AAPL": None,
        "close_AAPL": None,
        "sp500close": None,
    }
    assert {stem: columns.field_of_file(stem) for stem in stems} == stems


def test_renames_are_parsed_and_checked():
    assert columns.parse_renames(["a=close", " b = open ", "c=d=low"]) == {
        "a": "close",
        "b": "open",
        "c=d": "low",
    }
    for word in ("a", "=close", "a=", " =close", "a= ", ""):
        assert refusal(columns.parse_renames, [word]) == (
            f'--rename {word!r}: write COLUMN=NAME, like --rename "Schluss=close".'
        )
    targets = {
        "Schluss": "close",
        "volume": "volume",
        "Volumen": "volume",
        "date": "date",
        "dividends": "dividends",
        "splits": "stocksplits",
        "Adj Close": "adjclose",
        "adjclose": "adjclose",
        "symbol": "ticker",
        "name": "name",
        "from": "from",
        "day": "date",
        "vol": "volume",
        "dt": "date",
        "gains": "capitalgains",
        "clock": "time",
    }
    assert columns.check_renames(dict(enumerate(targets))) == {
        str(k): name for k, name in enumerate(targets.values())
    }
    for target in ("kurs", "c", ""):
        told = refusal(columns.check_renames, {"a": target})
        assert told.startswith(f"{target!r} is not a column of prices: ")


def test_columns_are_renamed_and_those_in_the_way_set_aside():
    rename = columns.rename_columns
    names = ["Date", "Close", " Kurs ", "Price", "Open"]
    assert rename(names, {"Kurs": "close"}) == [
        "Date",
        "Close (not used)",
        "close",
        "Price (not used)",
        "Open",
    ]
    assert rename(names, {"Absent": "close"}) == names
    assert rename(names, {}) == names
    assert rename([1, "Close"], {"1": "open"}) == ["open", "Close"]
    assert rename(["a", "Close"], {"a": "open", "b": "close"}) == ["open", "Close"]  # b is another source's
    assert rename(["a", "volume"], {"a": "unknown"}) == ["unknown", "volume"]


def flat(*names):
    turned = columns.split_flat_names(names)
    return None if turned is None else turned.tolist()


def test_flat_names_of_field_and_ticker_are_split():
    tickers = ["AAA", "B.C"]
    expected = [("date", "")] + [(field.lower(), ticker) for ticker in tickers for field in OHLC]
    for form in ("{0}_{1}", "{1}_{0}", "{1}.{0}", "{0} {1}", "{1}|{0}", "{0}: {1}", "('{0}', '{1}')",
                 '("{1}", "{0}")'):  # fmt: skip
        names = [form.format(field, ticker) for ticker in tickers for field in OHLC]
        for date in ("date", "('date', '')", "date_"):
            assert flat(date, *names) == expected, (form, date)
    assert flat(*[f"Adj_Close_{t}" for t in tickers], *[f"{f}_{t}" for f in OHLC for t in tickers])[:3] == [
        ("adjclose", "AAA"),
        ("adjclose", "B.C"),
        ("open", "AAA"),
    ]
    assert isinstance(columns.split_flat_names([f"{f}_A" for f in OHLC]), pd.MultiIndex)


def test_the_longest_name_of_a_field_counts():
    expected = [(field.lower(), "AAA") for field in OHLC]
    assert flat(*[f"{field}_Price_AAA" for field in OHLC]) == expected
    assert flat(*[f"AAA_{field}_Price" for field in OHLC]) == expected


def test_other_names_are_not_split():
    assert flat("Date", *OHLC) is None
    assert flat("Date", "Open_A", "High_A", "Low_A", "Close_B") is None
    assert flat("o_A", "h_A", "l_A", "c_A") is None
    assert flat("Open_", "High_", "Low_", "Close_") is None
    whole = [f"{field}_A" for field in OHLC]
    assert len(flat("a", "b", "c", "d", *whole)) == 8  # half of the names may be others
    assert flat("a", "b", "c", "d", "e", *whole) is None
    assert len(flat(*whole, "Close_B")) == 5
