"""What both backtests share: windows, calls with or without state, limits, and the files of a pass."""

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
from .data.stocks import NDX
from .log import log_err, log_info

DAY = np.timedelta64(1, "D")


def is_submitted() -> bool:
    """Return whether this run is a submission: SUBMISSION_ID is set and not empty."""
    return os.environ.get("SUBMISSION_ID", "") != ""


def is_multi_pass_mode_enabled() -> bool:
    """Return whether even a submission runs the whole test: MULTI_PASS_MODE_ENABLED is not empty."""
    return os.environ.get("MULTI_PASS_MODE_ENABLED", "") != ""


def standard_window(data: xr.DataArray, max_date: np.datetime64, lookback_period: int) -> xr.DataArray:
    """Return the data from `lookback_period` calendar days before `max_date` to it, both included."""
    return data.loc[{"time": slice(max_date - np.timedelta64(lookback_period, "D"), max_date)}]


def extract_time_series(data: Any) -> Any:
    """Return the data and days that `load_data` returned, or data with their own days."""
    return data if isinstance(data, tuple) else (data, data.time.values)


def unpack_result(result: Any) -> tuple[Any, Any]:
    """Return `(weights, state)` of what a strategy returned; state is None where it returned weights only."""
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
    """Return the default loader of a competition: calendar days -> data."""
    return lambda days: load_data_by_type(kind, tail=days)


def copying(window: Callable | None) -> Callable:
    """Return `window`, by default `standard_window`, returning deep copies, which calls may change."""
    window = window or standard_window
    return lambda data, day, period: copy.deepcopy(window(data, day, period))


def takes_state(function: Callable, arguments: int) -> bool:
    """Return whether `function` declares that many positional arguments, `self` of a method included."""
    return len(inspect.getfullargspec(function).args) >= arguments


def with_state(function: Callable, arguments: int) -> Callable:
    """Return `function` wrapped to accept a state as last argument, dropped where it takes none."""
    if takes_state(function, arguments):
        return function
    if inspect.getfullargspec(function).varargs:
        name = getattr(function, "__name__", "the strategy")
        log_err(
            f"WARNING! {name} takes *args and so is called without its state, here as on Quantiacs. "
            f"Declare its {arguments} arguments by name, in a decorator too."
        )
    return lambda *args: function(*args[:-1])


def last(days: np.ndarray) -> np.datetime64:
    """Return the last day loaded."""
    if len(days) == 0:
        advice = "start later, load more days or other assets."
        if not market.ever_liquid(NDX):
            advice = (
                f"in {market.describe()} no asset is ever liquid, its field is_liquid is nowhere above 0."
            )
        raise IndexError(f"No data were loaded up to {parse_date()}: {advice}")
    return days[-1]


def check_range(start_date: Any, end_date: Any, test_period: int) -> tuple[np.datetime64, int]:
    """Return first day and number of calendar days of a test, and limit data to its end."""
    set_max_datetime(end_date)
    end = np.datetime64(parse_date())
    if start_date is None:
        return end - np.timedelta64(test_period - 1, "D"), test_period
    start = pd.Timestamp(start_date).to_datetime64()
    if start > end:
        raise ValueError(f"start_date {str(start)[:10]} is after the last day of the test, {end}.")
    return start, (end - start) // DAY


def blocks(days: np.ndarray, interval: int) -> list[tuple[np.datetime64, np.datetime64]]:
    """Return first and last day of each block of `interval` calendar days, from the first of `days` on."""
    found, rest = [], days
    while len(rest):
        block = rest[rest <= rest[0] + np.timedelta64(max(interval - 1, 0), "D")]
        found.append((block[0], block[-1]))
        rest = rest[rest > block[-1]]
    return found


def saved() -> tuple[Any, Any, Any]:
    """Return day of training, model and state as the previous pass wrote them."""
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
    """Return a progress bar on stderr, silent outside notebooks and terminals."""
    watched = graph.is_notebook() or sys.stderr.isatty()
    return tqdm(total=days, unit="day", mininterval=1, file=sys.stderr, disable=not watched)


def clean_and_write(
    output: xr.DataArray, data: xr.DataArray, kind: str, note: str | None = None
) -> xr.DataArray:
    """Clean weights, write them, and return them."""
    result = qnout.clean(output, data, kind)
    result.name = kind
    if note:
        log_info(note)
    qnout.write(result)
    return result
