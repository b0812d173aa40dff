"""Which market do the loaders of the offline engine read?

The file that `QNT_OFFLINE_MARKET` names, or else a synthetic market, generated on first use and kept in a
folder: `QNT_OFFLINE_CACHE`, or one in `XDG_CACHE_HOME` or `~/.cache`.
"""

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lib.offline import market_cache, market_file, synthetic
from lib.offline.market_file import MarketError
from lib.offline.nyse import Day, as_day
from lib.offline.synthetic import FIELDS

Limit = np.datetime64 | None
Window = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # all days, assets, values (field, time, asset) in the limits

__all__ = ["FIELDS", "KINDS", "MarketError", "describe", "is_synthetic", "last_day", "read"]

HERE = Path(__file__).parent
GENERATOR = (
    "chance",
    "fortunes",
    "market_cache",
    "nyse",
    "synthetic",
)  # modules that decide what a cache holds
KINDS: dict[str, dict[str, Any]] = {
    "stocks_nasdaq100": {"assets": 100, "seed": 100, "exchange": "NAS"},
    "stocks_s&p500": {"assets": 500, "seed": 500, "exchange": "NYS"},
}
_unkept: dict[str, xr.DataArray] = {}  # generated markets for which there is no writable folder


def read(kind: str, start: Day, end: Day, assets: Iterable[str] | None = None) -> xr.DataArray:
    """Market data of a range of days, in the platform's layout.

    Parameters
    ----------
    kind : str
        "stocks_nasdaq100" or "stocks_s&p500". A file of `QNT_OFFLINE_MARKET` answers for both.
    start, end : numpy.datetime64 or str
        First and last calendar day, both included.
    assets : iterable of str, optional
        Exactly these, sorted; unknown ones are NaN throughout. All assets by default.

    Returns
    -------
    xarray.DataArray
        float64, dims (field, time, asset), named `kind`, fields in the order of `FIELDS`, time ascending,
        assets sorted. Nothing is dropped: days and assets without data are NaN. The array is the caller's.

    Raises
    ------
    MarketError
        Where `kind` is unknown, or the file is missing, unreadable or malformed.
    """
    first, last = as_day(start), as_day(end)
    days, names, values = _window(kind, first, last)
    time = days[(days >= first) & (days <= last)].astype("datetime64[ns]")
    coords = {"field": list(FIELDS), "time": time, "asset": names}
    array = xr.DataArray(values, coords, ("field", "time", "asset"), name=kind)
    return array if assets is None else array.reindex(asset=sorted(set(assets)))


def last_day(kind: str) -> np.datetime64:
    """Last day of the market, datetime64[D]: the offline engine's today."""
    return _window(kind)[0][-1]


def is_synthetic() -> bool:
    """Whether the market is the generated one; what a file holds is for its owner to say."""
    return not os.environ.get("QNT_OFFLINE_MARKET")


def describe() -> str:
    """What the numbers are, in words for a title or a sentence."""
    if is_synthetic():
        return "a synthetic market (random numbers, not real prices)"
    return f"the market file {Path(os.environ['QNT_OFFLINE_MARKET']).name}"


def _window(kind: str, start: Limit = None, end: Limit = None) -> Window:
    if kind not in KINDS:
        raise MarketError(f'There is no market "{kind}" here, only {" and ".join(KINDS)}.')
    if is_synthetic():
        return _generated(kind, start, end)
    path = Path(os.environ["QNT_OFFLINE_MARKET"]).expanduser().absolute()
    try:
        stamp = path.stat().st_mtime_ns, path.stat().st_size
    except OSError:
        stamp = None  # `load` says what is wrong
    return _cut(_loaded(path, stamp), start, end)


@lru_cache(maxsize=1)
def _loaded(path: Path, stamp: object) -> xr.DataArray:  # the stamp tells a rewritten file from the old one
    return market_file.load(path)


def _generated(kind: str, start: Limit, end: Limit) -> Window:
    """Days, assets and a window of values of the synthetic market, from the cache where that is sound."""
    if kind in _unkept:
        return _cut(_unkept[kind], start, end)
    files = [folder / f"{kind}-{_version(kind)}.market" for folder in market_cache.folders()]
    for file in files:
        try:
            return market_cache.read(file, start, end)
        except (OSError, market_cache.Damaged):
            continue
    market = synthetic.generate(name=kind, **KINDS[kind])
    if not any(_keep(market, file) for file in files):
        _unkept[kind] = market
    return _cut(market, start, end)


def _keep(market: xr.DataArray, file: Path) -> bool:
    try:
        market_cache.write(file, market)
    except OSError:  # a full disk, a read-only home
        return False
    return True


def _cut(market: xr.DataArray, start: Limit, end: Limit) -> Window:
    days = market.time.values.astype("datetime64[D]")
    wanted = np.zeros(len(days), dtype=bool) if start is None else (days >= start) & (days <= end)
    return days, market.asset.values, np.array(market.values[:, wanted], order="C")


@lru_cache(maxsize=2)
def _version(kind: str) -> str:
    """Changes whenever the generator or its parameters do, so that no cache outlives them."""
    sources = b"".join((HERE / f"{module}.py").read_bytes() for module in GENERATOR)
    return hashlib.sha256(sources + repr(KINDS[kind]).encode()).hexdigest()[:16]
