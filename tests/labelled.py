"""Features and weights by label, to be compared with labelled arrays."""

import numpy as np
import xarray as xr

from lib.common.market_data import check_data
from lib.engine.inputs import feature_names, feature_values
from lib.state import State
from lib.strategy import Strategy


def get_features(data: xr.DataArray, strategy: Strategy) -> xr.DataArray:
    """Features of every day, dims (feature, time, asset)."""
    data = check_data(data)
    coords = {"feature": feature_names(strategy), "time": data.time, "asset": data.asset}
    return xr.DataArray(feature_values(data, strategy), coords, ("feature", "time", "asset"))


def weights_in(state: State, assets: xr.DataArray) -> np.ndarray:
    """Weights of a state in the order of some assets, 0 where one is not held."""
    return np.array([state.weights.get(asset, 0.0) for asset in assets.values.tolist()])
