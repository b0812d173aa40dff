"""Questions whose answers must not depend on later days.

The module also compares two answers.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from lib.common.market_data import ending_with, field
from lib.common.references import numbers_in
from lib.engine.inputs import (
    feature_names,
    feature_values,
    get_target_classes,
    model_inputs,
    select_assets,
    training_set_of,
)
from lib.engine.learners import is_published
from lib.engine.models import TrainedModels
from lib.engine.prediction import panel_outputs, predict_days
from lib.strategy import Strategy, own_methods, uses_methods_of_strategy

if TYPE_CHECKING:
    import xarray as xr

CHAIN = 2  # days predicted one after the other, the state handed on
LATER = 20  # days that a feature is shown beyond the one it is asked about
OF_SPREAD = 1e-6  # of an asset's standard deviation in the answer
OF_LARGEST = 1e-12  # of the largest number in the answer, where it was computed in double precision
OF_LARGEST_SINGLE = 1e-6  # the same, where every number is a single-precision one

Result = TypeVar("Result")
# Numbers (..., time, asset); the numbers in models of another kind; the error that was raised in their place.
Answer = np.ndarray | list[np.ndarray] | str
# By stage; an array ends on the day.
Questions = dict[str, Callable[[], Answer]]


class Difference(NamedTuple):
    """The place and size of a difference.

    The place is the first where two answers differ. The size is the largest difference.
    """

    days_before: int  # from the last day of the answer to the first day that differs
    asset: int  # -1 where the answer is not about assets
    size: float  # infinite where values only appear, vanish or could not be had
    error: str = ""
    whole_window: bool = False  # whether the days that differ reach into the first half of the window


# ---- the days that can be asked about ----


def askable(data: "xr.DataArray", strategy: Strategy) -> np.ndarray:
    """Return the rows that can be tried.

    Such a row has whole windows before it, also for the other days of a chain, and a day after it.
    """
    periods = sorted((strategy.lookback_period, strategy.train_period))
    rows = np.arange(CHAIN - 1, data.sizes["time"] - 1)
    time = data.time.values
    whole = [row for row in rows if time[row - CHAIN + 1] - np.timedelta64(periods[1], "D") >= time[0]]
    # `trend` fills the first `lwma_period` + 1 days of a window backwards
    least = strategy.lwma_period if "trend" in strategy.features and uses_features(strategy) else 0
    long = [row for row in whole if int(row) - first_row(data, int(row), periods[0]) > least]
    if not long:
        filled = f", and more than lwma_period + 1 = {least + 1} days in a window" if least else ""
        raise ValueError(
            f"no day of the {len(time)} has {periods[1]} calendar days of data before it and a day after "
            f"it{filled}: load more."
        )
    return np.array(long)


def random_gaps(data: "xr.DataArray", row: int, rng: np.random.Generator) -> np.ndarray:
    """Return random places of gaps (time, asset).

    The gaps cover one to three days up to the row, in about half of the assets.
    """
    gaps = np.zeros(data.shape[1:], bool)
    chosen = rng.permutation(data.sizes["asset"])[: (data.sizes["asset"] + 1) // 2]
    gaps[row + 1 - rng.integers(1, 4) : row + 1, chosen] = True
    return gaps


def first_row(data: "xr.DataArray", row: int, period: int) -> int:
    """Return the first row of a period.

    The period has calendar days and ends on `row`. `backtest_ml` cuts its windows in the same way.
    """
    return int(np.searchsorted(data.time.values, data.time.values[row] - np.timedelta64(period, "D")))


# ---- the questions ----


def questions_about(
    strategy: Strategy,
    data: "xr.DataArray",
    row: int,
    gaps: np.ndarray,
    trained: dict[str, TrainedModels] | None = None,
    later: int = LATER,
) -> Questions:
    """Return the questions about a row by stage.

    Only features see rows after `row`, if there are any, and at most `later` of them. Data that are loaded
    through the strategy end on the row, as in a backtest. `trained` keeps the models of the published network
    by their parameters and examples. Without it that network is not trained, unless the strategy has another
    sizing than the published one. The questions are then about its examples, and there is no prediction.
    """
    index = data.get_index("asset")
    first = first_row(data, row, strategy.lookback_period)
    training = data[:, first_row(data, row, strategy.train_period) : row + 1]
    models: list[Any] = []

    def feature(k: int) -> np.ndarray:  # once with the gaps there are, once with those planted
        alone = replace(strategy, features=(strategy.features[k],))
        answers = []
        for planted in (False, True):
            window = data[:, first : row + 1 + later].copy(deep=True)
            window.values[:, : row + 1 - first][:, gaps[first : row + 1] & planted] = np.nan
            priced = (field(window, "close")[: row + 1 - first] > 0).any(axis=0)
            with ending_with(training):
                values = feature_values(window, alone)[0, : row + 1 - first]
            answers.append(np.where(priced, values, 0))
        return np.stack(answers)

    def selection() -> np.ndarray:
        with ending_with(training):
            return np.array([index.isin(select_assets(training.copy(deep=True), strategy))], float)

    def train() -> Any:
        if not models:
            models.append(_train(strategy, training.copy(deep=True), {} if trained is None else trained))
        return models[0]

    def examples() -> np.ndarray:  # features and target of the selected assets
        with ending_with(training):
            assets = select_assets(training.copy(deep=True), strategy)
            answers = np.full((len(strategy.features) + 1, *training.shape[1:]), np.nan)
            if assets:
                window = training.copy(deep=True)
                target = get_target_classes(window, strategy, assets).values
                places = index.get_indexer(assets)
                answers[:, :, places] = np.stack([*feature_values(window, strategy, assets), target])
        return answers

    def outputs() -> Answer:  # of each model, for the window it was trained on
        if not isinstance(train(), TrainedModels):
            return numbers_in(train())
        places = {asset: index.get_loc(asset) for asset in train() if asset in index}
        with ending_with(training):
            x, finite = model_inputs(training.copy(deep=True), strategy)
        answers, rows = np.full(x.shape[1::-1], np.nan), list(places.values())
        if rows:
            answers[:, rows] = panel_outputs(train(), list(places), x[rows], finite[rows], strategy)[0].T
        return answers

    def chain() -> np.ndarray:
        days = range(row + 1 - CHAIN, row + 1)
        # between rebalances a chain does not depend on its day, which is therefore predicted alone too
        parts = [days, days[-1:]] if strategy.rebalance_interval > 1 else [days]
        answers = []
        for part in parts:
            firsts = [first_row(data, day, strategy.lookback_period) for day in part]
            windows = (data[:, k : day + 1].copy(deep=True) for k, day in zip(firsts, part, strict=True))
            for weights, _ in predict_days(strategy.predict, ((train(), window) for window in windows)):
                last = weights.isel(time=-1) if "time" in weights.dims else weights
                answers.append(last.reindex(asset=index, fill_value=0).values.astype(float))
        return np.stack(answers)

    questions: Questions = {}
    if uses_features(strategy):
        questions |= {label: partial(feature, k) for k, label in enumerate(feature_labels(strategy))}
        questions["selection"] = selection
    if trained is None and depends_on_examples_only(strategy) and strategy.sizing == "as_output":
        return questions | {"training": examples}
    return questions | {"training": outputs, "prediction": chain}


def feature_labels(strategy: Strategy) -> list[str]:
    """Return the stage names of the features.

    Features of the same name are numbered.
    """
    names = feature_names(strategy)
    return [f"feature {name}" + f" ({k + 1})" * (names.count(name) > 1) for k, name in enumerate(names)]


def uses_features(strategy: Strategy) -> bool:
    """Return True if the strategy uses features.

    It does not if `train_model` and `predict` are overridden while `features` and `selection` are as
    published.
    """
    published_ones = (Strategy.features, Strategy.selection)
    both = {"train_model", "predict"} <= set(own_methods(strategy))
    return not both or (strategy.features, strategy.selection) != published_ones


def depends_on_examples_only(strategy: Strategy) -> bool:
    """Return True if training depends on examples only.

    Features, selection and target are then the only code of the user's own.
    """
    return uses_methods_of_strategy(strategy) and is_published(strategy)


def _train(strategy: Strategy, data: "xr.DataArray", trained: dict[str, TrainedModels]) -> Any:
    """Return the models of a training window.

    They are taken from `trained` if the examples are the same. The training of the published network is a
    function of the examples and the parameters alone, so it need not be repeated. A model, or a method, of
    the user's own may read anything: it always trains anew.
    """
    if not depends_on_examples_only(strategy):
        return strategy.train_model(data)
    with ending_with(data):
        examples = training_set_of(data, strategy).examples
    key = hashlib.sha256(repr(strategy.as_dict()).encode())
    for asset, arrays in examples.items():
        key.update(f"{asset} {[array.shape for array in arrays]}".encode())
        for array in arrays:
            key.update(array.tobytes())
    if key.hexdigest() not in trained:
        trained[key.hexdigest()] = strategy.train_model(data)
    return trained[key.hexdigest()]


# ---- answers, and the difference between two ----


def answers_to(questions: Questions) -> dict[str, Answer]:
    """Return the answers by stage.

    An error of the user's functions takes the place of an answer.
    """
    return {stage: answer_to(ask) for stage, ask in questions.items()}


def answer_to(ask: Callable[[], Result]) -> Result | str:
    """Return the result of `ask` or its error.

    The error is returned as text.
    """
    try:
        return ask()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def difference(base: Answer, answer: Answer) -> Difference | None:
    """Return the difference between two answers.

    The result is None if they are the same up to rounding.
    """
    if isinstance(base, str) or isinstance(answer, str):
        return None if isinstance(base, type(answer)) and base == answer else _error(base, answer)
    if isinstance(base, list) or isinstance(answer, list):
        return _difference_of_lists(base, answer)
    if base.shape != answer.shape:
        return Difference(0, -1, np.inf)
    with np.errstate(all="ignore"):
        size = np.abs(answer - base)
        same = (answer == base) | (np.isnan(answer) & np.isnan(base)) | (size <= _tolerance(base))
    if same.all():
        return None
    of_day = same.reshape(-1, *same.shape[-2:]).all(axis=0)
    day, asset = np.argwhere(~of_day)[0].tolist()
    largest = float(size[~same & np.isfinite(size)].max(initial=0)) or np.inf
    return Difference(base.shape[-2] - 1 - day, asset, largest, whole_window=_whole_window(base, of_day))


def _whole_window(base: np.ndarray, same: np.ndarray) -> bool:
    """Return True if the whole window differs.

    `same` (time, asset) is False where the answers differ. In each asset that differs, the first such day
    must lie in the first half of its days with a value. Assets with fewer than four values do not count.

    Each value then depends on the window as a whole, as after a division by its last or largest value. A
    function that reads some days ahead, or fills a gap, changes the last days alone.
    """
    some = np.isfinite(base).any(axis=tuple(range(base.ndim - 2)))
    reach = []
    for asset in np.flatnonzero(~same.all(axis=0)):
        days = np.flatnonzero(some[:, asset])
        if len(days) >= 4:
            reach.append(np.argmin(same[:, asset]) <= days[len(days) // 2])
    return bool(reach) and all(reach)


def _difference_of_lists(base: Answer, answer: Answer) -> Difference | None:
    if [np.shape(item) for item in base] != [np.shape(item) for item in answer]:
        return Difference(0, -1, np.inf)
    largest = 0.0
    for before, after in zip(base, answer, strict=True):
        with np.errstate(all="ignore"):
            size = np.abs(after - before)
            single = (before.astype(np.float32) == before).all()
            allowed = (1e-4 if single else 1e-8) * np.abs(before[np.isfinite(before)]).max(initial=0)
            same = (after == before) | (np.isnan(after) & np.isnan(before)) | (size <= allowed)
        if not same.all():
            largest = max(largest, float(size[~same & np.isfinite(size)].max(initial=0)) or np.inf)
    return Difference(0, -1, largest) if largest else None


def _error(base: Answer, answer: Answer) -> Difference:
    error = answer if isinstance(answer, str) else base
    return Difference(0, 0, np.inf, str(error))


def _tolerance(base: np.ndarray) -> np.ndarray:
    """Return the largest difference (asset,) that is rounding.

    A number computed from a whole window, by a Fourier transform for example, is rounded relative to the
    window's numbers, not to its own size, which may be near 0. So the tolerance follows the asset's standard
    deviation over the answer; its factor lies far above rounding (1e-16 times some hundred operations), and a
    leak of 1e-4 of a series lies 100 times above it. Numbers that hardly move, such as a rank that stays the
    same, are rounded relative to their size, or to the other assets'.
    """
    finite = np.where(np.isfinite(base), base, np.nan)
    known = ~np.isnan(finite)
    count = np.maximum(known.sum(axis=tuple(range(base.ndim - 1))), 1)
    numbers = np.where(known, finite, 0)
    largest = np.abs(numbers).max(initial=0)
    mean = numbers.sum(axis=tuple(range(base.ndim - 1))) / count
    squares = np.where(known, (numbers - mean) ** 2, 0).sum(axis=tuple(range(base.ndim - 1)))
    single = (numbers.astype(np.float32) == numbers).all()
    return OF_SPREAD * np.sqrt(squares / count) + (OF_LARGEST_SINGLE if single else OF_LARGEST) * largest
