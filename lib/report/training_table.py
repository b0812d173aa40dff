"""The report of a training that its `TrainedModels` carry, as a table and in words."""

from typing import Any

import pandas as pd

from lib.engine.models import TrainedModels
from lib.report.out_of_sample import ACCURACIES

COLUMNS = [
    "days",
    "evaluations",
    "loss_before",
    "loss_after",
    "accuracy_in_training",
    "majority_accuracy_in_training",
    "left_out",
]


def training_table(models: TrainedModels) -> pd.DataFrame:
    """Return one row for each selected asset.

    Returns
    -------
    pandas.DataFrame
        By asset: `days` trained on, `evaluations` of the loss, `loss_before` and `loss_after` training (mean
        squared error), `accuracy_in_training` (share of days classified correctly, an output above 0.5
        meaning "rises"), `majority_accuracy_in_training` (the same for always answering the more frequent
        class), and `left_out`: why the asset got no model, else empty.
    """
    rows: dict[str, dict[str, Any]] = {}
    for asset, fit in models.fits.items():
        rows[asset] = {
            "days": fit.days,
            "evaluations": len(fit.losses),
            "loss_before": fit.losses[0] if fit.losses else fit.loss_after,
            "loss_after": fit.loss_after,
            "accuracy_in_training": fit.accuracy,
            "majority_accuracy_in_training": fit.majority_accuracy,
            "left_out": "",
        }
    rows |= {asset: {"left_out": reason} for asset, reason in models.dropped.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis("asset")


def summary(models: TrainedModels) -> dict[str, Any]:
    """Return `training_table` in one row: means over assets, `seconds`, and who was left out and why."""
    table = training_table(models)
    means = ["loss_before", "loss_after", "accuracy_in_training", "majority_accuracy_in_training"]
    return {
        "trained_to": models.window[1],
        "assets": len(models),
        "evaluations": int(table["evaluations"].sum()),
        "seconds": models.seconds,
        **table[means].astype(float).mean().to_dict(),
        "left_out": "; ".join(f"{asset}: {reason}" for asset, reason in models.dropped.items()),
    }


def in_words(models: TrainedModels) -> str:
    """Return a sentence on the accuracy of models within their training window."""
    row = summary(models)
    if not row["assets"]:
        return "No asset got a model."
    return (
        f"{row['assets']} models, trained in {row['seconds']:.2f} s. Accuracy on the days of the training: "
        f"{row['accuracy_in_training']:.1%}; of always answering the more frequent class: "
        f"{row['majority_accuracy_in_training']:.1%}."
    )


def out_of_sample_in_words(table: pd.DataFrame) -> str:
    """Return a sentence on the accuracy out of sample of all trainings in a `TrainingLog.table`."""
    days = table["days_out_of_sample"]
    if not days.sum():
        return "There is no accuracy out of sample yet: no day after a training is known."
    means = [(table[f"{name}_out_of_sample"] * days).sum() / days.sum() for name in ACCURACIES]
    accuracy, majority, yesterday = (f"{mean:.1%}" for mean in means)
    error = 0.5 / days.sum() ** 0.5
    return (
        f"Accuracy out of sample, over {days.sum():,} predictions: {accuracy}; of always answering the "
        f"more frequent class of the training: {majority}; of answering as the day before: {yesterday}. Each "
        f"has a standard error of at least {error:.1%}, more where assets move together."
    )
