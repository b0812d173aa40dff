"""Questions about a day whose answers must not depend on the days after it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lib.common.market_data import ending_with, field
from lib.engine import published
from lib.engine.inputs import (
    feature_names,
    feature_values,
    get_target_classes,
    model_inputs,
    select_assets,
)
from lib.engine.models import TrainedModels
from lib.engine.prediction import model_outputs
from lib.engine.training import lesson_of
from lib.lookahead.windows import CHAIN, first_row
from lib.state import State
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

LATER = 20  # days that a feature is shown beyond the one it is asked about

# By stage; an answer has dims (..., time, asset) and ends on the day.
Questions = dict[str, Callable[[], np.ndarray]]


def questions_about(
    strategy: Strategy,
    data: "xr.DataArray",
    row: int,
    gaps: np.ndarray,
    trained: dict[str, TrainedModels] | None = None,
) -> Questions:
    """The questions about a row of data, by stage.

    Only features see the rows after it, if any. Whatever loads data through the strategy gets them up to the
    row, as in a backtest. `trained` keeps the models of the published network by what they were trained on.
    Without it that network is not trained: asked about are the examples, and no prediction.
    """
    index = data.get_index("asset")
    names = feature_names(strategy)
    labels = [f"feature {name}" + f" ({k + 1})" * (names.count(name) > 1) for k, name in enumerate(names)]
    first = first_row(data, row, strategy.lookback_period)
    training = data[:, first_row(data, row, strategy.train_period) : row + 1]
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
            models.append(_train(strategy, training.copy(deep=True), {} if trained is None else trained))
        return models[0]

    def examples() -> np.ndarray:  # features and target of the selected assets
        with ending_with(training):
            assets = select_assets(training.copy(deep=True), strategy)
            answers = np.full((len(names) + 1, *training.shape[1:]), np.nan)
            if assets:
                window = training.copy(deep=True)
                target = get_target_classes(window.sel(asset=assets), strategy).values
                places = index.get_indexer(assets)
                answers[:, :, places] = np.stack([*feature_values(window, strategy, assets), target])
        return answers

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
            window = data[:, first_row(data, day, strategy.lookback_period) : day + 1].copy(deep=True)
            weights, state = strategy.predict(train(), window, state)
            answers.append(weights.isel(time=-1).reindex(asset=index, fill_value=0).values)
        return np.stack(answers)

    questions: Questions = {label: partial(feature, k) for k, label in enumerate(labels)}
    questions["selection"] = selection
    if trained is None and depends_on_examples_only(strategy):
        return questions | {"training": examples}
    return questions | {"training": outputs, "prediction": chain}


def depends_on_examples_only(strategy: Strategy) -> bool:
    """Whether features, selection and target are the only code of the user's own."""
    own = type(strategy).train_model, type(strategy).predict
    return own == (Strategy.train_model, Strategy.predict) and published.is_published(strategy)


def _train(strategy: Strategy, data: "xr.DataArray", trained: dict[str, TrainedModels]) -> TrainedModels:
    """The models of a training window, from `trained` where the published network saw the same examples.

    Its training is a function of the examples and the parameters alone, so that it need not be repeated. A
    model, or a method, of the user's own may read anything: it is always trained anew.
    """
    if not depends_on_examples_only(strategy):
        return strategy.train_model(data)
    with ending_with(data):
        examples = lesson_of(data, strategy).examples
    key = hashlib.sha256(repr(strategy.as_dict()).encode())
    for asset, arrays in examples.items():
        key.update(f"{asset} {[array.shape for array in arrays]}".encode())
        for array in arrays:
            key.update(array.tobytes())
    if key.hexdigest() not in trained:
        trained[key.hexdigest()] = strategy.train_model(data)
    return trained[key.hexdigest()]
