"""The parameters of a strategy: their defaults, allowed values and meaning."""

import dataclasses
import functools
import math
import numbers
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from lib.common.competitions import rules_of
from lib.common.errors import WrongTypeError, WrongValueError, suggest
from lib.common.registry import full_name_of, is_plain


def _between(low: float, high: float, default: float | None, **metadata: Any) -> Any:
    """Declare a number with its range and default.

    The number is whole if both bounds are. Without a default it has that of the competition.
    """
    return dataclasses.field(default=default, metadata={"range": (low, high), **metadata})


OPTIONAL = {"optional": True}  # metadata of a parameter that the notebook's parameters cell need not set


@dataclass(frozen=True)
class Parameters:
    """The parameters of a strategy.

    The engine and the user's functions see them in this form.

    `top_assets`, `max_weight` and `sizing` may be None: each then has the default of the competition, from
    its row in `lib/common/competitions.py`.

    Parameters
    ----------
    lookback_period, train_period, retrain_interval : int, calendar days
        Data seen by one prediction, data seen by one training, and the time between trainings of a backtest.
    top_assets : int
        Number of assets to trade: the liquid ones with the lowest volatility. Default: 12 for stocks, 5 for
        crypto.
    hidden_size, learning_rate, epochs, seed
        The network and its training: units per layer, length of a step of L-BFGS, number of its calls, and
        the seed from which every asset's model starts.
    lwma_period : int, trading days
        Window of the weighted average in the feature `trend`.
    min_weight, max_weight : float
        Weights below the first become 0, weights above the second are cut. Default of the second: the largest
        that the contest allows, 0.1 for stocks, 1.0 for crypto.
    competition_type : name
        A competition in `lib/common/competitions.py`, such as "stocks_s&p500" or "crypto_daily_long".
    features : names or functions
        Inputs of the model: names in `lib/features.py`, such as "trend" or "rsi(periods=21)", or functions of
        (data, strategy).
    target, selection, model : name or function
        The outcome that the model learns (`lib/features.py`), the assets to trade (`lib/universe.py`), and
        the model (`lib/model.py`); "constant" is a model without training that returns one half.
    sizing : name or function
        The function from outputs to weights (`lib/sizing.py`). Default: "as_output" for stocks, "ranked" for
        crypto.
    leave_out_unknown : bool
        Train without the days whose future is not known yet. The published strategy labels them 0.
    whole_sequence : bool
        Predict from all days of the lookback window, so that the network's memory is used. The published
        strategy predicts from the last day only, with an empty memory.
    log_price : bool
        Compute `trend` from the logarithm of the price, as in the published text; its code uses the price.
    scope : "asset" or "pooled"
        One model for each asset, as published, or one for all selected assets together. A pooled torch module
        takes (asset, time, feature) of all of them and may look across assets.
    window : int, trading days
        Days that the model sees for one output, in training and prediction: as columns of an estimator, as a
        sequence for a torch module. 0: the published way, the whole training window in training and the last
        day in prediction (an estimator sees one day).
    optimiser : "LBFGS" or "Adam"
        The optimiser of a torch module.
    batch_size : int
        Days in a step of Adam; 0: all of them. Needs a `window`.
    loss : "mse", "bce" or function
        The loss of a torch module. With "bce", binary cross-entropy, the module returns a logit, and the
        output is its sigmoid. A function takes output and target, both (n,) tensors, and returns a scalar.
    validation : float
        Share of the last days of the training window that a torch module is not trained on. The days before
        them whose target reaches into them are left out.
    patience : int
        Stop training after so many epochs without a lower loss in validation, and keep the parameters of the
        lowest; 0: train all epochs.
    scale : bool
        Standardise each feature by its mean and standard deviation in the training window.
    select_each_day : bool
        Apply `selection` on every day, and trade only what it selects; published: at trainings only.
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
    top_assets: int = _between(1, 1_000, default=None)
    hidden_size: int = _between(1, 1_024, default=34)
    learning_rate: float = _between(1e-6, 10.0, default=0.08)
    epochs: int = _between(1, 1_000, default=1)
    seed: int = _between(0, 2**32 - 1, default=42)
    lwma_period: int = _between(1, 1_000, default=10)
    min_weight: float = _between(0.0, 1.0, default=0.005)
    max_weight: float = _between(0.0, 1.0, default=None)
    competition_type: str = "stocks_nasdaq100"
    features: tuple[str | Callable, ...] = ("trend",)
    target: str | Callable = "next_open_up"
    selection: str | Callable = "low_volatility"
    model: str | Callable | Any = "LSTM"
    sizing: str | Callable = None  # type: ignore[assignment]  # resolved by __post_init__
    leave_out_unknown: bool = False
    whole_sequence: bool = False
    log_price: bool = False
    scope: str = dataclasses.field(default="asset", metadata=OPTIONAL)
    window: int = _between(0, 1_000, default=0, **OPTIONAL)
    optimiser: str = dataclasses.field(default="LBFGS", metadata=OPTIONAL)
    batch_size: int = _between(0, 1_000_000, default=0, **OPTIONAL)
    loss: str | Callable = dataclasses.field(default="mse", metadata=OPTIONAL)
    validation: float = _between(0.0, 0.9, default=0.0, **OPTIONAL)
    patience: int = _between(0, 1_000, default=0, **OPTIONAL)
    scale: bool = dataclasses.field(default=False, metadata=OPTIONAL)
    select_each_day: bool = dataclasses.field(default=False, metadata=OPTIONAL)
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
        """Check and convert the value of every parameter.

        A value gets the type of its parameter.
        """
        rules = rules_of(self.competition_type)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            value = rules.defaults.get(field.name) if value is None else value
            object.__setattr__(self, field.name, _checked(field.name, field.default, value))
        if self.min_weight >= self.max_weight:
            raise WrongValueError(
                f"min_weight ({self.min_weight}) must be below max_weight ({self.max_weight}): "
                "no weight lies between."
            )
        if self.min_change > self.max_weight:
            raise WrongValueError(
                f"min_change ({self.min_change}) must be at most max_weight ({self.max_weight}): no position "
                "would ever be opened."
            )
        _check_options(self)
        if self.top_assets > rules.liquid_assets:
            _warn_of_selection(self.top_assets, self.competition_type, rules.liquid_assets)

    def as_dict(self) -> dict[str, Any]:
        """Return every parameter as a plain value.

        A function is given by its name, an estimator by its class and the settings that differ from the
        defaults. The state and every result hold these values.
        """
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def changed(self, **changes: Any) -> Self:
        """Return a copy with other parameters, like `dataclasses.replace`.

        With another competition, parameters at the default of the old one get the default of the new one.
        """
        kind = changes.get("competition_type", self.competition_type)
        if kind != self.competition_type:
            before = rules_of(self.competition_type).defaults
            changes = {name: None for name in before if getattr(self, name) == before[name]} | changes
        return dataclasses.replace(self, **changes)

    @classmethod
    def defaults(cls, competition_type: str | None = None) -> dict[str, Any]:
        """Return every default in the form of `as_dict`.

        They stand for parameters that an older record lacks. Some depend on the competition, which is
        `competition_type` or, without it, the default one.
        """
        given: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(cls)}
        own = rules_of(competition_type or given["competition_type"]).defaults
        return {name: _plain(own.get(name) if value is None else value) for name, value in given.items()}


# the allowed texts of a parameter
TEXTS: dict[str, tuple[str, ...]] = {
    "scope": ("asset", "pooled"),
    "optimiser": ("LBFGS", "Adam"),
    "blend": ("mean", "none"),
    "loss": ("mse", "bce"),
}
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
    if name in TEXTS and not (name == "loss" and callable(value)):
        if not isinstance(value, str):
            raise WrongTypeError(f"{name} must be {' or '.join(map(repr, TEXTS[name]))}, not {value!r}.")
        if value not in TEXTS[name]:
            raise WrongValueError(f"{name} is {value!r}: {suggest(value, TEXTS[name])}")
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


def _check_options(chosen: Parameters) -> None:
    """Check that the training options work together."""
    periods = ("lookback_period", "train_period")
    short = [name for name in periods if chosen.window > getattr(chosen, name)]
    wrong = {
        f"window ({chosen.window} trading days) is longer than {' and '.join(short)}: shorten it, or set "
        f"{' and '.join(short)} to {chosen.window * 3 // 2 + 10} or more.": short,
        "window and whole_sequence exclude each other: a model sees the last days of one or of the other. "
        "Set whole_sequence=False, or window=0.": chosen.window and chosen.whole_sequence,
        "batch_size is for the optimiser Adam: set optimiser='Adam', or batch_size=0.": (
            chosen.batch_size and chosen.optimiser != "Adam"
        ),
        "batch_size counts days with a window each: set window=1 or more, or batch_size=0.": (
            chosen.batch_size and not chosen.window
        ),
        "patience needs validation, the share of days whose loss decides: set validation=0.2, for example, "
        "or patience=0.": chosen.patience and not chosen.validation,
    }
    for sentence, applies in wrong.items():
        if applies:
            raise WrongValueError(sentence)


@functools.cache  # once: many copies of a strategy are made
def _warn_of_selection(top_assets: int, competition_type: str, liquid: int) -> None:
    warnings.warn(
        f"top_assets is {top_assets}, but about {liquid} assets of {competition_type} are liquid on a day: "
        "all of them are selected.",
        UserWarning,
        stacklevel=4,
    )


def _plain(value: Any) -> Any:
    if is_plain(value):
        return value
    return [_plain(item) for item in value] if isinstance(value, tuple) else full_name_of(value)
