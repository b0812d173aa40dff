"""Temporary changes around a question: other later days, the platform's limit, another process."""

import io
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

LIMITS = ("BASE_URL", "MAX_DATETIME_LIMIT", "MAX_DATE_LIMIT")  # what qnt.data.common keeps of its limit
SECONDS = 300  # that a child process may take
Result = TypeVar("Result")


@contextmanager
def data_limit(day: np.datetime64) -> Iterator[None]:
    """Within the ``with``, let the platform's library load nothing after a day, as in a pass."""
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
    """Within the ``with``, replace all values after a row by noise around the mean before it, in place."""
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
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(function, writer))
    child.start()
    writer.close()
    try:
        return reader.recv() if reader.poll(SECONDS) else None
    except EOFError:  # the copy died
        return None
    finally:
        reader.close()
        child.kill()
        child.join()


def _answer(function: Callable[[], Any], writer: Connection) -> None:
    sys.stdout = sys.stderr = io.StringIO()
    if "torch" in sys.modules:  # its pool of threads is not copied with the process
        sys.modules["torch"].set_num_threads(1)
    writer.send(function())
