"""The parts that both backtests share.

They are windows, calls with or without state, limits, and the weights by day.
"""

import copy
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from lib.offline import market

from . import graph
from . import output as qnout
from . import state as qnstate
from .data import load_data_by_type
from .data.common import parse_date, set_max_datetime
from .log import log_err, log_info

DAY = np.timedelta64(1, "D")
ADVICE = "Return all assets of the data every time: weights.reindex(asset=data.asset, fill_value=0)"


def is_submitted() -> bool:
    """Return True if this run is a submission.

    SUBMISSION_ID is then set and not empty.
    """
    return os.environ.get("SUBMISSION_ID", "") != ""


def is_multi_pass_mode_enabled() -> bool:
    """Return True if submissions run the whole test.

    MULTI_PASS_MODE_ENABLED is then set and not empty.
    """
    return os.environ.get("MULTI_PASS_MODE_ENABLED", "") != ""


def standard_window(data: xr.DataArray, max_date: np.datetime64, lookback_period: int) -> xr.DataArray:
    """Return the data of a lookback window.

    The window runs from `lookback_period` calendar days before `max_date` to this date, both included.
    """
    return data.loc[{"time": slice(max_date - np.timedelta64(lookback_period, "D"), max_date)}]


def extract_time_series(data: Any) -> Any:
    """Return the data and their days.

    `load_data` may have returned both. Otherwise the data have their own days.
    """
    return data if isinstance(data, tuple) else (data, data.time.values)


def unpack_result(result: Any) -> tuple[Any, Any]:
    """Return the weights and state of a strategy.

    The state is None where the strategy returned weights only.
    """
    state = None
    if isinstance(result, tuple):
        if not result:
            log_err("ERROR! The result tuple is empty.")
        state = result[1] if len(result) > 1 else None
        result = result[0]
    if result is None:
        log_err("ERROR! Strategy output is None!")
    return result, state


def loader(kind: str) -> Callable:
    """Return the default loader of a competition.

    The loader takes a number of calendar days and returns data.
    """
    return lambda days: load_data_by_type(kind, tail=days)


def copying(window: Callable | None) -> Callable:
    """Return a window function that returns deep copies.

    It wraps `window`, by default `standard_window`. Strategies may change the copies.
    """
    window = window or standard_window
    return lambda data, day, period: copy.deepcopy(window(data, day, period))


def takes_state(function: Callable, arguments: int) -> bool:
    """Return True if a function takes a state.

    It then declares `arguments` or more positional arguments, `self` of a method included.
    """
    return len(inspect.getfullargspec(function).args) >= arguments


def with_state(function: Callable, arguments: int) -> Callable:
    """Return a function that accepts a state.

    The state is the last argument and is dropped where `function` takes none.
    """
    if takes_state(function, arguments):
        return function
    if inspect.getfullargspec(function).varargs:
        name = getattr(function, "__name__", "the strategy")
        log_err(
            f"WARNING! {name} takes *args and so is called without its state, here as on Quantiacs. "
            f"Declare its {arguments} arguments by name, in a decorator too."
        )
    return lambda *args: function(*args[:-1])


def last(days: np.ndarray, kind: str) -> np.datetime64:
    """Return the last day loaded of a competition's data."""
    if len(days) == 0:
        advice = "start later, load more days or other assets."
        if not market.ever_liquid(kind):
            advice = (
                f"in {market.describe()} no asset is ever liquid, its field is_liquid is nowhere above 0."
            )
        raise IndexError(f"No data were loaded up to {parse_date(kind=kind)}: {advice}")
    return days[-1]


def check_range(start_date: Any, end_date: Any, test_period: int, kind: str) -> tuple[np.datetime64, int]:
    """Return first day and length of a test.

    The length is in calendar days. The function also limits data to the end of the test.
    """
    set_max_datetime(end_date)
    end = np.datetime64(parse_date(kind=kind))
    if start_date is None:
        return end - np.timedelta64(test_period - 1, "D"), test_period
    start = pd.Timestamp(start_date).to_datetime64()
    if start > end:
        raise ValueError(f"start_date {str(start)[:10]} is after the last day of the test, {end}.")
    return start, (end - start) // DAY


def blocks(days: np.ndarray, interval: int) -> list[tuple[np.datetime64, np.datetime64]]:
    """Return first and last day of each block.

    A block has `interval` calendar days. The first block begins with the first of `days`.
    """
    found, rest = [], days
    while len(rest):
        block = rest[rest <= rest[0] + np.timedelta64(max(interval - 1, 0), "D")]
        found.append((block[0], block[-1]))
        rest = rest[rest > block[-1]]
    return found


def saved() -> tuple[Any, Any, Any]:
    """Return the state of the previous pass.

    It consists of the day of training, the model and the strategy's state. All three are None where no state
    can be read. TypeError is raised for another object.
    """
    state = qnstate.read()
    if state is None:
        return None, None, None
    if isinstance(state, tuple | list) and len(state) >= 3:
        return tuple(state[:3])
    raise TypeError(
        f"IN_STATE_PATH holds {type(state).__name__}, not the (day, model, state) that backtest_ml writes: "
        "remove the file, or point the variable to the right one."
    )


def progress(days: int) -> tqdm:
    """Return a progress bar on stderr.

    The bar is silent outside notebooks and terminals.
    """
    watched = graph.is_notebook() or sys.stderr.isatty()
    return tqdm(total=days, unit="day", mininterval=1, file=sys.stderr, disable=not watched)


def clean_and_write(
    output: xr.DataArray, data: xr.DataArray, kind: str, note: str | None = None, as_named: bool = False
) -> xr.DataArray:
    """Clean weights, write them and return them.

    With `as_named` the name of the data determines the competition, otherwise `kind` does.
    """
    result = qnout.clean(output, data, None if as_named else kind)
    result.name = kind
    if note:
        log_info(note)
    qnout.write(result)
    return result


def row(output: Any, day: np.datetime64) -> xr.DataArray:
    """Return the weights of the last day.

    UnboundLocalError is raised without them, as in the real library.
    """
    _check(output)
    if day not in output.time:
        raise UnboundLocalError(f"predict returned no weights for {str(day)[:10]}, the last day of its data.")
    return output.sel(time=[day])


class BlockRows:
    """The weights collected by `backtest_ml`."""

    def __init__(self, days: np.ndarray):
        self.days = pd.Index(days)
        self.array: xr.DataArray | None = None

    def put(self, output: Any, first: np.datetime64, last: np.datetime64, skip_absent: bool) -> None:
        """Keep the weights of one block.

        The block has the rows from `first` to `last`. With `skip_absent` an output without such rows is
        ignored.
        """
        _check(output)
        times = output.time.values
        inside = (times >= first) & (times <= last)
        if skip_absent and not inside.any():
            return
        if self.array is None:
            coords = {**output.coords, "time": self.days.values}
            self.array = xr.DataArray(np.nan, coords, output.dims).transpose("time", ...)
        if not np.array_equal(output.asset.values, self.array.asset.values):
            raise IndexError(
                "dimension coordinate 'asset' conflicts between indexed and indexing objects: the weights "
                f"for {str(last)[:10]} are not for the assets of the first call, in its order. {ADVICE}"
            )
        # By position: assignment by label would take most of a day's run time.
        rows, times = output.transpose("time", ...).values[inside], times[inside]
        places = self.days.get_indexer(times)
        unknown = times[(places < 0) & ~np.isnan(rows).all(axis=1)]
        if len(unknown):
            raise KeyError(f"predict returned weights for {str(unknown[0])[:10]}, no day of the test.")
        self.array.values[places[places >= 0]] = rows[places >= 0]

    def all(self) -> xr.DataArray:
        """Return the weights of all days.

        They are NaN on days without weights.
        """
        if self.array is None:
            raise AttributeError("predict returned no weights for any day of the test.")
        return self.array


class DayRows:
    """The weights collected by `backtest`."""

    def __init__(self, days: np.ndarray):
        self.days = days
        self.array: xr.DataArray | None = None
        self.moved = False

    def put(self, output: Any, day: np.datetime64) -> None:
        """Keep the weights of one day."""
        if not isinstance(output, xr.DataArray):
            log_err("Output is not an xarray DataArray!")
            raise TypeError(f"The strategy has to return an array of weights, not {type(output).__name__}.")
        if set(output.dims) not in ({"asset"}, {"asset", "time"}):
            log_err("Wrong output dimensions. ", output.dims, " Should contain only:", {"asset", "time"})
            raise TypeError(f"The weights need the dims (asset) or (time, asset), not {output.dims}.")
        if "time" in output.dims:
            if day not in output.time:
                raise KeyError(f"The strategy returned no weights for {str(day)[:10]}, its data's last day.")
            output = output.sel(time=day)
        if self.array is None:
            coords = {"time": self.days, "asset": output.asset.values}
            values = np.empty((len(self.days), output.size), output.dtype)
            self.array = xr.DataArray(values, coords, ("time", "asset"))
        elif not self.moved and not np.array_equal(self.array.asset.values, output.asset.values):
            # The platform goes by position too, which puts weights on other assets; hence a warning only.
            self.moved = True
            log_err(
                f"WARNING! From {str(day)[:10]} on weights are not for the assets of the first call, in its "
                f"order, but are kept as if they were, here as on Quantiacs. {ADVICE}"
            )
        self.array.values[self.days == day] = output.values


def _check(output: Any) -> None:
    if not isinstance(output, xr.DataArray) or set(output.dims) != {"time", "asset"}:
        found = output.dims if isinstance(output, xr.DataArray) else type(output).__name__
        raise AttributeError(f"predict has to return weights with the dims (time, asset), not {found}.")
