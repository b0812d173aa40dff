"""Indicators are the platform's, whatever the shape, and count only the values that are there."""

import math

import numpy as np
import pytest
import qnt.ta as qnta
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib import indicators
from tests.vectors import vector

ALL = {"lwma": (10,), "sma": (20,), "ema": (15,), "roc": (1,), "shift": (-1,)}
VECTORS = {
    "ta_lwma_close_10": ("lwma", "close", 10),
    "ta_sma_close_20": ("sma", "close", 20),
    "ta_ema_close_15": ("ema", "close", 15),
    "ta_roc_close_1": ("roc", "close", 1),
    "ta_shift_open_m1": ("shift", "open", -1),
}
NUMBERS = st.one_of(st.just(math.nan), st.floats(-1e3, 1e3), st.sampled_from([0.0, 1.0, math.inf]))
COLUMNS = arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=NUMBERS)


@pytest.mark.parametrize("module", [indicators, qnta], ids=["lib.indicators", "qnt.ta"])
@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name, module):
    function, field, periods = VECTORS[name]
    found = getattr(module, function)(vector("loaded").sel(field=field), periods)
    wanted = vector(name)
    assert found.dims == wanted.dims
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-10, atol=1e-10)


def spelled_out(function, column, periods):
    """The definition, value by value, for one column."""
    out, seen = [math.nan] * len(column), []
    for i, value in enumerate(column):
        if math.isnan(value):
            continue
        seen.append(value)
        last = seen[-periods:]
        if function == "shift":
            out[i] = seen[-1 - periods] if len(seen) > periods else math.nan
        elif len(seen) < periods:
            continue
        elif function == "lwma":
            out[i] = sum(v * w for w, v in enumerate(last, 1)) / (periods * (periods + 1) / 2)
        elif function == "sma":
            out[i] = sum(last) / periods
        elif len(seen) == periods:
            out[i] = sum(seen) / periods
        else:
            before = next(out[j] for j in range(i - 1, -1, -1) if not math.isnan(column[j]))
            out[i] = before + (value - before) * 2 / (periods + 1)
    return out


@settings(max_examples=60, deadline=None)
@given(COLUMNS, st.integers(1, 5), st.sampled_from(["lwma", "sma", "ema", "shift"]))
def test_definition(values, periods, function):
    values = np.where(np.isinf(values), 5.0, values)
    found = getattr(indicators, function)(values, periods)
    for column in range(values.shape[1]):
        wanted = spelled_out(function, values[:, column].tolist(), periods)
        np.testing.assert_allclose(found[:, column], wanted, rtol=1e-10, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(COLUMNS, st.integers(1, 5), st.sampled_from(list(ALL)), st.integers(0, 12))
def test_nothing_from_the_future(values, periods, function, day):
    changed = values.copy()
    changed[day:] = 7
    before, after = (getattr(indicators, function)(x, periods)[:day] for x in (values, changed))
    np.testing.assert_array_equal(before, after)


def test_a_negative_shift_does_look_ahead():
    assert indicators.shift(np.array([1.0, np.nan, 2, 3]), -1).tolist()[:1] == [2]


@settings(max_examples=60, deadline=None)
@given(COLUMNS, st.integers(1, 5), st.sampled_from(list(ALL)))
def test_columns_do_not_meet(values, periods, function):
    together = getattr(indicators, function)(values, periods)
    for column in range(values.shape[1]):
        alone = getattr(indicators, function)(values[:, column], periods)
        np.testing.assert_array_equal(together[:, column], alone)


@pytest.mark.parametrize("function", ALL)
def test_shapes_and_labels_stay(function):
    call, arguments = getattr(indicators, function), ALL[function]
    prices = vector("loaded").isel(asset=slice(0, 3))
    wanted = call(prices, *arguments)
    assert wanted.dims == prices.dims
    assert list(wanted.coords) == list(prices.coords)
    for dims in (("time", "asset", "field"), ("asset", "field", "time")):
        found = call(prices.transpose(*dims), *arguments)
        assert found.dims == dims
        np.testing.assert_array_equal(found.transpose(*wanted.dims).values, wanted.values)
    plain = call(prices.transpose("time", "field", "asset").values, *arguments)
    np.testing.assert_array_equal(plain, wanted.transpose("time", "field", "asset").values)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (4, 0), (1, 2)])
def test_little_or_nothing(function, shape):
    assert getattr(indicators, function)(np.ones(shape), *ALL[function]).shape == shape


@pytest.mark.parametrize("function", ALL)
def test_arguments_stay_as_they_are(function):
    values = np.array([[1.0, np.nan], [2, 3], [4, 5]])
    before = values.copy()
    result = getattr(indicators, function)(values, 1)
    np.testing.assert_array_equal(values, before)
    assert not np.shares_memory(result, values)


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


@pytest.mark.parametrize("function", ["lwma", "sma", "ema"])
@pytest.mark.parametrize("periods", [0, -3])
def test_windows_must_have_a_value(function, periods):
    with pytest.raises(ValueError, match=rf"periods must be at least 1, not {periods}"):
        getattr(indicators, function)(np.ones(5), periods)


def test_warm_periods_too():
    with pytest.raises(ValueError, match="warm_periods must be at least 1"):
        indicators.ema(np.ones(5), 3, 0)


@pytest.mark.parametrize("periods", ["10", None, math.nan])
def test_periods_are_numbers(periods):
    with pytest.raises(TypeError, match="periods must be a whole number"):
        indicators.lwma(np.ones(5), periods)


def test_time_is_needed():
    with pytest.raises(ValueError, match="needs a dimension 'time'"):
        indicators.lwma(xr.DataArray(np.ones(5), dims="day"), 2)
    with pytest.raises(ValueError, match="values over time"):
        indicators.lwma(np.float64(1), 2)
