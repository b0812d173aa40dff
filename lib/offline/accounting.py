"""The recursions behind qnt.stats in plain numpy.

They are daily returns of a portfolio, and holding times. Arrays are (time, asset). Trades happen at the open;
`weights` are the targets at that open, `tradable` says where a trade is possible, `open_` and `close` repeat
their last value in gaps, `slippage` is the price paid per share traded.
"""

import numpy as np

EPS = 1e-7


@np.errstate(all="ignore")
def portfolio_returns(weights, tradable, open_, close, slippage, dividends):
    """Return the relative returns of the whole portfolio.

    The result has the shape (time,) and is 0 where a return is not finite.

    Equity in shares that cannot be traded is set aside at the open, and the rest is spread over the others.
    Such shares are dropped the next day, as the company may no longer exist.
    """
    overnight = np.diff(open_, axis=0, prepend=open_[:1]) + dividends
    intraday = close - open_
    size = np.where(tradable, np.abs(weights), 0.0)
    invested = np.cumsum(np.abs(weights), axis=1)[:, -1]
    operable = np.cumsum(size, axis=1)[:, -1] + (np.maximum(1, invested) - invested)
    price = operable[:, None] * open_
    shares = np.zeros(weights.shape[1])
    after, nights = 1.0, np.ones(len(weights) + 1)
    for day, can_trade in enumerate(tradable):
        before = after + _sum(overnight[day] * shares)
        after, held = before, shares
        if operable[day] >= EPS:
            free = before - _sum(np.where(can_trade, 0.0, open_[day] * np.abs(held)))
            shares = np.where(can_trade, free * weights[day] / price[day], held)
            after = before - _sum(np.where(can_trade, slippage[day] * np.abs(shares - held), 0.0))
        nights[day + 1] = after + _sum(intraday[day] * shares)
        shares = np.where(can_trade, shares, 0.0)
    return _relative(nights)


@np.errstate(all="ignore")
def asset_returns(weights, tradable, open_, close, slippage, dividends):
    """Return the relative returns of single assets.

    Each asset is traded alone, with its own equity of 1. The result has the shape (time, asset). While an
    asset cannot be traded, its shares and its equity stand still.
    """
    overnight = np.diff(open_, axis=0, prepend=open_[:1]) + dividends
    overnight[0] = 0
    intraday = close - open_
    shares = np.zeros(weights.shape[1])
    after, nights = np.ones_like(shares), np.ones((len(weights) + 1, len(shares)))
    for day, can_trade in enumerate(tradable):
        before = after + overnight[day] * shares
        target = np.where(can_trade, before * weights[day] / open_[day], shares)
        after = np.where(can_trade, before - slippage[day] * np.abs(target - shares), after)
        nights[day + 1] = np.where(can_trade, after + intraday[day] * target, nights[day])
        shares = target
    return _relative(nights)


@np.errstate(all="ignore")
def holding_log(weights):
    """Return the amounts sold and their holding times.

    Both have the shape (time, asset) and are 0 where nothing was sold. Holding times are in bars.

    A growing position gets younger in proportion, a reduced one keeps its age, and one that changes sides
    starts at 0. Changes below 1e-7 and non-finite weights are ignored.
    """
    sold, held = np.zeros_like(weights), np.zeros_like(weights)
    position, age = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for day in range(1, len(weights)):
        age = age + 1
        target = weights[day - 1]
        change = target - position
        seen = np.isfinite(target) & (np.abs(change) >= EPS)
        smaller = seen & (np.sign(position) * np.sign(change) < 0)
        turned = smaller & (np.abs(change) > np.abs(position))
        sold[day] = np.where(smaller, np.minimum(np.abs(change), np.abs(position)), 0.0)
        held[day] = np.where(smaller, age, 0.0)
        grown = seen & ~smaller & (target != 0)
        age = np.where(grown, age * np.abs(position) / np.abs(target), np.where(turned, 0.0, age))
        position = np.where(seen, target, position)
    return sold, held


def _sum(values):
    """Return the sum without NaN.

    Values are added in sequence, so that the sum is rounded as on the platform.
    """
    return np.add.accumulate(np.where(np.isnan(values), 0.0, values))[-1]


def _relative(nights):
    returns = nights[1:] / nights[:-1] - 1
    return np.where(np.isfinite(returns), returns, 0)
