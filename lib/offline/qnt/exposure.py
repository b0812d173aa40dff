"""The sizes of positions: normalized weights, and limits on single positions."""

import numpy as np
import pandas as pd
import xarray as xr

from lib.offline import accounting, uncovered

from .data.common import ds


def normalize(output: xr.DataArray, per_asset: bool = False) -> xr.DataArray:
    """Return finite, normalized weights.

    Non-finite weights become 0, and each day is divided by its sum of sizes above 1. With `per_asset` every
    weight is clipped to -1..1 instead. The result has dims (time, asset), sorted by both, or (asset) in the
    given order. InvalidIndexError is raised for a day or an asset that occurs twice.
    """
    output = output.where(np.isfinite(output)).fillna(0)
    if ds.TIME in output.dims:
        for dim in (ds.TIME, ds.ASSET):
            if not output.indexes[dim].is_unique:
                twice = output[dim].values[output.indexes[dim].duplicated()][0]
                raise pd.errors.InvalidIndexError(f"The weights have {twice} more than once on axis {dim}.")
        output = output.transpose(ds.TIME, ds.ASSET).sortby([ds.TIME, ds.ASSET])
    if per_asset:
        output = output.clip(-1, 1, keep_attrs=False)
    else:
        output = output / abs(output).sum(ds.ASSET).clip(min=1)
    return output.drop_vars(ds.FIELD, errors="ignore")


def calc_exposure(portfolio_history):
    """Return the relative size of each position.

    It is a share of the day, from 0 to 1. NaN stays.
    """
    size = abs(portfolio_history)
    total = size.sum("asset")
    return size / total.where(total > accounting.EPS, 1)


def cut_big_positions(weights: xr.DataArray, max_weight: float = 0.049) -> xr.DataArray:
    """Limit every position to `max_weight` in size.

    Sign and NaN stay.
    """
    return xr.where(abs(weights) > max_weight, np.sign(weights) * max_weight, weights)


def normalize_by_max_exposure(weights: xr.DataArray, max_exposure: float = 0.1) -> xr.DataArray:
    """Scale days down to a biggest position.

    The whole day is scaled until its biggest position is `max_exposure`. NaN stays.
    """
    biggest = abs(weights).max("asset")
    return weights / xr.where(biggest > max_exposure, biggest / max_exposure, 1)


def drop_bad_days(weights: xr.DataArray, max_weight: float = 0.049) -> xr.DataArray:
    """Set days with too big positions to 0.

    Such a day has a position that is not below `max_weight`, as a share of the day. NaN becomes 0.
    """
    return weights.where(calc_exposure(weights).max("asset") < max_weight).fillna(0)


__getattr__ = uncovered(__name__)
