"""`qnt.ta` gives the platform's indicators, for numpy, pandas and xarray."""

import inspect

import numpy as np
import pandas as pd
import pytest
import qnt.ta as qnta
import xarray as xr

from tests.conftest import REAL
from tests.indicators.cases import CALLS, COLUMNWISE, answers, prices
from tests.vectors import vector

SIGNATURES = {
    "ad_line": "prices",
    "ad_ratio": "prices",
    "atr": "high, low, close, ma=14",
    "beta": "price_x, price_y, periods=252",
    "chaikin_adl": "high, low, close, volume",
    "chaikin_osc": "cadl, fast_ma=3, slow_ma=10",
    "change": "series, periods=1",
    "correlation": "price_x, price_y, periods=252",
    "covariance": "x, y, periods=1",
    "dema": "series, periods=20, warm_periods=None",
    "dms": "high, low, close, di_ma=14, adx_ma=20, adxr_periods=7",
    "ema": "series, periods=20, warm_periods=None",
    "lwma": "series, periods=20",
    "macd": "series, fast_ma=12, slow_ma=26, signal_ma=9",
    "obv": "close, volume",
    "roc": "series, periods=7",
    "rsi": "series, ma=14",
    "shift": "series, periods=1",
    "slow_stochastic": "high, low, close, periods=5, k_ma=3, d_ma=3",
    "sma": "series, periods=20",
    "sroc": "series, ma=13, periods=21",
    "std": "series, periods=1",
    "stochastic": "high, low, close, periods=5, d_ma=3",
    "stochastic_k": "high, low, close, periods=14",
    "tema": "series, periods=20, warm_periods=None",
    "tr": "high, low, close",
    "trix": "series, periods=18",
    "variance": "series, periods=1",
    "vwma": "price, volume, periods=20",
    "wilder_ma": "series, periods=14, warm_periods=None",
    "wma": "series, weights=None",
}


@pytest.mark.parametrize("label", COLUMNWISE)
def test_time_is_last_in_numpy_and_the_index_in_pandas(label):
    data = prices(4)
    wanted = answers(qnta, label, data)
    frames = answers(qnta, label, data, lambda series: series.to_pandas())
    turned = answers(qnta, label, data.transpose("asset", "time", "field"))
    for array, frame, other in zip(wanted, frames, turned, strict=True):
        assert isinstance(frame, pd.DataFrame)
        np.testing.assert_array_equal(frame.values, array.values)
        assert frame.index.equals(data.indexes["time"])
        assert frame.columns.equals(data.indexes["asset"])
        assert other.dims == ("asset", "time")
        np.testing.assert_array_equal(other.values, array.values.T)
    for array, single in zip(
        wanted, answers(qnta, label, data[..., 1], lambda x: x.to_pandas()), strict=True
    ):
        assert isinstance(single, pd.Series)
        np.testing.assert_array_equal(single.values, array.values[:, 1])
    if label == "dms" and REAL:
        return  # the real one does not take numpy arrays
    from_numpy = answers(qnta, label, data, lambda series: np.ascontiguousarray(series.values.T))
    for array, values in zip(wanted, from_numpy, strict=True):
        np.testing.assert_array_equal(values, array.values.T)


@pytest.mark.parametrize("label", ["ad_line", "ad_ratio"])
def test_breadth_gives_one_number_a_day(label):
    data = prices(4)
    [wanted], [series] = (
        answers(qnta, label, data, convert) for convert in (lambda x: x, lambda x: x.to_pandas())
    )
    assert wanted.dims == ("time",)
    assert list(wanted.coords) == ["time"]
    pd.testing.assert_series_equal(series, pd.Series(wanted.values, data.indexes["time"]), check_names=False)
    if label == "ad_line" or not REAL:  # the real ratio does not take numpy arrays
        [values] = answers(qnta, label, data, lambda x: x.values.T)
        np.testing.assert_array_equal(values, wanted.values)


@pytest.mark.parametrize("function", SIGNATURES)
def test_signatures(function):
    parameters = inspect.signature(getattr(qnta, function)).parameters.values()
    plain = (p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters)
    assert ", ".join(plain) == SIGNATURES[function]


def test_every_function_has_a_call():
    assert {function for function, _, _ in CALLS.values()} == set(SIGNATURES)


def test_averages_of_ones_own():
    """They are given series as the caller has them."""
    close = prices(4).sel(field="close")
    wanted = qnta.rsi(close, 5)
    seen = []

    def average(series):
        seen.append(series)
        return qnta.wilder_ma(series, 5)

    np.testing.assert_array_equal(qnta.rsi(close, average), wanted)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(qnta.rsi(close.values.T, ma=average).T, wanted.values)
    assert [x.shape for x in seen] == [close.shape] * 2 + [close.shape[::-1]] * 2


def test_warm_periods():
    values = np.arange(1.0, 9)
    np.testing.assert_allclose(qnta.ema(values, 3, warm_periods=1)[:3], [1, 1.5, 2.25])


def test_labels_stay():
    prices = vector("loaded").sel(field="close").assign_coords(sector=("asset", ["x"] * 40))
    assert set(qnta.lwma(prices, 3).coords) == set(prices.coords)


@pytest.mark.parametrize("kind", ["float32", "int64"])
def test_only_float64(kind):
    with pytest.raises(TypeError):
        qnta.lwma(np.ones(5).astype(kind), 2)


@pytest.mark.parametrize("periods", [0, -1])
def test_windows_must_have_a_value(periods):
    with pytest.raises((ValueError, ZeroDivisionError)):
        qnta.sma(np.ones(5), periods)


def test_lists_are_refused():
    with pytest.raises(Exception):  # noqa: B017, PT011  the real library raises no other
        qnta.lwma([1.0, 2.0], 2)


def test_time_is_needed():
    with pytest.raises(ValueError, match="time"):
        qnta.lwma(xr.DataArray(np.ones(5), dims="day"), 2)


@pytest.mark.offline_only
def test_sentences():
    with pytest.raises(TypeError, match=r"not float32: use \.astype"):
        qnta.lwma(np.ones(5, "float32"), 2)
    with pytest.raises(TypeError, match="numpy, pandas or xarray is needed, not a list"):
        qnta.lwma([1.0, 2.0], 2)
    with pytest.raises(NotImplementedError, match=r"qnt\.ta\.pivot_points.*real library has it"):
        qnta.pivot_points  # noqa: B018
