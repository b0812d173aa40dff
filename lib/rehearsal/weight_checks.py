"""The rules that the weights of one pass must meet."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from lib.common.competitions import Competition

if TYPE_CHECKING:
    import xarray as xr

ROUNDING = 1e-9


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
    days, values = weights.time.values.astype("M8[D]"), weights.values
    assets = np.array(weights.asset.values.tolist(), dtype=str)
    for what, labels in (("day", days), ("asset", assets)):
        unique, count = np.unique(labels, return_counts=True)
        if (count > 1).any():
            return [f"{what} {unique[count > 1][0]} stands in the weights more than once"]
    if day not in days:
        written = f"of {days.min()} to {days.max()}" if len(days) else "of no day"
        return [f"the day is missed: the weights written are {written}"]
    held = ~(values == 0)  # NaN too
    market = data.time.values.astype("M8[D]")
    unknown_days = days[held.any(axis=1) & ~np.isin(days, market[market <= day])]
    missed = market[(market > days.min()) & (market < day) & ~np.isin(market, days)]
    known = np.isin(assets, known_assets(data))
    unknown = assets[held.any(axis=0) & ~known]

    def listed(where: np.ndarray) -> str:
        rows, columns = np.nonzero(where)
        return some(
            [f"{assets[c]} {values[r, c]:.3f} on {days[r]}" for r, c in zip(rows, columns, strict=True)]
        )

    infinite, large, short = ~np.isfinite(values), np.abs(values) > rules.max_position + ROUNDING, values < 0
    illiquid = held & known & np.isin(days, market)[:, None] & ~_tradable(data, days, assets)
    total = np.abs(np.where(infinite, 0, values)).sum(axis=1)
    most = int(total.argmax())
    checks = [
        (len(unknown_days), f"weights of days that are not in the pass's data: {some(unknown_days)}"),
        (len(missed), f"days are missed inside the weights: {some(missed)}"),
        (len(unknown), f"unknown assets: {some(unknown)} have no data in this competition"),
        (infinite.any(), f"a weight is not a finite number: {listed(infinite)}"),
        (illiquid.any(), f"illiquid positions: {listed(illiquid)}"),
        (large.any(), f"positions over the limit of {rules.max_position}: {listed(large)}"),
        (rules.long_only and short.any(), f"short positions, in a long-only competition: {listed(short)}"),
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


def positions(weights: Mapping[str, float], day: np.datetime64, data: "xr.DataArray") -> dict[str, float]:
    """Return the weights other than 0 that can be traded on a day."""
    names = np.array([asset for asset, weight in weights.items() if weight], dtype=str)
    tradable = _tradable(data, np.array([day]), names)[0]
    return {str(asset): weights[str(asset)] for asset in names[tradable]}


def some(names: Iterable[object]) -> str:
    """Return the first five names, and how many more there are."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


def _tradable(data: "xr.DataArray", days: np.ndarray, assets: np.ndarray) -> np.ndarray:
    """Return True where an asset is liquid and has a price on a day, (day, asset)."""
    bars = data.reindex(time=days.astype("M8[ns]"), asset=assets)
    liquid, close = (
        bars.sel(field=name).transpose("time", "asset").values for name in ("is_liquid", "close")
    )
    return (liquid > 0) & np.isfinite(close)
