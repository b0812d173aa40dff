"""Indicators of series whose result is known without the library."""

import math

import numpy as np
import pandas as pd
import pytest

from lib import indicators


def test_infinities():
    values = np.array([1.0, np.inf, 2, 3, 4, 5])
    assert indicators.lwma(values, 2)[-1] == pytest.approx((2 * 5 + 4) / 3)
    assert math.isnan(indicators.sma(values, 2)[-1])  # a running sum cannot forget it
    assert indicators.roc(values, 1)[2] == -100


def test_start_of_the_exponential_mean():
    values = np.arange(1.0, 7)
    assert indicators.ema(values, 3, 1)[:2].tolist() == [1, 1.5]
    assert indicators.ema(values, 3, 4)[:4].tolist()[3] == pytest.approx(2.5)
    assert np.isnan(indicators.ema(values, 3, 7)).all()


def test_weights_count_from_the_newest():
    values = np.array([1.0, 10, 100])
    assert indicators.wma(values, [3, 2, 1])[-1] == pytest.approx((300 + 20 + 1) / 6)
    np.testing.assert_array_equal(indicators.wma(values, 2), indicators.lwma(values, 2))


def test_volume_weighs_prices():
    found = indicators.vwma(np.array([1.0, 2, 4]), np.array([1.0, 1, 3]), 2)
    assert found[1:].tolist() == [1.5, 3.5]
    assert math.isnan(indicators.vwma(np.ones(3), np.zeros(3), 2)[-1])


def test_strength_goes_from_0_to_100():
    rising = np.arange(1.0, 20)
    assert indicators.rsi(rising, 5)[5:].tolist() == [100] * 14
    assert indicators.rsi(-rising, 5)[5:].tolist() == [0] * 14
    assert np.isnan(indicators.rsi(rising, 5)[:5]).all()
    assert np.isnan(indicators.rsi(np.ones(20), 5)).all()


def test_an_average_of_your_own():
    values = np.random.default_rng(0).normal(0, 1, (30, 2)).cumsum(axis=0)
    found = indicators.rsi(values, lambda series: indicators.sma(series, 5))
    changes = np.diff(values, axis=0)[-5:]
    rises, falls = np.maximum(changes, 0).sum(axis=0), -np.minimum(changes, 0).sum(axis=0)
    np.testing.assert_allclose(found[-1], 100 * rises / (rises + falls), rtol=1e-9)


def test_true_range_reaches_to_the_previous_close():
    high, low, close = np.array([[9.0, 8, 20], [7, 5, 15], [8, 6, 18]])
    assert indicators.tr(high, low, close)[1:].tolist() == [3, 14]


def test_place_in_the_range():
    high, low = np.array([3.0, 4, 5]), np.array([1.0, 2, 3])
    assert indicators.stochastic_k(high, low, np.array([1.0, 2, 4]), 2)[1:].tolist() == [100 / 3, 200 / 3]
    for close in (1, 2):  # also where it lies outside
        assert np.isnan(indicators.stochastic_k(*np.ones((2, 4)), np.full(4, close), 2)).all()


def test_spread_and_relation():
    x = np.array([1.0, 3, 2, 5, 4])
    assert indicators.std(x, 3)[-1] == pytest.approx(np.std(x[-3:]))
    assert np.isnan(indicators.std(x, 3)[:3]).all()  # one value more than the window: the platform's way
    returns = x[1:] / x[:-1] - 1
    y = np.cumprod([1, *(1 + returns * 2)])
    assert indicators.correlation(x, y, 3)[-1] == pytest.approx(1)
    assert indicators.beta(y, x, 3)[-1] == pytest.approx(2)


def test_volume_adds_up_by_direction():
    close = np.array([5.0, 6, np.nan, 6, 4])
    np.testing.assert_array_equal(
        indicators.obv(close, np.array([1.0, 2, 4, 8, 16])), [math.nan, 2, math.nan, 2, -14]
    )


def test_breadth_counts_assets():
    prices = np.array([[1.0, 1, 1], [2, 2, 0.5], [1, np.nan, 0.5], [2, 3, 1]])
    assert indicators.ad_line(prices).tolist() == [0, 1, 0, 3]
    assert indicators.ad_ratio(prices)[1:].tolist() == [2, 0, math.inf]
    frame = pd.DataFrame(prices, index=list("abcd"))
    pd.testing.assert_series_equal(indicators.ad_line(frame), pd.Series([0, 1, 0, 3], list("abcd")))


def test_weights_are_added_up_one_after_the_other():
    """Python's sum, rounded only once since 3.12, would differ."""
    assert indicators.wma(np.ones(10), [0.1] * 10)[-1] == 1
