"""`qnt.ta` gives the platform's indicators, for numpy, pandas and xarray."""

import inspect

import numpy as np
import pandas as pd
import pytest
import qnt.ta as qnta
import xarray as xr

from tests.test_indicators import VECTORS
from tests.vectors import vector

DEFAULTS = {"lwma": 20, "sma": 20, "ema": 20, "roc": 7, "shift": 1}


@pytest.mark.parametrize("name", VECTORS)
def test_time_is_last_in_numpy_and_the_index_in_pandas(name):
    function, field, periods = VECTORS[name]
    call, prices = getattr(qnta, function), vector("loaded").sel(field=field, drop=True)
    wanted = call(prices, periods)
    with np.errstate(all="ignore"):
        from_numpy = call(np.ascontiguousarray(prices.values.T), periods)
    np.testing.assert_array_equal(from_numpy, wanted.values.T)
    frame = call(prices.to_pandas(), periods)
    assert isinstance(frame, pd.DataFrame)
    np.testing.assert_array_equal(frame.values, wanted.values)
    assert frame.index.equals(prices.indexes["time"])
    assert frame.columns.equals(prices.indexes["asset"])
    series = call(prices[:, 0].to_pandas(), periods)
    assert isinstance(series, pd.Series)
    np.testing.assert_array_equal(series.values, wanted.values[:, 0])
    turned = call(prices.transpose("asset", "time"), periods)
    assert turned.dims == ("asset", "time")
    np.testing.assert_array_equal(turned.values, wanted.values.T)


@pytest.mark.parametrize("function", DEFAULTS)
def test_defaults(function):
    parameters = inspect.signature(getattr(qnta, function)).parameters
    assert [*parameters][:2] == ["series", "periods"]
    assert parameters["periods"].default == DEFAULTS[function]
    prices = vector("loaded").sel(field="close")
    by_default = getattr(qnta, function)(series=prices)
    assert by_default.identical(getattr(qnta, function)(prices, periods=DEFAULTS[function]))


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
    with pytest.raises(TypeError, match="expected an array of numpy, pandas or xarray, not a list"):
        qnta.lwma([1.0, 2.0], 2)
    with pytest.raises(NotImplementedError, match=r"qnt\.ta\.rsi.*real library has it"):
        qnta.rsi  # noqa: B018
