"""The report names what does not look right, and says nothing about what does."""

import numpy as np
import pandas as pd
import pytest

from lib.prices import market_from_frames
from lib.prices.findings import ConversionReport
from tests.prices.test_adjusting import stock


def report_of(capsys, **frames):
    market_from_frames({"GOOD": stock([], seed=7)} | frames)
    return capsys.readouterr().out


def test_good_prices_leave_nothing_to_report(capsys):
    report = report_of(capsys, SPLIT=stock([20]))
    assert report.endswith("Plausibility\n  nothing\n")
    assert "Dropped\n  nothing\n" in report


def outside(frame):
    frame.iloc[5, frame.columns.get_loc("low")] = frame["open"].iloc[5] * 1.005


def zero(frame):
    frame.iloc[5, frame.columns.get_loc("open")] = 0


def missing(frame):
    frame.iloc[5, frame.columns.get_loc("high")] = np.nan


def halted(frame):
    frame.iloc[20:26] = np.nan


def stale(frame):
    frame.iloc[20:32, :4] = 99.0


def jump(frame):
    frame.iloc[20:, :4] *= 4


def jump_over_a_gap(frame):
    frame.iloc[20:, :4] *= 4
    frame.iloc[17:20] = np.nan


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (outside, "1 bar with open or close outside low to high: BAD 2020-01-08"),
        (zero, "1 row with a price of 0: the frame of BAD, row 6, BAD"),
        (missing, "1 row without one of open, low, high, close: the frame of BAD, row 6, BAD"),
        (halted, "1 gap of 5 days or more: BAD 2020-01-29"),
        (stale, "1 period of 10 days or more at one price: BAD 2020-01-30"),
        (jump, "1 jump that no split explains: BAD 2020-01-29 (times "),
        (jump_over_a_gap, "1 jump that no split explains: BAD 2020-01-29 (times "),
    ],
)
def test_a_planted_fault_is_named(spoil, finding, capsys):
    bad = stock([])
    spoil(bad)
    assert finding in report_of(capsys, BAD=bad)


@pytest.mark.parametrize("dividend", [0.0, 0.5])
@pytest.mark.parametrize("spoil", [zero, missing])
def test_a_bar_that_is_not_whole_is_a_gap(spoil, dividend):
    """Its volume goes with it, and its dividend to the next day."""
    bad = stock([]).round(2)  # cents, as traded
    spoil(bad)
    bad.iloc[5, bad.columns.get_loc("dividends")] = dividend
    made = market_from_frames({"GOOD": stock([], seed=7), "BAD": bad}, report=False).sel(asset="BAD")
    assert np.isnan(made[:, 5]).all()
    assert not np.isnan(made[:, 6]).any()
    assert made.sel(field="divs")[6] == dividend


def test_a_late_listing_and_a_delisting_are_no_gaps(capsys):
    report = report_of(capsys, LATE=stock([], seed=1).iloc[20:], GONE=stock([], seed=2).iloc[:20])
    assert report.endswith("Plausibility\n  nothing\n")


def test_one_series_under_two_names(capsys):
    renamed = stock([], seed=7).iloc[10:]
    report = report_of(capsys, OTHER=stock([], seed=8), META=renamed)
    assert "1 pair of tickers with one series: GOOD and META" in report
    flat = stock([]).assign(**dict.fromkeys(("open", "high", "low", "close"), 1.0))
    assert "under two names" not in report_of(capsys, USDT=flat, USDC=flat)


def test_a_close_that_stays_is_not_stale_where_the_day_has_a_range(capsys):
    pegged = stock([])
    pegged.iloc[20:40, :4] = [99.0, 100.0, 98.0, 99.0]
    assert "at one price" not in report_of(capsys, PEGGED=pegged)


def test_weekends_are_named(capsys):
    shifted = stock([]).set_axis(pd.date_range("2020-01-01", periods=60))
    weekend = (shifted.index.dayofweek >= 5).sum()
    assert f"  {weekend} days on a Saturday or Sunday" in report_of(capsys, BAD=shifted)


def test_the_report_shows_the_first_places_and_counts_the_rest():
    report = ConversionReport()
    report.add("Dropped", "5 rows", list("abcde"))
    assert report.lines("Dropped") == ["5 rows: a; b; c; and 2 more"]
    assert str(report).startswith(
        "Read\n  nothing\nDropped\n  5 rows: a; b; c; and 2 more\nPrices\n  nothing"
    )


def test_what_is_read_and_left_unused_is_listed(capsys):
    report = report_of(capsys, A=stock([]).assign(**{"Adj Close": 1.0}))
    assert "the frame of A: 60 rows of A; not used: Adj Close" in report
    assert "in all 2 tickers on 60 days, 2020-01-01 to 2020-03-24" in report
