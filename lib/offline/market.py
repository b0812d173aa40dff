"""The market of the stand-in.

It is the file that `QNT_OFFLINE_MARKET` names, or else a synthetic one. A synthetic market is generated on
first use and cached in the folder `QNT_OFFLINE_CACHE`, by default one in `XDG_CACHE_HOME` or `~/.cache`, in
files of numpy in which every array has a checksum. A file is replaced atomically, and a damaged one counts as
missing.
"""

import hashlib
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from lib.common import competitions
from lib.common.errors import UserError
from lib.common.files import replace_file, valid_text
from lib.offline import synthetic
from lib.offline.synthetic import DIMS, FIELDS, Day

__all__ = ["FIELDS", "KINDS", "MarketError", "describe", "ever_liquid", "is_synthetic", "last_day", "read"]

HERE = Path(__file__).parent
PROJECT = "qnt-offline"
RULES = competitions.KINDS
# the parameters of the synthetic markets, by the name of the data
KINDS = {rules.data_name: rules.synthetic for rules in RULES.values()}
ENGINES = {b"CDF\x01": "scipy", b"CDF\x02": "scipy", b"\x89HDF": "h5netcdf"}
MAY_BE_ZERO = ("vol", "divs", "is_liquid")
JUMP = 1.8  # a close above 1.8 times the last one, or below its 1.8th part, as after an unadjusted 2:1 split


class MarketError(UserError, ValueError):
    """The error for a market that cannot be used.

    The message about a market file names the file, the fault and the expected layout.
    """


def load(path: str | Path, fields: tuple[str, ...] = FIELDS, as_served: bool = False) -> xr.DataArray:
    """Read and check a market file.

    The file is NetCDF 3 or 4. Its dims, fields and assets may be in any order, and further fields are
    ignored. The result is float64 of dims (field, time, asset), with these fields, ascending days and sorted
    assets. With `as_served` the assets keep the file's order, labels have the dtype object, and the file's
    days may descend, as they do in an answer of the platform's crypto service.

    MarketError is raised for a file that is missing, unreadable, not of this layout or has impossible values.
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
    """Return a market with labels of dtype object.

    The platform's crypto loader returns such labels for fields and assets.
    """
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
    """Return a sentence for each oddity of a market.

    An oddity is possible but hardly intended.
    """
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


def read(kind: str, start: Day, end: Day) -> xr.DataArray:
    """Read a competition's market between two days.

    Both `start` and `end` are included, and hours count where the platform's loader compares them. The result
    is a new float64 DataArray (field, time, asset) named like the loader's. Its fields are as the competition
    has them, its days ascend, and its assets are sorted or in the platform's order. It is NaN where there are
    no data. A market file serves every kind whose fields it has.

    MarketError is raised for an unknown `kind` and for a file that is missing, unreadable or malformed.
    """
    data, first = _market(kind), pd.Timestamp(start)
    window = slice(first if RULES[kind].has_hours else first.normalize(), pd.Timestamp(end))
    return data.sel(time=window).rename(RULES[kind].data_name).copy()


def last_day(kind: str | None = None) -> np.datetime64:
    """Return the last day of the market.

    It is a datetime64[D] and serves as today. Without `kind` it is the last day of the first competition
    whose fields the market has.
    """
    if kind is None:
        for name in RULES:
            with suppress(MarketError):
                return last_day(name)
    return _market(kind or next(iter(RULES))).time.values[-1].astype("datetime64[D]")


def is_synthetic() -> bool:
    """Return True if the market is generated.

    Otherwise it is read from a file.
    """
    return not os.environ.get("QNT_OFFLINE_MARKET")


def ever_liquid(kind: str) -> bool:
    """Return True if any asset is ever liquid."""
    return bool((_market(kind).sel(field="is_liquid") > 0).any())


def describe() -> str:
    """Return the source of the prices in words.

    The words fit a title or a sentence.
    """
    if is_synthetic():
        return "a synthetic market (random numbers, not real prices)"
    return f"the market file {valid_text(Path(os.environ['QNT_OFFLINE_MARKET']).name)}"


@lru_cache(maxsize=1)
def _announce(prices: str) -> None:
    print(f"qnt is not installed: its stand-in is used, with {prices}.", file=sys.stderr, flush=True)


def _market(kind: str) -> xr.DataArray:
    if kind not in RULES:
        raise MarketError(f'There is no offline market "{kind}", only {", ".join(RULES)}.')
    _announce(describe())
    rules = RULES[kind]
    if is_synthetic():
        return _generated(rules.data_name)
    path = Path(os.environ["QNT_OFFLINE_MARKET"]).expanduser().absolute()
    try:
        stamp = path.stat().st_mtime_ns, path.stat().st_size
    except OSError:
        stamp = None  # `load` reports what is wrong
    return _loaded(path, stamp, rules.fields, not rules.assets_follow_window)


@lru_cache(maxsize=2)
def _loaded(path: Path, stamp: object, fields: tuple[str, ...], as_served: bool) -> xr.DataArray:
    # The stamp tells a rewritten file from the old one.
    array = load(path, fields, as_served)
    for line in oddities(array):
        print(f"WARNING! The market file {path} {line}", file=sys.stderr, flush=True)
    return array


@lru_cache(maxsize=len(KINDS))
def _generated(name: str) -> xr.DataArray:
    # The name changes with the generator and its parameters, so that no outdated market is read.
    sources = b"".join(module.read_bytes() for module in sorted(HERE.glob("*.py")))
    version = hashlib.sha256(sources + repr(KINDS[name]).encode()).hexdigest()[:16]
    rules = next(rules for rules in RULES.values() if rules.data_name == name)
    generate = synthetic.generate_crypto if rules.every_day else synthetic.generate
    market = kept(f"{name}-{version}", lambda: generate(name=name, **KINDS[name]))
    return market if rules.assets_follow_window else labelled_as_served(market)


def kept(name: str, make: Callable[[], xr.DataArray]) -> xr.DataArray:
    """Return the market cached under a name.

    Without a cached copy `make` creates the market, and the first writable folder keeps a copy.
    """
    files = [folder / f"{name}.npz" for folder in folders()]
    for file in files:
        with suppress(Exception):  # missing, or damaged, which surfaces as almost anything
            return _read(file)
    array = make()
    for file in files:
        with suppress(OSError):  # a full disk, a read-only home
            _write(file, array)
            break
    return array


def folders() -> list[Path]:
    """Return the folders for generated markets.

    The preferred folder comes first.
    """
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    chosen = os.environ.get("QNT_OFFLINE_CACHE") or Path(home) / PROJECT
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return [Path(chosen).expanduser(), Path(tempfile.gettempdir()) / f"{PROJECT}-{user}"]


def _read(file: Path) -> xr.DataArray:
    with zipfile.ZipFile(file) as entries:
        values, *coords = (_whole(entries, name) for name in ("values", *DIMS))
    return xr.DataArray(values, coords, DIMS)


def _whole(entries: zipfile.ZipFile, name: str) -> np.ndarray:
    with entries.open(f"{name}.npy") as entry:
        array = np.lib.format.read_array(entry)
        entry.read()  # checksums are compared at the end only, which a damaged header may not reach
    return array


def _write(file: Path, array: xr.DataArray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    days = array.indexes["time"].values  # those of xarray have a dtype that numpy cannot save
    content = io.BytesIO()
    fields, assets = (array[dim].values.astype(str) for dim in ("field", "asset"))
    np.savez(content, values=array.values, field=fields, time=days, asset=assets)
    replace_file(file, content.getvalue())
