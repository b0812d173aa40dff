"""Cells of a table as values: tickers, days, numbers and ratios, on both sides of every limit."""

import numpy as np
import pandas as pd
import pytest

from lib.prices import PricesError, cells
from lib.prices.findings import NumberStyle, Origin

HERE = Origin("a.csv", "line", 2)
GERMAN = NumberStyle(",", ".")


def column(*values, dtype=object):
    """Return a column whose rows are numbered from 3, unlike their positions."""
    return pd.Series(list(values), index=range(3, 3 + len(values)), dtype=dtype)


def read(*texts, clock=None):
    found = cells.parse_days(column(*texts), HERE, None, clock)
    return np.datetime_as_string(found.days, "D").tolist(), found.minutes.tolist()


def names(values):
    return np.array([f"T{k}" for k in range(len(values))], dtype=object)


def test_tickers_are_text_without_blanks_around_them():
    given = column("AAA", " B C ", 600519.0, 5, b"DDD", "b'E'", 'b"F"', "b'G\"", 1.5, "AAA")
    read_names = ["AAA", "B C", "600519", "5", "DDD", "E", "F", "b'G\"", "1.5", "AAA"]
    assert cells.parse_tickers(given, HERE).tolist() == read_names
    assert cells.parse_tickers(given, HERE).dtype == object
    for missing in (None, np.nan, " "):
        with pytest.raises(PricesError, match=r"^a\.csv, line 6: there is no ticker in this row\.$"):
            cells.parse_tickers(column("AAA", missing), HERE)


def test_days_of_stamps_are_taken_as_they_are():
    stamps = pd.to_datetime(["2024-01-02 09:45", "2024-01-03 00:00"])
    found = cells.parse_days(pd.Series(stamps), HERE)
    assert np.datetime_as_string(found.days, "D").tolist() == ["2024-01-02", "2024-01-03"]
    assert found.minutes.tolist() == [585, 0]
    assert found.note == ""
    assert not (found.days != found.days.astype("datetime64[D]")).any()
    with pytest.raises(PricesError, match=r"^a\.csv, line 3, T1: there is no date in this row\.$"):
        cells.parse_days(pd.Series([stamps[0], pd.NaT]), HERE, np.array(["T0", "T1"], object))


@pytest.mark.parametrize("missing", ["", "None", "nan", None, np.nan])
def test_a_row_without_a_date_is_refused(missing):
    with pytest.raises(PricesError, match=r"^a\.csv, line 6: there is no date in this row\.$"):
        read("2024-01-02", missing)


DAYS = {
    "2024-01-05": "2024-01-05",
    "2024-1-5": "2024-01-05",
    "2024/01/05": "2024-01-05",
    "2024.01.05": "2024-01-05",
    "20240105": "2024-01-05",
    "20240105.0": "2024-01-05",
    " 2024-01-05 ": "2024-01-05",
    "b'2024-01-05'": "2024-01-05",
    "2024-02-29": "2024-02-29",
    "1700-01-01": "1700-01-01",
    "2199-12-31": "2199-12-31",
    "5 Jan 2024": "2024-01-05",
    "5th January, 2024": "2024-01-05",
    "Fri, 5. Jan. 2024": "2024-01-05",
    "05-JAN-2024": "2024-01-05",
    "05Jan2024": "2024-01-05",
    "Jan 5, 2024": "2024-01-05",
    "January 5th, 2024": "2024-01-05",
    "2024-Jan-05": "2024-01-05",
    "2024 Okt 5": "2024-10-05",
    "7. März 2024": "2024-03-07",
    "7 Sept 2024": "2024-09-07",
    "7 sep 2024": "2024-09-07",
    "7 Mai 2024": "2024-05-07",
    "7 Juli 2024": "2024-07-07",
    "7 Jun 2024": "2024-06-07",
    "7 Dez 2024": "2024-12-07",
    "31/1/2024": "2024-01-31",
    "1/31/2024": "2024-01-31",
    "1.2.2024": "2024-02-01",
    "13-1-24": "2024-01-13",
    "5 Jan 62": "1962-01-05",
    "05-Jan-99": "1999-01-05",
    "Jan 5, 99": "1999-01-05",
    "01/13/62": "1962-01-13",
    "05.01.99": "1999-01-05",
    "5 Jan 24": "2024-01-05",
}


def test_a_day_is_read_as_it_is_written():
    assert {text: read(text) for text in DAYS} == {text: ([day], [0]) for text, day in DAYS.items()}


NO_DAYS = {
    "2024-02-30": "'2024-02-30' is not a date; write it as 2024-01-31.",
    "1699-12-31": "is not a date",
    "2200-01-01": "is not a date",
    "202415": "'202415' is not a date",
    "20241 5": "is not a date",
    "5 Foo 2024": "is not a date",
    "AAA": "'AAA' is not a date",
    "-": "'-' is not a date",
    "31/1-2024": "is not a date",
    "2024": "'2024' is a year or a quarter",
    "2024.0": "'2024.0' is a year or a quarter",
    " 2024 ": "is a year or a quarter",
    "2024Q1": "is a year or a quarter",
    "1699": "'1699' is not a date",
    "Jan 2024": "is a month and not a day",
    "Jan-24": "is a month",
    "2024 Jan": "is a month",
    "2024-01": "is a month",
    "2024M01": "is a month",
    "1/2024": "is a month",
    "202401": "is a month",
    "202400": "is not a date",
    "202413": "is not a date",
    "Foo 2024": "'Foo 2024' is not a date",
    "45293": "looks like a spreadsheet's number of a day",
    "45293.0": "looks like a spreadsheet's number of a day",
    "79999": "looks like a spreadsheet's number of a day",
    "80000": "is not a date",
    "19999": "is not a date",
    "99999999": "is not a date",
}


def test_no_day_is_refused_for_what_it_is():
    for text, sentence in NO_DAYS.items():
        with pytest.raises(PricesError) as refusal:
            cells.parse_days(column("2024-01-02", text), HERE, names("ab"))
        assert str(refusal.value).startswith("a.csv, line 6, T1: ")
        assert sentence in str(refusal.value)


LOOKS = {
    **dict.fromkeys([text for text in DAYS if not text.startswith(("b'", "20240105."))], True),
    "2024-01-05T16:00:00Z": True,
    "16991231": False,
    "17000101": True,
    "21991231": True,
    "22000101": False,
    "2024105": False,
    "202401050": False,
    "1700000000": True,
    "2700000000": False,
    "17000000001": False,
    "1700000000000": True,
    "1700000000000000": True,
    "1700000000000000000": True,
    "5 Foo 2024": False,
    "AAA": False,
    "12.5": False,
}


def test_a_cell_looks_like_a_day():
    assert {text: cells.looks_like_day(text) for text in LOOKS} == LOOKS


CLOCKS = {
    "2024-01-05 16:01": 961,
    "2024-01-05T16:01:59.123Z": 961,
    "2024-01-05, 9:05": 545,
    "2024-01-05 1605": 965,
    "2024-01-05 00:00:00-05:00": 0,
    "2024-01-05T21:00:00Z": 1260,
    "2024-01-05 12:30 AM": 30,
    "2024-01-05 12:30 PM": 750,
    "2024-01-05 1:05 p.m.": 785,
    "2024-01-05 11:59 am": 719,
    "2024-01-05 13:05 PM": 785,
    "5 Jan 2024 4:00 PM": 960,
    "Fri Jan 5 09:07:00 2024": 547,
    "Fri Jan 5 09:07:00 EST 2024": 547,
}


def test_a_clock_beside_a_day_gives_minutes():
    expected = {text: (["2024-01-05"], [minutes]) for text, minutes in CLOCKS.items()}
    assert {text: read(text) for text in CLOCKS} == expected


@pytest.mark.parametrize(
    ("texts", "utc"),
    [
        (["2024-01-05 10:00Z"], True),
        (["2024-01-05 10:00 UTC"], True),
        (["2024-01-05 10:00 gmt"], True),
        (["2024-01-05 10:00+00:00"], True),
        (["2024-01-05 10:00-0000"], True),
        (["2024-01-05", "2024-01-05 10:00Z"], True),
        (["2024-01-05 10:00"], False),
        (["2024-01-05 10:00+01:00"], False),
        (["2024-01-05 10:00", "2024-01-05 10:00Z"], False),
        (["2024-01-05 10:00Z", "2024-01-05 10:00"], False),
        (["1704448800"], True),
    ],
)
def test_stamps_are_in_utc_where_all_say_so(texts, utc):
    assert cells._parse_texts(texts, HERE)[2] is utc


def test_two_digits_of_a_year_are_the_latest_that_is_not_to_come():
    today = pd.Timestamp.today().normalize()
    later = today + pd.DateOffset(days=3)
    before = later - pd.DateOffset(years=100)
    assert read(f"{today:%d.%m.%y}", f"{later:%d.%m.%y}")[0] == [f"{today:%Y-%m-%d}", f"{before:%Y-%m-%d}"]


@pytest.mark.parametrize(
    ("counts", "instants"),
    [
        (["100000000"], ["1973-03-03T09:46:40"]),
        (["100000000000"], ["1973-03-03T09:46:40"]),
        (["100000000000000"], ["1973-03-03T09:46:40"]),
        (["100000000000000000"], ["1973-03-03T09:46:40"]),
        (["1700000000.0", "5.", ""], ["2023-11-14T22:13:20", "1970-01-01T00:00:05", "NaT"]),
        (["-1000000000", "5"], ["1938-04-24T22:13:20", "1970-01-01T00:00:05"]),
        (["20240102", "1700000000"], ["1970-08-23T06:15:02", "2023-11-14T22:13:20"]),
        (["915408000"], ["1999-01-04"]),
        (["915408000000"], ["1999-01-04"]),
        (["915408000000000"], ["1999-01-04"]),
        (["915408000000000000"], ["1999-01-04"]),
        (["1700000000123"], ["2023-11-14T22:13:20.123"]),
        (["1700000000123456789"], ["2023-11-14T22:13:20.123456789"]),
        (["90000000000"], ["NaT"]),  # beyond what is stored
        (["8999999999999999999"], ["2255-03-14T15:59:59.999999999"]),
    ],
)
def test_counts_since_1970_have_the_unit_of_their_size(counts, instants):
    found = cells._parse_epochs(counts)
    np.testing.assert_array_equal(found, np.array(instants, "M8[ns]"))


@pytest.mark.parametrize(
    "texts",
    [
        ["99999999"],
        ["9000000000000000000"],
        ["20240102", "21991231.0"],
        ["", "nan"],
        [],
        ["1700000000", "1.5"],
        ["x"],
    ],
)
def test_other_numbers_count_nothing_since_1970(texts):
    assert cells._parse_epochs(texts) is None


def test_a_count_gives_a_day_and_minutes():
    assert read("1700000000", "1700006400") == (["2023-11-14", "2023-11-15"], [22 * 60 + 13, 0])


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        (["13/1/2024", "2/3/2024"], ["2024-01-13", "2024-03-02"]),
        (["1/13/2024", "2/3/2024"], ["2024-01-13", "2024-02-03"]),
        (["12.1.2024", "2.12.2024"], ["2024-01-12", "2024-12-02"]),
        (["1.13.2024"], ["2024-01-13"]),
        (["12/13/2024"], ["2024-12-13"]),
        (["13/12/2024"], ["2024-12-13"]),
        (["13-1-22", "13-2-23"], ["2022-01-13", "2023-02-13"]),
        (["13-1-21", "14-2-22", "15-2-23"], ["2021-01-13", "2022-02-14", "2023-02-15"]),
        (["1/13/2021", "1/13/2022", "1/13/2023"], ["2021-01-13", "2022-01-13", "2023-01-13"]),
        (["1/13/21", "1/13/2022", "1/13/2023"], ["2021-01-13", "2022-01-13", "2023-01-13"]),
    ],
)
def test_a_number_above_twelve_shows_the_order(texts, days):
    assert read(*texts)[0] == days


@pytest.mark.parametrize(
    "texts",
    [
        ["12/1/2024"],
        ["1/12/2024"],
        ["12.1.2024", "12/1/2024"],
        ["13/1/2024", "1/13/2024"],
        ["1-13-21", "1-14-22", "1-15-23"],  # perhaps 2001-13-21 …
    ],
)
def test_days_whose_order_nothing_shows_are_refused(texts):
    with pytest.raises(PricesError, match=rf"^a\.csv: the dates, like '{texts[0]}', do not show which"):
        read(*texts)


def test_a_column_of_clock_times_gives_minutes():
    given = {"9:34": 574, "16:07:59": 967, "093415": 574, "93415": 574, "160759.0": 967, "934": 0, "x": 0}
    clock = pd.Series([*given, None])
    found = cells.parse_days(column(*["2024-01-02"] * len(clock)), HERE, None, clock)
    assert found.minutes.tolist() == [*given.values(), 0]


WEEK = pd.date_range("2024-01-07", periods=7)  # from a Sunday


def shifted(weekdays, clock, **others):
    """Return days, as their numbers in the week, and the note, after stamps of one clock time."""
    texts = [f"{WEEK[k]:%Y-%m-%d}{clock}" for k in weekdays]
    texts += [f"{WEEK[int(k[1])]:%Y-%m-%d}{value}" for k, value in others.items()]
    found = cells.parse_days(column(*texts), HERE)
    return ((found.days - WEEK[0].to_datetime64()) // np.timedelta64(1, "D")).tolist(), found.note


@pytest.mark.parametrize(
    ("weekdays", "clock"),
    [
        ([0, 1, 2, 3, 4], " 20:00"),
        ([0, 1, 2, 3], " 23:59"),
        ([0, 1, 2, 4], " 21:05"),
        ([0, 1, 2, 3, 4], " 12:00Z"),
        ([0, 1, 2, 3, 4], " 15:30Z"),
    ],
)
def test_evenings_before_mean_the_next_day(weekdays, clock):
    days, note = shifted(weekdays, clock, d5="")
    assert days == [day + 1 for day in weekdays] + [5]
    shown = clock.strip(" Z")
    assert note == (
        f"a.csv: its rows stand at {shown} of Sundays to Thursdays, with no Friday: each was read as the "
        "next day"
    )


@pytest.mark.parametrize(
    ("weekdays", "clock"),
    [([2, 3, 4, 5, 6], " 05:04"), ([2, 3, 4, 6], " 11:59"), ([3, 4, 5, 6], " 00:01")],
)
def test_mornings_after_mean_the_day_before(weekdays, clock):
    days, note = shifted(weekdays, clock, d1="")
    assert days == [day - 1 for day in weekdays] + [1]
    assert note == (
        f"a.csv: its rows stand at{clock} of Tuesdays to Saturdays, with no Monday: each was read as the day "
        "before"
    )


@pytest.mark.parametrize(
    ("weekdays", "clock"),
    [
        ([0, 1, 2], " 21:00"),  # three days show nothing
        ([1, 2, 3, 4], " 21:00"),
        ([0, 1, 2, 3, 4, 5], " 21:00"),
        ([0, 1, 2, 3, 6], " 21:00"),
        ([4, 5, 6], " 05:00"),
        ([2, 3, 4, 5], " 05:00"),
        ([1, 2, 3, 4, 6], " 05:00"),
        ([0, 2, 3, 4, 6], " 05:00"),
        ([2, 3, 4, 5, 6], " 12:00"),
        ([0, 1, 2, 3, 4], " 00:00"),
        ([2, 3, 4, 5, 6], " 00:00"),
    ],
)
def test_other_weekdays_stay(weekdays, clock):
    assert shifted(weekdays, clock) == (weekdays, "")


@pytest.mark.parametrize("clock", [" 12:00", " 19:59", " 19:59Z", " 15:15Z"])
def test_afternoons_before_are_refused(clock):
    shown = clock.strip(" Z")
    with pytest.raises(PricesError, match=rf"^a\.csv: its rows stand at {shown} of Sundays to Thursdays, "):
        shifted([0, 1, 2, 3, 4], clock)


def test_afternoons_of_several_clock_times_are_nights_where_all_are_whole():
    assert shifted([0, 1, 2, 3], " 14:30Z", d4=" 15:00Z")[0] == [1, 2, 3, 4, 5]
    with pytest.raises(PricesError, match="its rows stand at 14:30 of Sundays"):
        shifted([0, 1, 2, 3], " 14:30Z", d4=" 15:15Z")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_afternoons_before_may_be_nights_elsewhere_in_utc_only(zone):
    stamps = pd.Series((WEEK[:5] + pd.Timedelta(hours=15)).tz_localize(zone))
    if zone == "UTC":
        assert (cells.parse_days(stamps, HERE).days == WEEK[1:6]).all()
    else:
        with pytest.raises(PricesError, match="stand at 15:00 of Sundays"):
            cells.parse_days(stamps, HERE)


def test_given_stamps_are_not_changed():
    stamps = pd.Series(WEEK[:5] + pd.Timedelta(hours=21))
    before = stamps.copy()
    cells.parse_days(stamps, HERE)
    pd.testing.assert_series_equal(stamps, before)


STYLES = [
    ({1: ["1.5", "2"]}, (), ",", NumberStyle()),
    ({1: ["1,5"]}, (), ",", GERMAN),
    ({1: ["1.234,5"]}, (), ",", GERMAN),
    ({1: ["1,234.5"]}, (), ",", NumberStyle()),
    ({1: ["1.234,5", "1,234.5"]}, (), ",", NumberStyle()),
    ({1: ["1.234,5", "1.5"]}, (), ",", GERMAN),
    ({1: ["1.234", "1234"]}, (1,), ",", NumberStyle()),
    ({1: ["1,234", "123"], 2: ["1,5"]}, (1,), "\t", GERMAN),
    ({1: ["1.234", "123"], 2: ["1,234,567"]}, (1,), ";", NumberStyle()),
    ({1: ["1.234.567"]}, (), ",", GERMAN),
    ({1: ["1,234,567"]}, (), ",", NumberStyle()),
    ({1: ["$1,5"]}, (), ",", GERMAN),
    ({1: ["1 234,5"]}, (), ",", GERMAN),
    ({1: ["1,500M"]}, (), ",", GERMAN),  # before a unit stand decimals
    ({1: ["1,5e3"]}, (), ",", GERMAN),
    ({1: ["1234E3"]}, (), ",", NumberStyle()),
    ({1: ["0,123"]}, (), ",", GERMAN),
    ({1: ["1234,567"]}, (), ",", GERMAN),
    ({1: ["12,34"]}, (), ",", GERMAN),
    ({1: ["x,y", "1.5"]}, (), ",", NumberStyle()),
    ({1: ["1,234"]}, (), ",", NumberStyle()),
    ({1: ["1.234"]}, (), ",", NumberStyle()),
    ({1: ["1,234", "1234"]}, (), ",", NumberStyle()),
    ({1: ["1,234", "1234"]}, (), "\t", GERMAN),
    ({1: ["1,234", "1.234", "1234"]}, (), "\t", NumberStyle()),
    ({1: ["1,234", "123"]}, (), "\t", NumberStyle()),
    ({1: ["1,234", "1234"]}, (), ";", GERMAN),
    ({1: ["1.234", "1234"]}, (), ";", NumberStyle()),
    ({1: ["1.234", "123"]}, (1,), ",", GERMAN),  # counts have no decimals
    ({1: ["1.234", "123"]}, (), ",", NumberStyle()),
    ({1: ["1.234", "123"]}, (2,), ",", NumberStyle()),
    ({1: ["1.234"]}, (1,), ",", NumberStyle()),
    ({1: ["1.234", "123"]}, (1,), ";", GERMAN),
    ({1: ["1,234", "123"]}, (1,), ";", NumberStyle()),
    ({1: ["1.234", "123"], 2: ["1,5"]}, (1,), ",", GERMAN),
    ({1: ["1,234", "123"], 2: ["1,234"]}, (1,), "\t", NumberStyle()),
    ({1: ["1.234", "123"], 2: ["1.5"]}, (1,), ",", NumberStyle()),
    ({1: ["1,5"], 2: ["1,234,567"]}, (), ",", NumberStyle()),
    ({1: ["1.5"], 2: ["1.234.567"]}, (), ",", NumberStyle()),
    ({1: []}, (), ";", NumberStyle()),
    ({}, (), ",", NumberStyle()),
]


def test_the_style_of_numbers_shows_in_them():
    for columns, volumes, separator, style in STYLES:
        found = cells.detect_number_style(columns, volumes, separator, "a.csv")
        assert found == style, (columns, volumes, separator)


@pytest.mark.parametrize(
    ("columns", "volumes", "sentence"),
    [
        ({1: ["16.769"]}, (), "does the point in '16.769' separate thousands or decimals?"),
        ({1: [" 16,769 ", "123"]}, (), "does the comma in '16,769' separate thousands or decimals?"),
        ({1: ["16,769"]}, (1,), "does the comma in '16,769' separate thousands or decimals?"),
    ],
)
def test_a_style_that_nothing_shows_is_refused(columns, volumes, sentence):
    with pytest.raises(PricesError) as refusal:
        cells.detect_number_style(columns, volumes, ";", "a.csv")
    assert str(refusal.value).startswith(f"a.csv: {sentence}")


NUMBERS = {
    "1": 1.0,
    " 1.5 ": 1.5,
    "-1.5": -1.5,
    "+1.5": 1.5,
    "1e3": 1000.0,
    "1,234.5": 1234.5,
    "1,234,567": 1234567.0,
    "12,34,567": 1234567.0,
    "1 234.5": 1234.5,
    "1 234 567": 1234567.0,
    "1.234567M": 1234567.0,
    "1'234.5": 1234.5,
    "1\u00a0234": 1234.0,
    "$1.5": 1.5,
    "-$1.5": -1.5,
    "$-1.5": -1.5,
    "1.5€": 1.5,
    ".5": 0.5,
    "$.5": 0.5,
    "5.": 5.0,
    "1.5K": 1500.0,
    "1.5 Mio.": 1.5e6,
    "2b": 2e9,
    "3 bn": 3e9,
    "1,5tsd": None,
    "2T": 2e12,
    "1.5e3k": 1.5e6,
    "1,23": None,
    "1,2345": None,
    "1234,567": None,
    "1_000": None,
    "-+1": None,
    "--1": None,
    "$": None,
    "1.2.3": None,
    "abc": None,
}


def test_a_number_is_read_as_it_is_written():
    for text, number in NUMBERS.items():
        given = column("7", "n.a.", text)
        if number is not None:
            found = cells.parse_numbers(given, "Open", HERE, names(given))
            np.testing.assert_array_equal(found, [7, np.nan, number], text)
            continue
        with pytest.raises(PricesError) as refusal:
            cells.parse_numbers(given, "Open", HERE, names(given))
        assert str(refusal.value) == (
            f"a.csv, line 7, T2: {text!r} in the column Open is not a number; write it like 1234.5."
        )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.234,5", 1234.5),
        ("1,5", 1.5),
        ("-1.234.567,25", -1234567.25),
        ("1.234", 1234.0),
        ("1,5 Tsd", 1500.0),
    ],
)
def test_a_number_of_a_comma_is_read_in_its_style(text, number):
    origin = Origin("a.csv", style=GERMAN)
    assert cells.parse_numbers(column(text), "Open", origin, names("a")).tolist() == [number]


def test_numbers_are_kept_and_the_infinite_refused():
    given = column(1, pd.NA, 3, dtype="Int64")
    np.testing.assert_array_equal(cells.parse_numbers(given, "x", HERE, names(given)), [1, np.nan, 3])
    sentence = r"^a\.csv, line 6, T1: the number in the column x is infinite; leave the cell empty instead\.$"
    for infinite in (column(1.0, -np.inf, dtype=float), column("1", "inf"), column("1", "1e999")):
        with pytest.raises(PricesError, match=sentence):
            cells.parse_numbers(infinite, "x", HERE, names(infinite))


def ratios(*values, dtype=object, tickers=None):
    given = column(*values, dtype=dtype)
    found, note = cells.parse_split_ratios(
        given, "Splits", HERE, names(given) if tickers is None else tickers
    )
    return found.tolist(), note


@pytest.mark.parametrize(
    ("values", "dtype", "found"),
    [
        ([0.0, 2.0, np.nan, 1.0, 0.5], float, [1, 2, 1, 1, 0.5]),
        ([0.0, 2.0], float, [1, 2]),
        ([1.0, 1.0], float, [1, 1]),
        ([0.0, 0.0], float, [1, 1]),
        (["2:1", "", "3/2"], object, [2, 1, 1.5]),
        (["2 for 1", "1-for-10", "5"], object, [2, 0.1, 5]),
        (["1.5:1", "0"], object, [1.5, 1]),
        (["2", "0"], object, [2, 1]),
        (["y", "2"], object, None),
        ([1e-5, 1e5], float, [1e-5, 1e5]),
    ],
)
def test_ratios_of_splits_are_shares_of_one(values, dtype, found):
    if found is None:
        with pytest.raises(PricesError, match="'y' in the column Splits is not a number"):
            ratios(*values, dtype=dtype)
    else:
        assert ratios(*values, dtype=dtype) == (found, "")


@pytest.mark.parametrize(
    ("values", "dtype", "note"),
    [
        ([True, False], bool, "holds flags and no ratios: not used"),
        (["Y", "n", ""], object, "holds flags and no ratios: not used"),
        (["yes", "0", "1"], object, "holds flags and no ratios: not used"),
        ([0.0, 1.0], float, "holds 0 and 1 and no ratio of a split: not used"),
        ([0, 1, 0], int, "holds 0 and 1 on 1 row and no ratio of a split: not used"),
        (["0", "1", "1", "0"], object, "holds 0 and 1 and no ratio of a split: not used"),
    ],
)
def test_flags_are_no_ratios(values, dtype, note):
    assert ratios(*values, dtype=dtype) == ([1] * len(values), f"the column Splits {note}")


@pytest.mark.parametrize("value", [9e-6, 1.1e5, -2.0, "1:0", "0:1"])
def test_an_impossible_ratio_is_refused(value):
    if value == "0:1":
        assert ratios(2.0, value) == ([2, 1], "")
        return
    with pytest.raises(PricesError, match=r"^a\.csv, line 6, T1: a split of .* is impossible; write 2 where"):
        ratios(2.0, value)


@pytest.mark.parametrize(("days", "rows", "refused"), [(3, 10, 0), (4, 39, 1), (4, 40, 0), (5, 49, 1)])
def test_splits_on_more_than_a_tenth_of_the_days_are_refused(days, rows, refused):
    values = [2.0] * days + [np.nan] * (rows - days)
    tickers = np.array(["BBB"] * rows + ["AAA"], object)
    if refused:
        with pytest.raises(PricesError, match=rf"the column Splits would split BBB on {days} days: it does"):
            ratios(*values, 2.0, dtype=float, tickers=tickers)
    else:
        assert ratios(*values, 2.0, dtype=float, tickers=tickers)[0] == [2] * days + [1] * (rows - days) + [2]
