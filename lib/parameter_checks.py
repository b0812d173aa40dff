"""The allowed values of the strategy's parameters."""

import math
import numbers
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lib.common.errors import WrongTypeError, WrongValueError
from lib.common.registry import canonical, find
from lib.engine.models import MODELS
from lib.features import feature, target
from lib.sizing import sizing
from lib.universe import selection

if TYPE_CHECKING:
    from lib.strategy import Strategy

# smallest and largest value of each number
RANGES = {
    "lookback_period": (1, 10_000),
    "train_period": (1, 10_000),
    "retrain_interval": (1, 10_000),
    "top_assets": (1, 1_000),
    "hidden_size": (1, 1_024),
    "learning_rate": (1e-6, 10.0),
    "epochs": (1, 1_000),
    "seed": (0, 2**32 - 1),
    "lwma_period": (1, 1_000),
    "min_weight": (0.0, 1.0),
    "max_weight": (0.0, 1.0),
}


def checked(name: str, kind: Any, value: Any) -> Any:
    """A parameter's value in its type: a number within `RANGES`, a bool, a tuple of features.

    Raises
    ------
    TypeError, ValueError
        The value is of another type, or out of range.
    """
    if name in RANGES:
        return _number(name, value, whole=kind is int)
    if kind is bool and not isinstance(value, bool):
        raise WrongTypeError(f"{name} must be True or False, not {value!r}.")
    if name == "features":
        if not isinstance(value, str | list | tuple) and not callable(value):
            raise WrongTypeError(f"features takes names or functions, not {value!r}.")
        value = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not value:
            raise WrongValueError("features must name at least one feature, such as features=['trend'].")
    return value


def _number(name: str, value: Any, whole: bool) -> int | float:
    kind: Any = numbers.Integral if whole else numbers.Real
    low, high = RANGES[name]
    allowed = f"{'a whole number' if whole else 'a number'} from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise WrongTypeError(f"{name} must be {allowed}, not {value!r}.")
    if not math.isfinite(value) or not low <= value <= high:
        raise WrongValueError(f"{name} is {value!r}: it must be {allowed}.")
    return int(value) if whole else float(value)


def resolve_functions(strategy: "Strategy") -> dict[str, Any]:
    """Each function of a strategy by its parameter, as `lib.common.registry.canonical` writes it.

    Raises
    ------
    TypeError, ValueError
        A name that is not registered, or a parameter that the function does not have.
    """
    registries: dict[str, Mapping[str, Callable]] = {
        "target": target,
        "selection": selection,
        "sizing": sizing,
    }
    if strategy.model != "LSTM" and strategy.model not in MODELS:
        from lib.model import model  # torch, whose import takes seconds

        registries["model"] = {**model, **MODELS}
    for item in strategy.features:
        find("features", item, feature)
    for name, known in registries.items():
        find(name, getattr(strategy, name), known)
    names: dict[str, Any] = {
        name: canonical(getattr(strategy, name), known) for name, known in registries.items()
    }
    return names | {"features": tuple(canonical(item, feature) for item in strategy.features)}
