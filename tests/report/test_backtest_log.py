from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lib import Strategy
from lib.common.market_data import field
from lib.engine.models import TrainedModels
from lib.engine.training import TrainingWarning
from lib.report import show_backtest, show_backtest_trainings
from lib.report.backtest_log import BacktestLog, Training
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


def test_the_states_of_a_backtest_are_those_after_its_days():
    log = BacktestLog(STRATEGY)
    weights = log.backtest("2024-12-11", "2024-12-18")
    states = log.states(weights)
    assert [str(state.date) for state in states] == [str(day)[:10] for day in weights.time.values]
