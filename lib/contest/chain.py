"""The chain of the passes: the weights of all days, which each day hands on to the next."""

from typing import TYPE_CHECKING

import numpy as np

from lib.common.market_data import ending_with
from lib.contest.passes import Pass
from lib.contest.windows import last_days_seen
from lib.engine.weights import weights_of_day
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr


def follow(strategy: Strategy, data: "xr.DataArray", passes: list[Pass]) -> "xr.DataArray":
    """Weights (time, asset) of every day, each blended with those of the day before."""
    import xarray as xr

    state = None
    days = np.array([entry.day for entry in passes], dtype="M8[D]")
    table = np.zeros((len(days), data.sizes["asset"]))
    places = data.get_index("asset")
    seen_days = last_days_seen(data, days, strategy.lookback_period)
    for row, seen, entry in zip(table, seen_days, passes, strict=True):
        with ending_with(seen):
            weights, state = weights_of_day(entry.outputs, set(entry.models), seen, state, strategy)
        row[places.get_indexer(weights.get_index("asset"))] = weights.values[0]
    coords = {"time": days.astype("M8[ns]"), "asset": data.asset.values}
    return xr.DataArray(table, coords, ("time", "asset"), name=data.name)
