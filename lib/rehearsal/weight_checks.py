"""The rules that the weights of one pass must meet."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from lib.common.competitions import Competition
from lib.common.rules import ILLIQUID, LARGEST, ROUNDING, SHORT, broken_positions, missed_days

if TYPE_CHECKING:
    import xarray as xr


def weight_faults(
    weights: "xr.DataArray", day: np.datetime64, data: "xr.DataArray", rules: Competition
) -> list[str]:
    """Return the faults of the weights that a pass wrote, in sentences.

    Parameters
    ----------
    weights : xarray.DataArray
        (time, asset); every row counts, as in the platform's precheck.
    day : numpy.datetime64[D]
        The last day of the pass's data.
    data : xarray.DataArray
        (field, time, asset) from before the first day of the weights on; an unknown asset is a column of NaN.
    rules : Competition
    """
    if set(weights.dims) != {"time", "asset"}:
        dims = ", ".join(map(str, weights.dims))
        return [f"the day is missed: the weights have the dimensions {dims}, not time, asset"]
    weights = weights.transpose("time", "asset")
    days, values = weights.time.values.astype("M8[D]"), weights.values.astype(float)
    assets = np.array(weights.asset.values.tolist(), dtype=str)
    for what, labels in (("day", days), ("asset", assets)):
        unique, count = np.unique(labels, return_counts=True)
        if (count > 1).any():
            return [f"{what} {unique[count > 1][0]} stands in the weights more than once"]
    if day not in days:
        written = f"of {days.min()} to {days.max()}" if len(days) else "of no day"
        return [f"the day is missed: the weights written are {written}"]
    finite = np.isfinite(values)
    broken = broken_positions(data, weights.where(finite, 0), rules)
    held = values != 0
    market = data.time.values.astype("M8[D]")
    unknown_days = days[held.any(axis=1) & ~np.isin(days, market[market <= day])]
    missed = missed_days(data, days[days <= day])
    known = np.isin(assets, known_assets(data))
    unknown = assets[held.any(axis=0) & ~known]
    illiquid = broken[ILLIQUID] & known & np.isin(days, market)[:, None]
    total = np.abs(np.where(finite, values, 0)).sum(axis=1)
    most = int(total.argmax())

    def listed(where: np.ndarray) -> str:
        rows, columns = np.nonzero(where)
        return first_five(
            f"{assets[c]} {values[r, c]:.3f} on {days[r]}" for r, c in zip(rows, columns, strict=True)
        )

    checks = [
        (len(unknown_days), f"weights of days that are not in the pass's data: {first_five(unknown_days)}"),
        (len(missed), f"days are missed inside the weights: {first_five(missed)}"),
        (len(unknown), f"unknown assets: {first_five(unknown)} have no data in this competition"),
        (not finite.all(), f"a weight is not a finite number: {listed(~finite)}"),
        (illiquid.any(), f"illiquid positions: {listed(illiquid)}"),
        (
            broken[LARGEST].any(),
            f"positions over the limit of {rules.max_position}: {listed(broken[LARGEST])}",
        ),
        (broken[SHORT].any(), f"short positions, in a long-only competition: {listed(broken[SHORT])}"),
        (
            total[most] > 1 + ROUNDING,
            f"the weights of {days[most]} add up to {total[most]:.3f}, more than the whole capital",
        ),
    ]
    return [sentence for fails, sentence in checks if fails]


def known_assets(data: "xr.DataArray") -> np.ndarray:
    """Return the names of the assets that have data on some day."""
    close = data.sel(field="close").transpose("time", "asset").values
    return data.asset.values[np.isfinite(close).any(axis=0)].astype(str)


def tradable_positions(
    weights: Mapping[str, float], day: np.datetime64, data: "xr.DataArray", rules: Competition
) -> dict[str, float]:
    """Return the weights other than 0 that can be traded on a day."""
    import xarray as xr

    coords = {"time": [day.astype("M8[ns]")], "asset": list(weights)}
    row = xr.DataArray([list(weights.values())], coords, ("time", "asset")).astype(float)
    rules = rules._replace(carries_weights=False)  # without a price nothing is traded, though it may be held
    stuck = broken_positions(data, row, rules)[ILLIQUID][0]
    return {
        asset: weight
        for (asset, weight), out in zip(weights.items(), stuck, strict=True)
        if weight and not out
    }


def first_five(names: Iterable[object]) -> str:
    """Return the first five names, and how many more there are."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
