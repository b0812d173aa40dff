"""How is a generated market kept, so that a fresh process reads a few days of it at once?

One file: a checked head (days, assets, a checksum for each day), then the numbers day by day. Reading a
window touches its own days only, and damage to them is noticed.
"""

import io
import os
import struct
import tempfile
import time
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xarray as xr

from lib.offline.synthetic import FIELDS

PROJECT = "qnt-offline"
MAGIC = b"market 1"
HEAD = struct.Struct("<8sIQ")
ABANDONED = 3600  # seconds after which a half-written file belongs to a process that was killed


class Damaged(Exception):
    """The file is not what `write` wrote."""


def folders() -> list[Path]:
    """Where to keep generated markets: the best place, and another where that one is not writable."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    chosen = os.environ.get("QNT_OFFLINE_CACHE") or Path(home) / PROJECT
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return [Path(chosen).expanduser(), Path(tempfile.gettempdir()) / f"{PROJECT}-{user}"]


def write(path: Path, market: xr.DataArray) -> None:
    """Write a market of dims (field, time, asset) so that `path` never holds half of it.

    Raises
    ------
    OSError
        Where the folder cannot be written; nothing is left behind.
    """
    rows = np.ascontiguousarray(market.transpose("time", "field", "asset").values, dtype="<f8")
    head = io.BytesIO()
    np.save(head, market.time.values.astype("datetime64[D]"))
    np.save(head, market.asset.values.astype(str))
    np.save(head, np.array([zlib.crc32(row) for row in rows], dtype="<u4"))
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with open(handle, "wb") as file:
            file.write(HEAD.pack(MAGIC, zlib.crc32(head.getvalue()), len(head.getvalue())))
            file.write(head.getvalue())
            file.write(rows.data)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


def read(
    path: Path, start: np.datetime64 | None = None, end: np.datetime64 | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days and assets of the file, and the numbers of the days from `start` to `end`, both included.

    Parameters
    ----------
    path : pathlib.Path
    start, end : numpy.datetime64 or None
        None reads no numbers.

    Returns
    -------
    days : numpy.ndarray
        datetime64[D], all days of the market.
    assets : numpy.ndarray
        Names, sorted.
    values : numpy.ndarray
        float64, (field, time, asset), of the days asked for.

    Raises
    ------
    OSError
        Where there is no such file or it cannot be opened.
    Damaged
        Where it was changed or cut short.
    """
    with path.open("rb") as file:
        days, assets, checksums = _head(file)
        body = file.tell()
        wanted = np.flatnonzero((days >= start) & (days <= end)) if start is not None else np.array([], int)
        first, count = (int(wanted[0]), len(wanted)) if len(wanted) else (0, 0)
        width = 8 * len(FIELDS) * len(assets)
        file.seek(body + first * width)
        raw = file.read(count * width)
    if len(raw) < count * width:
        raise Damaged(path)
    view = memoryview(raw)
    for i in range(count):
        if zlib.crc32(view[i * width : (i + 1) * width]) != checksums[first + i]:
            raise Damaged(path)
    rows = np.frombuffer(raw, "<f8").reshape(count, len(FIELDS), len(assets))
    return days, assets, np.array(rows.transpose(1, 0, 2), dtype=np.float64, order="C")


def _head(file: BinaryIO) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    raw = file.read(HEAD.size)
    if len(raw) < HEAD.size:
        raise Damaged(file.name)
    magic, checksum, length = HEAD.unpack(raw)
    if magic != MAGIC:
        raise Damaged(file.name)
    head = file.read(min(length, 1 << 30))
    if zlib.crc32(head) != checksum:
        raise Damaged(file.name)
    parts = io.BytesIO(head)
    return np.load(parts), np.load(parts), np.load(parts)


def _sweep(folder: Path) -> None:
    for part in folder.glob("*.part"):
        try:
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
        except OSError:  # another process swept it first
            continue
