"""Corporate actions of the synthetic market: listings, dividends, splits, halts and index reviews."""

import numpy as np
from numpy.random import PCG64

from lib.offline.random_bits import draw, uniform

TRADING_YEAR = 252


def lifetimes(source: PCG64, days: int, assets: int, tickers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each ticker's first day and day after the last; 3 in 8 list late, 1 in 5 delists."""
    order = np.argsort(uniform(source, tickers), kind="stable")
    chance = uniform(source, 3, tickers)
    old = assets + (tickers - assets) // 4
    listed = np.where(order < old, 0, 1 + (0.9 * days * chance[0]).astype(int))
    listed = np.minimum(listed, days - 1)
    lived = np.maximum(1, ((days - listed) * (0.3 + 0.7 * chance[2])).astype(int))
    return listed, np.where(chance[1] < 0.2, listed + lived, days)


def dividends(source: PCG64, days: int, tickers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return quarterly yields (ticker) as fractions of the price, and ex-dividend days (day, ticker)."""
    chance = uniform(source, 3, tickers)
    yields = np.where(chance[0] < 0.55, 0.001 + 0.006 * chance[1], 0)
    quarter = TRADING_YEAR // 4
    due = np.arange(days)[:, None] % quarter == (chance[2] * quarter).astype(int)
    return yields, due & (yields > 0)


def splits(source: PCG64, days: int, tickers: int) -> np.ndarray:
    """Return the product of all splits so far (day, ticker): one in twenty years, 2:1 or 3:1."""
    chance = uniform(source, days, tickers)
    rare = 1 / (20 * TRADING_YEAR)
    return np.cumprod(np.where(chance < rare / 4, 3.0, np.where(chance < rare, 2.0, 1.0)), axis=0)


def halts(source: PCG64, days: int, tickers: int) -> np.ndarray:
    """Return True on days without trading (day, ticker): one halt in six years, of one to five days."""
    chance = uniform(source, days, tickers)
    rare = 1 / (6 * TRADING_YEAR)
    halted = np.zeros((days, tickers), dtype=bool)
    for lag in range(min(5, days)):
        halted[lag:] |= chance[: days - lag] < rare * (5 - lag) / 5
    return halted


def index(source: PCG64, days: int, assets: int, listed: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Return 1 where a ticker is in the index, else 0 (day, ticker).

    Each of some forty reviews replaces a random 3 % of the members. A delisted member is replaced at once if
    another ticker is available.
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
