"""Does what a model learned hold on the days after its training? Asked as the strategy would have asked."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.engine.inputs import get_target_classes, model_inputs
from lib.engine.models import TrainedModels
from lib.engine.prediction import last_outputs

if TYPE_CHECKING:
    import xarray as xr

SHARES = ["hits", "majority", "yesterday"]


def out_of_sample(models: TrainedModels, data: "xr.DataArray", days: Iterable) -> pd.DataFrame:
    """What the models said on each day, against what came, and against two answers that need no model.

    On each day the models see the lookback window that ends with it, from an empty memory, as in
    `strategy.predict`; what came after is read only to judge.

    Parameters
    ----------
    models : TrainedModels
    data : xarray.DataArray
        (field, time, asset), from the training window on, past the days.
    days : iterable of numpy.datetime64
        Trading days after the training window.

    Returns
    -------
    pandas.DataFrame
        A row for each day and asset that was asked and whose target is known by the end of `data`: `day`,
        `asset`, `said` (the model's output), and as 1 or 0 who was right: `hits` the model, an output above a
        half meaning "rises"; `majority` the more frequent class of the training window; `yesterday` the last
        target known by that day's close, NaN where there is none.

    Raises
    ------
    ValueError
        A day is not among those of `data`, or `data` begin after the training window.
    """
    strategy = replace(models.strategy, leave_out_unknown=True)
    days = np.asarray(list(days), dtype="M8[ns]")
    data = data.sel(asset=[asset for asset in models if asset in data.get_index("asset")])
    if data.sizes["asset"] == 0 or len(days) == 0:
        return pd.DataFrame(columns=["day", "asset", "said", *SHARES]).astype(dict.fromkeys(SHARES, float))
    _check(models, data, days)
    truth = get_target_classes(data, strategy).values
    said, before = np.full((2, *truth.shape), np.nan)  # (time, asset)
    time = data.time.values
    ends = np.searchsorted(time, days)
    for end in ends:
        begin = np.searchsorted(time, time[end] - np.timedelta64(strategy.lookback_period, "D"))
        window = data.isel(time=slice(begin, end + 1))
        said[end] = _answers(models, window)
        before[end] = _last_known(get_target_classes(window, strategy).values)
    rises = truth > 0.5
    right = {"hits": (said > 0.5) == rises, "majority": _majority(models, data) == rises}
    right["yesterday"] = np.where(np.isnan(before), np.nan, (before > 0.5) == rises)
    judged = np.isfinite(said) & np.isfinite(truth)
    day, asset = np.nonzero(judged)
    table = {"day": time[day], "asset": data.asset.values[asset], "said": said[judged]}
    return pd.DataFrame(table | {name: right[name][judged].astype(float) for name in SHARES})


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


def _answers(models: TrainedModels, window: "xr.DataArray") -> np.ndarray:
    """What each model says of the last day, (asset,); NaN without finite features that day."""
    said = last_outputs(models, window, models.strategy)
    return np.array([said.get(asset, np.nan) for asset in window.asset.values.tolist()], dtype=float)


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
