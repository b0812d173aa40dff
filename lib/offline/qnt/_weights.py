"""Normalized weights: finite, sorted, their absolute values adding up to at most 1 a day."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .data.common import ds


def normalize(output: xr.DataArray, per_asset: bool = False) -> xr.DataArray:
    """Return finite weights: non-finite ones become 0, each day is divided by its sum of sizes above 1.

    With `per_asset` every weight is clipped to -1..1 instead. The result has dims (time, asset), sorted by
    both, or (asset) in the given order. InvalidIndexError for a day or an asset that occurs twice.
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


def align(output: xr.DataArray, time_coord: xr.DataArray, start: Any = None, end: Any = None) -> xr.DataArray:
    """Return normalized weights for exactly the days (and other axes) of `time_coord` from `start` to `end`.

    Both ends are included; days that `output` lacks are 0.
    """
    days = time_coord.sel(time=slice(start, None)).sel(time=slice(None, end))
    return normalize(xr.align(output, days, join="right")[0].fillna(0))
