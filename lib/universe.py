"""Which assets to trade?"""

from typing import TYPE_CHECKING

import numpy as np

from lib.strategy import Strategy, find

if TYPE_CHECKING:
    import xarray as xr

LAYOUT = ("field", "time", "asset")


def select_assets(data: "xr.DataArray", strategy: Strategy | None = None) -> list[str]:
    """Names of the assets to train and trade, in the order of `data`.

    Only assets that are liquid on the last day of `data` (field, time, asset) are offered to the strategy's
    `selection`. No asset where none is liquid.
    """
    strategy = strategy or Strategy()
    data = check_data(data)
    liquid = field(data, "is_liquid")[-1] > 0  # NaN is not
    if not liquid.any():
        return []
    offered = data.isel(asset=np.flatnonzero(liquid))
    chosen = np.asarray(find("selection", strategy.selection, SELECTIONS)(offered, strategy))
    if chosen.dtype != bool or chosen.shape != (offered.sizes["asset"],):
        raise ValueError(
            f"selection must answer one True or False for each of the {offered.sizes['asset']} assets given, "
            f"not an array of {chosen.dtype} with shape {chosen.shape}."
        )
    return offered.get_index("asset")[chosen].tolist()


# ---- your place: a selection takes data (field, time, asset) of liquid assets, answers a bool for each ----


def low_volatility(data: "xr.DataArray", strategy: Strategy) -> np.ndarray:
    """The `top_assets` with the lowest standard deviation of daily returns over the window.

    The window is `lookback_period` **trading** days, or all there are. An asset with a gap in it is left out;
    equal volatilities share the mean of their ranks, so that slightly more or fewer may pass. As published,
    like the last row of `qnt.filter.filter_volatility`, which ranks every day to tell of the last.
    """
    window = min(strategy.lookback_period, data.sizes["time"] - 1)
    if window < 1:
        return np.zeros(data.sizes["asset"], bool)
    close = field(data, "close")[-window - 1 :]
    with np.errstate(all="ignore"):
        volatility = (np.diff(close, axis=0) / close[:-1]).std(axis=0)
    known = np.flatnonzero(np.isfinite(volatility))
    chosen = np.zeros(data.sizes["asset"], bool)
    _, place, count = np.unique(volatility[known], return_inverse=True, return_counts=True)
    mean_rank = (np.cumsum(count) - (count - 1) / 2)[place]
    chosen[known[mean_rank <= strategy.top_assets]] = True
    return chosen


SELECTIONS = {selection.__name__: selection for selection in (low_volatility,)}

# ---- end of your place ----


def check_data(data: "xr.DataArray") -> "xr.DataArray":
    """`data` with dims in the order (field, time, asset); or a sentence that says why they cannot be used.

    Raises
    ------
    ValueError
        Other dims than field, time and asset, a missing field, no day, days unsorted or twice, an asset
        twice.
    """
    dims = getattr(data, "dims", ())
    if set(dims) != set(LAYOUT):
        got = dims or type(data).__name__
        raise ValueError(
            f"data must have the dimensions {LAYOUT}, not {got}: pass what strategy.load_data returns."
        )
    if dims != LAYOUT:
        data = data.transpose(*LAYOUT)
    missing = {"open", "close", "is_liquid"}.difference(data.get_index("field"))
    if missing:
        raise ValueError(
            f"data lack the field {', '.join(sorted(missing))}: pass what strategy.load_data returns."
        )
    days, assets = data.get_index("time"), data.get_index("asset")
    if len(days) == 0:
        raise ValueError("data hold no day: load a longer period, or an earlier end.")
    if not (days.is_monotonic_increasing and days.is_unique):
        raise ValueError("days must ascend, each once: use data.sortby('time').drop_duplicates('time').")
    if not assets.is_unique:
        raise ValueError("an asset stands twice in the data: use data.drop_duplicates('asset').")
    return data


def field(data: "xr.DataArray", name: str) -> np.ndarray:
    """Values (time, asset) of one field of checked data: `data.sel(field=name).values`, sooner."""
    return data.values[data.get_index("field").get_loc(name)]
