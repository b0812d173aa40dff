"""Is this NetCDF file a market in the platform's layout?"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from lib.errors import UserError
from lib.offline.synthetic import DIMS, FIELDS

ENGINES = {b"CDF\x01": "scipy", b"CDF\x02": "scipy", b"\x89HDF": "h5netcdf"}
WANTED = (
    "Expected is a NetCDF file (version 3 or 4) with one floating-point data array of dims (field, time, "
    f"asset), the fields {' '.join(FIELDS)}, and days in ascending order."
)


class MarketError(UserError, ValueError):
    """The market cannot be read: the message says which file, what is wrong with it and what is expected."""


def load(path: str | Path) -> xr.DataArray:
    """Read and check a market file, NetCDF 3 or 4.

    Dims, fields and assets may be in any order there, and further fields are left out. The answer is float64
    of dims (field, time, asset), fields as in `FIELDS`, time ascending, assets sorted. MarketError where the
    file is missing, unreadable or not of this layout.
    """
    path = Path(path).expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic not in ENGINES:
            raise MarketError("is not a NetCDF file")
        with xr.open_dataset(path, engine=ENGINES[magic]) as dataset:
            return _normal(dataset)
    except FileNotFoundError:
        raise _refusal(path, "does not exist") from None
    except MarketError as error:
        raise _refusal(path, str(error)) from None
    except Exception as error:  # damage deep in a file surfaces as almost anything
        raise _refusal(path, f"cannot be read: {error}") from error


def _refusal(path: Path, fault: str) -> MarketError:
    return MarketError(f"The market file {path} {fault}. {WANTED}")


def _normal(dataset: xr.Dataset) -> xr.DataArray:
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
    missing = [field for field in FIELDS if field not in fields]
    if missing:
        raise MarketError(f"lacks the fields {' '.join(missing)}")
    values = array.transpose(*DIMS).values.astype(np.float64)
    plain = xr.DataArray(values, {"field": fields, "time": _days(array.time), "asset": assets}, DIMS)
    return plain.sel(field=list(FIELDS)).sortby("asset")


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
