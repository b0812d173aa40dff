"""The kinds of models.

They are torch modules, estimators with `fit` and `predict`, and rules without training. An estimator has the
interface of scikit-learn, which need not be installed: classes of LightGBM, XGBoost, or your own have it too.
Its rows are days of an asset, its columns features.
"""

import copy
import inspect
import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.errors import WrongTypeError, WrongValueError
from lib.common.registry import find, label, original
from lib.engine import lstm
from lib.engine.lstm import one_thread

if TYPE_CHECKING:
    from lib.parameters import Parameters

CONSTANT_OUTPUT = 0.5
TORCH_OPTIONS = ("optimiser", "batch_size", "loss", "validation", "patience")  # of torch modules alone


class Constant:
    """A rule that returns one half.

    Its name is "constant". The output is the same for every asset and day.
    """

    def __call__(self, x: Any) -> Any:
        """Return one half for each asset and day.

        `x` is (asset, time, feature), an array or a tensor of finite numbers. The result is (asset, time).
        """
        return x[..., 0] * 0 + CONSTANT_OUTPUT


class Rule:
    """A function of features in place of a model.

    It maps (asset, time, feature), a float64 array, to (asset, time). Missing values are NaN.
    """

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs.

        Raises
        ------
        ValueError
            The function does not return one number for each asset and day.
        """
        output = np.asarray(self.function(x), dtype=float)
        if output.shape != x.shape[:2]:
            raise WrongValueError(
                f"rule {label(self.function)} must return one number for each asset and day, an array of "
                f"shape {x.shape[:2]}, not {output.shape}."
            )
        return output


MODELS = {"constant": Constant}  # the models besides those of lib/model.py


def kind_of(strategy: "Parameters") -> str:
    """Return the kind of the strategy's model.

    The kind is "torch", "estimator" or "rule". A function of two arguments, (n_features, strategy), is
    called, and the kind of its result counts.
    """
    if strategy.model == "LSTM":
        return "torch"
    model = _found(strategy)
    if model in MODELS.values():
        return "rule"
    if is_estimator(model):
        return "estimator"
    if isinstance(model, type):
        return "torch"
    arguments = _arguments(model)
    if arguments == 1:
        return "rule"
    if arguments == 0:
        if not is_estimator(model()):
            raise WrongTypeError(
                f"model {label(model)} takes no arguments, so it must return an estimator with fit and "
                "predict."
            )
        return "estimator"
    return "estimator" if is_estimator(_built(model, strategy)) else "torch"


def is_estimator(model: Any) -> bool:
    """Return True if a model is an estimator.

    An estimator is a class or an instance with `fit` and `predict` or `predict_proba`.
    """
    return hasattr(model, "fit") and (hasattr(model, "predict") or hasattr(model, "predict_proba"))


def is_classifier(strategy: "Parameters") -> bool:
    """Return True if the strategy's estimator returns probabilities."""
    return kind_of(strategy) == "estimator" and hasattr(new_estimator(strategy), "predict_proba")


def is_published(strategy: "Parameters") -> bool:
    """Return True if the strategy trains as published.

    It trains the published network in the published way, in numpy.
    """
    return strategy.model == "LSTM" and not has_options(strategy) and lstm.is_published_network(strategy)


def has_options(strategy: "Parameters") -> bool:
    """Return True if a training option was changed.

    The options are `scope`, `window` and `TORCH_OPTIONS`. With a changed one, any network trains in torch.
    """
    published = strategy.defaults()
    names = ("scope", "window", *TORCH_OPTIONS)
    return any(getattr(strategy, name) != published[name] for name in names)


def needs_torch(strategy: "Parameters") -> bool:
    """Return True if the model is trained in torch."""
    if strategy.model == "LSTM":
        return not is_published(strategy)
    if strategy.model in MODELS or kind_of(strategy) != "torch":
        return False
    lstm.report_torch(label(strategy.model))
    return True


def check_model(strategy: "Parameters") -> None:
    """Check the strategy's model and its training options.

    Every training must be able to build a new model, and the options of the training must apply to it.

    Raises
    ------
    TypeError, ValueError
        It cannot, or they do not.
    """
    model, torch = strategy.model, sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        raise WrongTypeError(
            f"model is an instance of {type(model).__name__}: give the class, or a function of (n_features, "
            "strategy) that builds it, since every training needs a new one."
        )
    if model == "LSTM" or not has_options(strategy):
        return
    kind = kind_of(strategy)
    published = strategy.defaults()
    changed = [name for name in TORCH_OPTIONS if getattr(strategy, name) != published[name]]
    if kind != "torch" and changed:
        raise WrongValueError(
            f"{', '.join(changed)}: for torch modules only, and model {label(model)} is "
            f"{'an estimator: set its own parameters instead' if kind == 'estimator' else 'a rule'}. Leave "
            f"{'it' if len(changed) == 1 else 'them'} out."
        )


def dtype_of(strategy: "Parameters") -> type:
    """Return the precision of a model's inputs.

    It is float32 for a network and for "constant", else float64.
    """
    if strategy.model in ("LSTM", *MODELS):
        return np.float32
    return np.float32 if kind_of(strategy) == "torch" else np.float64


def windows_of(values: np.ndarray, days: int) -> np.ndarray:
    """Return the window of each day as a view.

    A window has the last `days` days. The first window is of the first day that has so many. An array (asset,
    time) becomes (time - days + 1, asset, days), and (asset, time, feature) becomes (time - days + 1, asset,
    days, feature).
    """
    windows = np.lib.stride_tricks.sliding_window_view(values, days, axis=1)
    return np.moveaxis(windows.swapaxes(0, 1), -1, 2)


def rows_of(x: np.ndarray, known: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of an estimator and their places.

    The rows are (row, column), and the places (asset, time). A row has the features of an asset's last `days`
    days, the oldest first. It exists where all of them are `known`. The rows are ordered by day, then by
    asset.
    """
    there = np.zeros(known.shape, bool)
    if known.shape[1] >= days:
        there[:, days - 1 :] = windows_of(known, days).all(axis=2).T
    time, asset = np.nonzero(there.T)
    if not len(time):
        return np.empty((0, days * x.shape[2]), x.dtype), there
    rows = windows_of(x, days)[time - days + 1, asset]
    return rows.reshape(len(time), -1), there


def new_rule(strategy: "Parameters") -> Callable[[np.ndarray], np.ndarray]:
    """Return the strategy's rule."""
    model = _found(strategy)
    return model() if model in MODELS.values() else Rule(model)


def rule_outputs(
    rule: Callable, x: np.ndarray, known: np.ndarray, strategy: "Parameters"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs of a rule for all assets.

    The outputs (asset, time) are computed for all assets together. The second array is True where there are
    any. With a `window`, the rule sees the last days of each day. Features that are not known are NaN.
    """
    seen = np.where(known[..., None], x, np.nan)
    if not strategy.window:
        return rule(seen), known
    values, there = np.full(known.shape, np.nan), np.zeros(known.shape, bool)
    first = strategy.window - 1
    if known.shape[1] > first:
        windows = windows_of(seen, strategy.window)
        values[:, first:] = np.stack([rule(window)[:, -1] for window in windows], axis=1)
        there[:, first:] = windows_of(known, strategy.window).all(axis=2).T
    return values, there


def new_estimator(strategy: "Parameters") -> Any:
    """Return an untrained estimator of the strategy's own.

    An instance is cloned. Where `random_state` is None it is set to the strategy's seed, in the steps of a
    pipeline too. `n_jobs` is limited to the processor's cores that this process may use; None means 1, so
    that results do not depend on the machine.
    """
    model = _found(strategy)
    if isinstance(model, type) and is_estimator(model):
        estimator = model()
    elif is_estimator(model):
        estimator = _cloned(model)
    else:
        estimator = model() if _arguments(model) == 0 else _built(model, strategy)
    if hasattr(estimator, "get_params"):
        settings = estimator.get_params()
        changed: dict[str, Any] = {}
        for name, value in settings.items():
            owner, _, setting = name.rpartition("__")
            if setting == "random_state" and value is None:
                changed[name] = strategy.seed % 2**31  # LightGBM takes no larger one
            if setting == "n_jobs":
                part = settings[owner] if owner else estimator
                changed[name] = _jobs(value, of_sklearn=type(part).__module__.startswith("sklearn."))
        changed = {name: value for name, value in changed.items() if value != settings[name]}
        if changed:
            estimator.set_params(**changed)
    return estimator


def _jobs(value: int | None, of_sklearn: bool) -> int | None:
    """Return the setting `n_jobs` of an estimator.

    It is at most the cores of this process. None means 1 core, as in scikit-learn, whose estimators keep
    None.
    """
    if value is None:
        return None if of_sklearn else 1
    return _cores() if value < 1 else min(value, _cores())


@one_thread
def fit_estimator(strategy: "Parameters", x: np.ndarray, y: np.ndarray) -> Any:
    """Return an estimator trained on rows of features.

    The rows `x` are (row, column), and the targets `y` (row,), float64.

    Raises
    ------
    ValueError
        A classifier is given a target with other values than 0 and 1.
    """
    estimator = new_estimator(strategy)
    if hasattr(estimator, "predict_proba") and not np.isin(y, (0, 1)).all():
        raise WrongValueError(
            f"model {label(strategy.model)} is a classifier, and target {label(strategy.target)} has other "
            "values than 0 and 1: choose a regressor, or a target of two classes such as 'next_open_up'."
        )
    with _quiet():
        estimator.fit(x, y.astype(int) if hasattr(estimator, "predict_proba") else y)
    return estimator


def estimator_outputs(
    estimator: Any, x: np.ndarray, known: np.ndarray, strategy: "Parameters"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs of an estimator.

    They are (asset, time). The second array is True where there are any.
    """
    rows, there = rows_of(x, known, max(strategy.window, 1))
    values = np.full(known.shape, np.nan)
    if len(rows):
        values.T[there.T] = _row_outputs(estimator, rows)
    return values, there


@one_thread
def _row_outputs(estimator: Any, x: np.ndarray) -> np.ndarray:
    """Return the outputs of an estimator for rows.

    They are (row,). A classifier gives the probability of class 1, another estimator its prediction.
    """
    with _quiet():
        if not hasattr(estimator, "predict_proba"):
            return np.reshape(estimator.predict(x), len(x))
        probabilities = np.asarray(estimator.predict_proba(x))
        classes = list(getattr(estimator, "classes_", (0, 1)))
        return probabilities[:, classes.index(1)] if 1 in classes else np.zeros(len(x))


def estimator_packages(strategy: "Parameters") -> list[str]:
    """Return the packages of the strategy's estimator.

    They are the names of the top-level modules that define the estimator and its parts. The list is empty for
    another model.
    """
    if strategy.model in ("LSTM", *MODELS) or kind_of(strategy) != "estimator":
        return []
    estimator = new_estimator(strategy)
    parts = [estimator]
    if hasattr(estimator, "get_params"):
        parts += estimator.get_params().values()
    made = [part for part in parts if is_estimator(part) or hasattr(part, "transform")]
    return sorted({type(part).__module__.partition(".")[0] for part in made})


class _quiet(warnings.catch_warnings):
    """A block without LightGBM's warning of feature names.

    LightGBM would warn that its own feature names are missing from an array.
    """

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return entered


def _found(strategy: "Parameters") -> Any:
    """Return the object of the strategy's model.

    It is the class, function or instance that the model refers to.
    """
    model = strategy.model
    if is_estimator(model):
        return model
    if isinstance(model, str) and model in MODELS:
        return MODELS[model]
    known: dict[str, Callable] = {}
    if isinstance(model, str):
        from lib.model import model as known  # torch, whose import takes seconds
    return original(find("model", model, known))


def _arguments(function: Any) -> int:
    """Return the number of arguments without a default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 2
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.default is each.empty and each.kind in kinds for each in parameters)


def _built(model: Callable, strategy: "Parameters") -> Any:
    return model(len(strategy.features), strategy)


def _cloned(estimator: Any) -> Any:
    """Return an untrained copy of an estimator.

    scikit-learn's `clone` makes the copy where the estimator has the interface of scikit-learn.
    """
    if hasattr(estimator, "get_params") and "sklearn" in sys.modules:
        from sklearn.base import clone

        return clone(estimator)
    return copy.deepcopy(estimator)


def _cores() -> int:
    """Return the number of cores for this process.

    joblib limits the cores of each worker by OMP_NUM_THREADS.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(available, int(limit)) if limit.isdigit() and int(limit) else available
