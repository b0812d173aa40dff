"""Which market do the loaders of the offline engine read?

The file that `QNT_OFFLINE_MARKET` names, or else a synthetic market, generated on first use and kept in a cache folder
(`QNT_OFFLINE_CACHE`, or `XDG_CACHE_HOME`, or `~/.cache`).
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from lib.offline import market_cache, market_file, nyse, synthetic
from lib.offline.market_file import MarketError
from lib.offline.synthetic import FIELDS

__all__ = ["FIELDS", "KINDS", "MarketError", "describe", "is_synthetic", "last_day", "read"]

KINDS = {
    "stocks_nasdaq100": {"assets": 100, "seed": 100, "exchange": "NAS"},
    "stocks_s&p500": {"assets": 500, "seed": 500, "exchange": "NYS"},
}
_unkept: dict[str, xr.DataArray] = {}  # generated markets for which there is no writable folder


def read(kind, start, end, assets=None):
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
        float64, dims (field, time, asset), named `kind`, fields in the order of `FIELDS`, time ascending, assets
        sorted. Nothing is dropped: days and assets without data are NaN. The array is the caller's own.

    Raises
    ------
    MarketError
        Where `kind` is unknown, or the file is missing, unreadable or malformed.
    """
    days, names, values = _window(kind, np.datetime64(start, "D"), np.datetime64(end, "D"))
    coords = {"field": list(FIELDS), "time": days.astype("datetime64[ns]"), "asset": names}
    array = xr.DataArray(values, coords, ("field", "time", "asset"), name=kind)
    return array if assets is None else array.reindex(asset=sorted(set(assets)))


def last_day(kind):
    """Last day of the market, datetime64[D]: the offline engine's today."""
    market = _chosen(kind)
    return (
        _generated(kind, None, None)[0][-1]
        if market is None
        else market.time.values[-1].astype("datetime64[D]")
    )


def is_synthetic():
    """Whether the market is the generated one (a file may hold made-up numbers too: that is its owner's to say)."""
    return not os.environ.get("QNT_OFFLINE_MARKET")


def describe():
    """What the numbers are, in words for a title or a sentence."""
    if is_synthetic():
        return "a synthetic market (random numbers, not real prices)"
    return f"the market file {Path(os.environ['QNT_OFFLINE_MARKET']).name}"


def _window(kind, start, end):
    market = _chosen(kind)
    days, names, values = _generated(kind, start, end) if market is None else _cut(market, start, end)
    return days[(days >= start) & (days <= end)], names, values


def _chosen(kind):
    """The market of the user's file, or None."""
    if kind not in KINDS:
        raise MarketError(f'There is no market "{kind}" here, only {" and ".join(KINDS)}.')
    if is_synthetic():
        return None
    path = Path(os.environ["QNT_OFFLINE_MARKET"]).expanduser()
    try:
        stamp = path.stat().st_mtime_ns, path.stat().st_size
    except OSError:
        stamp = None  # `load` says what is wrong
    return _loaded(str(path), Path.cwd(), stamp)


@lru_cache(maxsize=1)
def _loaded(path, folder, stamp):  # `folder` and `stamp` only tell one state of the file from another
    return market_file.load(path)


def _generated(kind, start, end):
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


def _keep(market, file):
    try:
        market_cache.write(file, market)
    except OSError:  # a full disk, a read-only home
        return False
    return True


def _cut(market, start, end):
    days = market.time.values.astype("datetime64[D]")
    wanted = np.zeros(len(days), dtype=bool) if start is None else (days >= start) & (days <= end)
    return days, market.asset.values, market.values[:, wanted]


@lru_cache(maxsize=2)
def _version(kind):
    """Changes whenever the generator or its parameters do, so that no cache outlives them."""
    sources = b"".join(Path(module.__file__).read_bytes() for module in (synthetic, nyse, market_cache))
    return hashlib.sha256(sources + repr(KINDS[kind]).encode()).hexdigest()[:16]
