"""Generators of synthetic markets of stocks and of crypto.

Their prices are random. Every number is built from raw random bits by additions, multiplications, divisions
and square roots alone. IEEE 754 fixes these to the last bit, so the market is the same on every machine; exp,
log and matrix products are not.
"""

import datetime as dt
from math import sqrt

import numpy as np
import pandas as pd
import xarray as xr
from numpy.random import PCG64
from pandas.tseries import holiday as rules
from pandas.tseries.holiday import Holiday

from lib.common.market_data import FIELDS
from lib.common.market_data import LAYOUT as DIMS

Day = str | dt.date | np.datetime64
TRADING_YEAR = 252
SECTORS = 8
STEPS = np.array([0.45, 0.9])  # overnight and intraday; their squares sum to 1, one day's variance
DRIFT = 0.09 / TRADING_YEAR
USUAL = 0.0105  # daily volatility of the market
CRYPTO_FIELDS = ("open", "low", "high", "close", "vol", "is_liquid")
TOP = 10  # liquid assets a day: the largest of the day before a month begins
LOWEST, HIGHEST = 1e-7, 3e5  # prices


def generate(
    assets: int = 100,
    start: Day = "2005-01-03",
    end: Day = "2024-12-31",
    seed: int = 100,
    exchange: str = "NAS",
    name: str = "stocks_nasdaq100",
) -> xr.DataArray:
    """Return a market of random stock prices.

    The market has the platform's layout. The same arguments give the same market on every machine.

    Returns follow a market factor with clustered volatility, sector factors, and noise with jumps of each
    asset's own. Drift is paid for exposure to the market only, and past prices do not predict later ones.
    Listings, delistings, halts, index changes and dividends occur as in real data.

    The index has `assets` members at a time, and some 1.6 times as many tickers, `exchange` before the colon
    of each, exist between the calendar days `start` and `end`. The result is float64 of dims (field, time,
    asset), fields as in `FIELDS`, in dollars with 4 decimals, adjusted for splits. Every field is NaN before
    listing, after delisting and on halted days. Elsewhere `is_liquid` is 1 in the index and 0 outside, and
    `divs` is 0 on most days. ValueError is raised without an asset or a trading day.
    """
    days = trading_days(start, end)
    if assets < 1 or len(days) == 0:
        raise ValueError(f"A market needs an asset and a trading day: {assets=} from {start} to {end}.")
    tickers = assets + max(1, 6 * assets // 10)
    shape = len(days), tickers
    listed, gone = lifetimes(bits(seed, 0), len(days), assets, tickers)
    yields, ex_days = dividends(bits(seed, 1), *shape)
    path = _paths(seed, yields * ex_days)
    path *= (15 + 135 * uniform(bits(seed, 2), tickers)) / path[listed, 0, np.arange(tickers)]
    halted = halts(bits(seed, 3), *shape) & ~ex_days

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
            splits(bits(seed, 5), *shape),
            index(bits(seed, 6), len(days), assets, listed, gone),
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
    """Return prices at open and close.

    The result has dims (day, 2, ticker). Prices are relative to the start, and each dividend reduces them.
    """
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
    """Return daily volatility as a GARCH(1, 1) process.

    The volatility rises after large moves and decays over weeks.
    """
    variance, volatility = USUAL * USUAL, []
    for shock in shocks.tolist():
        volatility.append(sqrt(variance))
        variance = min(0.02 * USUAL * USUAL + (0.09 * shock * shock + 0.89) * variance, 0.0025)
    return np.array(volatility)


def _volumes(seed: int, opened: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Return the number of shares traded.

    Each ticker has a typical turnover in dollars, which is higher on days of large moves. The result has dims
    (day, ticker).
    """
    chance = uniform(bits(seed, 20), opened.shape[1])
    dollars = (4e7 + 9e8 * chance * chance * chance) * (0.5 + uniform(bits(seed, 21), *opened.shape))
    return np.rint(dollars * (1 + 30 * np.abs(closed / opened - 1)) / closed)


def lifetimes(source: PCG64, days: int, assets: int, tickers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the days of listing and delisting.

    They are each ticker's first day and the day after its last one. Three quarters of the tickers beyond
    `assets` are listed late, and 1 ticker in 5 is delisted.
    """
    order = np.argsort(uniform(source, tickers), kind="stable")
    chance = uniform(source, 3, tickers)
    old = assets + (tickers - assets) // 4
    listed = np.where(order < old, 0, 1 + (0.9 * days * chance[0]).astype(int))
    listed = np.minimum(listed, days - 1)
    lived = np.maximum(1, ((days - listed) * (0.3 + 0.7 * chance[2])).astype(int))
    return listed, np.where(chance[1] < 0.2, listed + lived, days)


def dividends(source: PCG64, days: int, tickers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return quarterly yields and ex-dividend days.

    Yields (ticker) are fractions of the price. Ex-dividend days are boolean (day, ticker).
    """
    chance = uniform(source, 3, tickers)
    yields = np.where(chance[0] < 0.55, 0.001 + 0.006 * chance[1], 0)
    quarter = TRADING_YEAR // 4
    due = np.arange(days)[:, None] % quarter == (chance[2] * quarter).astype(int)
    return yields, due & (yields > 0)


def splits(source: PCG64, days: int, tickers: int) -> np.ndarray:
    """Return the product of all splits so far.

    The result has dims (day, ticker). A ticker has one split in twenty years on average, 2:1 or 3:1.
    """
    chance = uniform(source, days, tickers)
    rare = 1 / (20 * TRADING_YEAR)
    return np.cumprod(np.where(chance < rare / 4, 3.0, np.where(chance < rare, 2.0, 1.0)), axis=0)


def halts(source: PCG64, days: int, tickers: int) -> np.ndarray:
    """Return True on days without trading.

    The result has dims (day, ticker). A ticker has one halt in six years on average, of one to five days.
    """
    chance = uniform(source, days, tickers)
    rare = 1 / (6 * TRADING_YEAR)
    halted = np.zeros((days, tickers), dtype=bool)
    for lag in range(min(5, days)):
        halted[lag:] |= chance[: days - lag] < rare * (5 - lag) / 5
    return halted


def index(source: PCG64, days: int, assets: int, listed: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Return 1 for index members, else 0.

    The result has dims (day, ticker). Each of some forty reviews replaces a random 3 % of the members. A
    delisted member is replaced at once if another ticker is available.
    """
    review = max(5, days // 40)
    members, table = np.zeros(len(listed), dtype=bool), np.zeros((days, len(listed)))
    for day in range(days):
        members &= gone > day
        outside = (listed <= max(0, day - 1)) & (gone > day) & ~members
        if day and day % review == 0:
            joining = draw(source, outside, max(1, assets // 33))
            members[draw(source, members, len(joining))] = False
            members[joining] = True
            outside[joining] = False
        members[draw(source, outside, assets - int(members.sum()))] = True
        table[day] = members
    return table


CALENDAR = rules.AbstractHolidayCalendar(
    "NYSE",
    rules=[
        # The exchange does not observe a New Year's Day that is a Saturday.
        Holiday("New Year", month=1, day=1, observance=rules.sunday_to_monday),
        rules.USMartinLutherKingJr,
        rules.USPresidentsDay,
        rules.GoodFriday,
        rules.USMemorialDay,
        Holiday("Juneteenth", month=6, day=19, start_date="2022-01-01", observance=rules.nearest_workday),
        Holiday("Independence Day", month=7, day=4, observance=rules.nearest_workday),
        rules.USLaborDay,
        rules.USThanksgivingDay,
        Holiday("Christmas", month=12, day=25, observance=rules.nearest_workday),
        Holiday("Mourning for President Ford", year=2007, month=1, day=2),
        Holiday("Hurricane Sandy", year=2012, month=10, day=29),
        Holiday("Hurricane Sandy", year=2012, month=10, day=30),
        Holiday("Mourning for President Bush", year=2018, month=12, day=5),
    ],
)


def trading_days(start: Day, end: Day) -> pd.DatetimeIndex:
    """Return the trading days of a period.

    The period includes `start` and `end`. It has no day where `end` is before `start`. The days are exact for
    2005-2024. Other years from 1998 on follow the same rules but lack unplanned closures.
    """
    first, last = pd.Timestamp(start).normalize(), pd.Timestamp(end)
    return pd.bdate_range(first, last).difference(CALENDAR.holidays(first, last))


def bits(seed: int, purpose: int) -> PCG64:
    """Return the raw random bits for one purpose.

    The streams of different purposes do not depend on each other.
    """
    return PCG64([seed, purpose])


def uniform(source: PCG64, *shape: int) -> np.ndarray:
    """Return numbers uniform in [0, 1)."""
    # numpy promises to keep the raw bits of a bit generator, but not what Generator makes of them.
    return (source.random_raw(shape) >> np.uint64(11)) * 2.0**-53


def normal(source: PCG64, *shape: int) -> np.ndarray:
    """Return nearly standard normal numbers.

    They are sums of twelve uniform numbers, because log and cos differ by machine.
    """
    total = uniform(source, *shape)
    for _ in range(11):
        total += uniform(source, *shape)
    return total - 6


def draw(source: PCG64, flags: np.ndarray, count: int) -> list[int]:
    """Draw random positions at which `flags` is true.

    At most `count` positions are returned.
    """
    among = np.flatnonzero(flags)
    order = np.argsort(uniform(source, len(among)), kind="stable")
    return among[order[: max(0, count)]].tolist()


# ---- crypto ----


def generate_crypto(
    assets: int = 76,
    start: Day = "2014-01-01",
    end: Day = "2024-12-31",
    seed: int = 76,
    name: str = "cryptodaily",
) -> xr.DataArray:
    """Return a market of random daily crypto prices.

    The layout is that of the platform's daily crypto data. The market has a bar for every calendar day.
    Returns follow a market factor and noise of each asset's own, and both have fat tails. Prices range from
    1e-7 to 3e5. Some assets are listed late, some end, some have gaps of days, some no volume and some no
    data. The `TOP` assets by capitalisation are liquid from the first of a month on, none in the first month.
    Assets are in two sorted groups. All fields are NaN where an asset has no bar.

    ValueError is raised without an asset or a day.
    """
    days = pd.date_range(start, end)
    if assets < 1 or len(days) == 0:
        raise ValueError(f"A market needs an asset and a day: {assets=} from {start} to {end}.")
    shape = len(days), assets
    close = _crypto_closes(seed, *shape)
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
    bar = _crypto_bars(seed, *shape)
    liquid = _largest(np.where(bar, supply * close, 0), days)
    values = np.stack([*(np.round(price, 10) for price in prices), np.rint(volume), liquid])
    values[:, ~bar] = np.nan
    first = assets - assets // 4
    names = [f"SYN{i:03d}" for i in range(first)] + [f"ALT{i:03d}" for i in range(assets - first)]
    coords = {"field": list(CRYPTO_FIELDS), "time": days, "asset": np.array(names)}
    return xr.DataArray(values, coords, DIMS, name=name)


def _crypto_closes(seed: int, days: int, assets: int) -> np.ndarray:
    chance = uniform(bits(seed, 0), 2, assets)
    beta, own = 0.5 + chance[0], 0.015 + 0.045 * chance[1]
    market = 0.0012 + 0.03 * _fat(bits(seed, 1), days)
    step = market[:, None] * beta + own * _fat(bits(seed, 2), days, assets)
    path = np.cumprod(1 + np.clip(step, -0.45, 0.8), axis=0)
    level = _powers_of_ten(bits(seed, 3), assets, -6, 4)
    return np.clip(level * path / path[0], LOWEST, HIGHEST)


def _fat(source: PCG64, *shape: int) -> np.ndarray:
    """Return random numbers with fat tails.

    Their variance is near 1. They are normal numbers, now and then several times as large.
    """
    chance = uniform(source, *shape)
    return normal(source, *shape) * np.where(chance < 0.02, 4.0, np.where(chance < 0.2, 1.5, 0.6))


def _powers_of_ten(source: PCG64, count: int, low: int, high: int) -> np.ndarray:
    """Return random numbers spread over powers of ten.

    The function avoids powers, which machines compute differently.
    """
    chance = uniform(source, 2, count)
    exponent = low + (chance[0] * (high - low)).astype(int)
    return np.array([float(f"1e{e}") for e in exponent]) * (1 + 9 * chance[1])


def _crypto_bars(seed: int, days: int, assets: int) -> np.ndarray:
    """Return True where an asset has a bar.

    The result has dims (day, asset).
    """
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
    """Return 1 where an asset is liquid, else 0.

    The result has dims (day, asset).
    """
    table, now = np.zeros_like(value), np.zeros(value.shape[1])
    for day, first in enumerate(days.day == 1):
        if first and day:
            order = np.argsort(-value[day - 1], kind="stable")[:TOP]
            now = np.zeros(value.shape[1])
            now[order[value[day - 1][order] > 0]] = 1
        table[day] = now
    return table
