"""The log of a backtest: every training and prediction of its strategy."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from lib.backtest import backtest
from lib.engine.models import TrainedModels
from lib.report.outputs import EvaluatedTraining, evaluate_trainings
from lib.report.tables import trainings_table
from lib.stats.portfolios import same_positions
from lib.strategy import loads_own_data

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy


class Training(NamedTuple):
    """The models of one call of `train_model`.

    `day` is the last day that the call saw.
    """

    day: np.datetime64
    models: Any


class Prediction(NamedTuple):
    """The result of one call of `predict`.

    The result consists of the weights and the state. `day` is the last day that the call saw.
    """

    day: np.datetime64
    weights: "xr.DataArray"
    state: Any = None


class BacktestLog:
    """A log of a strategy's trainings and predictions.

    Its `load_data`, `train_model` and `predict` call the strategy and keep the results. Pass them to
    `qnt.backtester.backtest_ml`. The library cuts positions above the limit from the weights that it returns.
    The log has the weights as the strategy returned them, and as a submission would write them.

    Parameters
    ----------
    strategy : Strategy

    Attributes
    ----------
    trainings : list of Training
        All calls of `train_model`, in order.
    predictions : list of Prediction
        All calls of `predict`, in order.
    """

    def __init__(self, strategy: "Strategy"):
        self.strategy = strategy
        self.trainings: list[Training] = []
        self.predictions: list[Prediction] = []
        self._loaded: xr.DataArray | None = None  # the most data that an own `load_data` returned
        self._known: tuple = (None, None, [])  # data, weights, and what `evaluated` returned for them

    def load_data(self, period: int) -> Any:
        """Load data with the strategy.

        The longest result of an overridden `load_data` is kept.
        """
        loaded = self.strategy.load_data(period)
        if loads_own_data(self.strategy):
            data = loaded[0] if isinstance(loaded, tuple) else loaded
            known = self._loaded
            if known is None or _last_day(known) != _last_day(data) or len(data.time) > len(known.time):
                self._loaded = data
        return loaded

    def train_model(self, data: "xr.DataArray") -> Any:
        """Train on `data`, keep the models and return them."""
        models = self.strategy.train_model(data)
        self.trainings.append(Training(_last_day(data), models))
        return models

    def predict(self, models: Any, data: "xr.DataArray", state: Any) -> Any:
        """Predict the last day of `data`.

        The weights are kept, and returned with the state.
        """
        result = self.strategy.predict(models, data, state)
        weights, state = result if isinstance(result, tuple) else (result, None)
        self.predictions.append(Prediction(_last_day(data), weights, state))
        return result

    def backtest(self, start: str, end: str | None = None) -> "xr.DataArray":
        """Backtest the strategy and return the weights.

        The weights (time, asset) are computed by `lib.backtest.backtest`.
        """
        calls = {"load_data": self.load_data, "train": self.train_model, "predict": self.predict}
        result = backtest(self.strategy, start, end, **calls)
        return result[0] if isinstance(result, tuple) else result

    def states(self, weights: "xr.DataArray") -> list[Any]:
        """Return the state after each day.

        The days belong to the backtest that returned `weights` (time, asset).
        """
        return [entry.state for entry in _last_run(self.predictions, _days(weights))]

    def used_trainings(self, days: np.ndarray) -> list[Training]:
        """Return the trainings of a backtest.

        The backtest is on `days`, and the trainings are in ascending order of their days. `backtest_ml`
        trains twice before its days begin, for the last day and as a trial of the first one: the calls before
        the last ascending run of days are left out, and days that are not in the backtest.
        """
        return _last_run(self.trainings, days)

    def fault(self, weights: "xr.DataArray") -> str:
        """Return why the weights are of another backtest.

        The text is empty if `weights` (time, asset) come from the logged backtest. An interrupted backtest
        leaves the weights of the run before it under the same name.
        """
        days = _days(weights)
        if not self.trainings and not self.predictions:
            return (
                "The log holds no backtest: pass its train_model and predict to backtest_ml, "
                "and run the backtest."
            )
        seen = np.array([entry.day for entry in _last_run(self.predictions, days)], dtype="M8[D]")
        missing = np.setdiff1d(days, seen)
        if not len(missing):
            return ""
        until = f"after {seen[-1]}" if len(seen) else "before its first day"
        return (
            f"The backtest did not run to its end: it stopped {until}, and these weights, which end on "
            f"{days[-1]}, are those of an earlier run. Run the backtest again."
        )

    def returned_weights(self, weights: "xr.DataArray", data: "xr.DataArray") -> "xr.DataArray | None":
        """Return the weights as `predict` returned them.

        The weights (time, asset) are returned in the state before the library cleaned them.

        Parameters
        ----------
        weights : xarray.DataArray
            (time, asset), as `backtest_ml` returned them.
        data : xarray.DataArray
            (field, time, asset): the days of the weights at least.

        Returns
        -------
        xarray.DataArray or None
            None where `weights` are not what the library makes of them.
        """
        import qnt.log as qnlog
        import qnt.output as qnout
        import xarray as xr

        if self.fault(weights):
            return None
        rows = [_row(entry) for entry in _last_run(self.predictions, _days(weights))]
        returned = xr.concat(rows, "time", join="outer", coords="minimal", compat="override")
        returned = returned.transpose("time", "asset").sortby("asset").rename(weights.name)
        with qnlog.Settings(info=False, err=False):
            cleaned = qnout.clean(
                returned.fillna(0), data.sel(time=weights.time), self.strategy.competition_type
            )
        return returned if same_positions(cleaned.reindex(time=weights.time), weights) else None

    def seen(self, data: "xr.DataArray") -> "xr.DataArray":
        """Return the data that the strategy saw.

        They are `data`, or the result of the strategy's own `load_data`.
        """
        return data if self._loaded is None else self._loaded

    def evaluated(self, data: "xr.DataArray", weights: "xr.DataArray") -> list[EvaluatedTraining]:
        """Return each training of the backtest with outputs.

        The outputs are in sample and out of sample. The days of a training end with the day of the next one:
        on it, the next training's outputs are traded. The list is computed once for the same data and
        weights. It is empty if the models are not `TrainedModels`.

        Parameters
        ----------
        data : xarray.DataArray
            (field, time, asset): the data of the backtest, from the first training window on.
        weights : xarray.DataArray
            (time, asset): the weights that it returned. Their days are the days of the backtest.
        """
        if self._known[0] is not data or self._known[1] is not weights:
            days = weights.time.values
            used = self.used_trainings(days)
            if not all(isinstance(training.models, TrainedModels) for training in used):
                used = []
            ends = [training.day for training in used[1:]] + [_days(weights)[-1]]
            stretches = [
                (training.models, days[(days >= training.day) & (days <= end)])
                for training, end in zip(used, ends, strict=False)
            ]
            self._known = (data, weights, evaluate_trainings(stretches, self.seen(data), self.strategy))
        return self._known[2]

    def table(self, data: "xr.DataArray", weights: "xr.DataArray", by_asset: bool = False) -> pd.DataFrame:
        """Return the table of the backtest's trainings.

        The table has a row for each training, or with `by_asset` for each training and asset. The parameters
        are the same as for `evaluated`. For the columns see `lib.report.tables.trainings_table`.

        Raises
        ------
        ValueError
            The weights are not of this backtest, or the models are not `TrainedModels`.
        """
        fault = self.fault(weights) or self.without_table(weights)
        if fault:
            raise ValueError(fault)
        return trainings_table(self.evaluated(data, weights), by_asset)

    def without_table(self, weights: "xr.DataArray") -> str:
        """Return why there is no table of trainings.

        The text is empty if there is a table.
        """
        for training in self.used_trainings(_days(weights)):
            if not isinstance(training.models, TrainedModels):
                return foreign_models(training.models)
        return ""


def foreign_models(models: Any) -> str:
    """Return a sentence on models of another type.

    The report cannot read such models.
    """
    return (
        f"train_model returned {type(models).__name__}, not TrainedModels of lib.engine.models, so there are "
        "no losses, accuracies or outputs to show."
    )


def _last_run(calls: list, days: np.ndarray) -> list:
    """Return the last calls with ascending days.

    Only calls on `days` are returned.
    """
    used: list = []
    for call in reversed(calls):
        if used and call.day >= used[-1].day:
            break
        used.append(call)
    return [call for call in used[::-1] if call.day in days]


def _last_day(data: "xr.DataArray") -> np.datetime64:
    return data.time.values[-1].astype("M8[D]")


def _days(weights: "xr.DataArray") -> np.ndarray:
    return weights.time.values.astype("M8[D]")


def _row(entry: Prediction) -> "xr.DataArray":
    """Return the weights (time, asset) of a prediction's day."""
    weights = entry.weights
    day = np.array([entry.day], dtype="M8[ns]")
    if "time" not in weights.dims:
        weights = weights.drop_vars("time", errors="ignore").expand_dims(time=day)
    return weights.drop_vars("field", errors="ignore").reindex(time=day)
