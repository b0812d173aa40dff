"""The tables of a report, and the sentences that go with them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.engine.inputs import TrainingSet, feature_names
from lib.engine.models import Fit, TrainedModels
from lib.engine.prediction import panel_outputs
from lib.report.display import ShownColumn
from lib.report.outputs import ACCURACIES, CORRELATIONS, EvaluatedTraining, correlations, has_classes
from lib.state import State
from lib.state.positions import in_words

if TYPE_CHECKING:
    import xarray as xr

# accuracies of always predicting the more frequent class, and of predicting the outcome of the day before
HEADINGS = {"majority_accuracy": "majority", "yesterday_accuracy": "yester\u00adday"}
FITTED = {"coefficient": "coef_", "importance": "feature_importances_"}  # by column
COLUMNS: Mapping[str, ShownColumn] = {  # how a column is shown, by its name
    "loss_before": ShownColumn("loss before", "{:.4f}"),
    "loss_after": ShownColumn("loss after", "{:.4f}"),
    "seconds": ShownColumn("seconds", "{:.2f}"),
    "coefficient": ShownColumn("coefficient", "{:+.4g}"),
    "importance": ShownColumn("importance", "{:.4g}"),
    "permutation": ShownColumn("rise of the loss when permuted", "{:+.2e}"),
    "weight": ShownColumn("weight", "{:.2%}"),
    "weight_before": ShownColumn("weight before", "{:.2%}"),
    "change": ShownColumn("change", "{:+z.2%}"),
    "depth": ShownColumn("depth", "{:.2%}"),
    # soft hyphens: beside JupyterLab's file browser the table of trainings has room for narrow columns only
    "evaluations": ShownColumn("evalua\u00adtions"),
    "days_out_of_sample": ShownColumn("days", "", "out of sample"),
    **{
        f"{name}_{where}": ShownColumn(
            HEADINGS.get(name, name.replace("_", " ")), style, where.replace("_", " ")
        )
        for names, style in ((ACCURACIES, "{:.1%}"), (CORRELATIONS, "{:+z.3f}"))
        for name in names
        for where in ("in_training", "out_of_sample")
    },
}


def training_table(models: TrainedModels, in_sample: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each selected asset.

    Parameters
    ----------
    models : TrainedModels
    in_sample : pandas.DataFrame
        Their outputs in sample, from `lib.report.outputs.in_sample_outputs`.

    Returns
    -------
    pandas.DataFrame
        By asset: `days` trained on, `evaluations` of the loss, `loss_before` and `loss_after` training (mean
        squared error), and `left_out`: why the asset got no model, else empty. Of targets of 0 and 1 also
        `accuracy_in_training` (share of days classified correctly, an output above 0.5 meaning "rises") and
        `majority_accuracy_in_training` (the same for always predicting the more frequent class); of others
        `correlation_in_training` and `rank_correlation_in_training` of output and target.
    """
    classes = has_classes(in_sample)
    by_asset = dict(iter(in_sample.groupby("asset")))
    rows: dict[str, dict[str, Any]] = {}
    for asset, fit in models.fits.items():
        scores = {"accuracy": fit.accuracy, "majority_accuracy": fit.majority_accuracy}
        if not classes:
            scores = correlations(by_asset.get(asset, in_sample.iloc[:0]))
        rows[asset] = {
            "days": fit.days,
            "evaluations": len(fit.losses),
            "loss_before": _loss_before(models, fit),
            "loss_after": fit.loss_after,
            **{f"{name}_in_training": value for name, value in scores.items()},
            "left_out": "",
        }
    rows |= {asset: {"left_out": reason} for asset, reason in models.dropped.items()}
    names = ACCURACIES[:2] if classes else CORRELATIONS
    columns = ["days", "evaluations", "loss_before", "loss_after"]
    columns += [*(f"{name}_in_training" for name in names), "left_out"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("asset")


def _loss_before(models: TrainedModels, fit: Fit) -> float:
    """Return the first loss of a training.

    The result is NaN for a loss other than the mean squared error.
    """
    if models.strategy.loss != "mse":
        return float("nan")
    return fit.losses[0] if fit.losses else fit.loss_after


def training_row(models: TrainedModels, in_sample: pd.DataFrame) -> dict[str, Any]:
    """Return `training_table` in one row.

    The row has the means over assets, `seconds`, and the assets left out with the reason.
    """
    table = training_table(models, in_sample)
    means = [name for name in table if str(name).startswith("loss") or str(name).endswith("_in_training")]
    return {
        "trained_to": models.window[1],
        "assets": len(models),
        "evaluations": int(table["evaluations"].sum()),
        "seconds": models.seconds,
        **table[means].astype(float).mean().to_dict(),
        "left_out": "; ".join(f"{asset}: {reason}" for asset, reason in models.dropped.items()),
    }


def trainings_table(trainings: list[EvaluatedTraining], by_asset: bool = False) -> pd.DataFrame:
    """Return a table of a backtest's trainings.

    The table has a row for each training, or with `by_asset` for each training and asset.

    Returns
    -------
    pandas.DataFrame
        By the last day of the training window: the columns of `training_row`, or of `training_table`, then
        `days_out_of_sample` (days evaluated, counted for each asset). Of targets of 0 and 1 then follow the
        means of the accuracies of `lib.report.outputs.out_of_sample_outputs`, of others `correlation_` and
        `rank_correlation_out_of_sample`. The days after a training end with the day of the next one.
    """
    classes = all(has_classes(training.in_sample) for training in trainings)
    rows = []
    for training in trainings:
        later = training.out_of_sample
        if by_asset:
            groups = dict(iter(later.groupby("asset")))
            after = {asset: _scores_after(group, classes) for asset, group in groups.items()}
            table = training_table(training.models, training.in_sample)
            table = table.join(pd.DataFrame.from_dict(after, orient="index", columns=_names_after(classes)))
            numbers = table.columns.drop("left_out")
            empty = numbers[table[numbers].isna().all()]  # objects, and pandas would warn of joining them
            table = table.astype(dict.fromkeys(empty, float)).rename_axis("asset").reset_index()
            table.insert(0, "trained_to", training.models.window[1])
        else:
            row = training_row(training.models, training.in_sample)
            table = pd.DataFrame([row | _scores_after(later, classes)])
        rows.append(table)
    index = ["trained_to", "asset"] if by_asset else ["trained_to"]
    return pd.concat(rows).set_index(index)


def _names_after(classes: bool) -> list[str]:
    names = ACCURACIES if classes else CORRELATIONS
    return ["days_out_of_sample", *(f"{name}_out_of_sample" for name in names)]


def _scores_after(later: pd.DataFrame, classes: bool) -> dict[str, float]:
    values = later[list(ACCURACIES)].mean().to_dict() if classes else correlations(later)
    return dict(zip(_names_after(classes), [len(later), *values.values()], strict=True))


def training_sentence(models: TrainedModels, in_sample: pd.DataFrame) -> str:
    """Return a sentence on the models' fit in training."""
    if not len(models):
        return "No asset got a model."
    row = training_row(models, in_sample)
    start = f"{row['assets']} models, trained in {row['seconds']:.2f} s."
    if has_classes(in_sample):
        return (
            f"{start} Accuracy on the days of the training: {row['accuracy_in_training']:.1%}; of always "
            f"predicting the more frequent class: {row['majority_accuracy_in_training']:.1%}."
        )
    return (
        f"{start} Correlation of output and target on the days of the training: "
        f"{row['correlation_in_training']:z.3f}; of their ranks: {row['rank_correlation_in_training']:z.3f} "
        "(means over assets)."
    )


def out_of_sample_sentence(trainings: list[EvaluatedTraining]) -> str:
    """Return a sentence on the predictions out of sample.

    The sentence covers all trainings of a backtest.
    """
    later = pd.concat([training.out_of_sample for training in trainings])
    if not len(later):
        return "There are no predictions out of sample yet: no day after a training is known."
    if not all(has_classes(training.in_sample) for training in trainings):
        correlation, ranks = (f"{value:z.3f}" for value in correlations(later).values())
        return (
            f"Correlation of output and target out of sample, over {len(later):,} predictions: "
            f"{correlation}; of their ranks: {ranks}. Each has a standard error of at least "
            f"{len(later) ** -0.5:.3f}, more where assets move together."
        )
    # yesterday's outcome is not always known: a training counts with all its days
    table, days = trainings_table(trainings), np.array([len(each.out_of_sample) for each in trainings])
    means = [(table[f"{name}_out_of_sample"] * days).sum() / days.sum() for name in ACCURACIES]
    accuracy, majority, yesterday = (f"{mean:.1%}" for mean in means)
    return (
        f"Accuracy out of sample, over {len(later):,} predictions: {accuracy}; of always predicting the more "
        f"frequent class of the training: {majority}; of predicting the outcome of the day before: "
        f"{yesterday}. Each has a standard error of at least {0.5 / len(later) ** 0.5:.1%}, more where "
        "assets move together."
    )


def outputs_sentence(outputs: "xr.DataArray", out_of_sample: pd.DataFrame) -> str:
    """Return a sentence on the spread of outputs.

    The spread is across assets. The sentence also has the mean of the outputs.

    Parameters
    ----------
    outputs : xarray.DataArray
        (time, asset), as they were traded; NaN is none.
    out_of_sample : pandas.DataFrame
        Columns `output` and `target`.
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
    if len(out_of_sample):
        sentence += f"; the mean of the target was {out_of_sample['target'].mean():.3f} out of sample"
    same = f" On {equal.mean():.0%} of the days they do not differ at all." if equal.any() else ""
    return f"{sentence}.{same}"


def weights_table(weights: "xr.DataArray", state: Any) -> pd.DataFrame:
    """Return a table of current and earlier positions.

    There is a row for each asset held now or before, by falling weight.

    Parameters
    ----------
    weights : xarray.DataArray
        (time, asset), of which the last day counts, or (asset,); NaN is no position.
    state : State or None
        The state that the weights were predicted with. If it is of the same day, since that day is run again,
        the positions carried into the day stand for the day before. Another state has no positions to show.

    Returns
    -------
    pandas.DataFrame
        By `asset`: `weight`, and with a state `weight_before` and `change`, as shares of the capital.
    """
    row = _last_row(weights)
    now = pd.Series(row.values, index=row.asset.values.astype(str), dtype=float)
    table = pd.DataFrame({"weight": now[now != 0]}).rename_axis("asset")
    if isinstance(state, State):
        same_day = "time" in row.coords and state.date == row.time.values.astype("M8[D]")
        before = pd.Series(dict(state.carried_in if same_day else state.weights), dtype=float)
        table = table.join(before.rename("weight_before").rename_axis("asset"), how="outer").fillna(0.0)
        table["change"] = table["weight"] - table["weight_before"]
    order = np.lexsort((table.index, -table["weight"].abs()))
    return table.iloc[order]


def weights_sentence(weights: "xr.DataArray") -> str:
    """Return a sentence on the last day's positions.

    The sentence contains the day, the number of positions and their sum.
    """
    row = _last_row(weights)
    day = f" on {str(row.time.values)[:10]}" if "time" in row.coords else ""
    return f"{in_words(row.values.tolist(), day)}."


def _last_row(weights: "xr.DataArray") -> "xr.DataArray":
    return (weights.isel(time=-1) if "time" in weights.dims else weights).fillna(0)


def importance_table(models: TrainedModels, training_set: TrainingSet) -> pd.DataFrame:
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
    for column, attribute in FITTED.items():
        found = [
            values for model in distinct if (values := _of_model(model, attribute, len(names))) is not None
        ]
        if found and len(found) == len(distinct):
            table[column] = np.mean(found, axis=0)
    table["permutation"] = _permutation(models, training_set)
    return table


def _estimators(models: TrainedModels) -> list[Any]:
    """Return the estimators of models.

    The estimator of a pipeline is its last step. The published network has none.
    """
    found = [models.own_form(asset) for asset in models]
    return [model[-1] if hasattr(model, "steps") else model for model in found]


def _of_model(model: Any, attribute: str, features: int) -> np.ndarray | None:
    """Return an estimator's attribute by feature.

    The values are summed over the days of a window. The result is None without the attribute.
    """
    values = np.asarray(getattr(model, attribute, ()), dtype=float)
    if not values.size or values.size % features:
        return None
    return values.reshape(-1, features).sum(axis=0)


def _permutation(models: TrainedModels, training_set: TrainingSet) -> np.ndarray:
    """Return the permutation importance of each feature.

    The importance is the rise of the mean squared error under a permutation.
    """
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
