"""The strategy: its parameters with their defaults and allowed values, and the calls of a backtest."""

import ast
import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common import market_data
from lib.common.competitions import rules_of
from lib.common.errors import WrongTypeError, WrongValueError, suggest
from lib.common.market_data import ending_with
from lib.common.registry import full_name_of, label
from lib.engine import prediction, training
from lib.parameter_checks import checked, resolve_functions

if TYPE_CHECKING:
    import xarray as xr

    from lib.engine.models import TrainedModels
    from lib.state import State

# the methods that `backtest_ml` calls, with the arguments that a function in place of each takes
METHODS = {"load_data": ("period",), "train_model": ("data",), "predict": ("models", "data", "state")}
STATISTICS_DAYS = 60  # calendar days ahead of the weights, as in backtest_ml's own statistics


@dataclass(frozen=True)
class Strategy:
    """The LSTM strategy with its parameters; its methods are what `qnt.backtester.backtest_ml` calls.

    Parameters
    ----------
    lookback_period, train_period, retrain_interval : int, calendar days
        Data seen by one prediction, data seen by one training, and the time between trainings of a backtest.
    top_assets : int
        Number of assets to trade, those with the lowest volatility among the liquid ones.
    hidden_size, learning_rate, epochs, seed
        The network and its training: units per layer, length of a step of L-BFGS, number of its calls, and
        the seed from which every asset's model starts.
    lwma_period : int, trading days
        Window of the weighted average in the feature `trend`.
    min_weight, max_weight : float
        Weights below the first become 0, those above the second are cut. The contest allows at most 0.1.
    competition_type : "stocks_nasdaq100" or "stocks_s&p500"
    features : names or functions
        What the model sees: names in `lib/features.py`, such as "trend" or "rsi(periods=21)", or functions of
        (data, strategy).
    target, selection, model : name or function
        What the model learns (`lib/features.py`), the assets to trade (`lib/universe.py`), and the model
        (`lib/model.py`); "constant" is a model without training that answers one half.
    sizing : name or function
        How outputs become weights (`lib/sizing.py`).
    leave_out_unknown : bool
        Train without the days whose future is not known yet. The published strategy labels them 0.
    whole_sequence : bool
        Predict from all days of the lookback window, so that the network's memory is used. The published
        strategy predicts from the last day only, with an empty memory.
    log_price : bool
        Compute `trend` from the logarithm of the price, as the published text says; its code uses the price.

    Raises
    ------
    TypeError
        An unknown parameter (the nearest one is named), or a value of the wrong type.
    ValueError
        A value out of range (the range is named), or an unknown name (the nearest one is named).
    """

    lookback_period: int = 155
    train_period: int = 100
    retrain_interval: int = 180
    top_assets: int = 12
    hidden_size: int = 34
    learning_rate: float = 0.08
    epochs: int = 1
    seed: int = 42
    lwma_period: int = 10
    min_weight: float = 0.005
    max_weight: float = 0.1
    competition_type: str = "stocks_nasdaq100"
    features: tuple[str | Callable, ...] = ("trend",)
    target: str | Callable = "next_open_up"
    selection: str | Callable = "low_volatility"
    model: str | Callable = "LSTM"
    sizing: str | Callable = "as_output"
    leave_out_unknown: bool = False
    whole_sequence: bool = False
    log_price: bool = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Let overriding methods load nothing after their data, and let `predict` leave the state out."""
        super().__init_subclass__(**options)
        for name in ("train_model", "predict"):
            if name in vars(cls):
                setattr(cls, name, _within_data(name, vars(cls)[name]))

    def __new__(cls, *args: Any, **parameters: Any) -> "Strategy":
        """Refuse an unknown parameter and name the nearest known one, which Python's own error would not."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in parameters:
            if name not in known:
                raise WrongTypeError(f"Strategy has no parameter {name!r}: {suggest(name, known)}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every value, and look up every function."""
        for field in dataclasses.fields(self):
            value = checked(field.name, field.type, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        rules_of(self.competition_type)
        if self.min_weight >= self.max_weight:
            raise WrongValueError(
                f"min_weight ({self.min_weight}) must be below max_weight ({self.max_weight}): "
                "no weight lies between."
            )
        for name, value in resolve_functions(self).items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_names(cls, names: Mapping[str, Any]) -> "Strategy":
        """Build a strategy from variables named like its parameters, such as a notebook's ``globals()``.

        Raises
        ------
        TypeError
            A parameter has no variable: a misspelt one would be ignored otherwise.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        cell = _parameters_cell(names.get("In", ()), known)
        missing = [name for name in known if name not in (names if cell is None else cell)]
        if missing:
            others = [name for name in (names if cell is None else cell) if name not in known]
            near = {name: difflib.get_close_matches(name, map(str, others), n=1) for name in missing}
            hints = [
                f" Did you mean {name} where it says {found[0]}?" for name, found in near.items() if found
            ]
            raise WrongTypeError(
                f"The parameters cell does not set {', '.join(missing)}: "
                f"it must set every parameter of Strategy.{''.join(hints)}"
            )
        strategy = cls(**{name: names[name] for name in known})
        return strategy.with_functions(
            **{name: names[name] for name in METHODS if _is_plain_function(names, name)}
        )

    def with_functions(self, **functions: Callable) -> "Strategy":
        """Return this strategy with functions in place of its methods.

        Parameters
        ----------
        **functions
            `load_data(period)`, `train_model(data)` and `predict(models, data, state)`, or some of them, as
            `backtest_ml` takes them. A `predict` without `state` keeps none.

        Raises
        ------
        TypeError
            Another name, or a function that takes other arguments.
        """
        if not functions:
            return self
        for name, function in functions.items():
            if name not in METHODS:
                raise WrongTypeError(f"A strategy has no method {name!r}: {suggest(name, METHODS)}")
            _check_arguments(name, function)
        methods: dict[str, Any] = {name: staticmethod(function) for name, function in functions.items()}
        kind = type("NotebookStrategy", (type(self),), {"__module__": "__main__", **methods})
        return kind(**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    def as_dict(self) -> dict[str, Any]:
        """Every parameter as a plain value, a function by its name; kept with the state and every result."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every default in the form of `as_dict`: the values of parameters that an older record lacks."""
        return {field.name: _plain(field.default) for field in dataclasses.fields(cls)}

    def differences(self) -> list[str]:
        """Return what differs from the published strategy, such as "top_assets=6" or "own predict"."""
        published = Strategy.defaults()
        changed = [
            f"{name}={_shown(getattr(self, name))}"
            for name, value in self.as_dict().items()
            if name not in published or published[name] != value
        ]
        return changed + [f"own {name}" for name in own_methods(self)]

    def load_data(self, period: int) -> "xr.DataArray":
        """Load the last `period` calendar days of the universe, (field, time, asset).

        Called by a function of the strategy during `train_model` or `predict`, it ends where their data end.
        """
        return market_data.load_last(self.competition_type, period)

    def load_range(self, start: Any, end: Any = None) -> "xr.DataArray":
        """Load the universe for a backtest of these days, (field, time, asset).

        Parameters
        ----------
        start, end : date
            First and last day of the backtest; None for the last day there is. The data begin
            ``max(train_period + lookback_period, 60)`` calendar days before `start`: what the first training,
            its out-of-sample check and the costs of the first trades need. Like `load_data`, it ends at the
            latest where the data of a running `train_model` or `predict` end.
        """
        before = max(self.train_period + self.lookback_period, STATISTICS_DAYS)
        return market_data.load_range(self.competition_type, np.datetime64(start, "D") - before, end)

    def train_model(self, data: "xr.DataArray") -> "TrainedModels":
        """Train a model per asset on all of `data`: see `lib.engine.training.train_model`."""
        with ending_with(data):
            return training.train_model(data, self)

    def predict(
        self, models: Mapping[str, Any], data: "xr.DataArray", state: "State | None"
    ) -> tuple["xr.DataArray", "State"]:
        """Weights of the last day of `data`, and the next state: see `lib.engine.prediction.predict`."""
        with ending_with(data):
            return prediction.predict(models, data, state, self)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return full_name_of(value) if callable(value) else value


def own_methods(strategy: Strategy) -> list[str]:
    """Return the names of the methods in `METHODS` that a subclass of `Strategy` overrides."""
    return [name for name in METHODS if getattr(type(strategy), name) is not getattr(Strategy, name)]


def uses_methods_of_strategy(strategy: Strategy) -> bool:
    """Return True where `train_model` and `predict` are those of `Strategy`.

    Then the outputs of a day do not depend on the state, so that many days can be computed side by side.
    """
    return not {"train_model", "predict"}.intersection(own_methods(strategy))


def loads_own_data(strategy: Strategy) -> bool:
    """Return True where a subclass overrides `load_data`."""
    return "load_data" in own_methods(strategy)


def _within_data(name: str, method: Any) -> Any:
    """Return an overriding method, made so that what it loads ends with the data it is given.

    `backtest_ml` counts the arguments that `predict` declares, so the method declares all of them.
    """
    static = isinstance(method, staticmethod)
    function = method.__func__ if static else method
    owner = () if static else (None,)
    if name == "train_model":

        @functools.wraps(function)
        def train_model(self: Any, data: Any) -> Any:
            with ending_with(data):
                return function(*(self,)[: len(owner)], data)

        return train_model
    stateless = len(_positional(function)) == len(owner) + 2

    @functools.wraps(function)
    def predict(self: Any, models: Any, data: Any, state: Any) -> Any:
        arguments = (*(self,)[: len(owner)], models, data)
        with ending_with(data):
            return (function(*arguments), None) if stateless else function(*arguments, state)

    if stateless:  # a wrapped function would show the arguments of the original
        del predict.__wrapped__  # type: ignore[attr-defined]
    return predict


def _positional(function: Callable) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, each in inspect.signature(function).parameters.items() if each.kind in kinds]


def _check_arguments(name: str, function: Any) -> None:
    wanted = METHODS[name]
    if not callable(function):
        raise WrongTypeError(f"{name} must be a function of ({', '.join(wanted)}), not {function!r}.")
    for count in (len(wanted), 2):
        try:
            inspect.signature(function).bind(*wanted[:count])
            return
        except (TypeError, ValueError):
            if name != "predict":
                break
    raise WrongTypeError(
        f"{name} must take ({', '.join(wanted)}), as backtest_ml calls it: change its arguments, or give the "
        "function another name if it is something else."
    )


def _is_plain_function(names: Mapping[str, Any], name: str) -> bool:
    """Return True where a notebook defines a function of this name in one of its cells."""
    return inspect.isfunction(names.get(name))


def _parameters_cell(cells: Any, known: list[str]) -> set[str] | None:
    """Return the names that a kernel's cells set, the parameters by the last parameters cell alone.

    `cells` is IPython's history `In`. A name that only an older version of the parameters cell set is left
    out, though the kernel still holds its value. None where the history holds no such cell.
    """
    found = [_assigned(source) for source in cells if isinstance(source, str)]
    cell = [names for names in found if len(names.intersection(known)) * 2 > len(known)]
    if not cell:
        return None
    return set().union(cell[-1], *(names for names in found if names not in cell))


@functools.lru_cache(maxsize=1024)
def _assigned(source: str) -> set[str]:
    """Return the names that the top level of a cell sets to a value."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a cell with a magic, or one that failed
        return set()
    targets = [each for item in statements if isinstance(item, ast.Assign) for each in item.targets]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def _shown(value: Any) -> str:
    return (
        "[" + ", ".join(map(_shown, value)) + "]"
        if isinstance(value, tuple)
        else label(value)
        if (callable(value))
        else str(value)
    )
