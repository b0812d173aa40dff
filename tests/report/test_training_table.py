import numpy as np
import pandas as pd
import pytest

from lib import Strategy
from lib.engine.models import Fit, TrainedModels
from lib.report.training_table import in_words, out_of_sample_in_words, summary, training_table

DAY = np.datetime64("2024-06-03")


@pytest.fixture
def models() -> TrainedModels:
    models = TrainedModels(Strategy(), (DAY - 100, DAY), 0.25)
    models.add("A", np.zeros(1), Fit((0.5, 0.3, 0.26), 0.24, 0.6, 0.55, 70))
    models.add("B", np.zeros(1), Fit((0.7, 0.4), 0.26, 0.5, 0.65, 60))
    models.dropped["C"] = "its training diverged"
    return models


def test_training_table(models: TrainedModels) -> None:
    table = training_table(models)
    assert table.index.tolist() == ["A", "B", "C"]
    assert table.loc["A"].tolist() == [70, 3, 0.5, 0.24, 0.6, 0.55, ""]
    assert table.loc["B", "evaluations"] == 2
    assert table.loc["C", "left_out"] == "its training diverged"
    assert table.loc["C"].drop("left_out").isna().all()


def test_summary(models: TrainedModels) -> None:
    row = summary(models)
    assert row["trained_to"] == DAY
    assert (row["assets"], row["evaluations"], row["seconds"]) == (2, 5, 0.25)
    numbers = [
        row[name]
        for name in ("loss_before", "loss_after", "accuracy_in_training", "majority_accuracy_in_training")
    ]
    assert numbers == pytest.approx([0.6, 0.25, 0.55, 0.6])
    assert row["left_out"] == "C: its training diverged"


def test_in_words(models: TrainedModels) -> None:
    assert in_words(models).startswith("2 models, trained in 0.25 s.")
    words = "days of the training: 55.0%; of always answering the more frequent class: 60.0%."
    assert words in in_words(models)


def test_nobody_was_trained() -> None:
    empty = TrainedModels(Strategy(), (DAY - 100, DAY))
    assert training_table(empty).empty
    assert summary(empty)["assets"] == 0
    assert in_words(empty) == "No asset got a model."


def test_accuracy_in_words_weighs_by_days() -> None:
    table = pd.DataFrame(
        {
            "days_out_of_sample": [300, 100, 0],
            "accuracy_out_of_sample": [0.5, 0.6, np.nan],
            "majority_accuracy_out_of_sample": [0.4, 0.8, np.nan],
            "yesterday_accuracy_out_of_sample": [0.45, 0.49, np.nan],
        }
    )
    words = out_of_sample_in_words(table)
    assert "over 400 predictions: 52.5%; of always" in words
    assert "the training: 50.0%; of answering as the day before: 46.0%" in words
    assert "at least 2.5%" in words


def test_no_accuracy_is_known_yet() -> None:
    assert "no accuracy out of sample yet" in out_of_sample_in_words(
        pd.DataFrame({"days_out_of_sample": [0, 0]})
    )
