"""Small strategies, and a small market of years, for tests of the contest."""

import numpy as np
import pandas as pd
import xarray as xr

from lib import Strategy
from tests.markets import FIELDS

TINY = {"lookback_period": 20, "train_period": 16, "hidden_size": 2, "top_assets": 3, "lwma_period": 2}


def change(data, strategy):
    """A feature of the user's own."""
    close = data.sel(field="close")
    return 100 * (close / close.shift(time=1) - 1)


def above_mean(data, strategy):
    """A target of the user's own."""
    opened = data.sel(field="open")
    return (opened > opened.mean("time")).astype(float).where(np.isfinite(opened))


def last_two(data, strategy):
    """A selection of the user's own."""
    chosen = np.zeros(data.sizes["asset"], bool)
    chosen[-2:] = True
    return chosen


def nothing_before_2008(data, strategy):
    chosen = np.zeros(data.sizes["asset"], bool)
    chosen[:3] = data.time.values[-1] >= np.datetime64("2008-01-02")
    return chosen


def last_three(data, strategy):
    chosen = np.zeros(data.sizes["asset"], bool)
    chosen[-3:] = True
    return chosen


def broken(data, strategy):
    raise ValueError("no such column: earnings")


OWN = Strategy(**TINY, features=["trend", change], target=above_mean, selection=last_two)


def years_of_wednesdays(end="2008-03-05"):
    """A market of one day a week from late 2005 on: 20 assets that rise, each on its own."""
    days = pd.date_range("2005-06-01", end, freq="W-WED")
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0.004, 0.01, (len(days), 20)), axis=0))
    opened = close * np.exp(rng.normal(0, 0.001, close.shape))
    ones = np.ones_like(close)
    low, high = np.minimum(opened, close) * 0.999, np.maximum(opened, close) * 1.001
    values = [opened, low, high, close, ones * 1e6, ones * 0, ones, ones]
    coords = {"field": FIELDS, "time": days, "asset": [f"NAS:{k:02}" for k in range(20)]}
    return xr.DataArray(np.stack(values), coords, ("field", "time", "asset"), name="stocks_nasdaq100")
