"""The cache of generated markets, files of numpy in which every array has a checksum.

A file is replaced atomically, and a damaged one counts as missing.
"""

import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import xarray as xr

from lib.common.files import replace_file
from lib.offline.synthetic import DIMS

PROJECT = "qnt-offline"


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
