"""Checks of a converted market, on both sides of every limit."""

import numpy as np
import pandas as pd
import pytest

from lib.common.competitions import COMPETITIONS
from lib.prices import PricesError, checks
from lib.prices.bars import Bars
from lib.prices.findings import ConversionReport, Origin

nan = np.nan
RULES = COMPETITIONS["stocks_nasdaq100"]
DAYS = pd.bdate_range("2024-01-01", periods=60)


def findings(close, days=None, rules=RULES, **fields):
    """Return the lines on the closes of one ticker, or of several by a list of lists."""
    close = np.array(close, dtype=float)
    close = close[:, None] if close.ndim == 1 else close
    values = dict.fromkeys(("open", "low", "high", "close"), close)
    values |= {name: np.array(value, dtype=float).reshape(close.shape) for name, value in fields.items()}
    report = ConversionReport()
    names = np.array([*"ABCDE"][: close.shape[1]], object)
    checks.check_prices(
        DAYS[: len(close)] if days is None else pd.DatetimeIndex(days), names, values, rules, report
    )
    return report.lines("Plausibility")


def spaced(steps, more=None):
    """Return the refusal or the lines on bars that are days apart, beside those of a second ticker."""
    days = pd.DatetimeIndex(np.datetime64("2024-01-01") + np.cumsum([0, *steps]))
    closes = np.ones((len(days), 2))
    closes[:, 1] = nan
    if more:
        every = pd.date_range(days[0], days[-1])
        closes = np.full((len(every), 2), nan)
        closes[every.isin(days), 0] = closes[: more + 1, 1] = 1
        days = every
    given = Bars(
        days, np.array(["AAA", "BBB"], object)[: 2 if more else 1], {"close": closes[:, : 2 if more else 1]}
    )
    report = ConversionReport()
    tables = [(pd.DataFrame({"ticker": ["CCC", name]}), Origin(f"{name}.csv")) for name in ("BBB", "AAA")]
    try:
        checks.check_spacing(given, tables, report)
    except PricesError as error:
        return str(error)
    return report.lines("Plausibility")


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([5, 5, 5], "weekly"),
        ([5, 5], None),
        ([4, 4, 4], None),
        ([1, 5, 7], "weekly"),
        ([1, 4, 7], None),
        ([10] * 3, "weekly"),
        ([11] * 3, "fortnightly"),
        ([20] * 3, "fortnightly"),
        ([21] * 3, "monthly"),
        ([45] * 3, "monthly"),
        ([46] * 3, "quarterly"),
        ([200] * 3, "quarterly"),
        ([201] * 3, "yearly"),
    ],
)
def test_bars_days_apart_are_those_of_weeks_or_months(steps, kind):
    step = f"{np.median(steps):g}"
    assert spaced(steps) == (
        f"AAA.csv: the rows of AAA are {step} days apart: these are {kind} bars, but a market has a bar "
        "per day of trading; download daily prices."
        if kind
        else []
    )


def test_some_tickers_of_weekly_bars_are_named():
    assert spaced([7] * 3, more=3) == ["1 ticker with weekly bars, 7 days apart, and no daily ones: AAA"]
    assert spaced([7] * 3, more=1) == ["1 ticker with weekly bars, 7 days apart, and no daily ones: AAA"]
    assert spaced([1] * 3, more=3) == []


def test_good_bars_are_not_named():
    assert findings([1, 1.7, 1, 1.1], low=[0.5] * 4, high=[2] * 4) == []


def test_bars_outside_their_range_are_named():
    place = "1 bar with open or close outside low to high: A 2024-01-02"
    good = dict(open=[5, 5], low=[4, 4], high=[6, 6])
    assert findings([5, 5], **good) == []
    for spoiled in (dict(low=[4, 5.1]), dict(high=[6, 4.9]), dict(open=[5, 3.9]), dict(open=[5, 6.1])):
        assert findings([5, 5], **good | spoiled) == [place]
    assert findings([5, 3.9], **good) == findings([5, 6.1], **good) == [place]
    for spoiled in (dict(low=[4, 5 * (1 + 9e-7)]), dict(high=[6, 5 * (1 - 9e-7)])):
        assert findings([5, 5], **good | spoiled) == []
    for spoiled in (dict(low=[4, 5 * (1 + 1.2e-6)]), dict(high=[6, 5 * (1 - 1.2e-6)])):
        assert findings([5, 5], **good | spoiled) == [place]
    assert findings([[5, 5], [5, 5]], low=[[6, 4], [6, 6]]) == [
        "3 bars with open or close outside low to high: A 2024-01-01; A 2024-01-02; B 2024-01-02"
    ]


def test_weekends_are_counted_where_a_market_closes():
    days = ["2024-01-05", "2024-01-06", "2024-01-07", "2024-01-08"]
    assert findings([1, 1.5, 1.6, 1.7], days) == [
        "2 days on a Saturday or Sunday: check the time zone of the dates, or, for crypto, add "
        "--competition crypto_daily_long"
    ]
    assert findings([1, 1.5, 1.6, 1.7], days, COMPETITIONS["crypto_daily_long"]) == []


def test_more_than_a_week_without_prices_is_named():
    days = ["2024-01-01", "2024-01-08", "2024-01-16", "2024-01-17", "2024-01-29"]
    assert findings([1, 1.1, 1.2, 1.3, 1.4], days) == [
        "2 breaks of more than a week in all tickers: 2024-01-08 to 2024-01-16; 2024-01-17 to 2024-01-29"
    ]


def test_jumps_are_named():
    assert findings([1, 1.79, 1, 0.56]) == []
    assert findings([1, 1.8]) == []
    assert findings([1, 1.81, 1]) == [
        "2 jumps that no split explains: A 2024-01-02 (times 1.81); A 2024-01-03 (times 0.552)"
    ]
    assert findings([1, nan, 3]) == ["1 jump that no split explains: A 2024-01-03 (times 3)"]
    assert findings([nan, 3]) == []
    assert findings([[1, 1], [1.1, 2], [4.4, 2]]) == [
        "2 jumps that no split explains: A 2024-01-03 (times 4); B 2024-01-02 (times 2)"
    ]


def test_gaps_are_named():
    assert findings([1, *[nan] * 4, 1]) == []
    assert findings([1, *[nan] * 5, 1]) == ["1 gap of 5 days or more: A 2024-01-02"]
    assert findings([*[nan] * 6, 1, *[nan] * 6]) == []
    assert findings([1, *[nan] * 6, 1, *[nan] * 5, 1, nan]) == [
        "2 gaps of 5 days or more: A 2024-01-02; A 2024-01-11"
    ]


def test_stretches_at_one_price_are_named():
    assert findings([1.0] * 10) == []
    assert findings([1.0] * 11) == ["1 period of 10 days or more at one price: A 2024-01-02"]
    assert findings([1.0] * 11, high=[1.0] * 6 + [1.1] + [1.0] * 4) == []
    assert findings([1.0] * 12, high=[1.1] + [1.0] * 11) == [
        "1 period of 10 days or more at one price: A 2024-01-02"
    ]
    assert findings([1.0] * 5 + [1.1] * 7) == []


def pair(days=20, equal=20, price=None):
    closes = np.stack([1 + np.arange(days) / 100, 1 + np.arange(days) / 100], axis=1)
    closes[equal:, 1] += 0.001
    return closes if price is None else np.full_like(closes, price)


SAME = ["1 pair of tickers with one series: A and B"]


def test_one_series_under_two_names_is_named():
    assert findings(pair()) == SAME
    assert findings(pair(19, 19)) == []
    assert findings(pair(20, 18)) == SAME
    assert findings(pair(20, 17)) == []
    for line in findings(pair(price=1.0)):
        assert "under two names" not in line
    third = np.c_[pair()[:, 0] * 1.5, pair()]
    assert findings(third) == ["1 pair of tickers with one series: B and C"]
    gaps = pair(30, 30)
    gaps[:5, 0] = gaps[25:, 1] = nan
    assert findings(gaps) == SAME
    gaps[24, 1] = nan
    assert findings(gaps) == []
    assert findings(np.tile([[1.0, 1.0], [1.1, 1.1]], (10, 1))) == SAME
    assert findings(pair(600, 600), pd.bdate_range("2020-01-01", periods=600)) == SAME
    three = np.c_[pair(), pair()[:, :1]]
    assert findings(three)[0].startswith("2 pairs of tickers with one series: A and B; B and C")


def test_runs_have_their_length_at_their_first_day():
    chosen = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]], dtype=bool)
    assert checks._runs(chosen).tolist() == [[2, 0, 0], [0, 3, 0], [0, 0, 0], [1, 0, 0]]
    assert checks._later(np.array([[nan, 1], [1, nan], [nan, nan]])).tolist() == [
        [True, True],
        [True, False],
        [False, False],
    ]
