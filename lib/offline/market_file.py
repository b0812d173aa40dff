"""Market files: NetCDF files in the platform's layout, read and checked."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.errors import UserError
from lib.offline.synthetic import DIMS, FIELDS

ENGINES = {b"CDF\x01": "scipy", b"CDF\x02": "scipy", b"\x89HDF": "h5netcdf"}


MAY_BE_ZERO = ("vol", "divs", "is_liquid")
JUMP = 1.8  # a close above 1.8 times the last one, or below its 1.8th part, as after an unadjusted 2:1 split


class MarketError(UserError, ValueError):
    """The error for a market that cannot be used: names the file, the fault and the expected layout."""


def load(path: str | Path, fields: tuple[str, ...] = FIELDS, as_served: bool = False) -> xr.DataArray:
    """Read and check a market file, NetCDF 3 or 4.

    Dims, fields and assets may be in any order in the file; further fields are ignored. Returns float64 of
    dims (field, time, asset), with these fields, time ascending, assets sorted. With `as_served` the assets
    keep the file's order, labels have the dtype object, and the file's days may descend, as they do in an
    answer of the platform's crypto service. MarketError for a file that is missing, unreadable, not of this
    layout or has impossible values.
    """
    path = Path(path).expanduser()
    try:
        if path.exists() and not path.is_file():
            raise MarketError("is a folder or a device")  # reading a pipe would wait for ever
        with path.open("rb") as file:
            magic = file.read(4)
        if magic not in ENGINES:
            raise MarketError("is not a NetCDF file")
        with xr.open_dataset(path, engine=ENGINES[magic]) as dataset:
            return _normal(dataset, fields, as_served)
    except FileNotFoundError:
        raise _refusal(path, "does not exist", fields) from None
    except MarketError as error:
        raise _refusal(path, str(error), fields) from None
    except Exception as error:  # damage within a file surfaces as almost any error
        raise _refusal(path, f"cannot be read: {error}", fields) from error


def _refusal(path: Path, fault: str, fields: tuple[str, ...]) -> MarketError:
    return MarketError(
        f"The market file {path} {fault}. A market file is a NetCDF file (version 3 or 4) with one "
        f"floating-point data array of dims (field, time, asset), the fields {' '.join(fields)}, and days in "
        "ascending order."
    )


def labelled_as_served(market: xr.DataArray) -> xr.DataArray:
    """Return a market with labels of the dtype object, as the platform's crypto loader has them."""
    return market.assign_coords({dim: market[dim].values.astype(object) for dim in ("field", "asset")})


def _normal(dataset: xr.Dataset, wanted: tuple[str, ...], as_served: bool) -> xr.DataArray:
    arrays = list(dataset.data_vars)
    if len(arrays) != 1:
        found = f"several ({', '.join(map(str, arrays))})" if arrays else "none"
        raise MarketError(f"should have one data array but has {found}")
    array = dataset[arrays[0]]
    if set(array.dims) != set(DIMS):
        raise MarketError(f"has the dims {array.dims}")
    bare = [dim for dim in DIMS if dim not in array.coords]
    if bare:
        raise MarketError(f"has no labels along {', '.join(bare)}")
    if array.size == 0:
        raise MarketError("is empty")
    if array.dtype.kind != "f":
        raise MarketError(f"holds {array.dtype} values instead of floating-point numbers")
    fields, assets = _texts(array.field.values, "fields"), _texts(array.asset.values, "assets")
    missing = [field for field in wanted if field not in fields]
    if missing:
        raise MarketError(f"lacks the fields {' '.join(missing)}")
    if as_served and array.time.size > 1 and array.time.values[0] > array.time.values[-1]:
        array = array.load().isel(time=slice(None, None, -1))
    values = array.transpose(*DIMS).values.astype(np.float64)
    plain = xr.DataArray(values, {"field": fields, "time": _days(array.time), "asset": assets}, DIMS)
    market: xr.DataArray = plain.sel(field=list(wanted))
    _refuse_impossible(market, as_served)
    return labelled_as_served(market) if as_served else market.sortby("asset")


def oddities(market: xr.DataArray) -> list[str]:
    """Return a sentence for each thing about a market that is possible but hardly intended."""
    found = []
    if not (market.sel(field="is_liquid").values > 0).any():
        found.append("has no asset that is ever liquid: is_liquid is nowhere above 0, nothing can be traded.")
    if "split_cumprod" not in market.field.values:
        return found
    close, splits = (market.sel(field=name).ffill("time") for name in ("close", "split_cumprod"))
    step = close / close.shift(time=1)
    step = xr.where(step < 1, 1 / step, step).where(splits.diff("time") == 0)
    if count := int((step > JUMP).sum()):
        found.append(
            f"has {count} price jumps that no split explains, the largest by a factor of "
            f"{_first(step, (step == step.max()).values)}: check that prices are adjusted for splits."
        )
    return found


def _refuse_impossible(market: xr.DataArray, as_served: bool) -> None:
    for name in market.field.values:  # NaN compares as False
        values = market.sel(field=name).values
        bad = np.isinf(values) | ((values < 0) if as_served or name in MAY_BE_ZERO else (values <= 0))
        if bad.any():
            raise MarketError(f"has an impossible {name} of {_first(market.sel(field=name), bad)}")
    low, high = market.sel(field="low"), market.sel(field="high")
    if as_served:  # the service does not promise it
        return
    if (high.values < low.values).any():
        raise MarketError(f"has a high below the low, of {_first(high, high.values < low.values)}")


def _first(values: xr.DataArray, where: np.ndarray) -> str:
    value = values[tuple(np.argwhere(where)[0])]
    return f"{value.item():.3g} for {value.asset.item()} on {str(value.time.values)[:10]}"


def _texts(labels: np.ndarray, what: str) -> np.ndarray:
    # NetCDF 3 has characters only, which arrive as bytes.
    texts = [label.decode() if isinstance(label, bytes) else label for label in labels.tolist()]
    if not all(isinstance(text, str) for text in texts):
        raise MarketError(f"has {what} whose names are not text")
    names, times = np.unique(texts, return_counts=True)
    if len(names) < len(texts):
        raise MarketError(f"has {what} more than once: {', '.join(names[times > 1][:5])}")
    return np.array(texts)


def _days(time: xr.DataArray) -> pd.DatetimeIndex:
    if time.dtype.kind != "M":
        raise MarketError(f"has a time axis of {time.dtype} instead of dates")
    days = pd.DatetimeIndex(time.values).normalize()
    if not (days.is_unique and days.is_monotonic_increasing):
        raise MarketError("has days out of order, more than once or missing on its time axis")
    return days
