"""Selections of the assets that rank lowest or highest on each day."""

import bottleneck
import numpy as np
import xarray as xr

from lib.offline import uncovered


def rank_assets_by(data: xr.DataArray, criterion: xr.DataArray, top_assets: float, ascending: bool):
    """Mark the assets with the best daily ranks.

    An asset passes if it ranks among the first `top_assets` of the day by `criterion` (time, asset). The
    lowest comes first with `ascending`, otherwise the highest. Ties share their average rank, so that
    slightly more or fewer may pass.

    The result is a DataArray (time, asset) for all days and assets of `data`, a market (field, time, asset).
    It is 1 where the asset passes, else 0, also where the criterion is NaN or missing.
    """
    close = data.sel(field="close")
    chosen = xr.zeros_like(close.drop_vars("field").rename(None), dtype=np.float64).drop_attrs()
    criterion = criterion.transpose("time", "asset").reindex(time=close.time, asset=close.asset)
    values = criterion.values if ascending else -criterion.values
    if values.size:
        chosen.values[:] = bottleneck.nanrankdata(values, axis=1) <= top_assets
    return chosen


def filter_volatility(
    data: xr.DataArray,
    rolling_window: int,
    top_assets: float,
    metric: str = "std",
    ascending: bool = True,
):
    """Mark the assets of least volatility each day.

    The marks are as in `rank_assets_by`. `metric` is "std", the population standard deviation of the last
    `rolling_window` simple daily returns, or "mean", their mean. One NaN return in the window excludes the
    asset that day. ValueError is raised for a window that is not from 1 to ``len(data.time) - 1`` trading
    days.
    """
    returns = data.sel(field="close").diff("time") / data.sel(field="close").shift(time=1)
    if not 1 <= rolling_window <= returns.sizes["time"]:
        raise ValueError(
            f"rolling_window is {rolling_window}, but {data.sizes['time']} days of data allow a window of 1 "
            f"to {returns.sizes['time']} daily returns: load more days or take another window"
        )
    window = returns.rolling(time=rolling_window)
    if metric not in ("std", "mean"):
        raise ValueError(f"Unsupported metric: {metric}; use 'std' or 'mean'")
    return rank_assets_by(data, window.std() if metric == "std" else window.mean(), top_assets, ascending)


__getattr__ = uncovered(__name__)
