"""The outputs of models beside the outcomes, day by day.

They are computed in sample and out of sample.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from lib.common.market_data import ending_with
from lib.engine.inputs import TrainingSet, get_target_classes, model_inputs, set_of_assets
from lib.engine.models import TrainedModels
from lib.engine.prediction import last_outputs, panel_outputs
from lib.stats.performance import correlation_of

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters
    from lib.strategy import Strategy

ACCURACIES = ("accuracy", "majority_accuracy", "yesterday_accuracy")
CORRELATIONS = ("correlation", "rank_correlation")
IN_SAMPLE_COLUMNS = ("asset", "output", "target")


class EvaluatedTraining(NamedTuple):
    """A training of a backtest with its outputs.

    The outputs (time, asset) are also given in sample and out of sample.
    """

    models: TrainedModels
    outputs: "xr.DataArray"
    in_sample: pd.DataFrame  # see `in_sample_outputs`
    out_of_sample: pd.DataFrame  # see `out_of_sample_outputs`


def outputs_of(
    models: TrainedModels, data: "xr.DataArray", days: Iterable, strategy: "Strategy | None" = None
) -> "xr.DataArray":
    """Compute the output of each model on each day.

    Parameters
    ----------
    models : TrainedModels
    data : xarray.DataArray
        (field, time, asset): the days, and the lookback period before them, of the whole universe.
    days : iterable of numpy.datetime64
        Days of `data`. On each the models see the lookback window that ends with it, from an empty memory, as
        in `strategy.predict`.
    strategy : Strategy, optional
        The strategy that predicts. Default: the one that trained.

    Returns
    -------
    xarray.DataArray
        (time, asset): the days, and the assets of `data` with a model or an output. NaN where there is no
        output, since a feature is not finite that day.
    """
    import xarray as xr

    used, days = strategy or models.strategy, np.asarray(list(days), dtype="M8[ns]")
    time = data.time.values
    found: list[dict[str, float]] = []
    for end in np.searchsorted(time, days):
        begin = np.searchsorted(time, time[end] - np.timedelta64(used.lookback_period, "D"))
        window = data[:, begin : end + 1]
        with ending_with(window):
            found.append(last_outputs(models, window, used))
    known = set().union(models, *found)  # a pooled model may be asked about assets that it was not trained on
    assets = [asset for asset in data.get_index("asset") if asset in known]
    values = np.full((len(days), len(assets)), np.nan)
    for row, outputs in enumerate(found):
        values[row] = [outputs.get(asset, np.nan) for asset in assets]
    return xr.DataArray(values, {"time": days, "asset": np.array(assets, dtype=str)}, ("time", "asset"))


def in_sample_outputs(models: TrainedModels, training_set: TrainingSet | None) -> pd.DataFrame:
    """Return the outputs of models in sample.

    The table has a row with `asset`, `output` and `target` for each day and asset in the training set.
    Outputs are computed as in the training: the whole window as one sequence.
    """
    if training_set is None:
        return _no_rows(IN_SAMPLE_COLUMNS)
    assets, known = training_set.assets, training_set.known
    outputs, there = panel_outputs(models, assets, training_set.x, known, models.strategy)
    tables = [
        pd.DataFrame({"asset": asset, "output": outputs[k][days], "target": training_set.y[k][days]})
        for k, (asset, days) in enumerate(zip(assets, known & there, strict=True))
        if days.any()
    ]
    return pd.concat(tables, ignore_index=True) if tables else _no_rows(IN_SAMPLE_COLUMNS)


def training_set_of_models(models: TrainedModels, data: "xr.DataArray") -> TrainingSet | None:
    """Return the training set of models again.

    The set contains the assets that were left out too. The result is None if `data` hold no day of the
    training window.
    """
    window = data.sel(time=slice(*models.window))
    if not window.sizes["time"]:
        return None
    with ending_with(window):
        return set_of_assets(window, models.strategy, _selected(models, data))


def out_of_sample_outputs(
    models: TrainedModels, data: "xr.DataArray", days: Iterable, outputs: "xr.DataArray | None" = None
) -> pd.DataFrame:
    """Compare outputs with outcomes and two simple rules.

    The comparison is made for each day. Later days are used only for the outcome.

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
        A row for each day and asset with an output whose target is known by the end of `data`: `day`,
        `asset`, `output`, `target`, and three columns that are 1 where the rule was right and 0 where it was
        not, so that their means are accuracies (for targets of 0 and 1). `accuracy`: the model, an output
        above 0.5 meaning "rises". `majority_accuracy`: the more frequent class of the training window.
        `yesterday_accuracy`: the last target known by that day's close; NaN where there is none.

    Raises
    ------
    ValueError
        A day is not among those of `data`, or `data` begin after the training window.
    """
    days = np.asarray(list(days), dtype="M8[ns]")
    index = data.get_index("asset")
    assets = [asset for asset in index if asset in models]
    if not assets or len(days) == 0:
        return _no_rows(("day", *IN_SAMPLE_COLUMNS, *ACCURACIES))
    _check(models, data, days)
    strategy, time = replace(models.strategy, leave_out_unknown=True), data.time.values
    truth = _targets(models, data, strategy, assets)
    values, before = np.full((2, *truth.shape), np.nan)  # (time, asset)
    if outputs is None:
        outputs = outputs_of(models, data, days)
    ends = np.searchsorted(time, days)
    for end in ends:
        begin = np.searchsorted(time, time[end] - np.timedelta64(strategy.lookback_period, "D"))
        window = data.isel(time=slice(begin, end + 1))
        before[end] = _last_known(_targets(models, window, strategy, assets))
    values[ends] = outputs.sel(time=days, asset=assets).values
    rises = truth > 0.5
    right = {"accuracy": (values > 0.5) == rises, "majority_accuracy": _majority(models, data) == rises}
    right["yesterday_accuracy"] = np.where(np.isnan(before), np.nan, (before > 0.5) == rises)
    known = np.isfinite(values) & np.isfinite(truth)
    day, asset = np.nonzero(known)
    table = {"day": time[day], "asset": np.array(assets)[asset], "output": values[known]}
    table["target"] = truth[known]
    return pd.DataFrame(table | {name: right[name][known].astype(float) for name in ACCURACIES})


def evaluate_trainings(
    stretches: list[tuple[TrainedModels, np.ndarray]], data: "xr.DataArray", strategy: "Strategy"
) -> list[EvaluatedTraining]:
    """Evaluate the trainings of a backtest.

    `stretches` are pairs of a training and its days, which begin with the day of the training.
    """
    found = []
    for models, days in stretches:
        outputs = outputs_of(models, data, days, strategy)
        later = out_of_sample_outputs(models, data, days[days > models.window[1]], outputs)
        in_sample = in_sample_outputs(models, training_set_of_models(models, data))
        found.append(EvaluatedTraining(models, outputs, in_sample, later))
    return found


def traded_outputs(trainings: list[EvaluatedTraining]) -> "xr.DataArray":
    """Return the outputs (time, asset) that were traded.

    On the day of a training these are the outputs of its models.
    """
    import xarray as xr

    ends = [training.models.window[1].astype("M8[ns]") for training in trainings[1:]]
    earlier = [
        training.outputs.sel(time=training.outputs.time < end)
        for training, end in zip(trainings, ends, strict=False)
    ]
    return xr.concat([*earlier, trainings[-1].outputs], "time", join="outer")


def has_classes(table: pd.DataFrame) -> bool:
    """Return True if each `target` is 0 or 1.

    Accuracies have a meaning for such targets only.
    """
    return bool(table["target"].isin([0, 1]).all())


def correlations(table: pd.DataFrame) -> dict[str, float]:
    """Return the correlations of `output` and `target`.

    They are the correlation and the rank correlation, and NaN where one of the two never changes.
    """
    ranks = table[["output", "target"]].rank()
    found = [correlation_of(each["output"].to_numpy(), each["target"].to_numpy()) for each in (table, ranks)]
    return dict(zip(CORRELATIONS, found, strict=True))


def _check(models: TrainedModels, data: "xr.DataArray", days: np.ndarray) -> None:
    absent = np.setdiff1d(days, data.time.values)
    if len(absent):
        raise ValueError(
            f"The data lack {len(absent)} of the days to evaluate, {str(absent[0])[:10]} the first of them."
        )
    if data.time.values[0] > models.window[0] + np.timedelta64(7, "D"):  # it may begin with a holiday
        raise ValueError(
            f"The data begin on {str(data.time.values[0])[:10]}, after the training window, which begins on "
            f"{models.window[0]}: load data from there on."
        )


def _selected(models: TrainedModels, data: "xr.DataArray") -> list[str]:
    """Return the selected assets of a training.

    Assets that got no model are included.
    """
    return [asset for asset in data.get_index("asset") if asset in models or asset in models.dropped]


def _targets(
    models: TrainedModels, data: "xr.DataArray", strategy: "Parameters", assets: list[str]
) -> np.ndarray:
    """Return the target (time, asset) as in training.

    The training sees the selected assets or all.
    """
    with ending_with(data):
        return get_target_classes(data, strategy, _selected(models, data)).sel(asset=assets).values


def _majority(models: TrainedModels, data: "xr.DataArray") -> np.ndarray:
    """Return True for each asset that mostly rises.

    The more frequent class of such an asset is "rises" among the days trained on.
    """
    window = data.sel(time=slice(*models.window))
    assets = [asset for asset in data.get_index("asset") if asset in models]
    values = _targets(models, window, models.strategy, assets)
    with ending_with(window):
        known = np.isfinite(values) & model_inputs(window, models.strategy, assets)[1].T
    return ((values > 0.5) & known).sum(axis=0) * 2 > known.sum(axis=0)


def _last_known(values: np.ndarray) -> np.ndarray:
    """Return the last finite value of each column.

    The columns are the assets of `values` (time, asset), and the result is (asset,). A column without a
    finite value has NaN.
    """
    found = np.full(values.shape[1], np.nan)
    for row in values[::-1]:
        found = np.where(np.isnan(found), row, found)
        if not np.isnan(found).any():
            break
    return found


def _no_rows(columns: Iterable[str]) -> pd.DataFrame:
    return pd.DataFrame({name: np.empty(0) for name in columns})
