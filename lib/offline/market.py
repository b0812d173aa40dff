"""The market of the offline engine: the file that `QNT_OFFLINE_MARKET` names, or else a synthetic one.

A synthetic market is generated on first use and cached in the folder `QNT_OFFLINE_CACHE`, by default one in
`XDG_CACHE_HOME` or `~/.cache`.
"""

import hashlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.offline import market_cache, market_file, synthetic
from lib.offline.market_file import MarketError
from lib.offline.nyse import Day
from lib.offline.synthetic import FIELDS

__all__ = ["FIELDS", "KINDS", "MarketError", "describe", "ever_liquid", "is_synthetic", "last_day", "read"]

HERE = Path(__file__).parent
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
    return market_cache.kept(f"{kind}-{version}", lambda: synthetic.generate(name=kind, **KINDS[kind]))
