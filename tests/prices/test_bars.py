"""Bars of several tables joined, and splits and dividends in them, on both sides of every limit."""

import numpy as np
import pandas as pd
import pytest

from lib.prices import PricesError, bars
from lib.prices.bars import Bars
from lib.prices.columns import NUMBERS, PRICES
from lib.prices.findings import ConversionReport, Origin

nan = np.nan
ORIGINS = Origin("a.csv", "line", 2), Origin("b.csv", "line", 2)
DAYS = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-04"])


def refusal(function, *arguments):
    with pytest.raises(PricesError) as refused:
        function(*arguments)
    return str(refused.value)


def rows(*cells, **columns):
    """Return a tidy table of rows (ticker, day of January) with a price of 1."""
    table = pd.DataFrame(
        {"ticker": [name for name, _ in cells], "day": [pd.Timestamp(2024, 1, day) for _, day in cells]}
    )
    values = dict.fromkeys(NUMBERS, 1.0) | {"vol": nan, "divs": nan, "adj": nan} | columns
    return table.assign(row=range(len(table)), **values)


def join(*frames):
    report = ConversionReport()
    joined = bars.join_bars(list(zip(frames, ORIGINS, strict=False)), report)
    return joined, report.lines("Dropped")


def test_tables_are_joined_by_day_and_ticker():
    first = rows(("BBB", 3), ("AAA", 4), close=[1.0, 2.0], vol=[7.0, 8.0], divs=[nan, 0.5], split=[1.0, 2.0])
    joined, dropped = join(first, rows(("AAA", 2), close=3.0, adj=2.5))
    assert joined.tickers.tolist() == ["AAA", "BBB"]
    assert joined.tickers.dtype == object
    assert (joined.days == DAYS).all()
    assert list(joined.values) == list(NUMBERS)
    expected = {
        "close": [[3, nan], [nan, 1], [2, nan]],
        "vol": [[nan, nan], [nan, 7], [8, nan]],
        "divs": [[nan, nan], [nan, nan], [0.5, nan]],
        "split": [[1, 1], [1, 1], [2, 1]],
        "adj": [[2.5, nan], [nan, nan], [nan, nan]],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(joined.values[name], values, name)
    assert dropped == []
    assert joined.place(2, 0) == "AAA 2024-01-04"


def test_many_tickers_of_few_days_stay_apart():
    joined, dropped = join(
        rows(*((name, day) for name in "CAB" for day in (2, 3)), close=[5.0, 6, 1, 2, 3, 4])
    )
    np.testing.assert_array_equal(joined.values["close"], [[1, 3, 5], [2, 4, 6]])
    assert dropped == []
    assert join(rows(("A", 2), ("A", 3), high=[1.0, nan]))[1] == [
        "1 row without one of open, low, high, close: a.csv, line 3, A"
    ]


def test_rows_and_tickers_without_a_price_are_dropped():
    table = rows(
        *((name, day) for name in ("ZZZ", "AAA", "BBB", "DIV") for day in (2, 3)),
        close=[nan, nan, 1.0, 0.0, 1.0, 1.0, nan, nan],
        open=[nan, nan, 1.0, 1.0, nan, 1.0, nan, nan],
        high=[nan, nan, 1.0, 1.0, 1.0, 1.0, nan, nan],
        low=[nan, nan, 1.0, nan, 1.0, 1.0, nan, nan],
        vol=5.0,
        adj=6.0,
        divs=[nan] * 7 + [0.5],
    )
    joined, dropped = join(table)
    assert joined.tickers.tolist() == ["AAA", "BBB"]
    for name in ("open", "low", "high", "close", "vol", "adj"):
        np.testing.assert_array_equal(np.isnan(joined.values[name]), [[False, True], [True, False]], name)
    assert dropped == [
        "1 row with a price of 0: a.csv, line 5, AAA",
        "1 row without one of open, low, high, close: a.csv, line 6, BBB",
        "4 rows without a price",
        "2 tickers without a price: DIV; ZZZ",
    ]
    nothing = rows(("AAA", 2), **dict.fromkeys(("open", "low", "high", "close"), nan), divs=1.0)
    assert refusal(join, nothing) == "a.csv: no row has a price: there is nothing to convert."


@pytest.mark.parametrize("name", ["divs", "split"])
def test_a_day_without_a_price_stays_for_its_dividend_or_split(name):
    none = {price: [1.0, nan, nan] for price in PRICES}
    joined, _ = join(rows(("AAA", 2), ("AAA", 3), ("AAA", 4), **none, **{name: [1.0, 2.0, 1.0]}))
    assert len(joined.days) == (3 if name == "divs" else 2)
    joined, _ = join(rows(("AAA", 2), ("AAA", 3), **{price: [1.0, nan] for price in PRICES}, divs=0.0))
    assert len(joined.days) == 1


def test_many_dropped_rows_are_named_in_part():
    table = rows(*(("AAA", day) for day in range(1, 7)), close=[1.0, *[0.0] * 5])
    named = "; ".join(f"a.csv, line {k}, AAA" for k in (3, 4, 5))
    assert join(table)[1] == [f"5 rows with a price of 0: {named}; and 2 more"]


@pytest.mark.parametrize("name", ["open", "low", "high", "close", "vol", "divs"])
def test_negative_numbers_are_refused(name):
    word = {"vol": "volume", "divs": "dividend"}.get(name, name)
    assert refusal(join, rows(("AAA", 2)), rows(("AAA", 2), ("BBB", 3), **{name: [0.0, -0.5]})) == (
        f"b.csv, line 3, BBB: the {word} is -0.5, but it cannot be negative."
    )


def test_equal_rows_count_once_and_others_are_refused():
    first, second = rows(("AAA", 2), ("BBB", 2), vol=3.0), rows(("AAA", 3), ("AAA", 2), vol=3.0)
    joined, dropped = join(first, second.assign(adj=9.0, close=1 + 9e-7))
    assert dropped == ["1 row repeating another: b.csv, line 3, AAA"]
    assert joined.values["close"][0, 0] == 1
    for name in ("open", "vol", "divs", "split"):
        other = second.assign(**{name: 1 + 1.2e-6 if name == "open" else 7.0})
        assert refusal(join, first, other) == (
            "b.csv, line 3, AAA: 2024-01-02 is also in a.csv, line 2, with other numbers: keep one row per "
            "ticker and day."
        )
    small = rows(("A", 2), ("A", 2), **{price: [1.3e-6, 1.301e-6] for price in PRICES})
    assert "2024-01-02 is also in a.csv, line 2, with other numbers" in refusal(join, small)
    twice = pd.concat(
        [rows(("BBB", 3), ("AAA", 2)), rows(("AAA", 2), ("BBB", 3), close=[1.0, 2.0]).assign(row=[2, 3])]
    )
    assert refusal(join, twice).startswith(
        "a.csv, line 5, BBB: 2024-01-03 is also in a.csv, line 2, with other"
    )


def matrix(close, split=(), opened=None, **others):
    """Return bars of one ticker, or of several by a list of lists."""
    close = np.array(close, dtype=float)
    close = close[:, None] if close.ndim == 1 else close
    values = {name: close.copy() for name in ("open", "low", "high", "close", "adj")}
    if opened is not None:
        values["open"] = np.array(opened, dtype=float).reshape(close.shape)
    values |= {
        "vol": np.full(close.shape, 10.0),
        "divs": np.zeros(close.shape),
        "split": np.ones(close.shape),
    }
    for day, ratio in dict(split).items():
        values["split"][day] = ratio
    values |= {name: np.array(value, dtype=float).reshape(close.shape) for name, value in others.items()}
    days = pd.bdate_range("2024-01-01", periods=len(close))
    return Bars(days, np.array([*"ABCDE"][: close.shape[1]], object), values)


def apply(given, kind=None):
    report = ConversionReport()
    so_far = bars.apply_splits(given, kind, report)
    return so_far[:, 0].tolist(), report.lines("Prices"), report.lines("Plausibility")


def test_a_source_without_splits():
    given = matrix([1, 2])
    assert apply(given) == ([1, 1], ["there are no splits in the source: prices are taken as they are"], [])
    said = "there are no splits in the source: prices are taken as raw, as --prices says"
    assert apply(given, "raw") == ([1, 1], [said], [])
    assert given.values["close"].ravel().tolist() == [1, 2]


def test_raw_prices_are_expressed_in_shares_of_the_last_day():
    given = matrix([8, 4, 4, 1], {1: 2, 3: 4}, divs=[0.8, 0.4, 0.4, 0.1])
    so_far, prices, more = apply(given)
    assert so_far == [1, 2, 2, 8]
    for name in ("open", "low", "high", "close"):
        assert given.values[name].ravel().tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(given.values["divs"].ravel(), 0.1)
    assert given.values["vol"].ravel().tolist() == [80, 40, 40, 10]
    assert prices == [
        "raw: the price jumps by the ratio on 2 of 2 days of splits",
        "the splits were applied to prices, volumes and dividends",
    ]
    assert more == []


def test_adjusted_prices_stay():
    given = matrix([4, 4, 4, 4, 4], {1: 2, 3: 4})
    so_far, prices, _ = apply(given)
    assert so_far == [1, 2, 2, 8, 8]
    assert given.values["close"].ravel().tolist() == [4] * 5
    assert given.values["vol"].ravel().tolist() == [10] * 5
    assert prices == [
        "adjusted: the price does not jump on 2 of 2 days of splits",
        "the splits are in prices, volumes and dividends already; nothing was applied",
    ]


def test_the_kind_of_prices_may_be_said():
    given = matrix([4, 4, 4], {1: 2})
    assert apply(given, "raw")[1] == [
        "raw, as --prices says; 1 split",
        "the splits were applied to prices, volumes and dividends",
    ]
    assert given.values["close"].ravel().tolist() == [2, 4, 4]
    given = matrix([8, 4, 1], {1: 2, 2: 4})
    assert apply(given, "adjusted")[1] == [
        "adjusted, as --prices says; 2 splits",
        "the splits are in prices, volumes and dividends already; nothing was applied",
    ]
    assert given.values["close"].ravel().tolist() == [8, 4, 1]


def test_a_split_beside_its_jump_is_moved_in_raw_prices_and_named_in_others():
    place = "A 2024-01-02 (jump: 2024-01-03)"
    given = matrix([8, 8, 4, 4], {1: 2})
    so_far, prices, _ = apply(given)
    assert so_far == [1, 1, 2, 2]
    assert given.values["close"].ravel().tolist() == [4] * 4
    assert prices[1] == (
        "1 split on another day than the jump by their ratio: applied on the day of the jump, to "
        f"correct in the source: {place}"
    )
    given = matrix([8, 8, 4, 4], {1: 2})
    so_far, prices, _ = apply(given, "adjusted")
    assert so_far == [1, 2, 2, 2]
    assert prices[1:] == [
        "1 split not in prices, which jump by the ratio on another day: correct the day of the split in "
        f"the source: {place}",
        "the other splits are in prices, volumes and dividends already; nothing was applied",
    ]


def evidence(close, split, opened=None):
    found = bars._find_evidence(matrix(close, split, opened))
    return found.raw, found.adjusted, found.moved, bool(found.inside)


A1, A3 = ["A 2024-01-02"], ["A 2024-01-04"]


@pytest.mark.parametrize(
    ("close", "split", "found"),
    [
        ([8, 4], {1: 2}, (A1, [], [], True)),
        ([8, 8], {1: 2}, ([], A1, [], True)),
        ([8, 8 * 2 ** (-0.65)], {1: 2}, ([], [], [], True)),  # two thirds of the way show nothing
        ([8, 8 * 2 ** (-0.68)], {1: 2}, (A1, [], [], True)),
        ([8, 8 * 2 ** (-1.32)], {1: 2}, (A1, [], [], True)),
        ([8, 8 * 2 ** (-1.35)], {1: 2}, ([], [], [], True)),
        ([8, 8 * 2 ** (-0.32)], {1: 2}, ([], A1, [], True)),
        ([8, 8 * 2 ** (-0.35)], {1: 2}, ([], [], [], True)),
        ([8, 8 * 2**0.32], {1: 2}, ([], A1, [], True)),
        ([8, 8 * 2**0.35], {1: 2}, ([], [], [], True)),
        ([4, 8], {1: 0.5}, (A1, [], [], True)),
        ([8, 8], {1: 1.14}, ([], [], [], True)),
        ([8, 8], {1: 1.16}, ([], A1, [], True)),
        ([8, 8], {0: 2}, ([], [], [], False)),
        ([8, nan], {1: 2}, ([], [], [], True)),
        ([nan, 8], {1: 2}, ([], [], [], False)),
        ([8, nan, 4], {1: 2}, (A1, [], [], True)),
        ([8, 8, 4, 4], {1: 2}, (A1, [], [(1, 2, 0)], True)),
        ([8, 4, 4, 4], {3: 2}, (A3, [], [(3, 1, 0)], True)),
        ([8, 8, 8, 8, 4], {1: 2}, (A1, [], [(1, 4, 0)], True)),
        ([8, 8, 8, 8, 8, 4], {1: 2}, ([], A1, [], True)),
        ([8, 8, nan, 8, nan, 8, 4], {1: 2}, (A1, [], [(1, 6, 0)], True)),
        ([8, 4, 4, 4, 4], {4: 2}, (["A 2024-01-05"], [], [(4, 1, 0)], True)),
        ([8, 4, 4, 4, 4, 4], {5: 2}, ([], ["A 2024-01-08"], [], True)),
        (
            [8, 8, 8 / 1.35, 8 / 1.35],
            {1: 1.35},
            ([], A1, [], True),
        ),  # too small to be told from a day's change
        ([8, 8, 8 / 1.45, 8 / 1.45], {1: 1.45}, (A1, [], [(1, 2, 0)], True)),
        ([8, 8, 8 / 1.45 * 1.14], {1: 1.45}, ([], A1, [], True)),
        ([8, 8, 8 / 1.45 * 1.11], {1: 1.45}, (A1, [], [(1, 2, 0)], True)),
        ([80, 80, 8 * 1.17], {1: 10}, ([], A1, [], True)),
        ([80, 80, 8 * 1.15], {1: 10}, (A1, [], [(1, 2, 0)], True)),
        ([8, 8, 4, 4], {1: 2, 3: 2}, ([], ["A 2024-01-02", "A 2024-01-04"], [], True)),
        ([8, 8, 4, 4], {0: 3, 1: 2}, ([], A1, [], True)),
        ([8, 8, 4, 4, 4, 4, 2], {1: 2, 6: 2}, (["A 2024-01-02", "A 2024-01-09"], [], [(1, 2, 0)], True)),
        ([8, 8, 4, 4, 4, 2], {1: 2, 5: 2}, (["A 2024-01-02", "A 2024-01-08"], [], [(1, 2, 0)], True)),
        ([8, 8, 4, 4, 2], {1: 2, 4: 2}, (["A 2024-01-05"], A1, [], True)),
    ],
)
def test_prices_on_the_day_of_a_split_show_their_kind(close, split, found):
    assert evidence(close, split) == found


def test_the_splits_of_every_ticker_are_evidence():
    given = matrix([[8, 8], [8, 4]])
    given.values["split"][1, 1] = 2
    assert bars._find_evidence(given).raw == ["B 2024-01-02"]


def test_the_jump_is_from_the_close_to_the_next_open():
    assert evidence([8, 8], {1: 2}, opened=[8, 4]) == (A1, [], [], True)
    assert evidence([8, 4], {1: 2}, opened=[8, 8]) == ([], A1, [], True)


def decide(raw, adjusted, inside=True):
    report = ConversionReport()
    found = bars._Evidence([f"R{k}" for k in range(raw)], [f"A{k}" for k in range(adjusted)], inside=inside)
    return bars._decide(found, report), report.lines("Prices"), report.lines("Plausibility")


def test_two_thirds_of_the_splits_decide():
    told = ["raw: the price jumps by the ratio on 2 of 3 days of splits"]
    assert decide(2, 1) == ("raw", told, ["1 split showing the opposite: A0"])
    told = ["adjusted: the price does not jump on 4 of 6 days of splits"]
    assert decide(2, 4) == ("adjusted", told, ["2 splits showing the opposite: R0; R1"])
    assert decide(1, 0) == ("raw", ["raw: the price jumps by the ratio on 1 of 1 days of splits"], [])
    assert decide(0, 0, inside=False) == ("adjusted", [], [])
    sentence = "On R0 the price jumps by the ratio of the split, on A0 it does not: the source is neither"
    for raw, adjusted in ((1, 1), (3, 2), (2, 3)):
        assert refusal(decide, raw, adjusted).startswith(sentence)
    assert refusal(decide, 0, 0) == (
        "No split is large enough, or has prices on both sides, to tell whether the prices are adjusted for "
        "splits: add --prices raw or --prices adjusted."
    )


def test_the_share_of_multiples_of_a_tick():
    share = bars._share_of_multiples
    assert share(np.array([0.01, 0.29, 1.0, 17.77]), 0.01) == 1
    assert share(np.array([0.011, 0.29, 1.005, 17.77]), 0.01) == 0.5
    assert share(np.array([1e6 + 0.01, 1e9 + 0.01]), 0.01) == 1
    assert share(np.float32([2400.07, 1234.56]).astype(float), 0.01) == 1
    assert share(np.float32([2600.07, 12345.67]).astype(float), 0.01) == 0  # a float32 does not tell
    assert share(np.array([49.0003]) * (1 + 1.5e-7), 0.001) == 0
    assert share(np.array([49.001]) * (1 + 1.5e-7), 0.001) == 1
    assert share(np.array([51.001]) * (1 + 1.5e-7), 0.001) == 0
    assert share(np.array([1 / 64, 3 / 64]), 1 / 64) == 1


def factors(traded, factor, ex_days, history=False):
    return bars._adjusted_for_dividends(
        np.array(traded, float), np.array(factor, float), np.array(ex_days), history
    )


CENTS = np.arange(1000, 1040) / 100
LOW, LOWER = 0.970317171, 0.913131717  # leave no multiples of a tick


def test_prices_are_adjusted_for_dividends_where_no_cent_is_whole_before_the_last_ex_day():
    exact = np.where(np.arange(40) < 10, LOW, 1.0)
    assert factors(CENTS, exact, [10]) == "traded"
    assert factors(CENTS * exact, exact, [10]) == "undo"
    assert factors(CENTS * np.where(exact < 1, LOW * 1.0001, 1), exact, [10]) == "leave out"
    assert factors(CENTS * 1.00071, exact, [10]) == ""
    assert factors(CENTS * 1.00071, exact, [10], history=True) == "leave out"
    assert factors(CENTS[:12] * 1.00071, exact[:12], [10], history=True) == "leave out"
    assert factors(CENTS[:10] * 1.00071, exact[:10], [5], history=True) == "leave out"
    assert factors(CENTS[:9] * 1.00071, exact[:9], [5], history=True) == ""


def test_a_history_of_some_whole_cents_is_unclear():
    exact = np.where(np.arange(40) < 10, LOW, 1.0)
    given = CENTS * 1.000713
    given[20:24] = CENTS[20:24]
    assert factors(given, exact, [10], history=True) == "leave out"
    given[24] = CENTS[24]
    assert factors(given, exact, [10], history=True) == ""


def test_three_closes_before_the_last_ex_day_are_enough():
    exact = np.where(np.arange(40) < 3, LOW, 1.0)
    assert factors(CENTS * exact, exact, [3]) == "undo"
    assert factors(CENTS * exact, exact, [2]) == ""
    # since the ex-day before the last one, where three closes lie between
    exact = np.where(np.arange(40) < 10, LOWER, np.where(np.arange(40) < 13, LOW, 1.0))
    early = CENTS * np.where(np.arange(40) < 10, 1.0, exact)
    assert factors(early, exact, [10, 13]) == "undo"
    assert factors(early, exact, [11, 13]) == "traded"


def test_twenty_closes_before_the_last_ex_day_count():
    exact = np.where(np.arange(40) < 25, LOW, 1.0)
    for first, kind in ((5, "undo"), (7, "undo"), (8, "leave out"), (11, "leave out"), (12, "traded")):
        given = CENTS * np.where(np.arange(40) < first, 1.0, exact)  # the rest may be whole by chance
        assert factors(given, exact, [25]) == kind


def test_prices_of_other_ticks():
    exact = np.where(np.arange(40) < 10, LOW, 1.0)
    tenths = np.arange(10001, 10041) / 1000
    assert factors(tenths * exact, exact, [10]) == "undo"
    assert factors(tenths * np.where(exact < 1, LOW * 1.00013, 1), exact, [10]) == ""
    some = np.where(np.arange(40) % 10 == 9, CENTS + 0.00123, CENTS)
    assert factors(some * exact, exact, [10]) == "undo"
    some = np.where(np.arange(40) % 5 == 4, CENTS + 0.00123, CENTS)
    assert factors(some * exact, exact, [10]) == ""


def count(given, of_history=None, so_far=None):
    report = ConversionReport()
    shape = given.values["close"].shape
    history = np.zeros(shape[1], bool) if of_history is None else np.array(of_history)
    bars.count_dividends_once(given, np.ones(shape) if so_far is None else so_far, history, report)
    return report.lines("Prices")


def paying(close, **days):
    """Return bars of one ticker with dividends by day, as in `d10=0.5`."""
    divs = np.zeros(len(close))
    for day, paid in days.items():
        divs[int(day[1:])] = paid
    return matrix(close, divs=divs)


def lowered(close, *days, paid=0.5):
    """Return closes as lowered by the dividends after them."""
    factor = np.ones(len(close))
    for day in sorted(days, reverse=True):
        factor[:day] *= 1 - paid / close[day - 1]
    return close * factor


WHY = (
    "adjusted for dividends already (no whole cents before the ex-days), and divs would count the dividends "
    "again"
)


def test_prices_lowered_by_dividends_are_taken_back():
    given = paying(lowered(CENTS, 10, 20), d10=0.5, d20=0.5)
    before = {name: given.values[name].copy() for name in ("vol", "divs", "split")}
    assert count(given) == [
        f"the prices of 1 ticker are {WHY}: the prices were taken back to those traded; better download "
        "with auto_adjust=False: A"
    ]
    for name in ("open", "low", "high", "close"):
        np.testing.assert_allclose(given.values[name].ravel(), CENTS, rtol=1e-12)
    for name, values in before.items():
        np.testing.assert_array_equal(given.values[name], values)


@pytest.mark.parametrize(("ratio", "day"), [(3, 15), (1 / 7, 15), (1 / 7, 39)])
def test_prices_in_shares_of_the_last_day_are_taken_back_too(ratio, day):
    later = np.where(np.arange(40) < day, ratio, 1.0)
    so_far = (ratio / later)[:, None]
    divs = np.zeros(40)
    divs[[10, 20]] = 0.5 / later[[10, 20]]
    given = matrix(lowered(CENTS, 10, 20) / later, divs=divs)
    count(given, so_far=so_far)
    np.testing.assert_allclose(given.values["close"].ravel() * later, CENTS, rtol=1e-12)
    assert count(given, so_far=so_far) == []


def test_prices_as_traded_keep_their_dividends():
    given = paying(CENTS, d10=0.5, d20=0.5)
    assert count(given, [True]) == []
    np.testing.assert_array_equal(given.values["close"].ravel(), CENTS)
    assert given.values["divs"].sum() == 1


def test_dividends_before_or_after_all_prices_show_nothing():
    for day in ("d0", "d39"):
        close = lowered(CENTS, 10)
        close[39] = nan
        given = paying(close, **{day: 0.5})
        assert count(given) == []
        np.testing.assert_array_equal(given.values["close"].ravel(), close)


def test_a_dividend_after_all_prices_leaves_the_others():
    close = lowered(CENTS, 10)
    close[39] = nan
    given = paying(close, d10=0.5, d39=0.5)
    assert len(count(given)) == 1
    np.testing.assert_allclose(given.values["close"][:39, 0], CENTS[:39], rtol=1e-12)


def test_a_dividend_of_a_day_without_a_price_counts_on_the_next():
    close = np.delete(lowered(CENTS, 10), [])
    gap = np.insert(close, 10, nan)
    given = paying(gap, d10=0.3, d11=0.2)
    assert len(count(given)) == 1
    np.testing.assert_allclose(np.delete(given.values["close"].ravel(), 10), CENTS, rtol=1e-12)


def test_dividends_are_left_out_where_the_adjustment_cannot_be_undone():
    closes = np.stack([CENTS * 1.00071, CENTS * 1.00071, lowered(CENTS, 10), CENTS, CENTS[::-1] * 1.00071], 1)
    divs = np.zeros(closes.shape)
    divs[10], divs[0, 0], divs[2, 4] = 0.5, nan, 0.25
    divs[10, 4] = 0
    for history, left in (([True, False, True, True, True], "A; E"), ([False] * 4 + [True], None)):
        given = matrix(closes, divs=divs)
        lines = count(given, history)
        assert lines[0].endswith("auto_adjust=False: C")
        expected = divs.copy()
        if left:
            expected[1:, 0] = expected[:, 4] = 0
            assert lines[1:] == [
                f"the prices of 2 tickers are {WHY}: the dividends were left out; better download with "
                f"auto_adjust=False: {left}"
            ]
        else:
            expected[:, 4] = 0
            assert lines[1].endswith("auto_adjust=False: E")
        np.testing.assert_array_equal(given.values["divs"], expected)
    given = matrix(closes[:, 4:], divs=divs[:, 4:])
    assert count(given, [True]) == []  # too few closes to tell, and none that shows it
    assert given.values["divs"].sum() == 0.25


def unlisted(close, adjusted, **others):
    return bars.find_unlisted_splits(matrix(close, adj=adjusted, **others))


def test_unlisted_splits_are_named():
    line = "A 2024-01-02, the close falls (times 0.5) while the adjusted close does not, like a split of 2:1"
    assert unlisted([8, 4, 4], [4, 4, 4]) == [line]
    assert unlisted([4, 8, 8], [8, 8, 8]) == [
        "A 2024-01-02, the close rises (times 2) while the adjusted close does not, like a split of 1:2"
    ]
    assert unlisted([8, nan, 4], [4, nan, 4]) == [line.replace("01-02", "01-03")]
    assert bars.find_unlisted_splits(matrix([8, 4, 4], {1: 2}, adj=[4, 4, 4])) == []
    assert unlisted([8, 4, 4], [8, 4, 4]) == []
    assert unlisted([8, 4, 4], [8, 4, 4], divs=[0, 4, 0]) == []
    assert unlisted([8, 4, 4], [4, 4, 4], divs=[0, 4, 0]) == []
    assert len(unlisted([8, 4, 4], [0.5, 0.5, 0.5])) == 1
    assert unlisted([8, 4, 4], [0.49, 0.49, 0.49]) == []
    assert len(unlisted([8, 4], [4, 4.9])) == 0
    assert len(unlisted([8 * 1.2, 4 * 1.2 * 1.2], [4, 4 * 1.2])) == 1
    assert unlisted([8, 4 * 1.26], [4, 4 * 1.26]) == []
    assert unlisted([8, 4 * 0.79], [4, 4 * 0.79]) == []
    assert len(unlisted([8, 4 * 0.81], [4, 4 * 0.81])) == 1
    assert unlisted([8, 8 / 1.14], [8, 8]) == []
    assert len(unlisted([8, 8 / 1.2], [8, 8])) == 1
    assert unlisted([8, nan, 8], [8, 9.6, 8]) == []  # the adjusted close of a day without a price
    assert len(unlisted([8, 6.56], [4, 4.88])) == 1
    third = line.replace("A", "B", 1).replace("0.5", "0.333").replace("2:1", "3:1")
    assert unlisted([[8, 9], [4, 3]], [[4, 3], [4, 3]]) == [line, third]


def test_ratios_of_small_whole_numbers():
    ratios = {2: (2, 1), 0.5: (1, 2), 1.5: (3, 2), 50: (50, 1), 51: (0, 0), 1 / 50: (1, 50), 1 / 51: (0, 0),
              1.25: (5, 4), 1.2: (6, 5), 7 / 6: (0, 0), 2 / 7: (0, 0), 2.019: (2, 1), 2.021: (0, 0),
              1.981: (2, 1), 1 / 6: (1, 6)}  # fmt: skip
    assert {ratio: bars._simple_ratio(ratio) for ratio in ratios} == ratios
