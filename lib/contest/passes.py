"""Single passes as in the contest.

Each trains and predicts for one day.
"""

import contextlib
import pickle
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import cloudpickle
import numpy as np

from lib.common.market_data import data_limit, ending_with, last_rows, recording_loads, window_of
from lib.engine import prediction, training
from lib.engine.models import TrainedModels
from lib.engine.prediction import KnownOutputs, predict_days
from lib.runs.store import Identity, prepared_worker
from lib.runs.workers import captured_output
from lib.strategy import Strategy, loads_own_data

if TYPE_CHECKING:
    import xarray as xr

DAYS_TOGETHER = 24  # trained in one call: a month; more would only take more memory
_one_limit = threading.Lock()  # the platform's library keeps its limit for the whole process


class Pass(NamedTuple):
    """The result of a day's pass.

    JSON can hold its values. `outputs` belong to a strategy whose outputs need no state; the weights follow
    from them. For other strategies `weights` are kept instead. An asset was selected if it is in `models` or
    in `dropped`.
    """

    day: str  # YYYY-MM-DD
    outputs: dict[str, float]  # by asset, for the last day
    models: list[str] | None  # assets that have one; None where models are not by asset
    dropped: dict[str, str]  # selected assets without a model, and why
    seconds: float  # of training and prediction, the mean of the days trained together
    weights: dict[str, float] | None = None
    widest: int = 0  # calendar days of the longest period that was loaded


def compute_outputs(
    strategy: Strategy,
    data: "xr.DataArray",
    days: Iterable[np.datetime64],
    identity: Identity,
    named: Mapping[str, Mapping[str, Callable]],
) -> list[dict[str, Any]]:
    """Train and compute outputs in a worker.

    The result has a `Pass` for each day, as a dict.

    Parameters
    ----------
    strategy : Strategy
        One that overrides neither `train_model` nor `predict`.
    data : xarray.DataArray
        (field, time, asset): all data that the passes on the days load.
    days : iterable of numpy.datetime64[D]
    identity : lib.runs.store.Identity
        Identity of the strategy's passes in the calling process.
    named : mapping
        Functions that the strategy names: see `lib.runs.store.registered`.

    Raises
    ------
    ValueError
        This worker has another version of the code or of a package.
    """
    with captured_output(), prepared_worker(strategy, identity, named):
        days = list(days)
        together = [days[k : k + DAYS_TOGETHER] for k in range(0, len(days), DAYS_TOGETHER)]
        return [result._asdict() for part in together for result in _outputs(strategy, data, part)]


def train_days(
    strategy: Strategy,
    data: "xr.DataArray",
    days: Iterable[np.datetime64],
    identity: Identity,
    named: Mapping[str, Mapping[str, Callable]],
) -> list[tuple[str, bytes, float, int]]:
    """Train with a strategy's own methods in a worker.

    There is a training for each day. Parameters and errors are the same as of `compute_outputs`.

    Returns
    -------
    list of (day, models, seconds, widest)
        For each day the pickled models, the seconds of the training, and the longest period that was loaded.
    """
    trained = []
    with captured_output(), prepared_worker(strategy, identity, named):
        for day in days:
            started = time.perf_counter()
            with seen_on(strategy, data, day, strategy.train_period) as window, recording_loads() as loads:
                models = strategy.train_model(window)
            seconds = time.perf_counter() - started
            trained.append((str(day), cloudpickle.dumps(models), seconds, max(loads, default=0)))
    return trained


def predict_trained(
    strategy: Strategy, data: "xr.DataArray", trained: Iterable[tuple[str, bytes, float, int]], state: Any
) -> Iterator[tuple[Pass, Any]]:
    """Predict the days of `train_days` in sequence.

    The pass and the state of each day are yielded.

    Raises
    ------
    ValueError
        The weights belong to another day, or name an asset that is not in `data`.
    """
    for day, content, seconds, widest in trained:
        started, models = time.perf_counter(), pickle.loads(content)
        date = np.datetime64(day, "D")
        with seen_on(strategy, data, date, strategy.lookback_period) as window, recording_loads() as loads:
            ((weights, state),) = predict_days(strategy.predict, [(models, window)], state)
        seconds += time.perf_counter() - started
        assets = list(models) if isinstance(models, TrainedModels) else None
        dropped = models.dropped if isinstance(models, TrainedModels) else {}
        row = _row(weights, date, data)
        yield (
            Pass(day, {}, assets, dropped, round(seconds, 4), row, max(widest, *loads, 0)),
            state,
        )


def follow(strategy: Strategy, data: "xr.DataArray", passes: list[Pass]) -> "xr.DataArray":
    """Return the weights (time, asset) of consecutive passes."""
    import xarray as xr

    days = np.array([entry.day for entry in passes], dtype="M8[D]")
    table = np.zeros((len(days), data.sizes["asset"]))
    places = data.get_index("asset")
    if passes and passes[0].weights is None:
        known = (KnownOutputs(entry.outputs, set(entry.models or ())) for entry in passes)
        with contextlib.closing(_seen_by_sizing(strategy, data, days)) as seen:
            steps = zip(known, seen, strict=True)
            for row, (weights, _) in zip(table, predict_days(strategy.predict, steps), strict=True):
                row[places.get_indexer(weights.get_index("asset"))] = weights.values[0]
    else:
        for row, entry in zip(table, passes, strict=True):
            held = entry.weights or {}
            row[places.get_indexer(list(held))] = list(held.values())
    coords = {"time": days.astype("M8[ns]"), "asset": data.asset.values}
    return xr.DataArray(table, coords, ("time", "asset"), name=data.name)


def _seen_by_sizing(
    strategy: Strategy, data: "xr.DataArray", days: Iterable[np.datetime64]
) -> "Generator[xr.DataArray]":
    """Return the data that the sizing sees.

    For each day they are the lookback window, or its last day only.
    """
    _, takes_data = prediction.sizing_of(strategy)
    if not takes_data:
        return last_rows(data, days, strategy.lookback_period)
    return _windows(strategy, data, days, strategy.lookback_period)


@contextlib.contextmanager
def seen_on(
    strategy: Strategy, data: "xr.DataArray", day: np.datetime64, period: int
) -> "Iterator[xr.DataArray]":
    """Provide the data of a pass on `day`.

    They are cut from `data`, or loaded by a strategy with its own loader. In the second case the platform's
    library loads nothing after the day inside the block.
    """
    if not loads_own_data(strategy):
        yield window_of(data, day, period)
        return
    with _one_limit, data_limit(day):
        yield strategy.load_data(period)


def _windows(
    strategy: Strategy, data: "xr.DataArray", days: Iterable[np.datetime64], period: int
) -> "Generator[xr.DataArray]":
    """Yield the data of each day's pass.

    While a window is in use, nothing later is loaded.
    """
    for day in days:
        with seen_on(strategy, data, day, period) as window, ending_with(window):
            yield window


def _outputs(strategy: Strategy, data: "xr.DataArray", days: list[np.datetime64]) -> list[Pass]:
    started, passes = time.perf_counter(), []
    with recording_loads() as loads:
        with contextlib.closing(_windows(strategy, data, days, strategy.train_period)) as windows:
            trained = training.train_windows(windows, strategy)
        with contextlib.closing(_windows(strategy, data, days, strategy.lookback_period)) as windows:
            for day, models, window in zip(days, trained, windows, strict=True):
                outputs = prediction.last_outputs(models, window, strategy)
                passes.append(Pass(str(day), outputs, list(models), models.dropped, 0.0))
    seconds = round((time.perf_counter() - started) / len(days), 4)
    return [result._replace(seconds=seconds, widest=max(loads, default=0)) for result in passes]


def _row(weights: "xr.DataArray", day: np.datetime64, data: "xr.DataArray") -> dict[str, float]:
    """Return the weights of a day by asset.

    They are as written to a file: finite, with a sum of at most 1.
    """
    if "time" in weights.dims:
        weights = weights.isel(time=-1)
        if weights.time.values.astype("M8[D]") != day:
            written = str(weights.time.values)[:10]
            raise ValueError(f"predict returns weights of {written} for {day}: return those of the last day")
    values = np.nan_to_num(weights.values.astype(float), nan=0.0, posinf=0.0, neginf=0.0)
    values = values / max(float(np.abs(values).sum()), 1.0)
    row = {str(a): w for a, w in zip(weights.asset.values.tolist(), values.tolist(), strict=True) if w}
    unknown = sorted(set(row).difference(data.asset.values.tolist()))
    if unknown:
        raise ValueError(f"predict returns weights of {unknown[0]}, which is not in the competition's data")
    return row
