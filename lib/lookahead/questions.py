"""Questions about a day whose answers must not depend on the days after it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lib.engine import fast_lstm
from lib.engine.inputs import feature_names, feature_values, model_inputs, select_assets, training_examples
from lib.engine.models import TrainedModels
from lib.engine.prediction import model_outputs
from lib.market_data import field
from lib.state import State
from lib.strategy import Strategy, ending_with

if TYPE_CHECKING:
    import xarray as xr

CHAIN = 2  # days predicted one after the other, the state handed on
LATER = 20  # days that a feature is shown beyond the one it is asked about

# By stage; an answer has dims (..., time, asset) and ends on the day.
Questions = dict[str, Callable[[], np.ndarray]]


def askable(data: "xr.DataArray", strategy: Strategy) -> np.ndarray:
    """Rows of days with whole windows before them, those of a chain included, and a day after them."""
    periods = sorted((strategy.lookback_period, strategy.train_period))
    rows = np.arange(CHAIN - 1, data.sizes["time"] - 1)
    time = data.time.values
    whole = [row for row in rows if time[row - CHAIN + 1] - np.timedelta64(periods[1], "D") >= time[0]]
    long = [row for row in whole if int(row) - _first(data, int(row), periods[0]) > strategy.lwma_period]
    if not long:
        raise ValueError(
            f"no day of the {len(time)} has {periods[1]} calendar days of data before it, a day after it, "
            f"and more than lwma_period + 1 = {strategy.lwma_period + 1} days in a window: load more."
        )
    return np.array(long)


def random_gaps(data: "xr.DataArray", row: int, rng: np.random.Generator) -> np.ndarray:
    """Where to plant gaps, (time, asset): one to three days up to the row, in about half of the assets."""
    gaps = np.zeros(data.shape[1:], bool)
    chosen = rng.permutation(data.sizes["asset"])[: (data.sizes["asset"] + 1) // 2]
    gaps[row + 1 - rng.integers(1, 4) : row + 1, chosen] = True
    return gaps


def questions_about(
    strategy: Strategy, data: "xr.DataArray", row: int, gaps: np.ndarray, trained: dict[str, TrainedModels]
) -> Questions:
    """What can be asked about a row of data, by stage.

    Only features see the rows after it, if any. Whatever loads data through the strategy gets them up to the
    row, as in a backtest. `trained` keeps the models of the published network by what they were trained on.
    """
    index = data.get_index("asset")
    names = feature_names(strategy)
    labels = [f"feature {name}" + f" ({k + 1})" * (names.count(name) > 1) for k, name in enumerate(names)]
    first = _first(data, row, strategy.lookback_period)
    training = data[:, _first(data, row, strategy.train_period) : row + 1]
    models: list[TrainedModels] = []

    def feature(k: int) -> np.ndarray:  # once with the gaps there are, once with those planted
        alone = replace(strategy, features=(strategy.features[k],))
        answers = []
        for planted in (False, True):
            window = data[:, first : row + 1 + LATER].copy(deep=True)
            window.values[:, : row + 1 - first][:, gaps[first : row + 1] & planted] = np.nan
            priced = (field(window, "close")[: row + 1 - first] > 0).any(axis=0)
            with ending_with(training):
                values = feature_values(window, alone)[0, : row + 1 - first]
            answers.append(np.where(priced, values, 0))
        return np.stack(answers)

    def selection() -> np.ndarray:
        with ending_with(training):
            return np.array([index.isin(select_assets(training.copy(deep=True), strategy))], float)

    def train() -> TrainedModels:
        if not models:
            models.append(_train(strategy, training.copy(deep=True), trained))
        return models[0]

    def outputs() -> np.ndarray:  # of each model, for the window it was trained on
        places = {asset: index.get_loc(asset) for asset in train()}
        with ending_with(training):
            x, finite = model_inputs(training.copy(deep=True), strategy)
        inputs = {asset: x[k][finite[k]] for asset, k in places.items() if finite[k].any()}
        answers = np.full(x.shape[1::-1], np.nan)
        for asset, output in model_outputs(train(), inputs).items():
            answers[finite[places[asset]], places[asset]] = output
        return answers

    def chain() -> np.ndarray:
        state: State | None = None
        answers = []
        for day in range(row + 1 - CHAIN, row + 1):
            window = data[:, _first(data, day, strategy.lookback_period) : day + 1].copy(deep=True)
            weights, state = strategy.predict(train(), window, state)
            answers.append(weights.isel(time=-1).reindex(asset=index, fill_value=0).values)
        return np.stack(answers)

    return {
        **{label: partial(feature, k) for k, label in enumerate(labels)},
        "selection": selection,
        "training": outputs,
        "prediction": chain,
    }


def _train(strategy: Strategy, data: "xr.DataArray", trained: dict[str, TrainedModels]) -> TrainedModels:
    """The models of a training window, from `trained` where the published network saw the same examples.

    Its training is a function of the examples and the parameters alone, so that it need not be repeated. A
    model, or a method, of the user's own may read anything: it is always trained anew.
    """
    if type(strategy).train_model is not Strategy.train_model or not fast_lstm.is_published(strategy):
        return strategy.train_model(data)
    with ending_with(data):
        assets = select_assets(data, strategy)
        examples = training_examples(data.sel(asset=assets), strategy) if assets else {}
    key = hashlib.sha256(repr(strategy.as_dict()).encode())
    for asset, arrays in examples.items():
        key.update(f"{asset} {[array.shape for array in arrays]}".encode())
        for array in arrays:
            key.update(array.tobytes())
    if key.hexdigest() not in trained:
        trained[key.hexdigest()] = strategy.train_model(data)
    return trained[key.hexdigest()]


def _first(data: "xr.DataArray", row: int, period: int) -> int:
    """First row of the window of so many calendar days that ends on a row, as `backtest_ml` cuts it."""
    return int(np.searchsorted(data.time.values, data.time.values[row] - np.timedelta64(period, "D")))
