"""A generator of synthetic crypto markets, whose prices are random.

As in `lib.offline.synthetic` every number is built by arithmetic that IEEE 754 fixes to the last bit.
"""

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.market_data import LAYOUT as DIMS
from lib.offline.synthetic import Day, bits, normal, uniform

FIELDS = ("open", "low", "high", "close", "vol", "is_liquid")
TOP = 10  # liquid assets a day: the largest of the day before a month begins
LOWEST, HIGHEST = 1e-7, 3e5  # prices


def generate(
    assets: int = 76,
    start: Day = "2014-01-01",
    end: Day = "2024-12-31",
    seed: int = 76,
    name: str = "cryptodaily",
) -> xr.DataArray:
    """Return a market of random prices in the layout of the platform's daily crypto data.

    It has a bar for every calendar day. Returns follow a market factor and noise of each asset's own; both
    have fat tails. Prices range from 1e-7 to 3e5. Some assets are listed late, some end, some have gaps of
    days, some no volume and some no data. The `TOP` assets by capitalisation are liquid from the first of a
    month on, none in the first month. Assets are in two sorted groups. All fields are NaN where an asset has
    no bar. ValueError without an asset or a day.
    """
    days = pd.date_range(start, end)
    if assets < 1 or len(days) == 0:
        raise ValueError(f"A market needs an asset and a day: {assets=} from {start} to {end}.")
    shape = len(days), assets
    close = _closes(seed, *shape)
    still = uniform(bits(seed, 4), *shape) < 0.2  # a bar that opens at the close before
    opened = np.concatenate([close[:1], close[:-1]])
    opened = np.where(still, opened, opened * (1 + 0.002 * normal(bits(seed, 5), *shape)))
    reach = 0.02 * np.abs(normal(bits(seed, 6), 2, *shape))
    prices = [
        opened,
        np.minimum(opened, close) * (1 - np.minimum(reach[0], 0.5)),
        np.maximum(opened, close) * (1 + reach[1]),
        close,
    ]
    supply = _powers_of_ten(bits(seed, 7), assets, 7, 12) / close[0]
    volume = supply * close * (0.001 + 0.1 * uniform(bits(seed, 8), *shape))
    volume[:, uniform(bits(seed, 9), assets) < 0.1] = 0
    bar = _bars(seed, *shape)
    liquid = _largest(np.where(bar, supply * close, 0), days)
    values = np.stack([*(np.round(price, 10) for price in prices), np.rint(volume), liquid])
    values[:, ~bar] = np.nan
    first = assets - assets // 4
    names = [f"SYN{i:03d}" for i in range(first)] + [f"ALT{i:03d}" for i in range(assets - first)]
    coords = {"field": list(FIELDS), "time": days, "asset": np.array(names)}
    return xr.DataArray(values, coords, DIMS, name=name)


def _closes(seed: int, days: int, assets: int) -> np.ndarray:
    chance = uniform(bits(seed, 0), 2, assets)
    beta, own = 0.5 + chance[0], 0.015 + 0.045 * chance[1]
    market = 0.0012 + 0.03 * _fat(bits(seed, 1), days)
    step = market[:, None] * beta + own * _fat(bits(seed, 2), days, assets)
    path = np.cumprod(1 + np.clip(step, -0.45, 0.8), axis=0)
    level = _powers_of_ten(bits(seed, 3), assets, -6, 4)
    return np.clip(level * path / path[0], LOWEST, HIGHEST)


def _fat(source: np.random.PCG64, *shape: int) -> np.ndarray:
    """Return numbers of variance near 1 with fat tails: normal ones, now and then several times as large."""
    chance = uniform(source, *shape)
    return normal(source, *shape) * np.where(chance < 0.02, 4.0, np.where(chance < 0.2, 1.5, 0.6))


def _powers_of_ten(source: np.random.PCG64, count: int, low: int, high: int) -> np.ndarray:
    """Return numbers spread over powers of ten, without a power that machines compute differently."""
    chance = uniform(source, 2, count)
    exponent = low + (chance[0] * (high - low)).astype(int)
    return np.array([float(f"1e{e}") for e in exponent]) * (1 + 9 * chance[1])


def _bars(seed: int, days: int, assets: int) -> np.ndarray:
    """Return True where an asset has a bar (day, asset)."""
    chance = uniform(bits(seed, 10), 5, assets)
    listed = np.where(chance[0] < 0.4, 1 + (0.8 * days * chance[1]).astype(int), 0)
    lived = np.where(chance[2] < 0.25, ((days - listed) * (0.2 + 0.75 * chance[3])).astype(int), days)
    day = np.arange(days)[:, None]
    bar = (day >= listed) & (day < listed + lived) & (chance[4] >= 0.03)
    starts = uniform(bits(seed, 11), days, assets) < 1 / 2000
    length = 1 + (8 * uniform(bits(seed, 12), days, assets)).astype(int)
    for lag in range(min(8, days)):
        bar[lag:] &= ~(starts[: days - lag] & (length[: days - lag] > lag))
    return bar


def _largest(value: np.ndarray, days: pd.DatetimeIndex) -> np.ndarray:
    """Return 1 where an asset is liquid, else 0 (day, asset)."""
    table, now = np.zeros_like(value), np.zeros(value.shape[1])
    for day, first in enumerate(days.day == 1):
        if first and day:
            order = np.argsort(-value[day - 1], kind="stable")[:TOP]
            now = np.zeros(value.shape[1])
            now[order[value[day - 1][order] > 0]] = 1
        table[day] = now
    return table
