"""Indicators keep shapes and labels, never look ahead, and count only the values that are there."""

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib import indicators
from tests.indicators.cases import BREADTH, CALLS, COLUMNWISE, FIELDS, answers, prices
from tests.switches import LONG

EXAMPLES = settings(max_examples=150 if LONG else 20, deadline=None)
NUMBERS = st.one_of(st.just(math.nan), st.floats(-1e3, 1e3), st.sampled_from([0.0, 1.0, math.inf]))
COLUMNS = arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=NUMBERS)
GAPPY = prices(1)


def numpy(series):
    return series.values


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


@EXAMPLES
@given(COLUMNS, st.integers(1, 5), st.sampled_from(["lwma", "sma", "ema", "shift"]))
def test_definition(values, periods, function):
    values = np.where(np.isinf(values), 5.0, values)
    found = getattr(indicators, function)(values, periods)
    for column in range(values.shape[1]):
        expected = spelled_out(function, values[:, column].tolist(), periods)
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("label", CALLS)
def test_nothing_from_the_future(label):
    changed = GAPPY.copy(deep=True)
    changed[:, 20:] = np.random.default_rng(2).uniform(1, 9, changed[:, 20:].shape)
    for before, after in zip(
        answers(indicators, label, GAPPY), answers(indicators, label, changed), strict=True
    ):
        np.testing.assert_array_equal(before[:20], after[:20])
        assert not before[20:].equals(after[20:])


@pytest.mark.parametrize("label", CALLS)
def test_a_short_series_is_the_start_of_a_long_one(label):
    """Windows as long as the series, and a value longer, among them."""
    whole = answers(indicators, label, GAPPY, numpy)
    for days in range(14):
        for start, every in zip(answers(indicators, label, GAPPY[:, :days], numpy), whole, strict=True):
            np.testing.assert_array_equal(start, every[:days])


def test_a_negative_shift_does_look_ahead():
    assert indicators.shift(np.array([1.0, np.nan, 2, 3]), -1).tolist()[:1] == [2]


@pytest.mark.parametrize("label", COLUMNWISE)
def test_columns_do_not_meet(label):
    together = answers(indicators, label, GAPPY, numpy)
    for column in range(GAPPY.sizes["asset"]):
        alone = answers(indicators, label, GAPPY[..., column], numpy)
        for every, single in zip(together, alone, strict=True):
            np.testing.assert_array_equal(every[:, column], single)


@pytest.mark.parametrize("label", COLUMNWISE)
def test_shapes_and_labels_stay(label):
    """A third dimension and another order of dimensions change nothing."""
    parts = [GAPPY[..., k : k + 3].assign_coords(asset=["a", "b", "c"]) for k in (0, 2)]
    twice = xr.concat(parts, "copy")
    expected = answers(indicators, label, twice)
    plain = answers(indicators, label, twice.transpose("time", "field", "copy", "asset"), turned)
    turned_back = answers(indicators, label, twice.transpose("asset", "time", "copy", "field"))
    for named, values, turned_result in zip(expected, plain, turned_back, strict=True):
        assert named.dims == ("copy", "time", "asset")
        assert {"time", "asset"} <= set(named.coords) <= set(twice.coords)
        assert turned_result.dims == ("asset", "time", "copy")
        np.testing.assert_array_equal(turned_result.transpose(*named.dims).values, named.values)
        np.testing.assert_array_equal(values, named.transpose("time", "copy", "asset").values)


def turned(series):
    return series.transpose("time", "copy", "asset").values


@pytest.mark.parametrize("label", CALLS)
@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (1, 2)])
def test_little_or_nothing(label, shape):
    days, assets = shape
    data = xr.DataArray(np.ones((4, *shape)), {"field": FIELDS}, ("field", "time", "asset"))
    for found in answers(indicators, label, data, numpy):
        assert found.shape == ((days,) if label in BREADTH else (days, assets))


@pytest.mark.parametrize("label", COLUMNWISE)
def test_arguments_stay_as_they_are(label):
    data = GAPPY.copy(deep=True)
    for result in answers(indicators, label, data, numpy):
        assert not np.shares_memory(result, data.values)
    np.testing.assert_array_equal(data.values, GAPPY.values)
