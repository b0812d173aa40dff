"""Limits on single positions."""

import numpy as np
import xarray as xr

from lib.offline import uncovered

from ._holdings import calc_exposure


def cut_big_positions(weights: xr.DataArray, max_weight: float = 0.049) -> xr.DataArray:
    """Limit every position to `max_weight` in size; sign and NaN stay."""
    return xr.where(abs(weights) > max_weight, np.sign(weights) * max_weight, weights)


def normalize_by_max_exposure(weights: xr.DataArray, max_exposure: float = 0.1) -> xr.DataArray:
    """Scale a whole day down until its biggest position is `max_exposure`; NaN stays."""
    biggest = abs(weights).max("asset")
    return weights / xr.where(biggest > max_exposure, biggest / max_exposure, 1)


def drop_bad_days(weights: xr.DataArray, max_weight: float = 0.049) -> xr.DataArray:
    """Set to 0 every day on which a position is not below `max_weight`, as a share of the day; NaN is 0."""
    return weights.where(calc_exposure(weights).max("asset") < max_weight).fillna(0)


__getattr__ = uncovered(__name__)
