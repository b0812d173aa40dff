"""What surrounds a question and is changed for a while: later days, the platform's limit, the process."""

import io
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

LIMITS = ("BASE_URL", "MAX_DATETIME_LIMIT", "MAX_DATE_LIMIT")  # what qnt.data.common keeps of its limit
SECONDS = 300  # that a child process may take
Result = TypeVar("Result")


@contextmanager
def data_limit(day: np.datetime64) -> Iterator[None]:
    """Let all that the platform's library loads end on a day, as in a pass of the evaluator, for a while."""
    from qnt.data import common

    kept = {name: getattr(common, name) for name in LIMITS}
    if common.MAX_DATE_LIMIT is not None:
        day = min(day.astype("M8[D]"), np.datetime64(common.MAX_DATE_LIMIT, "D"))
    try:
        common.set_max_datetime(str(day)[:10])
        yield
    finally:
        for name, value in kept.items():
            setattr(common, name, value)


@contextmanager
def other_future(data: "xr.DataArray", row: int, rng: np.random.Generator) -> Iterator[None]:
    """For a while all values after a row are noise around the mean of those before, in place."""
    later = data.values[:, row + 1 :]
    kept = later.copy()
    mean = np.nanmean(
        np.where(np.isinf(data.values), np.nan, data.values)[:, : row + 1], axis=1, keepdims=True
    )
    try:
        later[:] = np.where(np.isnan(mean), 1, mean) * rng.lognormal(0, 0.5, later.shape)
        later[data.get_index("field").get_loc("is_liquid")] = rng.random(later.shape[1:]) < 0.5
        later[:, rng.random(later.shape[1:]) < 0.1] = np.nan
        yield
    finally:
        later[:] = kept


def in_child(function: Callable[[], Result]) -> Result | None:
    """What a function returns in a copy of this process, which keeps nothing of the call.

    None where processes cannot be copied safely (all but Linux), or where the copy dies or takes more than
    `SECONDS`.
    """
    if sys.platform != "linux":
        return None
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _answer_and_exit(function, writer)
    os.close(writer)
    try:
        content = _read(reader)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)  # it has answered, or is not to answer any more
        os.waitpid(child, 0)
    try:
        return pickle.loads(content)
    except (EOFError, pickle.UnpicklingError):
        return None


def _answer_and_exit(function: Callable[[], Any], writer: int) -> None:
    """Write what the function returns, pickled, and end this process whatever happens."""
    try:
        sys.stdout = sys.stderr = io.StringIO()
        if "torch" in sys.modules:  # its pool of threads is not copied with the process
            sys.modules["torch"].set_num_threads(1)
        content = pickle.dumps(function())
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(content)
    finally:
        os._exit(0)


def _read(reader: int) -> bytes:
    """All that comes before the other end closes, or nothing where that takes too long."""
    end, content = time.monotonic() + SECONDS, b""
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reader, 1 << 20)
        if not part:
            return content
        content += part
    return b""
