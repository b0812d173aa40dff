"""The accuracy of models on the days after their training, with outputs computed as in the strategy."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.engine.inputs import get_target_classes, model_inputs
from lib.engine.models import TrainedModels
from lib.report.outputs import outputs_of

if TYPE_CHECKING:
    import xarray as xr

ACCURACIES = ["accuracy", "majority_accuracy", "yesterday_accuracy"]


def out_of_sample(
    models: TrainedModels, data: "xr.DataArray", days: Iterable, outputs: "xr.DataArray | None" = None
) -> pd.DataFrame:
    """Compare the outputs of models on each day with the outcome, and with two rules that need no model.

    On each day the models see the lookback window that ends with it, from an empty memory, as in
    `strategy.predict`. Later days are used only to judge.

    Parameters
    ----------
    models : TrainedModels
    data : xarray.DataArray
        (field, time, asset), from the beginning of the training window to after the days.
    days : iterable of numpy.datetime64
        Trading days after the training window.
    outputs : xarray.DataArray, optional
        (time, asset), of these days at least, from `outputs_of`, where they are known already.

    Returns
    -------
    pandas.DataFrame
        A row for each day and asset with an answer whose target is known by the end of `data`: `day`,
        `asset`, `output` (of the model), and three columns that are 1 where the rule was right and 0 where it
        was not, so that their means are accuracies. `accuracy`: the model, "rises" being an output above 0.5.
        `majority_accuracy`: the more frequent class of the training window. `yesterday_accuracy`: the last
        target known by that day's close; NaN where there is none.

    Raises
    ------
    ValueError
        A day is not among those of `data`, or `data` begin after the training window.
    """
    strategy = replace(models.strategy, leave_out_unknown=True)
    days = np.asarray(list(days), dtype="M8[ns]")
    data = data.sel(asset=[asset for asset in models if asset in data.get_index("asset")])
    if data.sizes["asset"] == 0 or len(days) == 0:
        return pd.DataFrame(columns=["day", "asset", "output", *ACCURACIES]).astype(
            dict.fromkeys(ACCURACIES, float)
        )
    _check(models, data, days)
    truth = get_target_classes(data, strategy).values
    answers, before = np.full((2, *truth.shape), np.nan)  # (time, asset)
    time = data.time.values
    if outputs is None:
        outputs = outputs_of(models, data, days)
    ends = np.searchsorted(time, days)
    for end in ends:
        begin = np.searchsorted(time, time[end] - np.timedelta64(strategy.lookback_period, "D"))
        window = data.isel(time=slice(begin, end + 1))
        before[end] = _last_known(get_target_classes(window, strategy).values)
    answers[ends] = outputs.sel(time=days, asset=data.asset).values
    rises = truth > 0.5
    right = {"accuracy": (answers > 0.5) == rises, "majority_accuracy": _majority(models, data) == rises}
    right["yesterday_accuracy"] = np.where(np.isnan(before), np.nan, (before > 0.5) == rises)
    judged = np.isfinite(answers) & np.isfinite(truth)
    day, asset = np.nonzero(judged)
    table = {"day": time[day], "asset": data.asset.values[asset], "output": answers[judged]}
    return pd.DataFrame(table | {name: right[name][judged].astype(float) for name in ACCURACIES})


def _check(models: TrainedModels, data: "xr.DataArray", days: np.ndarray) -> None:
    absent = np.setdiff1d(days, data.time.values)
    if len(absent):
        raise ValueError(
            f"The data lack {len(absent)} of the days to judge, {str(absent[0])[:10]} the first of them."
        )
    if data.time.values[0] > models.window[0] + np.timedelta64(7, "D"):  # it may begin with a holiday
        raise ValueError(
            f"The data begin on {str(data.time.values[0])[:10]}, after the training window, which begins on "
            f"{models.window[0]}: load data from there on."
        )


def _majority(models: TrainedModels, data: "xr.DataArray") -> np.ndarray:
    """Whether the more frequent class among the days trained on is "rises", (asset,)."""
    window = data.sel(time=slice(*models.window))
    target = get_target_classes(window, models.strategy).values
    known = np.isfinite(target) & model_inputs(window, models.strategy)[1].T
    return ((target > 0.5) & known).sum(axis=0) * 2 > known.sum(axis=0)


def _last_known(values: np.ndarray) -> np.ndarray:
    """The last finite value of each column of (time, asset), as (asset,); NaN where there is none."""
    found = np.full(values.shape[1], np.nan)
    for row in values[::-1]:
        found = np.where(np.isnan(found), row, found)
        if not np.isnan(found).any():
            break
    return found
