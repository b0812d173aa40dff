"""Small random markets in the platform's layout: sound ones with all that happens in one, and bad ones."""

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import strategies as st

from lib.common.competitions import COMPETITIONS

FIELDS = ["open", "low", "high", "close", "vol", "divs", "split_cumprod", "is_liquid"]
LAST_DAY = "2024-12-30"


def random_market(seed: int, days: int = 60, assets: int = 6, last_day: str = LAST_DAY) -> xr.DataArray:
    """Prices that walk; some assets list late, end early, halt for days, or leave the index."""
    rng = np.random.default_rng(seed)
    shape = days, assets
    close = rng.uniform(5, 200, assets) * np.exp(
        np.cumsum(rng.normal(0, rng.uniform(0.005, 0.04, assets), shape), axis=0)
    )
    opened = close * np.exp(rng.normal(0, 0.01, shape))
    liquid = np.ones(shape)
    for k in range(assets):
        if rng.random() < 0.3:
            start = rng.integers(days)
            liquid[start : start + rng.integers(1, days + 1), k] = 0
    data = np.stack(
        [
            opened,
            np.minimum(opened, close) * 0.99,
            np.maximum(opened, close) * 1.01,
            close,
            rng.uniform(1e3, 1e6, shape).round(),
            np.where(rng.random(shape) < 0.01, 0.1, 0),
            np.ones(shape),
            liquid,
        ]
    )
    data[:, rng.random(shape) < 0.01] = np.nan
    for k in range(assets):
        fate = rng.random()
        if fate < 0.15:
            data[:, : rng.integers(days), k] = np.nan
        elif fate < 0.3:
            data[:, rng.integers(days) :, k] = np.nan
        elif fate < 0.4:
            halt = rng.integers(days)
            data[:, halt : halt + 7, k] = np.nan
    coords = {
        "field": FIELDS,
        "time": pd.bdate_range(end=last_day, periods=days),
        "asset": [f"NAS:{k:03}" for k in range(assets)],
    }
    return xr.DataArray(data, coords, ("field", "time", "asset"), name="stocks_nasdaq100")


def as_crypto(market: xr.DataArray) -> xr.DataArray:
    """Return a market of stocks in the form of daily crypto data: other fields, and a bar on every day."""
    rules = COMPETITIONS["crypto_daily_long"]
    days = pd.date_range(end=market.time.values[-1], periods=market.sizes["time"])
    return market.sel(field=list(rules.fields)).assign_coords(time=days).rename(rules.data_name)


def window(data: xr.DataArray, row: int, period: int) -> xr.DataArray:
    """The calendar days up to a row, with the assets liquid at least once: what a loader would answer."""
    day = data.time.values[row]
    data = data.sel(time=slice(day - np.timedelta64(period, "D"), day))
    liquid = (data.sel(field="is_liquid").values > 0).any(axis=0)
    return data.isel(asset=np.flatnonzero(liquid)).copy(deep=True)


def changed_after(data: xr.DataArray, row: int, seed: int = 0) -> xr.DataArray:
    """The same up to a row, noise around the mean after it."""
    changed = data.copy(deep=True)
    later = changed.values[:, row + 1 :]
    rng = np.random.default_rng(seed)
    later[:] = data.mean("time").fillna(1).values[:, None] * rng.lognormal(0, 0.5, later.shape)
    later[1], later[2] = later[:4].min(axis=0), later[:4].max(axis=0)  # low and high
    later[-1] = rng.random(later.shape[1:]) < 0.7
    return changed


FAULTS = (
    *("holes", "constant", "zero", "negative", "infinite", "huge", "tiny", "jumps", "vanishes", "illiquid"),
    "liquid without price",
)


@st.composite
def bad_markets(draw: st.DrawFn) -> xr.DataArray:
    """A random market with faults, each in some of the assets; short ones and single assets too."""
    days, assets = draw(st.sampled_from([1, 2, 3, 12, 40])), draw(st.sampled_from([1, 2, 5]))
    data = random_market(draw(st.integers(0, 2**16)), days, assets)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    for fault in draw(st.lists(st.sampled_from(FAULTS), max_size=4, unique=True)):
        spoil(data, fault, rng.random(assets) < draw(st.sampled_from([0.4, 1.0])), rng)
    return data


def spoil(data: xr.DataArray, fault: str, where: np.ndarray, rng: np.random.Generator) -> None:
    """Plant a fault, in place, in the assets where `where` is True."""
    values, days = data.values, data.sizes["time"]
    prices = np.ix_(range(4), range(days), np.flatnonzero(where))
    some = rng.random((4, days, int(where.sum()))) < 0.2
    if fault == "holes":
        values[:, rng.random((days, len(where))) < 0.3 * where] = np.nan
    elif fault == "constant":
        values[prices] = 50
    elif fault in ("zero", "negative", "infinite"):
        spoilt = {"zero": 0, "negative": -1, "infinite": np.inf}[fault]
        values[prices] = np.where(some, spoilt, values[prices])
    elif fault in ("huge", "tiny"):
        values[prices] *= {"huge": 1e250, "tiny": 1e-250}[fault]
    elif fault == "jumps":
        values[prices] *= np.where(some, 1e6, 1)
    elif fault == "vanishes":
        values[:, rng.integers(days) :, where] = np.nan
    elif fault == "illiquid":
        values[7][:, where] = rng.choice([0, np.nan])
    else:
        values[:7, -3:, where] = np.nan
        values[7][:, where] = 1
