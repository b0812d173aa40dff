from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lib import Strategy
from lib.backtest import backtest
from lib.common.market_data import field
from lib.engine.models import TrainedModels
from lib.engine.training import TrainingWarning
from lib.report.training_log import TrainingLog
from tests.vectors import vector

STRATEGY = Strategy(top_assets=3, hidden_size=4)


def ending(*days: str) -> TrainingLog:
    """A log of trainings without any model, whose windows end on these days."""
    windows = iter(np.array(days, dtype="M8[D]"))
    log = TrainingLog(lambda data: TrainedModels(STRATEGY, ((end := next(windows)) - 100, end)))
    for _ in days:
        log(None)
    return log


def ends(trainings: list[TrainedModels]) -> list[str]:
    return [str(models.window[1]) for models in trainings]


def test_trainings_of_a_backtest_from_a_saturday(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data's last day, the Friday before, and then the backtest's own days."""
    monkeypatch.chdir(tmp_path)
    log = TrainingLog(STRATEGY.train_model)
    weights = backtest(STRATEGY, "2024-11-30", train=log, retrain_interval=10)[0]
    assert ends(log.trainings) == ["2024-12-30", "2024-11-29", "2024-12-02", "2024-12-12", "2024-12-23"]
    assert ends(log.of_backtest(weights.time.values)) == ["2024-12-02", "2024-12-12", "2024-12-23"]

    table = log.table(vector("loaded"), weights)
    assert table.index.astype(str).tolist() == ["2024-12-02", "2024-12-12", "2024-12-23"]
    # trading days after each training up to the day of the next one; the last day's future is unknown
    assert table["days_out_of_sample"].tolist() == [3 * 8, 3 * 7, 3 * 4]
    assert table["accuracy_out_of_sample"].between(0, 1).all()
    assert (table["evaluations"] > 0).all()

    by_asset = log.table(vector("loaded"), weights, by_asset=True)
    assert by_asset["days_out_of_sample"].groupby("trained_to").sum().tolist() == [24, 21, 12]
    weighted = (
        (by_asset["accuracy_out_of_sample"] * by_asset["days_out_of_sample"]).groupby("trained_to").sum()
    )
    assert (weighted / [24, 21, 12]).tolist() == pytest.approx(table["accuracy_out_of_sample"].tolist())


def test_first_iteration_on_a_trading_day_is_no_retrain() -> None:
    log = ending("2024-12-30", "2024-10-01", "2024-10-01", "2024-11-01")
    assert ends(log.of_backtest()) == ["2024-10-01", "2024-11-01"]
    assert log.of_backtest()[0] is log.trainings[2]


def test_last_iteration_is_no_retrain_of_its_day() -> None:
    """The backtest ends on the data's last day, on which the last iteration trained."""
    days = np.array(["2024-10-01", "2024-11-01", "2024-12-30"], dtype="M8[ns]")
    log = ending("2024-12-30", "2024-10-01", "2024-10-01", "2024-11-01")
    assert ends(log.of_backtest(days)) == ["2024-10-01", "2024-11-01"]


def test_a_second_backtest_forgets_the_first() -> None:
    log = ending(
        "2024-12-30", "2024-01-02", "2024-01-02", "2024-06-03", "2024-12-30", "2024-03-01", "2024-03-01"
    )
    assert ends(log.of_backtest()) == ["2024-03-01"]


def test_it_hands_on_what_was_trained() -> None:
    data = vector("loaded").sel(time=slice("2024-02-24", "2024-06-03"))
    log = TrainingLog(STRATEGY.train_model)
    models = log(data)
    assert log.trainings == [models]
    assert list(models) == list(STRATEGY.train_model(data))


def test_assets_left_out_are_named_with_the_reason() -> None:
    data = vector("loaded")
    window = data.sel(time=slice("2024-02-24", "2024-06-03"))
    unlucky = next(iter(STRATEGY.train_model(window)))

    def blind(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
        return np.where(data.asset.values == unlucky, np.nan, field(data, "close"))

    log = TrainingLog(Strategy(top_assets=3, hidden_size=4, features=[blind]).train_model)
    with pytest.warns(TrainingWarning):
        log(window)
    weights = data.sel(field="close", time=slice("2024-06-03", "2024-06-14")) * 0
    assert (
        log.table(data, weights).iloc[0]["left_out"].startswith(f"{unlucky}: no day of the training window")
    )
    by_asset = log.table(data, weights, by_asset=True).loc[np.datetime64("2024-06-03")]
    assert by_asset.loc[unlucky, "left_out"].startswith("no day")
    assert np.isnan(by_asset.loc[unlucky, "days_out_of_sample"])
    assert (by_asset.drop(unlucky)["left_out"] == "").all()


def test_a_foreign_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"returns lib\.engine\.models\.TrainedModels, not dict"):
        TrainingLog(lambda data: {})(None)


def test_no_training_was_seen() -> None:
    weights = vector("loaded").sel(field="close")
    with pytest.raises(ValueError, match="pass the log to backtest_ml"):
        TrainingLog(STRATEGY.train_model).table(vector("loaded"), weights)
