import numpy as np
import pandas as pd
import pytest

from lib import Strategy
from lib.engine.models import Fit, TrainedModels
from lib.report.training_table import in_words, summary, training_table, worth_in_words

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
    told = summary(models)
    assert told["trained_to"] == DAY
    assert (told["assets"], told["evaluations"], told["seconds"]) == (2, 5, 0.25)
    numbers = [
        told[name] for name in ("loss_before", "loss_after", "hits_in_training", "majority_in_training")
    ]
    assert numbers == pytest.approx([0.6, 0.25, 0.55, 0.6])
    assert told["left_out"] == "C: its training diverged"


def test_in_words(models: TrainedModels) -> None:
    assert in_words(models).startswith("2 models, trained in 0.25 s.")
    assert "call 55.0% right; always the more frequent class: 60.0%." in in_words(models)


def test_nobody_was_trained() -> None:
    nobody = TrainedModels(Strategy(), (DAY - 100, DAY))
    assert training_table(nobody).empty
    assert summary(nobody)["assets"] == 0
    assert in_words(nobody) == "No asset got a model."


def test_worth_in_words_weighs_by_days() -> None:
    table = pd.DataFrame(
        {
            "days_out_of_sample": [300, 100, 0],
            "hits_out_of_sample": [0.5, 0.6, np.nan],
            "majority_out_of_sample": [0.4, 0.8, np.nan],
            "yesterday_out_of_sample": [0.45, 0.49, np.nan],
        }
    )
    words = worth_in_words(table)
    assert "call 52.5% right of 400 days" in words
    assert "the training: 50.0%; as the day before: 46.0%" in words
    assert "by 2.5% and more" in words


def test_worth_of_nothing_known() -> None:
    assert "nothing can be said yet" in worth_in_words(pd.DataFrame({"days_out_of_sample": [0, 0]}))
