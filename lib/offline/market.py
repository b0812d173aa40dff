"""Which market do the loaders of the offline engine read?

The file that `QNT_OFFLINE_MARKET` names, or else a synthetic market, generated on first use and kept in a
folder: `QNT_OFFLINE_CACHE`, or one in `XDG_CACHE_HOME` or `~/.cache`.
"""

import hashlib
import os
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

__all__ = ["FIELDS", "KINDS", "MarketError", "describe", "is_synthetic", "last_day", "read"]

HERE = Path(__file__).parent
KINDS: dict[str, dict[str, Any]] = {
    "stocks_nasdaq100": {"assets": 100, "seed": 100, "exchange": "NAS"},
    "stocks_s&p500": {"assets": 500, "seed": 500, "exchange": "NYS"},
}


def read(kind: str, start: Day, end: Day) -> xr.DataArray:
    """Read a market of `KINDS` from the calendar day `start` to `end`, both included.

    The answer is the caller's own: float64 of dims (field, time, asset), named `kind`, the fields as in
    `FIELDS`, time ascending, assets sorted. Nothing is dropped: days and assets without data are NaN. A
    market file answers for every kind.

    MarketError where `kind` is unknown, or the file is missing, unreadable or malformed.
    """
    window = slice(pd.Timestamp(start).normalize(), pd.Timestamp(end))
    return _market(kind).sel(time=window).rename(kind).copy()


def last_day(kind: str) -> np.datetime64:
    """Last day of the market, datetime64[D]: the offline engine's today."""
    return _market(kind).time.values[-1].astype("datetime64[D]")


def is_synthetic() -> bool:
    """Whether the market is the generated one; what a file holds is for its owner to say."""
    return not os.environ.get("QNT_OFFLINE_MARKET")


def describe() -> str:
    """What the numbers are, in words for a title or a sentence."""
    if is_synthetic():
        return "a synthetic market (random numbers, not real prices)"
    return f"the market file {Path(os.environ['QNT_OFFLINE_MARKET']).name}"


def _market(kind: str) -> xr.DataArray:
    if kind not in KINDS:
        raise MarketError(f'There is no market "{kind}" here, only {" and ".join(KINDS)}.')
    if is_synthetic():
        return _generated(kind)
    path = Path(os.environ["QNT_OFFLINE_MARKET"]).expanduser().absolute()
    try:
        stamp = path.stat().st_mtime_ns, path.stat().st_size
    except OSError:
        stamp = None  # `load` says what is wrong
    return _loaded(path, stamp)


@lru_cache(maxsize=1)
def _loaded(path: Path, stamp: object) -> xr.DataArray:  # the stamp tells a rewritten file from the old one
    return market_file.load(path)


@lru_cache(maxsize=len(KINDS))
def _generated(kind: str) -> xr.DataArray:
    # Any change to the generator or its parameters changes the name, so that no kept market outlives them.
    sources = b"".join(module.read_bytes() for module in sorted(HERE.glob("*.py")))
    version = hashlib.sha256(sources + repr(KINDS[kind]).encode()).hexdigest()[:16]
    return market_cache.kept(f"{kind}-{version}", lambda: synthetic.generate(name=kind, **KINDS[kind]))
