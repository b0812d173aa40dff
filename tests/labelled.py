"""The strategy's features with labels, as the platform's own template has them."""

import xarray as xr

from lib.engine.inputs import feature_names, feature_values
from lib.market_data import check_data
from lib.strategy import Strategy


def get_features(data: xr.DataArray, strategy: Strategy) -> xr.DataArray:
    """Features of every day, dims (feature, time, asset)."""
    data = check_data(data)
    coords = {"feature": feature_names(strategy), "time": data.time, "asset": data.asset}
    return xr.DataArray(feature_values(data, strategy), coords, ("feature", "time", "asset"))
