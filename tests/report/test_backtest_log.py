from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from lib import Strategy
from lib.common.market_data import field
from lib.engine.models import TrainedModels
from lib.engine.training import TrainingWarning
from lib.report import backtest_log, show_backtest, show_backtest_trainings
from lib.report.backtest_log import BacktestLog, Prediction, Training
from tests.switches import long
from tests.vectors import vector

STRATEGY = Strategy(top_assets=3, hidden_size=4)


def ending(*days: str) -> BacktestLog:
    """A log of trainings on these days, without any model."""
    log = BacktestLog(STRATEGY)
    for day in np.array(days, dtype="M8[D]"):
        log.trainings.append(Training(day, TrainedModels(STRATEGY, (day - 100, day))))
    return log


def ends(trainings: list[Training]) -> list[str]:
    return [str(training.day) for training in trainings]


def days(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="M8[ns]")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@long
def test_trainings_of_a_backtest_from_a_saturday() -> None:
    """The data's last day, the Friday before, and then the backtest's own days."""
    strategy = replace(STRATEGY, retrain_interval=10)
    log = BacktestLog(strategy)
    weights = log.backtest("2024-11-30")
    assert ends(log.trainings) == ["2024-12-30", "2024-11-29", "2024-12-02", "2024-12-12", "2024-12-23"]
    assert ends(log.used_trainings(weights.time.values)) == ["2024-12-02", "2024-12-12", "2024-12-23"]

    data = vector("loaded")
    table = log.table(data, weights)
    assert table.index.astype(str).tolist() == ["2024-12-02", "2024-12-12", "2024-12-23"]
    # trading days after each training up to the day of the next one; the last day's future is unknown
    assert table["days_out_of_sample"].tolist() == [3 * 8, 3 * 7, 3 * 4]
    assert table["accuracy_out_of_sample"].between(0, 1).all()
    assert (table["evaluations"] > 0).all()

    by_asset = log.table(data, weights, by_asset=True)
    assert by_asset["days_out_of_sample"].groupby("trained_to").sum().tolist() == [24, 21, 12]
    weighted = (
        (by_asset["accuracy_out_of_sample"] * by_asset["days_out_of_sample"]).groupby("trained_to").sum()
    )
    assert (weighted / [24, 21, 12]).tolist() == pytest.approx(table["accuracy_out_of_sample"].tolist())
    first = log.table(data, weights.sel(time=slice(None, "2024-12-06")))  # other weights, other days
    assert first.index.astype(str).tolist() == ["2024-12-02"]


def test_first_iteration_on_a_trading_day_is_no_retrain() -> None:
    log = ending("2024-12-30", "2024-10-01", "2024-10-01", "2024-11-01")
    used = log.used_trainings(days("2024-10-01", "2024-11-01", "2024-12-30"))
    assert ends(used) == ["2024-10-01", "2024-11-01"]
    assert used[0] is log.trainings[2]


def test_last_iteration_is_no_retrain_of_its_day() -> None:
    """The backtest ends on the data's last day, on which the last iteration trained."""
    log = ending("2024-12-30", "2024-10-01", "2024-10-01", "2024-11-01")
    assert ends(log.used_trainings(days("2024-10-01", "2024-11-01", "2024-12-30"))) == [
        "2024-10-01",
        "2024-11-01",
    ]


def test_a_second_backtest_forgets_the_first() -> None:
    log = ending(
        "2024-12-30", "2024-01-02", "2024-01-02", "2024-06-03", "2024-12-30", "2024-03-01", "2024-03-01"
    )
    assert ends(log.used_trainings(days("2024-03-01", "2024-06-03"))) == ["2024-03-01"]


def test_it_hands_on_what_was_trained_and_predicted() -> None:
    data = vector("loaded").sel(time=slice("2024-02-24", "2024-06-03"))
    log = BacktestLog(STRATEGY)
    models = log.train_model(data)
    assert log.trainings == [(np.datetime64("2024-06-03"), models)]
    assert list(models) == list(STRATEGY.train_model(data))
    weights, state = log.predict(models, data, None)
    assert weights.equals(STRATEGY.predict(models, data, None)[0])
    assert state.weights
    assert log.predictions[0].weights is weights


def test_assets_left_out_are_named_with_the_reason() -> None:
    data = vector("loaded")
    window = data.sel(time=slice("2024-02-24", "2024-06-03"))
    unlucky = next(iter(STRATEGY.train_model(window)))

    def blind(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
        return np.where(data.asset.values == unlucky, np.nan, field(data, "close"))

    log = BacktestLog(replace(STRATEGY, features=[blind], train_period=100))
    with pytest.warns(TrainingWarning):
        weights = log.backtest("2024-06-03", "2024-06-14")
    row = log.table(data, weights).iloc[0]
    assert row["left_out"].startswith(f"{unlucky}: no day of the training window")
    by_asset = log.table(data, weights, by_asset=True).loc[np.datetime64("2024-06-03")]
    assert by_asset.loc[unlucky, "left_out"].startswith("no day")
    assert np.isnan(by_asset.loc[unlucky, "days_out_of_sample"])
    assert (by_asset.drop(unlucky)["left_out"] == "").all()


class Interrupted(Exception):
    """The user stops the backtest."""


class Stopped(Strategy):
    """Stops before a prediction."""

    left = 0

    def predict(self, models, data, state):
        if Stopped.left == 0:
            raise Interrupted
        Stopped.left -= 1
        return super().predict(models, data, state)


@long
@pytest.mark.parametrize(
    "calls",
    [pytest.param(0, marks=long), pytest.param(1, marks=long), 2, pytest.param(6, marks=long)],
    ids=["at once", "last day", "trial", "fourth day"],
)
def test_an_interrupted_backtest_does_not_show_the_run_before(calls: int, capsys) -> None:
    """A second run stops; the weights of the first still have their name in the notebook."""
    data, start = STRATEGY.load_range("2024-12-02"), "2024-12-02"
    first = BacktestLog(STRATEGY)
    weights = first.backtest(start)
    assert first.fault(weights) == ""

    Stopped.left = calls
    second = BacktestLog(Stopped(top_assets=3, hidden_size=4))
    with pytest.raises(Interrupted):
        second.backtest(start)
    fault = second.fault(weights)
    assert "did not run to its end" in fault
    assert ("after 2024-12-05" in fault) == (calls == 6)
    capsys.readouterr()
    show_backtest_trainings(second, data, weights)
    show_backtest(data, weights, log=second)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [fault, fault]
    assert second.returned_weights(weights, data) is None


def test_a_log_without_a_backtest(capsys) -> None:
    weights = vector("loaded").sel(field="close")
    log = BacktestLog(STRATEGY)
    with pytest.raises(ValueError, match="pass its train_model and predict to backtest_ml"):
        log.table(vector("loaded"), weights)


def test_weights_are_those_that_the_strategy_returned() -> None:
    """The library cuts them at 0.1; weights that were changed afterwards are not recognised."""
    log = BacktestLog(replace(STRATEGY, max_weight=0.4))
    weights, data = log.backtest("2024-12-16"), log.strategy.load_range("2024-12-16")
    returned = log.returned_weights(weights, data)
    assert float(weights.max()) == pytest.approx(0.1)
    assert float(returned.max()) > 0.15
    assert returned.time.equals(weights.time)
    assert log.returned_weights(weights * 0.9, data) is None


def log_of(strategy: object = STRATEGY, trained: str = "", predicted: str = "") -> BacktestLog:
    """Return a log of calls on these days of June 2024."""
    log = BacktestLog(strategy)
    for day in trained.split():
        log.trainings.append(Training(np.datetime64(f"2024-06-{day}"), TrainedModels(STRATEGY, ())))
    for day in predicted.split():
        log.predictions.append(Prediction(np.datetime64(f"2024-06-{day}"), None, f"state of {day}"))
    return log


def weights_on(*days: str) -> xr.DataArray:
    time = np.array([f"2024-06-{day}" for day in days], dtype="M8[ns]")
    return xr.DataArray(np.full((len(days), 1), 0.1), {"time": time, "asset": ["A"]}, ("time", "asset"))


@pytest.mark.parametrize(
    ("trained", "predicted", "fault"),
    [
        ("", "", "The log holds no backtest: pass its train_model and predict to backtest_ml"),
        ("03", "03 04 05", ""),
        ("", "03 04 05 06", ""),
        ("03", "", "it stopped before its first day, and these weights, which end on 2024-06-05"),
        ("03", "02", "it stopped before its first day"),
        ("03", "03 04", "it stopped after 2024-06-04, and these weights, which end on 2024-06-05"),
        ("03", "03 04 05 03 04", "it stopped after 2024-06-04"),  # a second run
        ("03", "05 03 03 04 05", ""),  # predicts the last day, and the first one as a trial
    ],
)
def test_weights_of_another_run_have_a_fault(trained: str, predicted: str, fault: str) -> None:
    log, weights = log_of(STRATEGY, trained, predicted), weights_on("03", "04", "05")
    found = log.fault(weights)
    assert fault in found
    assert bool(found) == bool(fault)
    if not fault:
        assert log.states(weights) == ["state of 03", "state of 04", "state of 05"]
    elif trained:
        assert log.returned_weights(weights, weights) is None


@pytest.mark.parametrize("state", [None, "a state"])
def test_a_prediction_is_logged_with_its_state_or_without(state: str | None) -> None:
    weights = weights_on("03")
    result = (weights, state) if state else weights
    log = BacktestLog(SimpleNamespace(predict=lambda *_: result))
    assert log.predict(None, weights_on("01", "03"), None) is result
    ((day, kept, kept_state),) = log.predictions
    assert (day, kept_state) == (np.datetime64("2024-06-03"), state)
    assert kept is weights


@pytest.mark.parametrize("result", ["weights", ("weights", "state")])
def test_a_backtest_calls_the_log_and_returns_the_weights(
    result: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, calls = BacktestLog(STRATEGY), []
    monkeypatch.setattr(
        backtest_log, "backtest", lambda *days, **logged: calls.append((days, logged)) or result
    )
    assert log.backtest("2024-06-03", "2024-06-05") == "weights"
    logged = {"load_data": log.load_data, "train": log.train_model, "predict": log.predict}
    assert calls == [((STRATEGY, "2024-06-03", "2024-06-05"), logged)]


class Handed(Strategy):
    """Return what is asked for."""

    def load_data(self, period):
        return period


def test_the_longest_data_of_the_last_day_are_kept() -> None:
    log, given = BacktestLog(Handed()), weights_on("30")
    assert log.seen(given) is given
    short, longer = weights_on("04", "05"), weights_on("03", "04", "05")
    again, shorter, other_day = longer.copy(), weights_on("05"), weights_on("06")
    for loaded, kept in (
        *((short, short), ((longer, "more"), longer), (again, longer)),
        *((shorter, longer), (other_day, other_day)),
    ):
        assert log.load_data(loaded) is loaded
        assert log.seen(given) is kept


def test_data_of_the_template_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Strategy, "load_data", lambda self, period: weights_on("05"))
    log, given = BacktestLog(STRATEGY), weights_on("30")
    log.load_data(7)
    assert log.seen(given) is given


def test_each_training_has_the_days_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    log, data = log_of(Handed(), "05 03 03 05 07", "03 04 05 06 07 10"), weights_on("30")
    weights, calls = weights_on("03", "04", "05", "06", "07", "10"), []
    monkeypatch.setattr(
        backtest_log, "evaluate_trainings", lambda *arguments: calls.append(arguments) or [len(calls)]
    )
    assert log.evaluated(data, weights) == [1]
    ((stretches, seen, strategy),) = calls
    assert [models for models, _ in stretches] == [entry.models for entry in log.trainings[2:]]
    stretches = [days.astype("M8[D]").astype(str).tolist() for _, days in stretches]
    assert [[day[-2:] for day in days] for days in stretches] == [
        ["03", "04", "05"],
        ["05", "06", "07"],
        ["07", "10"],
    ]
    assert seen is data
    assert strategy is log.strategy
    assert log.evaluated(data, weights) == [1]  # once for the same data and weights
    assert log.evaluated(data, weights.copy()) == [2]
    assert log.evaluated(data.copy(), weights) == [3]
    own = weights_on("10")
    log.load_data(own)
    log.evaluated(data, weights)
    assert calls[-1][1] is own


def test_trainings_of_which_one_has_other_models_are_not_evaluated() -> None:
    log, weights = log_of(STRATEGY, "03 05", "03 04 05"), weights_on("03", "04", "05")
    assert log.without_table(weights) == ""
    log.trainings[0] = log.trainings[0]._replace(models=[1.0])
    assert log.evaluated(weights, weights) == []
    sentence = "train_model returned list, not TrainedModels"
    assert sentence in log.without_table(weights)
    with pytest.raises(ValueError, match=sentence):
        log.table(weights, weights)
    assert log.without_table(weights[2:]) == ""  # of the second training only


def test_returned_weights_by_hand(capsys: pytest.CaptureFixture) -> None:
    data = vector("loaded").isel(time=slice(-5, None))
    data = data.isel(asset=(data.sel(field="is_liquid") == 1).all("time").values.nonzero()[0][:3])
    data = data.rename("stocks_s&p500")  # the library warns of another competition, and the log does not
    days, (first, second, third) = data.time.values[:4], data.asset.values
    log = BacktestLog(Strategy(top_assets=3))
    close = data.sel(field="close") * 0
    rows = [
        (close + 0.25).isel(time=[0]).assign_coords(note=1),
        (close + 0.25).isel(time=1, asset=[2, 0]).assign_coords(note=2),  # without `time`, in another order
        (close + 0.05).isel(time=slice(0, 3), drop=True).drop_vars("field").where(data.asset != second),
        (close + 0.1).isel(time=0, drop=True),  # without a day
    ]
    for day, row in zip(days, rows, strict=True):
        log.predictions.append(Prediction(day.astype("M8[D]"), row))
    expected = [[0.25] * 3, [0.25, np.nan, 0.25], [0.05, np.nan, 0.05], [0.1] * 3]
    cleaned = np.array([[0.1] * 3, [0.1, 0, 0.1], [0.05, 0, 0.05], [0.1] * 3])
    coords = {"time": days, "asset": [first, second, third]}
    weights = xr.DataArray(cleaned, coords, ("time", "asset"), name="weights")
    found = log.returned_weights(weights, data)
    assert found.dims == ("time", "asset")
    assert found.name == "weights"
    assert found.asset.values.tolist() == [first, second, third]
    np.testing.assert_allclose(found.values, expected)
    assert log.returned_weights(weights * 0.99, data) is None
    assert capsys.readouterr() == ("", "")


def test_the_states_of_a_backtest_are_those_after_its_days():
    log = BacktestLog(STRATEGY)
    weights = log.backtest("2024-12-11", "2024-12-18")
    states = log.states(weights)
    assert [str(state.date) for state in states] == [str(day)[:10] for day in weights.time.values]
