"""How is a generated market kept, so that the next process need not generate it again?

As numpy's own file of several arrays, in which every array has a checksum. A file is replaced whole or not at
all, and one that is damaged counts as missing.
"""

import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import xarray as xr

from lib.offline.synthetic import DIMS

PROJECT = "qnt-offline"
ABANDONED = 3600  # seconds after which a half-written file belongs to a process that was killed


def kept(name: str, make: Callable[[], xr.DataArray]) -> xr.DataArray:
    """Read the array kept under `name`; else make it, and keep it in the first folder that can be written."""
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
    """Where to keep generated markets: the best place, and another where that one is not writable."""
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
    for old in file.parent.glob("*.part"):
        with suppress(OSError):  # another process swept it first
            if time.time() - old.stat().st_mtime > ABANDONED:
                shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=file.parent, suffix=".part") as part:
        whole = Path(part) / file.name
        days = array.indexes["time"].values  # those of xarray have a dtype that numpy cannot save whole
        np.savez(whole, values=array.values, field=array.field.values, time=days, asset=array.asset.values)
        whole.replace(file)
