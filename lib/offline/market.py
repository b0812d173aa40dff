"""The market of the offline engine: the file that `QNT_OFFLINE_MARKET` names, or else a synthetic one.

A synthetic market is generated on first use and cached in the folder `QNT_OFFLINE_CACHE`, by default one in
`XDG_CACHE_HOME` or `~/.cache`, in files of numpy in which every array has a checksum. A file is replaced
atomically, and a damaged one counts as missing.
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
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.files import replace_file
from lib.offline import market_file, synthetic
from lib.offline.market_file import MarketError
from lib.offline.synthetic import DIMS, FIELDS, Day

__all__ = ["FIELDS", "KINDS", "MarketError", "describe", "ever_liquid", "is_synthetic", "last_day", "read"]

HERE = Path(__file__).parent
PROJECT = "qnt-offline"
KINDS: dict[str, dict[str, Any]] = {
    "stocks_nasdaq100": {"assets": 100, "seed": 100, "exchange": "NAS"},
    "stocks_s&p500": {"assets": 500, "seed": 500, "exchange": "NYS"},
}


def read(kind: str, start: Day, end: Day) -> xr.DataArray:
    """Read a market of `KINDS` from the calendar day `start` to `end`, both included.

    Returns a new float64 DataArray (field, time, asset) named `kind`: fields as in `FIELDS`, time ascending,
    assets sorted, NaN where there are no data. A market file serves every kind. MarketError for an unknown
    `kind` and for a file that is missing, unreadable or malformed.
    """
    window = slice(pd.Timestamp(start).normalize(), pd.Timestamp(end))
    return _market(kind).sel(time=window).rename(kind).copy()


def last_day(kind: str) -> np.datetime64:
    """Return the last day of the market, datetime64[D], which serves as today."""
    return _market(kind).time.values[-1].astype("datetime64[D]")


def is_synthetic() -> bool:
    """Return whether the market is generated rather than read from a file."""
    return not os.environ.get("QNT_OFFLINE_MARKET")


def ever_liquid(kind: str) -> bool:
    """Return whether any asset of the market is liquid on any day."""
    return bool((_market(kind).sel(field="is_liquid") > 0).any())


def describe() -> str:
    """Return what the prices are, in words for a title or a sentence."""
    if is_synthetic():
        return "a synthetic market (random numbers, not real prices)"
    return f"the market file {Path(os.environ['QNT_OFFLINE_MARKET']).name}"


@lru_cache(maxsize=1)
def _announce(prices: str) -> None:
    print(f"qnt is not installed: its stand-in is used, with {prices}.", file=sys.stderr, flush=True)


def _market(kind: str) -> xr.DataArray:
    if kind not in KINDS:
        raise MarketError(f'There is no offline market "{kind}", only {" and ".join(KINDS)}.')
    _announce(describe())
    if is_synthetic():
        return _generated(kind)
    path = Path(os.environ["QNT_OFFLINE_MARKET"]).expanduser().absolute()
    try:
        stamp = path.stat().st_mtime_ns, path.stat().st_size
    except OSError:
        stamp = None  # `load` reports what is wrong
    return _loaded(path, stamp)


@lru_cache(maxsize=1)
def _loaded(path: Path, stamp: object) -> xr.DataArray:  # the stamp tells a rewritten file from the old one
    array = market_file.load(path)
    for line in market_file.oddities(array):
        print(f"WARNING! The market file {path} {line}", file=sys.stderr, flush=True)
    return array


@lru_cache(maxsize=len(KINDS))
def _generated(kind: str) -> xr.DataArray:
    # The name changes with the generator and its parameters, so that no outdated market is read.
    sources = b"".join(module.read_bytes() for module in sorted(HERE.glob("*.py")))
    version = hashlib.sha256(sources + repr(KINDS[kind]).encode()).hexdigest()[:16]
    return kept(f"{kind}-{version}", lambda: synthetic.generate(name=kind, **KINDS[kind]))


def kept(name: str, make: Callable[[], xr.DataArray]) -> xr.DataArray:
    """Return the array cached as `name`; else make it and cache it in the first writable folder."""
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
    """Return the folders for generated markets, the preferred one first."""
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
    np.savez(content, values=array.values, field=array.field.values, time=days, asset=array.asset.values)
    replace_file(file, content.getvalue())
