from types import SimpleNamespace

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
from lib.report import tables
from lib.report.figures import loss_figure
from lib.report.outputs import (
    ACCURACIES,
    CORRELATIONS,
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


def three_fits(**changes: object) -> TrainedModels:
    """Return models whose means differ from their medians; the last one has no losses, another no model."""
    models = TrainedModels(Strategy(**changes), (DAY - 100, DAY), 0.25)
    models.add("A", np.zeros(1), Fit((0.5, 0.3), 0.25, 0.5, 0.625, 70))
    models.add("B", np.zeros(1), Fit((0.75, 0.5, 0.4), 0.5, 0.75, 0.5, 60))
    models.add("C", np.zeros(1), Fit((), 1.0, 1.0, 0.75, 50))
    models.dropped |= {"D": "it diverged", "E": "it is new"}
    return models


SCORES = ["accuracy_in_training", "majority_accuracy_in_training"]
COLUMNS = ["days", "evaluations", "loss_before", "loss_after"]
LATER = pd.DataFrame(
    {
        "asset": ["A", "A", "A", "B", "B", "C"],
        "output": [0.1, 0.2, 0.6, 0.5, 0.4, 0.3],
        "target": [0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
        "accuracy": [1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        "majority_accuracy": [1.0, 1.0, 1.0, 1.0, 0.0, 1.0],
        "yesterday_accuracy": [np.nan, 1.0, 0.0, 0.0, 0.0, np.nan],
    }
)


def test_trainings_by_hand() -> None:
    models, none = three_fits(), TrainedModels(Strategy(), (DAY - 90, DAY + 10), 0.5)
    trainings = [
        EvaluatedTraining(models, xr.DataArray(), CLASSES, LATER),
        EvaluatedTraining(none, xr.DataArray(), CLASSES[:0], LATER[:0]),
    ]
    after = ["days_out_of_sample", *(f"{name}_out_of_sample" for name in ACCURACIES)]
    table = trainings_table(trainings)
    names = ["assets", "evaluations", "seconds", "loss_before", "loss_after", *SCORES, "left_out", *after]
    assert table.columns.tolist() == names
    assert table.index.name == "trained_to"
    assert table.index.tolist() == [pd.Timestamp(DAY), pd.Timestamp(DAY + 10)]
    assert table.iloc[0].tolist() == [
        *(3, 5, 0.25, 0.75, pytest.approx(7 / 12), 0.75, 0.625, "D: it diverged; E: it is new"),
        *(6, pytest.approx(1 / 3), pytest.approx(5 / 6), 0.25),
    ]
    empty = table.iloc[1]
    assert empty[["assets", "evaluations", "seconds", "left_out", after[0]]].tolist() == [0, 0, 0.5, "", 0]
    assert empty[["loss_before", *after[1:]]].isna().all()

    table = trainings_table(trainings, by_asset=True)
    assert table.columns.tolist() == [*COLUMNS, *SCORES, "left_out", *after]
    assert table.index.names == ["trained_to", "asset"]
    assert table.index.tolist() == [(pd.Timestamp(DAY), asset) for asset in "ABCDE"]
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    assert rows == [
        [70, 2, 0.5, 0.25, 0.5, 0.625, "", 3, pytest.approx(1 / 3), 1, 0.5],
        [60, 3, 0.75, 0.5, 0.75, 0.5, "", 2, 0, 0.5, 0],
        [50, 0, 1.0, 1.0, 1.0, 0.75, "", 1, 1, 1, None],
        [*[None] * 6, "it diverged", *[None] * 4],
        [*[None] * 6, "it is new", *[None] * 4],
    ]


def test_a_loss_of_another_kind_has_no_value_before_training() -> None:
    table = training_table(three_fits(loss="bce"), CLASSES)
    assert table["loss_before"].isna().all()
    assert table["loss_after"].tolist()[:3] == [0.25, 0.5, 1.0]


def test_trainings_on_numbers_by_hand() -> None:
    later = LATER.assign(target=[1.0, 2.0, 4.0, 1.0, 3.0, 0.0])
    trainings = [EvaluatedTraining(three_fits(), xr.DataArray(), NUMBERS, later)] * 2
    scores = [f"{name}_in_training" for name in CORRELATIONS]
    after = ["days_out_of_sample", *(f"{name}_out_of_sample" for name in CORRELATIONS)]
    table = trainings_table(trainings, by_asset=True)
    assert table.columns.tolist() == [*COLUMNS, *scores, "left_out", *after]
    assert table["rank_correlation_in_training"].tolist()[:2] == pytest.approx([1, -1])
    assert np.isnan(table["correlation_in_training"].iloc[2])  # C is not in the table of outputs
    assert table["rank_correlation_out_of_sample"].tolist()[:2] == pytest.approx([1, -1])
    whole = trainings_table(trainings)
    expected = np.corrcoef(later["output"], later["target"])[0, 1]
    assert whole["correlation_out_of_sample"].tolist() == pytest.approx([expected] * 2)
    sentence = out_of_sample_sentence(trainings)
    ranks = np.corrcoef(later["output"].rank(), later["target"].rank())[0, 1]
    assert sentence == (
        f"Correlation of output and target out of sample, over 12 predictions: {expected:.3f}; of their "
        f"ranks: {ranks:.3f}. Each has a standard error of at least 0.289, more where assets move together."
    )
    mixed = [trainings[0], trainings[0]._replace(in_sample=CLASSES)]
    assert out_of_sample_sentence(mixed) == sentence
    assert after[1] in trainings_table(mixed)
    sentence = training_sentence(three_fits(), NUMBERS)
    first = training_table(three_fits(), NUMBERS)["correlation_in_training"].mean()
    assert sentence == (
        "3 models, trained in 0.25 s. Correlation of output and target on the days of the training: "
        f"{first:.3f}; of their ranks: 0.000 (means over assets)."
    )


def test_accuracies_out_of_sample_in_a_sentence() -> None:
    one = EvaluatedTraining(three_fits(), xr.DataArray(), CLASSES, LATER)
    assert out_of_sample_sentence([one, one._replace(out_of_sample=LATER[:2])]) == (
        "Accuracy out of sample, over 8 predictions: 37.5%; of always predicting the more frequent class of "
        "the training: 87.5%; of predicting the outcome of the day before: 43.8%. Each has a standard error "
        "of at least 17.7%, more where assets move together."
    )


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
    later = pd.DataFrame({"output": [0.5, 0.5, 0.5], "target": [1.0, 0.0, 0.5]})
    assert outputs_sentence(outputs, later) == (
        "On an average day the outputs of the assets differ by 0.071 (standard deviation) around 0.410; the "
        "mean of the target was 0.500 out of sample. On 50% of the days they do not differ at all."
    )
    assert outputs_sentence(outputs[:, :1], none).startswith("No day has outputs of two")
    outputs[0, 1] = np.nan  # a day of one asset does not count
    assert outputs_sentence(outputs, none) == (
        "On an average day the outputs of the assets differ by 0.141 (standard deviation) around 0.388."
    )


@pytest.mark.parametrize("other", ["no models", "no outcome", "no assets"])
def test_trainings_without_models_or_outcomes_stand_beside_others(other: str) -> None:
    """Pandas warns of columns without any value where they are not numbers."""
    models = three_fits()
    whole = EvaluatedTraining(models, xr.DataArray(), CLASSES, LATER)
    part = whole._replace(out_of_sample=LATER[:0])
    if other != "no outcome":
        part = part._replace(models=TrainedModels(Strategy(), models.window), in_sample=CLASSES[:0])
        part.models.dropped |= {"D": "it is new"} if other == "no models" else {}
    for trainings in ([whole, part], [part, whole]):
        table = trainings_table(trainings, by_asset=True)
        assert table["days_out_of_sample"].sum() == 6
        assert trainings_table([part], by_asset=True).columns.tolist() == table.columns.tolist()
        assert {kind.kind for kind in table.drop(columns="left_out").dtypes} == {"f"}


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
    assert weights_table(last, state(TODAY))["weight_before"].to_dict() == {"A": 0.05, "B": 0.1, "C": 0}
    assert weights_sentence(last) == "2 positions, 30.0% of the capital: 10.0% long, 20.0% short."


class Pipeline(list):
    """A pipeline, whose steps are its items."""

    steps = ()


COEFFICIENTS = [[1, 2, 3, 4], [5.0, 6.0], [[9.0], [1.0]]]  # of two features; the first one has two days


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (COEFFICIENTS, {"coefficient": [6.0, 13 / 3]}),
        (COEFFICIENTS[1:2] * 2, {"coefficient": [5.0, 6.0]}),
        ([*COEFFICIENTS[:2], [1.0, 2.0, 3.0]], {}),  # of other features
        ([*COEFFICIENTS[:2], []], {}),
        ([[], []], {}),
    ],
)
def test_coefficients_by_hand(found: list, expected: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a pipeline's coefficients from its last step, and count a shared model once."""
    made = [SimpleNamespace(coef_=np.array(values)) for values in found]
    made = [made[0], Pipeline([SimpleNamespace(coef_=[7.0, 7.0]), made[0]]), *made[1:]]
    models = TrainedModels(Strategy(features=FEATURES), (DAY - 100, DAY))
    for k, model in enumerate(made):
        models.add(f"A{k}", model, Fit((), 0.2, 0.5, 0.5, 9))
    monkeypatch.setattr(tables, "_permutation", lambda *_: [0.25, 0.5])
    table = importance_table(models, None)
    assert (table.index.name, table.index.tolist()) == ("feature", FEATURES)
    expected = pd.DataFrame(expected | {"permutation": [0.25, 0.5]}, index=table.index)
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize("there", [True, False], ids=["outputs", "no output"])
def test_permutations_by_hand(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outputs of a day count where they are known and the model has any."""
    rng = np.random.default_rng(1)
    x, y, known = rng.normal(size=(2, 9, 3)), rng.normal(size=(2, 9)), rng.random((2, 9)) < 0.8
    has = (rng.random((2, 9)) < 0.7) & there
    used = known & has
    assert 0 < used.sum() < known.sum() or not there

    def double(models: object, assets: list, inputs: np.ndarray, days: np.ndarray, strategy: object) -> tuple:
        assert (days == known).all()
        return np.where(known, 2 * inputs[..., 0] + inputs[..., 2], np.nan), has

    monkeypatch.setattr(tables, "panel_outputs", double)
    models = SimpleNamespace(strategy=SimpleNamespace(seed=7))
    rises = tables._permutation(models, SimpleNamespace(assets=["A", "B"], x=x, y=y, known=known))
    if not there:
        assert np.isnan(rises).all()
        return

    def error(inputs: np.ndarray) -> float:
        return np.mean((2 * inputs[..., 0] + inputs[..., 2] - y)[used] ** 2)

    drawn, expected = np.random.default_rng(7), []
    for k in range(3):
        permuted = x.copy()
        permuted[known, k] = drawn.permutation(x[known, k])
        expected.append(error(permuted) - error(x))
    assert rises.tolist() == pytest.approx(expected)
    assert rises[1] == 0
    assert (rises[[0, 2]] != 0).all()


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
