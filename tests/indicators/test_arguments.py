"""Bad arguments get a sentence."""

import math

import numpy as np
import pytest
import xarray as xr

from lib import indicators


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


def test_series_must_fit_each_other():
    with pytest.raises(ValueError, match=r"series of one shape are needed, not \(5,\) and \(4,\)"):
        indicators.vwma(np.ones(5), np.ones(4), 2)


@pytest.mark.parametrize("function", ["ad_line", "ad_ratio"])
def test_breadth_needs_assets(function):
    with pytest.raises(ValueError, match="prices over time and asset are needed, not 1 dimension"):
        getattr(indicators, function)(np.ones(5))


@pytest.mark.parametrize("weights", [[], [[1.0]], None])
def test_weights_are_a_list(weights):
    with pytest.raises(ValueError, match="weights must be a list of numbers"):
        indicators.wma(np.ones(5), weights)
