"""The part of a single pass that needs no state: training, and the outputs for the day."""

import contextlib
import io
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.market_data import ending_with
from lib.contest.windows import seen_on
from lib.engine import prediction, training
from lib.engine.published import needs_torch
from lib.runs import project_code
from lib.runs.user_functions import register
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

DAYS_TOGETHER = 24  # trained in one call: a month; more would only take more memory


class Pass(NamedTuple):
    """A day's models: their outputs, and the assets whose training failed; values that JSON holds.

    An asset was selected if it is in `models` or in `dropped`.
    """

    day: str  # YYYY-MM-DD
    outputs: dict[str, float]  # by asset, for the last day
    models: list[str]  # assets that have one
    dropped: dict[str, str]  # selected assets without a model, and why
    seconds: float  # of training and inference, the mean of the days trained together


def compute(
    strategy: Strategy,
    data: "xr.DataArray",
    days: Iterable[np.datetime64],
    files: Iterable[str],
    code: str,
    named: Mapping[str, Mapping[str, Callable]],
) -> list[dict[str, Any]]:
    """Train and compute the outputs of each day in a worker: a `Pass` per day, as a dict.

    Parameters
    ----------
    strategy : Strategy
    data : xarray.DataArray
        (field, time, asset): what `lib.contest.windows.seen_by` returns for the days.
    days : iterable of numpy.datetime64[D]
    files, code : iterable of str, str
        The project's files that decide a pass, and the caller's `project_code.fingerprint` of them.
    named : mapping
        Functions that the strategy names: see `lib.runs.user_functions.registered`.

    Raises
    ------
    ValueError
        This worker has another version of the project.
    """
    if project_code.fingerprint(files) != code:
        raise ValueError("a worker has another version of the code than this process: give both the same.")
    register(named)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        if needs_torch(strategy):
            import torch

            torch.set_num_threads(1)  # the cores are busy with other days
        days = list(days)
        together = [days[k : k + DAYS_TOGETHER] for k in range(0, len(days), DAYS_TOGETHER)]
        return [result._asdict() for part in together for result in _passes(strategy, data, part)]


def _passes(strategy: Strategy, data: "xr.DataArray", days: list[np.datetime64]) -> list[Pass]:
    started, lessons, passes = time.perf_counter(), [], []
    for day in days:
        window = seen_on(data, day, strategy.train_period)
        with ending_with(window):
            lessons.append(training.lesson_of(window, strategy))
    for day, models in zip(days, training.train_lessons(lessons, strategy), strict=True):
        window = seen_on(data, day, strategy.lookback_period)
        with ending_with(window):
            outputs = prediction.last_outputs(models, window, strategy)
        passes.append(Pass(str(day), outputs, list(models), models.dropped, 0.0))
    seconds = round((time.perf_counter() - started) / len(days), 4)
    return [result._replace(seconds=seconds) for result in passes]
