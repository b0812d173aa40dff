"""Market data: checks, fields, days, windows and loading."""

import operator
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.competitions import COMPETITIONS
from lib.common.errors import WrongValueError

if TYPE_CHECKING:
    import xarray as xr

LAYOUT = ("field", "time", "asset")
FIELDS = ("open", "low", "high", "close", "vol", "divs", "split_cumprod", "is_liquid")
HINT = "pass what strategy.load_data returns."


def check_data(data: "xr.DataArray") -> "xr.DataArray":
    """Check data and return them as (field, time, asset).

    Raises
    ------
    ValueError
        Other dimensions than field, time and asset; values that are not numbers; time labels that are not
        dates; a field that is missing or occurs twice; no day; days unsorted or repeated; a repeated asset.
    """
    dims = getattr(data, "dims", ())
    if set(dims) != set(LAYOUT):
        got = dims or type(data).__name__
        raise ValueError(f"data must have the dimensions {LAYOUT}, not {got}: {HINT}")
    if dims != LAYOUT:
        data = data.transpose(*LAYOUT)
    if data.dtype.kind not in "fiu":
        raise ValueError(f"data must hold numbers, not values of type {data.dtype}: use data.astype(float).")
    fields, days, assets = (data.get_index(dim) for dim in LAYOUT)
    missing = {"open", "close", "is_liquid"}.difference(fields)
    if missing:
        raise ValueError(f"data lack the field {', '.join(sorted(missing))}: {HINT}")
    if not fields.is_unique:
        raise ValueError(f"data hold the field {fields[fields.duplicated()][0]} twice: {HINT}")
    if len(days) == 0:
        raise ValueError("data hold no day: load a longer period, or an earlier end.")
    if days.dtype.kind != "M":
        raise ValueError(f"the time labels of data must be dates, not values of type {days.dtype}: {HINT}")
    if not (days.is_monotonic_increasing and days.is_unique):
        raise ValueError(
            "days must ascend without repetition: sort them with data.sortby('time') and "
            "remove repeated ones with data.drop_duplicates('time')."
        )
    if not assets.is_unique:
        raise ValueError("an asset occurs twice in the data: use data.drop_duplicates('asset').")
    return data


def field(data: "xr.DataArray", name: str) -> np.ndarray:
    """Return the values (time, asset) of one field.

    The data have the layout (field, time, asset). The result is a view, equal to
    ``data.sel(field=name).values`` and faster.
    """
    return data.values[data.get_index("field").get_loc(name)]


def tradable(liquid: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Return True where an asset is liquid and priced.

    NaN is neither.
    """
    return (liquid > 0) & (price > 0) & np.isfinite(price)


def trading_days(data: "xr.DataArray") -> np.ndarray:
    """Return the days with a liquid asset, datetime64[D].

    The data have the layout (field, time, asset).
    """
    return data.time.values[(field(data, "is_liquid") > 0).any(axis=1)].astype("M8[D]")


def window_between(data: "xr.DataArray", first: np.datetime64, last: np.datetime64) -> "xr.DataArray":
    """Return a copy of data between two days.

    It is equal to a load of the platform's loader for the calendar days `first` to `last`, both included.
    `data` (field, time, asset) is a load of these days and more. An asset stays if it is liquid at least once
    within the days. A day stays if any of these assets has data.
    """
    data = data.sel(time=slice(first, last))
    data = data.isel(asset=np.flatnonzero((field(data, "is_liquid") > 0).any(axis=0)))
    empty = np.isnan(data.values).all(axis=(0, 2))
    return data.isel(time=~empty) if empty.any() else data


def window_of(data: "xr.DataArray", day: np.datetime64, period: int) -> "xr.DataArray":
    """Return the data that a pass on `day` loads.

    They begin `period` calendar days before `day`. See `window_between`.
    """
    return window_between(data, day - np.timedelta64(period, "D"), day)


def last_rows(data: "xr.DataArray", days: Iterable[np.datetime64], period: int) -> Generator["xr.DataArray"]:
    """Yield the last row of each day's window.

    The row is the last day of `window_of`, as (field, 1, asset). `days` are trading days.
    """
    times = data.time.values.astype("M8[D]")
    liquid = field(data, "is_liquid") > 0
    before = np.concatenate([np.zeros((1, liquid.shape[1]), int), liquid.cumsum(axis=0)])  # days so far
    for day in days:
        first, last = np.searchsorted(times, [day - np.timedelta64(period, "D"), day])
        yield data.isel(time=[last], asset=np.flatnonzero(before[last + 1] > before[first]))


def days_between(data: "xr.DataArray", first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """Return the trading days between two days.

    Both days are included. The result is datetime64[D].
    """
    days = trading_days(data)
    return days[(days >= first) & (days <= last)]


def filled(values: np.ndarray) -> np.ndarray:
    """Fill gaps along time in both directions.

    They are filled forward, then backward, then with 1. The values are (time, ...).
    """
    if not np.isnan(values).any():
        return values
    values = _forward_filled(_forward_filled(values)[::-1])[::-1]
    return np.where(np.isnan(values), 1.0, values)


def _forward_filled(values: np.ndarray) -> np.ndarray:
    days = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    last_seen = np.maximum.accumulate(np.where(np.isnan(values), 0, days), axis=0)
    return np.take_along_axis(values, last_seen, axis=0)


# last day of the data that `train_model` or `predict` is working on, if one of them is running
_data_end: ContextVar[str | None] = ContextVar("data_end", default=None)
# periods in calendar days that were loaded inside `recording_loads`
_loads: ContextVar[list[int] | None] = ContextVar("loads", default=None)
LIMITS = ("BASE_URL", "MAX_DATETIME_LIMIT", "MAX_DATE_LIMIT")  # where qnt.data.common stores its limit


def load_last(competition_type: str, period: int) -> "xr.DataArray":
    """Load the last calendar days of a universe.

    The data are (field, time, asset); `period` is the number of days.
    """
    import qnt.data as qndata

    if (loads := _loads.get()) is not None:
        loads.append(int(period))
    rules, end = COMPETITIONS[competition_type], _data_end.get()
    load = operator.attrgetter(rules.loader)(qndata)
    if rules.has_hours:  # `tail` would count back from the hour, and so lose its first day
        last = np.datetime64(end or qndata.common.parse_date_and_hour(None), "D")
        data = load(min_date=str(last - int(period)), max_date=end)
    else:
        data = load(tail=period, max_date=end)
    if data.sizes["time"] == 0 and _data_end.get() is None:
        raise WrongValueError(_why_empty(competition_type, period))
    return data


def _why_empty(competition_type: str, period: int) -> str:
    from qnt.data.common import parse_date

    today, whole = parse_date(None), load_range(competition_type, "1990-01-01")
    sentence = f"There are no data for {competition_type} in the {period} calendar days up to {today}"
    if whole.sizes["time"] == 0:
        return f"{sentence}, nor before."
    last = str(whole.time.values[-1])[:10]
    return f"{sentence}: they end on {last}. Set DATA_BASE_URL to an address that ends in /last/{last}/."


def load_range(competition_type: str, first: Any, last: Any = None) -> "xr.DataArray":
    """Load a universe from one day to another.

    The data are (field, time, asset). Without `last` they end on the last day available.
    """
    import qnt.data as qndata

    end = _data_end.get()
    if (loads := _loads.get()) is not None and end is not None:
        loads.append(int((np.datetime64(end, "D") - np.datetime64(first, "D")) / np.timedelta64(1, "D")))
    ends = [end, None if last is None else str(np.datetime64(last, "D"))]
    return qndata.load_data_by_type(
        competition_type, min_date=str(first), max_date=min(filter(None, ends), default=None)
    )


@contextmanager
def ending_with(data: "xr.DataArray") -> Iterator[None]:
    """End all loads inside the block with `data`.

    Their last day is the last day of `data`.
    """
    time = getattr(data, "time", None)
    with ending_on(None if time is None or time.dtype.kind != "M" or not time.size else time.values[-1]):
        yield


@contextmanager
def ending_on(day: np.datetime64 | None) -> Iterator[None]:
    """Limit all loads inside the block to a day.

    None lifts the limit.
    """
    token = _data_end.set(None if day is None else str(day)[:10])
    try:
        yield
    finally:
        _data_end.reset(token)


@contextmanager
def recording_loads() -> Iterator[list[int]]:
    """Record the periods that a strategy's functions load themselves.

    They are in calendar days before the day.
    """
    loads: list[int] = []
    token = _loads.set(loads)
    try:
        yield loads
    finally:
        _loads.reset(token)


@contextmanager
def data_limit(day: np.datetime64) -> Iterator[None]:
    """Limit the platform's library to data until a day.

    The limit holds inside the block, as in a pass.
    """
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


def data_end() -> str | None:
    """Return the last day that may be loaded.

    The result is None if neither `train_model` nor `predict` is running.
    """
    return _data_end.get()
