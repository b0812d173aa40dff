"""A generator of synthetic stock markets, whose prices are random.

Every number is built from raw random bits by additions, multiplications, divisions and square roots alone.
IEEE 754 fixes these to the last bit, so the market is the same on every machine; exp, log and matrix products
are not.
"""

from math import sqrt

import numpy as np
import xarray as xr

from lib.common.market_data import FIELDS
from lib.common.market_data import LAYOUT as DIMS
from lib.offline import corporate_actions
from lib.offline.nyse import Day, trading_days
from lib.offline.random_bits import bits, normal, uniform

SECTORS = 8
STEPS = np.array([0.45, 0.9])  # overnight and intraday; their squares sum to 1, one day's variance
DRIFT = 0.09 / corporate_actions.TRADING_YEAR
USUAL = 0.0105  # daily volatility of the market


def generate(
    assets: int = 100,
    start: Day = "2005-01-03",
    end: Day = "2024-12-31",
    seed: int = 100,
    exchange: str = "NAS",
    name: str = "stocks_nasdaq100",
) -> xr.DataArray:
    """Return a market of random prices in the platform's layout, the same for the same arguments anywhere.

    Returns follow a market factor with clustered volatility, sector factors, and noise with jumps of each
    asset's own. Drift is paid for exposure to the market only, and nothing in a price says anything about its
    future. Listings, delistings, halts, index changes and dividends occur as in real data.

    The index has `assets` members at a time, and some 1.6 times as many tickers, `exchange` before the colon
    of each, exist between the calendar days `start` and `end`. The result is float64 of dims (field, time,
    asset), fields as in `FIELDS`, in dollars with 4 decimals, adjusted for splits. Every field is NaN before
    listing, after delisting and on halted days; elsewhere `is_liquid` is 1 in the index and 0 outside, and
    `divs` 0 on most days. ValueError without an asset or a trading day.
    """
    days = trading_days(start, end)
    if assets < 1 or len(days) == 0:
        raise ValueError(f"A market needs an asset and a trading day: {assets=} from {start} to {end}.")
    tickers = assets + max(1, 6 * assets // 10)
    shape = len(days), tickers
    listed, gone = corporate_actions.lifetimes(bits(seed, 0), len(days), assets, tickers)
    yields, ex_days = corporate_actions.dividends(bits(seed, 1), *shape)
    path = _paths(seed, yields * ex_days)
    path *= (15 + 135 * uniform(bits(seed, 2), tickers)) / path[listed, 0, np.arange(tickers)]
    halted = corporate_actions.halts(bits(seed, 3), *shape) & ~ex_days

    opened, closed = path[:, 0], path[:, 1]
    reach = 0.008 * np.abs(normal(bits(seed, 4), 2, *shape))
    values = np.stack(
        [
            opened,
            np.minimum(opened, closed) * (1 - reach[0]),
            np.maximum(opened, closed) * (1 + reach[1]),
            closed,
            _volumes(seed, opened, closed),
            np.concatenate([opened[:1], closed[:-1]]) * yields * ex_days,
            corporate_actions.splits(bits(seed, 5), *shape),
            corporate_actions.index(bits(seed, 6), len(days), assets, listed, gone),
        ]
    )
    np.round(values, 4, out=values)
    day = np.arange(len(days))[:, None]
    values[:, (day < listed) | (day >= gone) | halted] = np.nan

    width = max(3, len(str(tickers)))
    names = np.array([f"{exchange}:SYN{i + 1:0{width}d}" for i in range(tickers)])
    coords = {"field": list(FIELDS), "time": days, "asset": names}
    return xr.DataArray(values, coords, DIMS, name=name)


def _paths(seed: int, dividends: np.ndarray) -> np.ndarray:
    """Return prices at open and close relative to the start (day, 2, ticker), reduced by each dividend."""
    days, tickers = dividends.shape
    chance = uniform(bits(seed, 10), 4, tickers)
    calm = chance[0] < 0.15  # like utilities: what a low-volatility selection finds
    beta = np.where(calm, 0.35 + 0.25 * chance[1], 0.7 + 0.8 * chance[1])
    own = np.where(calm, 0.005 + 0.003 * chance[2], 0.011 + 0.016 * chance[2] * chance[2])
    sector = (chance[3] * SECTORS).astype(int)

    shocks = normal(bits(seed, 11), days, 2) * STEPS
    volatility = _clustered(shocks[:, 0] + shocks[:, 1])
    market = DRIFT / 2 + volatility[:, None] * shocks
    scale = (0.5 + 0.5 * volatility[:, None] / USUAL) * STEPS  # volatile markets make every asset volatile
    sectors = 0.005 * normal(bits(seed, 12), days, 2, SECTORS) * scale[:, :, None]
    step = normal(bits(seed, 13), days, 2, tickers) * scale[:, :, None] * own
    step[:, 0] *= np.where(uniform(bits(seed, 14), days, tickers) < 0.015, 6.0, 1.0)  # news, overnight
    step += market[:, :, None] * beta
    step += sectors[:, :, sector]
    np.clip(step, -0.5, 1.0, out=step)
    step[:, 0] -= dividends
    step += 1
    return np.cumprod(step.reshape(2 * days, tickers), axis=0).reshape(days, 2, tickers)


def _clustered(shocks: np.ndarray) -> np.ndarray:
    """Return daily volatility that rises after large moves and decays over weeks, a GARCH(1, 1) process."""
    variance, volatility = USUAL * USUAL, []
    for shock in shocks.tolist():
        volatility.append(sqrt(variance))
        variance = min(0.02 * USUAL * USUAL + (0.09 * shock * shock + 0.89) * variance, 0.0025)
    return np.array(volatility)


def _volumes(seed: int, opened: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Return shares traded: a typical turnover in dollars by ticker, more on days of large moves."""
    chance = uniform(bits(seed, 20), opened.shape[1])
    dollars = (4e7 + 9e8 * chance * chance * chance) * (0.5 + uniform(bits(seed, 21), *opened.shape))
    return np.rint(dollars * (1 + 30 * np.abs(closed / opened - 1)) / closed)
