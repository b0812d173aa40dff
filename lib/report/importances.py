"""The importance of the features of trained models."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.engine.inputs import feature_names
from lib.engine.prediction import panel_outputs

if TYPE_CHECKING:
    from lib.engine.inputs import TrainingSet
    from lib.engine.models import TrainedModels

COLUMNS = {"coefficient": "coef_", "importance": "feature_importances_"}


def importance_table(models: "TrainedModels", training_set: "TrainingSet") -> pd.DataFrame:
    """Return the importance of each feature, in training.

    Parameters
    ----------
    models : TrainedModels
    training_set : TrainingSet
        The examples they were trained on.

    Returns
    -------
    pandas.DataFrame
        By feature `permutation`: the rise of the mean squared error when the feature's values are permuted
        among days and assets (Breiman 2001; one permutation, drawn from the strategy's seed). Where the
        estimators have them, `coefficient` and `importance` (`coef_`, `feature_importances_`; of a pipeline
        those of its last step): means over the models, and sums over the days of a `window`.
    """
    names = feature_names(models.strategy)
    table = pd.DataFrame(index=pd.Index(names, name="feature"))
    distinct = list({id(model): model for model in _estimators(models)}.values())
    for column, attribute in COLUMNS.items():
        found = [
            values for model in distinct if (values := _of_model(model, attribute, len(names))) is not None
        ]
        if found and len(found) == len(distinct):
            table[column] = np.mean(found, axis=0)
    table["permutation"] = _permutation(models, training_set)
    return table


def _estimators(models: "TrainedModels") -> list[Any]:
    """Return the estimators, of a pipeline its last step; the published network has none."""
    found = [models.own_form(asset) for asset in models]
    return [model[-1] if hasattr(model, "steps") else model for model in found]


def _of_model(model: Any, attribute: str, features: int) -> np.ndarray | None:
    """Return an estimator's attribute by feature, summed over the days of a window; None without it."""
    values = np.asarray(getattr(model, attribute, ()), dtype=float)
    if not values.size or values.size % features:
        return None
    return values.reshape(-1, features).sum(axis=0)


def _permutation(models: "TrainedModels", training_set: "TrainingSet") -> np.ndarray:
    """Return by feature the rise of the mean squared error under a permutation."""
    assets, x, known = training_set.assets, training_set.x, training_set.known
    rng = np.random.default_rng(models.strategy.seed)

    def error(inputs: np.ndarray) -> float:
        outputs, there = panel_outputs(models, assets, inputs, known, models.strategy)
        used = known & there
        return float(np.mean((outputs[used] - training_set.y[used]) ** 2)) if used.any() else np.nan

    before, rises = error(x), []
    for k in range(x.shape[2]):
        permuted = x.copy()
        permuted[..., k][known] = rng.permutation(x[..., k][known])
        rises.append(error(permuted) - before)
    return np.array(rises)
