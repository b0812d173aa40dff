"""The parameters of a strategy: their defaults, allowed values and meaning."""

import dataclasses
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lib.common.competitions import rules_of
from lib.common.errors import WrongTypeError, WrongValueError, suggest
from lib.common.registry import full_name_of


def _between(low: float, high: float, default: float, **metadata: Any) -> Any:
    """Declare a number with its range and default.

    The number is whole if both bounds are.
    """
    return dataclasses.field(default=default, metadata={"range": (low, high), **metadata})


BLENDS = ("mean", "none")
OPTIONAL = {"optional": True}  # metadata of a parameter that the notebook's parameters cell need not set


@dataclass(frozen=True)
class Parameters:
    """The parameters of a strategy, as the engine and the user's functions see them.

    Parameters
    ----------
    lookback_period, train_period, retrain_interval : int, calendar days
        Data seen by one prediction, data seen by one training, and the time between trainings of a backtest.
    top_assets : int
        Number of assets to trade: the liquid ones with the lowest volatility.
    hidden_size, learning_rate, epochs, seed
        The network and its training: units per layer, length of a step of L-BFGS, number of its calls, and
        the seed from which every asset's model starts.
    lwma_period : int, trading days
        Window of the weighted average in the feature `trend`.
    min_weight, max_weight : float
        Weights below the first become 0, weights above the second are cut. The contest allows at most 0.1.
    competition_type : "stocks_nasdaq100" or "stocks_s&p500"
    features : names or functions
        Inputs of the model: names in `lib/features.py`, such as "trend" or "rsi(periods=21)", or functions of
        (data, strategy).
    target, selection, model : name or function
        The outcome that the model learns (`lib/features.py`), the assets to trade (`lib/universe.py`), and
        the model (`lib/model.py`); "constant" is a model without training that returns one half.
    sizing : name or function
        The function from outputs to weights (`lib/sizing.py`).
    leave_out_unknown : bool
        Train without the days whose future is not known yet. The published strategy labels them 0.
    whole_sequence : bool
        Predict from all days of the lookback window, so that the network's memory is used. The published
        strategy predicts from the last day only, with an empty memory.
    log_price : bool
        Compute `trend` from the logarithm of the price, as in the published text; its code uses the price.
    blend : "mean" or "none"
        The published strategy takes the mean of a new weight and the position of the day before; "none" takes
        the new weight alone.
    min_change : float
        A position stays as it was while its weight would change by less. It is closed where its new weight
        is 0.
    rebalance_interval : int, trading days
        Time between changes of positions. On the days between they stay as they are; a position that cannot
        be traded is closed.

    Raises
    ------
    TypeError
        An unknown parameter (the nearest one is named), or a value of the wrong type.
    ValueError
        A value out of range (the range is named), or an unknown name (the nearest one is named).
    """

    lookback_period: int = _between(1, 10_000, default=155)
    train_period: int = _between(1, 10_000, default=100)
    retrain_interval: int = _between(1, 10_000, default=180)
    top_assets: int = _between(1, 1_000, default=12)
    hidden_size: int = _between(1, 1_024, default=34)
    learning_rate: float = _between(1e-6, 10.0, default=0.08)
    epochs: int = _between(1, 1_000, default=1)
    seed: int = _between(0, 2**32 - 1, default=42)
    lwma_period: int = _between(1, 1_000, default=10)
    min_weight: float = _between(0.0, 1.0, default=0.005)
    max_weight: float = _between(0.0, 1.0, default=0.1)
    competition_type: str = "stocks_nasdaq100"
    features: tuple[str | Callable, ...] = ("trend",)
    target: str | Callable = "next_open_up"
    selection: str | Callable = "low_volatility"
    model: str | Callable = "LSTM"
    sizing: str | Callable = "as_output"
    leave_out_unknown: bool = False
    whole_sequence: bool = False
    log_price: bool = False
    # positions
    blend: str = dataclasses.field(default="mean", metadata=OPTIONAL)
    min_change: float = _between(0.0, 1.0, default=0.0, **OPTIONAL)
    rebalance_interval: int = _between(1, 10_000, default=1, **OPTIONAL)

    def __new__(cls, *args: Any, **parameters: Any) -> "Parameters":
        """Raise a WrongTypeError for an unknown parameter.

        The message names the nearest known one, unlike Python's own error.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in parameters:
            if name not in known:
                raise WrongTypeError(f"{cls.__name__} has no parameter {name!r}: {suggest(name, known)}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every value and convert it to its parameter's type."""
        for field in dataclasses.fields(self):
            value = _checked(field.name, field.default, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        rules_of(self.competition_type)
        if self.min_weight >= self.max_weight:
            raise WrongValueError(
                f"min_weight ({self.min_weight}) must be below max_weight ({self.max_weight}): "
                "no weight lies between."
            )
        if self.blend not in BLENDS:
            raise WrongValueError(f"blend is {self.blend!r}: {suggest(self.blend, BLENDS)}")
        if self.min_change > self.max_weight:
            raise WrongValueError(
                f"min_change ({self.min_change}) must be at most max_weight ({self.max_weight}): no position "
                "would ever be opened."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return every parameter as a plain value.

        A function is given by its name. The state and every result hold these values.
        """
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return every default in the form of `as_dict`.

        They stand for parameters that an older record lacks.
        """
        return {field.name: _plain(field.default) for field in dataclasses.fields(cls)}


# smallest and largest value of each number; a subclass may declare a parameter again without them
RANGES: dict[str, tuple[float, float]] = {
    field.name: field.metadata["range"]
    for field in dataclasses.fields(Parameters)
    if "range" in field.metadata
}


def _checked(name: str, default: Any, value: Any) -> Any:
    """Return a value in the type of its parameter.

    The value is a number, a bool, text, a function, or a tuple of features.
    """
    if name in RANGES:
        return _number(name, value)
    if isinstance(default, bool) and not isinstance(value, bool):
        raise WrongTypeError(f"{name} must be True or False, not {value!r}.")
    if name == "features":
        if not isinstance(value, str | list | tuple) and not callable(value):
            raise WrongTypeError(f"features takes names or functions, not {value!r}.")
        value = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not value:
            raise WrongValueError("features must name at least one feature, such as features=['trend'].")
    return value


def _number(name: str, value: Any) -> int | float:
    low, high = RANGES[name]
    whole = isinstance(low, int) and isinstance(high, int)
    kind: Any = numbers.Integral if whole else numbers.Real
    allowed = f"{'a whole number' if whole else 'a number'} from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise WrongTypeError(f"{name} must be {allowed}, not {value!r}.")
    if not math.isfinite(value) or not low <= value <= high:
        raise WrongValueError(f"{name} is {value!r}: it must be {allowed}.")
    return int(value) if whole else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return full_name_of(value) if callable(value) else value
