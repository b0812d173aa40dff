"""A market whose next move a feature can see, as strongly as is asked; of strength 0 it is pure chance."""

import numpy as np
import pandas as pd
import xarray as xr

from lib import Strategy
from lib.common.market_data import field
from tests.markets import FIELDS, LAST_DAY

VOLATILITY = 0.01  # of a day


def planted_market(
    strength: float, seed: int, days: int, assets: int = 10, flip: float = 0.1
) -> xr.DataArray:
    """Returns of each day have the mean ±strength * volatility, by the sign that the volume shows before.

    The sign of an asset changes with the probability `flip` a day. With strength 0.3 the sign is right on 62
    of 100 days.
    """
    rng = np.random.default_rng(seed)
    flips = np.cumprod(np.where(rng.random((days, assets)) < flip, -1, 1), axis=0)
    signs = flips * np.where(rng.random(assets) < 0.5, -1, 1)
    moves = rng.normal(0, VOLATILITY, (days, assets))
    moves[2:] += strength * VOLATILITY * signs[:-2]  # from the next open to the one after it
    opened = 50 * np.exp(np.cumsum(moves, axis=0))
    close = opened * np.exp(rng.normal(0, 1e-4, opened.shape))
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    still, all_days = np.zeros_like(opened), np.ones_like(opened)
    data = np.stack([opened, low, high, close, 2.0 + signs, still, all_days, all_days])
    coords = {
        "field": FIELDS,
        "time": pd.bdate_range(end=LAST_DAY, periods=days),
        "asset": [f"NAS:{k:03}" for k in range(assets)],
    }
    return xr.DataArray(data, coords, ("field", "time", "asset"), name="stocks_nasdaq100")


def shown_sign(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    """The sign that the volume shows."""
    return field(data, "vol") - 2.0


STRATEGY = Strategy(
    features=shown_sign,
    target="tradable_open_up",
    sizing="ranked",
    hidden_size=4,
    lookback_period=60,
    retrain_interval=120,
    whole_sequence=True,
    leave_out_unknown=True,
    max_weight=0.1,
    min_weight=0.0,
)
