"""The outputs of models by day, computed as in the strategy, beside the outcomes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.engine.inputs import get_target_classes, training_examples
from lib.engine.models import TrainedModels
from lib.engine.prediction import last_outputs, model_outputs

if TYPE_CHECKING:
    import xarray as xr


def outputs_of(models: TrainedModels, data: "xr.DataArray", days: Iterable) -> "xr.DataArray":
    """Return the output of each model on each day.

    Parameters
    ----------
    models : TrainedModels
    data : xarray.DataArray
        (field, time, asset): the days, and the lookback period before them.
    days : iterable of numpy.datetime64
        Days of `data`. On each the models see the lookback window that ends with it, from an empty memory, as
        in `strategy.predict`.

    Returns
    -------
    xarray.DataArray
        (time, asset): the days, and the assets of `data` that have a model. NaN where a model has no answer,
        since a feature is not finite that day.
    """
    import xarray as xr

    strategy, days = models.strategy, np.asarray(list(days), dtype="M8[ns]")
    data = data.sel(asset=[asset for asset in models if asset in data.get_index("asset")])
    assets, time = data.asset.values.tolist(), data.time.values
    values = np.full((len(days), len(assets)), np.nan)
    for row, end in enumerate(np.searchsorted(time, days) if assets else []):
        begin = np.searchsorted(time, time[end] - np.timedelta64(strategy.lookback_period, "D"))
        answers = last_outputs(models, data[:, begin : end + 1], strategy)
        values[row] = [answers.get(asset, np.nan) for asset in assets]
    return xr.DataArray(values, {"time": days, "asset": np.array(assets, dtype=str)}, ("time", "asset"))


def judged_in_training(models: TrainedModels, data: "xr.DataArray") -> pd.DataFrame:
    """Return the `output` and the `target` of each day and asset trained on.

    The models answer as they were trained: to the whole window, as one sequence.
    """
    assets = [asset for asset in models if asset in data.get_index("asset")]
    window = data.sel(time=slice(*models.window))
    examples = training_examples(window, models.strategy, assets) if assets and window.sizes["time"] else {}
    examples = {asset: xy for asset, xy in examples.items() if len(xy[1])}
    answers = model_outputs(models, {asset: x for asset, (x, _) in examples.items()})
    return _table([answers[asset] for asset in examples], [y for _, y in examples.values()])


def judged_out_of_sample(
    outputs: "xr.DataArray", data: "xr.DataArray", models: TrainedModels
) -> pd.DataFrame:
    """Return the `output` and the `target` of each day after the training whose target is known by now."""
    from dataclasses import replace

    later = outputs.sel(time=outputs.time > models.window[1].astype("M8[ns]"))
    if not later.size:
        return _table([], [])
    strategy = replace(models.strategy, leave_out_unknown=True)
    target = get_target_classes(data.sel(asset=later.asset), strategy).sel(time=later.time).values
    known = np.isfinite(later.values) & np.isfinite(target)
    return _table([later.values[known]], [target[known]])


def all_judged(
    stretches: list[tuple[TrainedModels, "xr.DataArray"]], data: "xr.DataArray"
) -> tuple[pd.DataFrame, pd.DataFrame, "xr.DataArray"]:
    """Return both tables of all trainings in `TrainingLog.outputs`, and the outputs traded, (time, asset)."""
    import xarray as xr

    in_sample = pd.concat([judged_in_training(models, data) for models, _ in stretches])
    later = pd.concat([judged_out_of_sample(outputs, data, models) for models, outputs in stretches])
    ends = [models.window[1].astype("M8[ns]") for models, _ in stretches[1:]]
    traded = [rows.sel(time=rows.time < end) for (_, rows), end in zip(stretches, ends, strict=False)]
    return in_sample, later, xr.concat([*traded, stretches[-1][1]], "time", join="outer")


def spread_in_words(outputs: "xr.DataArray", judged: pd.DataFrame) -> str:
    """Return a sentence on how much the outputs of a day differ across assets, and how high they are.

    Parameters
    ----------
    outputs : xarray.DataArray
        (time, asset), as they were traded; NaN is none.
    judged : pandas.DataFrame
        Columns `output` and `target`, out of sample.
    """
    count = outputs.count("asset")
    daily = outputs.std("asset").values[count.values > 1]
    if not len(daily):
        return "No day has outputs of two assets to compare."
    equal = daily < 1e-9
    if equal.all():
        return "On every day all assets get the same output: **the model chooses nothing.**"
    sentence = (
        f"On an average day the outputs of the assets differ by {daily.mean():.3f} (standard deviation) "
        f"around {float(outputs.mean()):.3f}"
    )
    if len(judged):
        sentence += f"; the mean of what they predict was {judged['target'].mean():.3f} out of sample"
    same = f" On {equal.mean():.0%} of the days they do not differ at all." if equal.any() else ""
    return f"{sentence}.{same}"


def _table(outputs: list[np.ndarray], targets: list[np.ndarray]) -> pd.DataFrame:
    columns = {"output": outputs, "target": targets}
    return pd.DataFrame({name: np.concatenate([*parts, np.empty(0)]) for name, parts in columns.items()})
