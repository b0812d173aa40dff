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

import numpy as np
import pandas as pd
import xarray as xr

from lib.common import competitions
from lib.common.files import replace_file, valid_text
from lib.offline import market_file, synthetic
from lib.offline.market_file import MarketError
from lib.offline.synthetic import DIMS, FIELDS, Day

__all__ = ["FIELDS", "KINDS", "MarketError", "describe", "ever_liquid", "is_synthetic", "last_day", "read"]

HERE = Path(__file__).parent
PROJECT = "qnt-offline"
RULES = competitions.KINDS
# the parameters of the synthetic markets, by the name of the data
KINDS = {rules.data_name: rules.synthetic for rules in RULES.values()}


def read(kind: str, start: Day, end: Day) -> xr.DataArray:
    """Read a competition's market from `start` to `end`, both included.

    Hours count where the platform's loader compares them. Returns a new float64 DataArray (field, time,
    asset) named like the loader's: fields as the competition has them, time ascending, assets sorted or in
    the platform's order, NaN where there are no data. A market file serves every kind whose fields it has.
    MarketError for an unknown `kind` and for a file that is missing, unreadable or malformed.
    """
    data, first = _market(kind), pd.Timestamp(start)
    window = slice(first if RULES[kind].has_hours else first.normalize(), pd.Timestamp(end))
    return data.sel(time=window).rename(RULES[kind].data_name).copy()


def last_day(kind: str | None = None) -> np.datetime64:
    """Return the last day of the market, datetime64[D], which serves as today.

    Without `kind` it is that of the first competition whose fields the market has.
    """
    if kind is None:
        for name in RULES:
            with suppress(MarketError):
                return last_day(name)
    return _market(kind or next(iter(RULES))).time.values[-1].astype("datetime64[D]")


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
    array = market_file.load(path, fields, as_served)
    for line in market_file.oddities(array):
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
    return market if rules.assets_follow_window else market_file.labelled_as_served(market)


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
    fields, assets = (array[dim].values.astype(str) for dim in ("field", "asset"))
    np.savez(content, values=array.values, field=fields, time=days, asset=assets)
    replace_file(file, content.getvalue())
