"""The layout of market data: its checks, and access to its fields."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

LAYOUT = ("field", "time", "asset")
FIELDS = ("open", "low", "high", "close", "vol", "divs", "split_cumprod", "is_liquid")
HINT = "pass what strategy.load_data returns."


def check_data(data: "xr.DataArray") -> "xr.DataArray":
    """Return `data` with its dimensions in the order (field, time, asset).

    Raises
    ------
    ValueError
        Other dimensions than field, time and asset; values that are not numbers; time labels that are not
        dates; a field that is missing or occurs twice; no day; days unsorted or repeated; a repeated asset.
    """
    dims = getattr(data, "dims", ())
    if set(dims) != set(LAYOUT):
        got = dims or type(data).__name__
        raise ValueError(f"data must have the dimensions {LAYOUT}, not {got}: {HINT}")
    if dims != LAYOUT:
        data = data.transpose(*LAYOUT)
    if data.dtype.kind not in "fiu":
        raise ValueError(f"data must hold numbers, not values of type {data.dtype}: use data.astype(float).")
    fields, days, assets = (data.get_index(dim) for dim in LAYOUT)
    missing = {"open", "close", "is_liquid"}.difference(fields)
    if missing:
        raise ValueError(f"data lack the field {', '.join(sorted(missing))}: {HINT}")
    if not fields.is_unique:
        raise ValueError(f"data hold the field {fields[fields.duplicated()][0]} twice: {HINT}")
    if len(days) == 0:
        raise ValueError("data hold no day: load a longer period, or an earlier end.")
    if days.dtype.kind != "M":
        raise ValueError(f"the time labels of data must be dates, not values of type {days.dtype}: {HINT}")
    if not (days.is_monotonic_increasing and days.is_unique):
        raise ValueError(
            "days must ascend without repetition: sort them with data.sortby('time') and "
            "remove repeated ones with data.drop_duplicates('time')."
        )
    if not assets.is_unique:
        raise ValueError("an asset occurs twice in the data: use data.drop_duplicates('asset').")
    return data


def field(data: "xr.DataArray", name: str) -> np.ndarray:
    """Values (time, asset) of one field of data in the layout (field, time, asset), as a view.

    Equal to ``data.sel(field=name).values``, and faster.
    """
    return data.values[data.get_index("field").get_loc(name)]


def trading_days(data: "xr.DataArray") -> np.ndarray:
    """Days of data (field, time, asset) on which something is liquid, datetime64[D]."""
    return data.time.values[(field(data, "is_liquid") > 0).any(axis=1)].astype("M8[D]")


def filled(values: np.ndarray) -> np.ndarray:
    """Values (time, ...) with gaps forward-filled along time, then back-filled, then set to 1."""
    if not np.isnan(values).any():
        return values
    values = _forward_filled(_forward_filled(values)[::-1])[::-1]
    return np.where(np.isnan(values), 1.0, values)


def _forward_filled(values: np.ndarray) -> np.ndarray:
    days = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    last_seen = np.maximum.accumulate(np.where(np.isnan(values), 0, days), axis=0)
    return np.take_along_axis(values, last_seen, axis=0)
