"""A made-up stock market: what would prices look like if they were nothing but chance?

Every number is built from raw random bits by additions, multiplications, divisions and square roots alone. IEEE 754
fixes these to the last bit, so the market is the same on every machine; exp, log and matrix products are not.
"""

from math import sqrt

import numpy as np
import xarray as xr

from lib.offline.nyse import trading_days

FIELDS = ("open", "low", "high", "close", "vol", "divs", "split_cumprod", "is_liquid")
SECTORS = 8
OVERNIGHT, INTRADAY = 0.45, 0.9  # their squares sum to 1: together they are one day's variance
YEARLY_DRIFT, TRADING_YEAR = 0.09, 252


def generate(
    assets=100, start="2005-01-03", end="2024-12-31", seed=2005, exchange="NAS", name="stocks_nasdaq100"
):
    """Make a market of random prices in the platform's layout, the same for the same arguments everywhere.

    Returns follow a market factor with clustered volatility, sector factors and noise of each asset's own with
    jumps; drift is paid for exposure to the market only. Nothing in the past of a price says anything about its
    future. Everything that makes real data awkward is there: listings, delistings, halts, index changes, dividends.
    Small markets (`assets=10`, one year) have all of it too, and take milliseconds.

    Parameters
    ----------
    assets : int
        Size of the index; about 1.6 times as many tickers exist over time.
    start, end : str or numpy.datetime64
        First and last calendar day; days on which the New York exchange is closed are left out.
    seed : int
    exchange : str
        Before the colon in the ticker: ``NAS:SYN001``.
    name : str
        Of the result.

    Returns
    -------
    xarray.DataArray
        float64, dims (field, time, asset). Prices and dividends in dollars with 4 decimals, adjusted for splits;
        NaN in every field before listing, after delisting and on halted days; `is_liquid` 1 in the index, else 0.

    Raises
    ------
    ValueError
        Fewer than one asset or no trading day.
    """
    days = trading_days(start, end)
    if assets < 1 or len(days) == 0:
        raise ValueError(
            f"a market needs an asset and a trading day, not assets={assets} from {start} to {end}"
        )
    tickers = assets + max(1, (6 * assets) // 10)
    listed, gone = _lifetimes(_bits(seed, 0), len(days), assets, tickers)
    yields, ex_days = _dividends(_bits(seed, 1), len(days), tickers)
    path = _paths(seed, len(days), tickers, yields * ex_days)
    first_price = 15 + 135 * _uniform(_bits(seed, 2), tickers)
    path *= first_price / path[listed, 0, np.arange(tickers)]

    values = np.empty((len(days), len(FIELDS), tickers))
    field = dict(zip(FIELDS, np.moveaxis(values, 1, 0), strict=True))
    field["open"][:], field["close"][:] = path[:, 0], path[:, 1]
    reach = 0.008 * _normal(_bits(seed, 3), 2, len(days), tickers)
    field["high"][:] = np.maximum(path[:, 0], path[:, 1]) * (1 + np.abs(reach[0]))
    field["low"][:] = np.minimum(path[:, 0], path[:, 1]) * (1 - np.abs(reach[1]))
    field["vol"][:] = _volumes(_bits(seed, 4), path)
    before = np.concatenate([path[:1, 0], path[:-1, 1]])
    field["divs"][:] = before * yields * ex_days
    field["split_cumprod"][:] = _splits(_bits(seed, 5), len(days), tickers)
    field["is_liquid"][:] = _index(_bits(seed, 6), len(days), assets, listed, gone)
    np.round(values, 4, out=values)

    day = np.arange(len(days))[:, None]
    dark = (day < listed) | (day >= gone) | (_halts(_bits(seed, 7), len(days), tickers) & ~ex_days)
    values.transpose(0, 2, 1)[dark] = np.nan
    width = max(3, len(str(tickers)))
    names = np.array([f"{exchange}:SYN{i + 1:0{width}d}" for i in range(tickers)])
    coords = {"field": list(FIELDS), "time": days.astype("datetime64[ns]"), "asset": names}
    return xr.DataArray(values.transpose(1, 0, 2), coords, ("field", "time", "asset"), name=name)


def _bits(seed, purpose):
    """One stream per purpose: a change to one leaves the others as they are."""
    return np.random.PCG64([seed, purpose])


def _uniform(bits, *shape):
    # numpy promises to keep the raw bits of a bit generator, but not what Generator makes of them.
    return (bits.random_raw(shape) >> np.uint64(11)) * 2.0**-53


def _normal(bits, *shape):
    total = _uniform(bits, *shape)
    for _ in range(11):
        total += _uniform(bits, *shape)
    return total - 6


def _lifetimes(bits, days, assets, tickers):
    """First day and day after the last, for each ticker: most of the late ones list later, a fifth delists."""
    order = np.argsort(_uniform(bits, tickers), kind="stable")
    chance = _uniform(bits, 3, tickers)
    old = assets + (tickers - assets) // 4
    listed = np.where(order < old, 0, 1 + (0.9 * days * chance[0]).astype(int))
    listed = np.minimum(listed, days - 1)
    left = days - listed
    gone = np.where(
        chance[1] < 0.2, listed + np.maximum(1, (left * (0.3 + 0.7 * chance[2])).astype(int)), days
    )
    return listed, gone


def _dividends(bits, days, tickers):
    """Quarterly yield (a fraction of the price) and ex-dividend days of each ticker; nearly half pay nothing."""
    chance = _uniform(bits, 3, tickers)
    yields = np.where(chance[0] < 0.55, 0.001 + 0.006 * chance[1], 0)
    quarter = TRADING_YEAR // 4
    due = np.arange(days)[:, None] % quarter == (chance[2] * quarter).astype(int)
    return yields, due & (yields > 0)


def _paths(seed, days, tickers, dividends):
    """Price relative to its start at each open and close: (day, 2, ticker). It falls by each dividend."""
    chance = _uniform(_bits(seed, 10), 4, tickers)
    calm = chance[0] < 0.15  # utilities, food: what a low-volatility selection looks for
    beta = np.where(calm, 0.35 + 0.25 * chance[1], 0.7 + 0.8 * chance[1])
    own = np.where(calm, 0.005 + 0.003 * chance[2], 0.011 + 0.016 * chance[2] * chance[2])
    sector = (chance[3] * SECTORS).astype(int)
    part = np.array([OVERNIGHT, INTRADAY])

    shocks = _normal(_bits(seed, 11), days, 2) * part
    volatility = _clustered(shocks[:, 0] + shocks[:, 1])
    market = YEARLY_DRIFT / TRADING_YEAR / 2 + volatility[:, None] * shocks
    tension = 0.5 + 50 * volatility  # about 1 on a usual day
    sectors = 0.005 * _normal(_bits(seed, 12), days, 2, SECTORS) * (tension[:, None] * part)[:, :, None]
    step = _normal(_bits(seed, 13), days, 2, tickers)
    step *= (tension[:, None] * part)[:, :, None] * own
    step[:, 0] *= np.where(_uniform(_bits(seed, 14), days, tickers) < 0.015, 6.0, 1.0)  # news, overnight
    step += market[:, :, None] * beta
    step += sectors[:, :, sector]
    np.clip(step, -0.5, 1.0, out=step)
    step[:, 0] -= dividends
    step += 1
    return np.cumprod(step.reshape(2 * days, tickers), axis=0).reshape(days, 2, tickers)


def _clustered(shocks):
    """Daily volatility of the market, rising after large moves and calming down over weeks (a GARCH process)."""
    usual = 0.0105**2
    variance, volatility = usual, []
    for shock in shocks.tolist():
        volatility.append(sqrt(variance))
        variance = min(0.02 * usual + (0.09 * shock * shock + 0.89) * variance, 0.05**2)
    return np.array(volatility)


def _volumes(bits, path):
    """Shares traded: a typical turnover in dollars by ticker, more on days that move."""
    days, _, tickers = path.shape
    chance = _uniform(bits, tickers)
    dollars = 4e7 + 9e8 * chance * chance * chance
    noise = 0.5 + _uniform(bits, days, tickers)
    move = np.abs(path[:, 1] / path[:, 0] - 1)
    return np.rint(dollars * noise * (1 + 30 * move) / path[:, 1])


def _splits(bits, days, tickers):
    """Product of all splits so far; prices are already adjusted for them."""
    chance = _uniform(bits, days, tickers)
    rare = 1 / (20 * TRADING_YEAR)
    return np.cumprod(np.where(chance < rare / 4, 3.0, np.where(chance < rare, 2.0, 1.0)), axis=0)


def _halts(bits, days, tickers):
    """True on days without trading: about one in six years of a ticker, one to five days long."""
    chance = _uniform(bits, days, tickers)
    rare = 1 / (6 * TRADING_YEAR)
    halted = np.zeros((days, tickers), dtype=bool)
    for lag in range(min(5, days)):
        halted[lag:] |= chance[: days - lag] < rare * (5 - lag) / 5
    return halted


def _index(bits, days, assets, listed, gone):
    """1 where a ticker is in the index: reviewed some forty times, and mended when a member delists."""
    review = max(5, days // 40)
    members, table = np.zeros(len(listed), dtype=bool), np.zeros((days, len(listed)))
    for day in range(days):
        members &= gone > day
        if day and day % review == 0:
            for leaver in _draw(bits, members, max(1, assets // 33)):
                members[leaver] = False
                waiting = (listed <= day - 1) & (gone > day) & ~members
                waiting[leaver] = False
                members[_draw(bits, waiting, 1) or [leaver]] = True
        waiting = (listed <= max(0, day - 1)) & (gone > day) & ~members
        members[_draw(bits, waiting, assets - int(members.sum()))] = True
        table[day] = members
    return table


def _draw(bits, flags, count):
    """Some of the true positions by chance, at most `count` of them."""
    among = np.flatnonzero(flags)
    if count < 1 or len(among) == 0:
        return []
    order = np.argsort(_uniform(bits, len(among)), kind="stable")
    return among[order[:count]].tolist()
