"""Market data from the platform's loaders, which end where the data of a running call end."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.competitions import COMPETITIONS

if TYPE_CHECKING:
    import xarray as xr

# last day of the data that `train_model` or `predict` is working on, if one of them is running
_data_end: ContextVar[str | None] = ContextVar("data_end", default=None)


def load_last(competition_type: str, period: int) -> "xr.DataArray":
    """The last `period` calendar days of a competition's universe, (field, time, asset)."""
    import qnt.data as qndata

    load = getattr(qndata.stocks, COMPETITIONS[competition_type].loader)
    return load(tail=period, max_date=_data_end.get())


def load_range(competition_type: str, first: Any, last: Any = None) -> "xr.DataArray":
    """A competition's universe from one day to another, or to the last there is, (field, time, asset)."""
    import qnt.data as qndata

    ends = [_data_end.get(), None if last is None else str(np.datetime64(last, "D"))]
    return qndata.load_data_by_type(
        competition_type, min_date=str(first), max_date=min(filter(None, ends), default=None)
    )


@contextmanager
def ending_with(data: "xr.DataArray") -> Iterator[None]:
    """Within the ``with``, let what is loaded end with the last day of `data`."""
    time = getattr(data, "time", None)
    last = None if time is None or time.dtype.kind != "M" or not time.size else str(time.values[-1])[:10]
    token = _data_end.set(last)
    try:
        yield
    finally:
        _data_end.reset(token)
