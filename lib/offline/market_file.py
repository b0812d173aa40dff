"""Is this NetCDF file a market in the platform's layout?"""

from collections import Counter
from pathlib import Path

import numpy as np
import xarray as xr

from lib.offline.synthetic import FIELDS

DIMS = ("field", "time", "asset")
ENGINES = {b"CDF\x01": "scipy", b"CDF\x02": "scipy", b"\x89HDF": "h5netcdf"}
WANTED = (
    "Expected is a NetCDF file (version 3 or 4) with one floating-point data array of dims (field, time, "
    f"asset), the fields {' '.join(FIELDS)}, and days in ascending order."
)


class MarketError(ValueError):
    """The market cannot be read: the message says which file, what is wrong with it and what is expected."""


def load(path: str | Path) -> xr.DataArray:
    """Read and check a market file.

    Parameters
    ----------
    path : str or pathlib.Path
        NetCDF 3 or 4. Dims and fields may be in any order, and there may be further fields.

    Returns
    -------
    xarray.DataArray
        float64, dims (field, time, asset), the fields of `FIELDS` in their order, time ascending, assets
        sorted.

    Raises
    ------
    MarketError
        Where the file is missing, unreadable or not of this layout.
    """
    path = Path(path).expanduser()
    dataset = _open(path)
    try:
        array = _normal(dataset)
    except MarketError as error:
        raise MarketError(f"The market file {path} {error}. {WANTED}") from None
    except Exception as error:  # damage deep in a file surfaces as almost anything
        raise MarketError(f"The market file {path} cannot be read: {error}. {WANTED}") from error
    finally:
        dataset.close()
    return array


def _open(path: Path) -> xr.Dataset:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise MarketError(f"The market file {path} does not exist. {WANTED}") from None
    except OSError as error:
        raise MarketError(f"The market file {path} cannot be opened: {error.strerror}. {WANTED}") from error
    if magic not in ENGINES:
        raise MarketError(f"The market file {path} is not a NetCDF file. {WANTED}")
    try:
        return xr.open_dataset(path, engine=ENGINES[magic])
    except Exception as error:
        raise MarketError(f"The market file {path} cannot be read: {error}. {WANTED}") from error


def _normal(dataset: xr.Dataset) -> xr.DataArray:
    array = _only_array(dataset)
    if array.size == 0:
        raise MarketError("is empty")
    if array.dtype.kind != "f":
        raise MarketError(f"holds {array.dtype} values instead of floating-point numbers")
    array = array.assign_coords(
        field=_texts(array.field.values, "fields"),
        asset=_texts(array.asset.values, "assets"),
        time=_days(array.time),
    )
    missing = [field for field in FIELDS if field not in array.field.values]
    if missing:
        raise MarketError(f"lacks the fields {' '.join(missing)}")
    array = array.sel(field=list(FIELDS)).transpose(*DIMS).sortby("asset").astype(np.float64).load()
    return xr.DataArray(array.values, {dim: array[dim].values for dim in DIMS}, DIMS)


def _only_array(dataset: xr.Dataset) -> xr.DataArray:
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
    return array


def _texts(labels: np.ndarray, what: str) -> np.ndarray:
    # NetCDF 3 has characters only, which arrive as bytes.
    texts = [label.decode() if isinstance(label, bytes) else label for label in labels.tolist()]
    if not all(isinstance(text, str) for text in texts):
        raise MarketError(f"has {what} whose names are not text")
    twice = [text for text, times in Counter(texts).items() if times > 1]
    if twice:
        raise MarketError(f"has {what} more than once: {', '.join(twice[:5])}")
    return np.array(texts)


def _days(time: xr.DataArray) -> np.ndarray:
    if time.dtype.kind != "M":
        raise MarketError(f"has a time axis of {time.dtype} instead of dates")
    days = time.values.astype("datetime64[D]")
    if not (np.diff(days) > np.timedelta64(0, "D")).all() or np.isnat(days).any():
        raise MarketError("has days out of order, more than once or missing on its time axis")
    return days.astype("datetime64[ns]")
