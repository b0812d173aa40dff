import numpy as np
import pandas as pd
import pytest
import xarray as xr
from lightgbm import LGBMRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib import Strategy, report
from lib.engine.models import Fit, TrainedModels
from lib.report.figures import loss_figure
from lib.report.outputs import (
    ACCURACIES,
    EvaluatedTraining,
    in_sample_outputs,
    set_of_assets,
    training_set_of_models,
)
from lib.report.tables import (
    importance_table,
    out_of_sample_sentence,
    outputs_sentence,
    training_row,
    training_sentence,
    training_table,
    trainings_table,
    weights_sentence,
    weights_table,
)
from lib.state import State
from tests.engine.test_torch_options import MLP
from tests.switches import long
from tests.trained import window

DAY, TODAY = np.datetime64("2024-06-03"), np.datetime64("2024-06-04")
# the outputs of A follow the targets in order but not in size, those of B run against them
NUMBERS = pd.DataFrame(
    {
        "asset": ["A"] * 4 + ["B"] * 4,
        "output": [0.1, 0.2, 0.3, 0.4, 0.4, 0.3, 0.2, 0.1],
        "target": [-2.0, -1.0, 1.5, 20.0, 1.0, 2.0, 3.0, 4.0],
    }
)
FEATURES = ["momentum(periods=2)", "volatility(periods=5)"]
CLASSES = NUMBERS.assign(target=[0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0])


@pytest.fixture
def models() -> TrainedModels:
    models = TrainedModels(Strategy(), (DAY - 100, DAY), 0.25)
    models.add("A", np.zeros(1), Fit((0.5, 0.3, 0.26), 0.24, 0.6, 0.55, 70))
    models.add("B", np.zeros(1), Fit((0.7, 0.4), 0.26, 0.5, 0.65, 60))
    models.dropped["C"] = "its training diverged"
    return models


def evaluated(models: TrainedModels, in_sample: pd.DataFrame, **rules: list[float]) -> EvaluatedTraining:
    """A training whose rows out of sample are those in sample, and right as `rules` say."""
    later = in_sample.assign(day=DAY + 1, **(dict.fromkeys(ACCURACIES, 1.0) | rules))
    return EvaluatedTraining(models, xr.DataArray(), in_sample, later)


def test_training_table(models: TrainedModels) -> None:
    table = training_table(models, CLASSES)
    assert table.index.tolist() == ["A", "B", "C"]
    assert table.loc["A"].tolist() == [70, 3, 0.5, 0.24, 0.6, 0.55, ""]
    assert table.loc["B", "evaluations"] == 2
    assert table.loc["C", "left_out"] == "its training diverged"
    assert table.loc["C"].drop("left_out").isna().all()


def test_a_target_that_is_a_number_has_correlations_instead_of_accuracies(models: TrainedModels) -> None:
    table = training_table(models, NUMBERS)
    assert not [name for name in table if "accuracy" in name]
    assert table.loc["A", "rank_correlation_in_training"] == pytest.approx(1)
    assert 0.7 < table.loc["A", "correlation_in_training"] < 0.9
    assert table.loc["B", "correlation_in_training"] == pytest.approx(-1)
    whole = trainings_table([evaluated(models, NUMBERS)])
    assert not [name for name in whole if "accuracy" in name]
    assert whole["rank_correlation_in_training"].tolist() == pytest.approx([0], abs=1e-9)
    assert np.isfinite(whole["correlation_out_of_sample"]).all()
    by_asset = trainings_table([evaluated(models, NUMBERS)], by_asset=True).loc[DAY]
    assert by_asset.loc["B", "rank_correlation_out_of_sample"] == pytest.approx(-1)
    for sentence in (
        training_sentence(models, NUMBERS),
        out_of_sample_sentence([evaluated(models, NUMBERS)]),
    ):
        assert "Correlation of output and target" in sentence
        assert "ccuracy" not in sentence


def test_training_row(models: TrainedModels) -> None:
    row = training_row(models, CLASSES)
    assert row["trained_to"] == DAY
    assert (row["assets"], row["evaluations"], row["seconds"]) == (2, 5, 0.25)
    numbers = [
        row[name]
        for name in ("loss_before", "loss_after", "accuracy_in_training", "majority_accuracy_in_training")
    ]
    assert numbers == pytest.approx([0.6, 0.25, 0.55, 0.6])
    assert row["left_out"] == "C: its training diverged"


def test_a_training_in_a_sentence(models: TrainedModels) -> None:
    sentence = training_sentence(models, CLASSES)
    assert sentence.startswith("2 models, trained in 0.25 s.")
    assert "days of the training: 55.0%; of always predicting the more frequent class: 60.0%." in sentence


def test_nobody_was_trained() -> None:
    empty, none = TrainedModels(Strategy(), (DAY - 100, DAY)), CLASSES.iloc[:0]
    assert training_table(empty, none).empty
    assert training_row(empty, none)["assets"] == 0
    assert training_sentence(empty, none) == "No asset got a model."


def test_accuracy_in_a_sentence_weighs_by_days(models: TrainedModels) -> None:
    """Three fourths of the predictions are right in half of all cases, one fourth in none."""
    many = pd.concat([CLASSES] * 3, ignore_index=True)
    trainings = [
        evaluated(models, many, accuracy=[1.0, 0.0] * 12),
        evaluated(models, CLASSES, accuracy=[0.0] * 8, yesterday_accuracy=[np.nan, 0.5] * 4),
    ]
    sentence = out_of_sample_sentence(trainings)
    assert "over 32 predictions: 37.5%; of always" in sentence
    assert "the training: 100.0%; of predicting the outcome of the day before: 87.5%" in sentence
    assert "at least 8.8%" in sentence


def test_no_accuracy_is_known_yet(models: TrainedModels) -> None:
    none = evaluated(models, CLASSES)
    none = none._replace(out_of_sample=none.out_of_sample.iloc[:0])
    assert "no predictions out of sample yet" in out_of_sample_sentence([none])
    assert trainings_table([none])["days_out_of_sample"].tolist() == [0]


def test_where_outputs_do_not_differ_the_model_chooses_nothing() -> None:
    values = np.array([[0.5, 0.5, np.nan], [0.25, 0.25, 0.25]])
    time = pd.bdate_range("2020-01-01", periods=2)
    outputs = xr.DataArray(values, {"time": time, "asset": ["A", "B", "C"]}, ("time", "asset"))
    none = pd.DataFrame({"output": [], "target": []})
    assert "the model chooses nothing" in outputs_sentence(outputs, none)
    outputs[1, 0] = 0.55
    words = outputs_sentence(outputs, pd.DataFrame({"output": [0.5], "target": [1.0]}))
    assert "differ by 0.071" in words
    assert "was 1.000 out of sample" in words
    assert "On 50% of the days they do not differ at all" in words
    assert outputs_sentence(outputs[:, :1], none).startswith("No day has outputs of two")


@pytest.fixture
def weights() -> xr.DataArray:
    """The last day counts: C has the largest position, B none, and D is not known."""
    time = np.array([TODAY - 1, TODAY], dtype="M8[ns]")
    values = [[0.3, 0.3, 0.3, 0.0], [0.1, 0.0, -0.2, np.nan]]
    return xr.DataArray(values, {"time": time, "asset": ["A", "B", "C", "D"]}, ("time", "asset"))


def state(date: np.datetime64) -> State:
    return State(date, {"A": 0.05, "B": 0.1}, {"A": 0.08}, {})


def test_without_a_state(weights: xr.DataArray) -> None:
    table = weights_table(weights, None)
    assert table["weight"].to_dict() == {"C": -0.2, "A": 0.1}
    assert list(table.index) == ["C", "A"]
    assert list(table) == ["weight"]


def test_beside_the_day_before(weights: xr.DataArray) -> None:
    table = weights_table(weights, state(TODAY - 1))
    assert table.index.tolist() == ["C", "A", "B"]
    assert table["weight_before"].tolist() == [0, 0.05, 0.1]
    assert table["change"].tolist() == pytest.approx([-0.2, 0.05, -0.1])


def test_a_day_that_is_run_again_is_compared_with_what_was_carried_into_it(weights: xr.DataArray) -> None:
    table = weights_table(weights, state(TODAY))
    assert table["weight_before"].to_dict() == {"C": 0, "A": 0.08}


def test_no_positions(weights: xr.DataArray) -> None:
    assert weights_table(weights * 0, None).empty
    assert weights_sentence(weights * 0) == "0 positions on 2024-06-04, 0.0% of the capital."


def test_weights_sentence(weights: xr.DataArray) -> None:
    assert weights_sentence(weights) == (
        "2 positions on 2024-06-04, 30.0% of the capital: 10.0% long, 20.0% short."
    )


@pytest.mark.parametrize("foreign", [{"entry": 12.5}, 7], ids=["dict", "number"])
def test_a_foreign_state_has_no_positions_to_compare_with(weights: xr.DataArray, foreign: object) -> None:
    assert list(weights_table(weights, foreign)) == ["weight"]


def test_weights_without_a_day(weights: xr.DataArray) -> None:
    last = weights.isel(time=-1, drop=True)
    assert weights_table(last, None)["weight"].to_dict() == {"C": -0.2, "A": 0.1}
    assert weights_sentence(last) == "2 positions, 30.0% of the capital: 10.0% long, 20.0% short."


def first_feature(data, strategy):
    close = data.sel(field="close")
    return close / close.shift(time=2) - 1


def table_of(**changes):
    base = {"features": FEATURES, "target": first_feature, "top_assets": 3, "leave_out_unknown": True}
    chosen = Strategy(**base | changes)
    models = chosen.train_model(window(60))
    return importance_table(models, training_set_of_models(models, window(60))), models


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"model": Ridge(alpha=1e-9)}, ["coefficient", "permutation"]),
        ({"model": Ridge(alpha=1e-9), "scope": "pooled", "window": 2}, ["coefficient", "permutation"]),
        (
            {"model": make_pipeline(StandardScaler(), Ridge()), "scope": "pooled"},
            ["coefficient", "permutation"],
        ),
        ({"model": LGBMRegressor(verbose=-1, n_estimators=9)}, ["importance", "permutation"]),
        ({"model": lambda x: x[..., 0]}, ["permutation"]),
    ],
    ids=["each asset", "window", "pipeline", "LightGBM", "rule"],
)
def test_the_feature_that_decides_is_the_important_one(changes, columns):
    table, _ = table_of(**changes)
    assert table.columns.tolist() == columns
    assert table.index.tolist() == FEATURES
    assert (np.abs(table.iloc[0]) > np.abs(table.iloc[1])).all()


@pytest.mark.parametrize("days", [1, 3])
def test_a_coefficient_is_the_sum_over_the_days_of_the_window(days):
    table, models = table_of(model=Ridge, scope="pooled", window=days)
    expected = models.shared.coef_.reshape(days, len(FEATURES)).sum(axis=0)
    np.testing.assert_allclose(table["coefficient"], expected, rtol=1e-12)
    assert (abs(table["permutation"]) < 1).all()


@long
@pytest.mark.parametrize("scope", ["asset", "pooled"])
def test_losses_in_validation_are_drawn_beside_those_in_training(scope):
    changes = {"model": MLP, "loss": "bce", "target": "next_open_up", "optimiser": "Adam", "epochs": 3}
    table, models = table_of(**changes, scope=scope, validation=0.25)
    assert isinstance(models, TrainedModels)
    lines = loss_figure(models, classes=True).data
    fit = next(iter(models.fits.values()))
    assert len(lines) == 2 * (1 if scope == "pooled" else len(models))
    assert tuple(lines[1].y) == fit.validation_losses
    assert tuple(lines[0].y) == fit.losses
    assert lines[1].x[-1] == len(fit.losses) - 1
    rows = training_table(models, in_sample_outputs(models, training_set_of_models(models, window(60))))
    assert rows["loss_before"].isna().all()  # of another kind than the loss after
    assert table.columns.tolist() == ["permutation"]


def test_a_report_computes_the_training_set_once(monkeypatch):
    found = []
    monkeypatch.setattr(
        "lib.report.outputs.set_of_assets", lambda *args: found.append(set_of_assets(*args)) or found[-1]
    )
    strategy = Strategy(features=FEATURES, target=first_feature, top_assets=3, model=Ridge, scope="pooled")
    report.show_training(strategy.train_model(window(60)), window(60))
    assert len(found) == 1
