"""How did a training go? The report that every `TrainedModels` of a training carries, as a table and in words."""

from typing import Any

import pandas as pd

from lib.engine.models import TrainedModels
from lib.report.out_of_sample import SHARES

COLUMNS = [
    "days",
    "evaluations",
    "loss_before",
    "loss_after",
    "hits_in_training",
    "majority_in_training",
    "left_out",
]


def training_table(models: TrainedModels) -> pd.DataFrame:
    """One row for each selected asset: how its training went.

    Returns
    -------
    pandas.DataFrame
        By asset: `days` trained on, `evaluations` of the loss, `loss_before` and `loss_after` training (mean
        squared error), `hits_in_training` (share of days called right, an output above a half meaning
        "rises"), `majority_in_training` (the same for always calling the more frequent class), and
        `left_out`: why the asset got no model, else empty.
    """
    rows: dict[str, dict[str, Any]] = {}
    for asset, fit in models.fits.items():
        rows[asset] = {
            "days": fit.days,
            "evaluations": len(fit.losses),
            "loss_before": fit.losses[0],
            "loss_after": fit.loss_after,
            "hits_in_training": fit.accuracy,
            "majority_in_training": fit.majority_accuracy,
            "left_out": "",
        }
    rows |= {asset: {"left_out": reason} for asset, reason in models.dropped.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis("asset")


def summary(models: TrainedModels) -> dict[str, Any]:
    """`training_table` in one row: means over assets, `seconds`, and who was left out and why."""
    table = training_table(models)
    means = ["loss_before", "loss_after", "hits_in_training", "majority_in_training"]
    return {
        "trained_to": models.window[1],
        "assets": len(models),
        "evaluations": int(table["evaluations"].sum()),
        "seconds": models.seconds,
        **table[means].astype(float).mean().to_dict(),
        "left_out": "; ".join(f"{asset}: {reason}" for asset, reason in models.dropped.items()),
    }


def in_words(models: TrainedModels) -> str:
    """One sentence on a training: how much of its own window it calls right."""
    told = summary(models)
    if not told["assets"]:
        return "No asset got a model."
    return (
        f"{told['assets']} models, trained in {told['seconds']:.2f} s. Of the days they were trained on they "
        f"call {told['hits_in_training']:.1%} right; always the more frequent class: "
        f"{told['majority_in_training']:.1%}."
    )


def worth_in_words(table: pd.DataFrame) -> str:
    """One sentence on `TrainingLog.table`: what the trainings were worth out of sample."""
    days = table["days_out_of_sample"]
    if not days.sum():
        return "Out of sample nothing can be said yet: no day after a training has become known."
    shares = [(table[f"{name}_out_of_sample"] * days).sum() / days.sum() for name in SHARES]
    hits, majority, yesterday = (f"{share:.1%}" for share in shares)
    luck = 0.5 / days.sum() ** 0.5
    return (
        f"Out of sample they call {hits} right of {days.sum()} days of one asset; always the more frequent "
        f"class of the training: {majority}; as the day before: {yesterday}. Luck alone moves each of these "
        f"by {luck:.1%} and more (a standard error, if assets moved independently)."
    )
