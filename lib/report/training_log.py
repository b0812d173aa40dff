"""The trainings of a backtest, with their accuracy on the days after each."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.engine.models import TrainedModels
from lib.report.out_of_sample import ACCURACIES, out_of_sample
from lib.report.outputs import outputs_of
from lib.report.training_table import summary, training_table

if TYPE_CHECKING:
    import xarray as xr


class TrainingLog:
    """Stands in for `strategy.train_model` and keeps what every training of a backtest reported.

    Parameters
    ----------
    train : callable
        Data -> `lib.engine.models.TrainedModels`.

    Attributes
    ----------
    trainings : list of TrainedModels
        Of every call, in order.
    """

    def __init__(self, train: Callable[["xr.DataArray"], TrainedModels]):
        """Wrap `train`."""
        self._train = train
        self.trainings: list[TrainedModels] = []
        self._known: tuple = (None, None, [])  # data, weights, and what `outputs` returned for them

    def __call__(self, data: "xr.DataArray") -> TrainedModels:
        """Train on `data`; keep the models and return them."""
        models = self._train(data)
        if not isinstance(models, TrainedModels):
            raise TypeError(
                f"TrainingLog needs a train that returns lib.engine.models.TrainedModels, "
                f"not {type(models).__name__}."
            )
        self.trainings.append(models)
        return models

    def of_backtest(self, days: Iterable | None = None) -> list[TrainedModels]:
        """Return the trainings that the backtest used, by ascending end of their window.

        `backtest_ml` trains twice before its days begin, for the last day and as a trial of the first one.
        They are recognised by what follows them: a training on the same or on earlier days. With the `days`
        of the weights, trainings on other days are left out too.
        """
        used: list[TrainedModels] = []
        for models in reversed(self.trainings):
            if used and models.window[1] >= used[-1].window[1]:
                break
            used.append(models)
        if days is not None:
            known = np.asarray(list(days), dtype="M8[D]")
            used = [models for models in used if models.window[1] in known]
        return used[::-1]

    def outputs(
        self, data: "xr.DataArray", weights: "xr.DataArray"
    ) -> list[tuple[TrainedModels, "xr.DataArray"]]:
        """Return each training of the backtest with its outputs (time, asset): see `outputs_of`.

        The days are those of the weights, from the last day of the training window to that of the next one,
        both included: on the last, the next training's outputs are traded. Parameters and errors as for
        `table`. Computed once for the same data and weights.
        """
        if self._known[0] is not data or self._known[1] is not weights:
            used = self.of_backtest(weights.time.values)
            if not used:
                raise ValueError(
                    "No training of this backtest was seen: pass the log to backtest_ml as train=."
                )
            ends = [models.window[1] for models in used[1:]] + [weights.time.values[-1].astype("M8[D]")]
            days = weights.time.values
            found = [
                (models, outputs_of(models, data, days[(days >= models.window[1]) & (days <= end)]))
                for models, end in zip(used, ends, strict=True)
            ]
            self._known = (data, weights, found)
        return self._known[2]

    def table(self, data: "xr.DataArray", weights: "xr.DataArray", by_asset: bool = False) -> pd.DataFrame:
        """Return a row for each training of the backtest, or for each training and asset.

        Parameters
        ----------
        data : xarray.DataArray
            (field, time, asset): the data of the backtest, from the first training window on.
        weights : xarray.DataArray
            (time, asset): the weights that it returned. Their days are the days of the backtest.
        by_asset : bool
            A row for each asset instead of their mean, with the reason where an asset got no model.

        Returns
        -------
        pandas.DataFrame
            By the last day of the training window: the columns of `summary`, or of `training_table`, then
            `days_out_of_sample` (days judged, counted for each asset) and `accuracy_`, `majority_accuracy_`
            and `yesterday_accuracy_out_of_sample`: see `lib.report.out_of_sample`. The days after a training
            end with the day of the next one.

        Raises
        ------
        ValueError
            The log holds no training of this backtest.
        """
        rows = []
        for models, outputs in self.outputs(data, weights):
            days = outputs.time.values
            judged = out_of_sample(models, data, days[days > models.window[1]], outputs)
            if by_asset:
                after = judged.groupby("asset")[ACCURACIES].mean().add_suffix("_out_of_sample")
                after.insert(0, "days_out_of_sample", judged.groupby("asset").size())
                table = training_table(models).join(after).reset_index()
                table.insert(0, "trained_to", models.window[1])
            else:
                means = judged[ACCURACIES].mean().add_suffix("_out_of_sample").to_dict()
                table = pd.DataFrame([summary(models) | {"days_out_of_sample": len(judged)} | means])
            rows.append(table)
        index = ["trained_to", "asset"] if by_asset else ["trained_to"]
        return pd.concat(rows, ignore_index=True).set_index(index)
