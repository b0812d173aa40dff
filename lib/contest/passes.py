"""The part of a single pass that needs no state: training, and the models' outputs for the day."""

import contextlib
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.compare import project_code
from lib.contest.windows import seen_on
from lib.engine.fast_lstm import is_published

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy

DAYS_TOGETHER = 24  # trained in one call: a month; more would only take more memory


class Pass(NamedTuple):
    """What a day's models answer, and what became of their training; values that JSON holds.

    An asset was selected if it is in `models` or in `dropped`.
    """

    day: str  # YYYY-MM-DD
    outputs: dict[str, float]  # by asset, for the last day
    models: list[str]  # assets that have one
    dropped: dict[str, str]  # selected assets without a model, and why
    seconds: float  # of training and asking, the mean of the days trained together


def compute(
    strategy: "Strategy", data: "xr.DataArray", days: Iterable[np.datetime64], files: list[str], code: str
) -> list[dict[str, Any]]:
    """Train and ask on each day, as a worker does: a `Pass` per day, as a dict.

    Parameters
    ----------
    strategy : Strategy
    data : xarray.DataArray
        (field, time, asset): what `lib.contest.windows.seen_by` returns for the days.
    days : iterable of numpy.datetime64[D]
    files, code : list of str, str
        The project's files that the passes depend on, and the caller's fingerprint of them.

    Raises
    ------
    ValueError
        This worker has another version of the project.
    """
    if project_code.fingerprint(files) != code:
        raise ValueError("a worker has another version of lib/ than this process: give both the same.")
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        if not is_published(strategy):
            import torch

            torch.set_num_threads(1)  # the cores are busy with other days
        days = list(days)
        together = [days[k : k + DAYS_TOGETHER] for k in range(0, len(days), DAYS_TOGETHER)]
        return [result._asdict() for part in together for result in _passes(strategy, data, part)]


def _passes(strategy: "Strategy", data: "xr.DataArray", days: list[np.datetime64]) -> list[Pass]:
    trained = strategy.train_models(seen_on(data, day, strategy.train_period) for day in days)
    return [
        Pass(
            str(day),
            strategy.outputs(models, seen_on(data, day, strategy.lookback_period)),
            list(models),
            models.dropped,
            round(models.seconds, 4),
        )
        for day, models in zip(days, trained, strict=True)
    ]
