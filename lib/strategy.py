"""The strategy: its parameters, and the calls of a backtest."""

import ast
import dataclasses
import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common import market_data
from lib.common.errors import WrongTypeError, suggest
from lib.common.market_data import ending_with
from lib.common.registry import CHANGED, canonical, changed_files, find, label
from lib.engine import prediction, training
from lib.engine.models import MODELS
from lib.features import feature, target
from lib.parameters import Parameters
from lib.sizing import sizing
from lib.universe import selection

if TYPE_CHECKING:
    import xarray as xr

    from lib.engine.models import TrainedModels
    from lib.state import State

# the methods that `backtest_ml` calls, with the arguments that a function in place of each takes
METHODS = {"load_data": ("period",), "train_model": ("data",), "predict": ("models", "data", "state")}
STATISTICS_DAYS = 60  # calendar days ahead of the weights, as in backtest_ml's own statistics


@dataclass(frozen=True)
class Strategy(Parameters):
    """The LSTM strategy with its parameters.

    `qnt.backtester.backtest_ml` calls its methods.

    Parameters
    ----------
    **parameters
        Those of `lib.parameters.Parameters`, which explains them.

    Raises
    ------
    TypeError
        An unknown parameter (the nearest one is named), or a value of the wrong type.
    ValueError
        A value out of range (the range is named), or an unknown name (the nearest one is named).
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Wrap the methods that a subclass overrides.

        They load no data after the last day of their own, and `predict` may omit the state.
        """
        super().__init_subclass__(**options)
        for name in ("train_model", "predict"):
            if name in vars(cls):
                setattr(cls, name, _within_data(name, vars(cls)[name]))

    def __post_init__(self) -> None:
        """Check every value and resolve every function."""
        super().__post_init__()
        for name, value in resolve_functions(self).items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_names(cls, names: Mapping[str, Any]) -> "Strategy":
        """Build a strategy from variables named like its parameters.

        `names` may be a notebook's ``globals()``.

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
        """Return this strategy with functions in place of methods.

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

    def differences(self) -> list[str]:
        """Return the differences from the published strategy.

        An item is such as "top_assets=6" or "own predict".
        """
        published = Strategy.defaults()
        changed = [
            f"{name}={_shown(getattr(self, name))}"
            for name, value in self.as_dict().items()
            if name not in published or published[name] != value
        ]
        return changed + [f"own {name}" for name in own_methods(self)]

    def load_data(self, period: int) -> "xr.DataArray":
        """Load the last `period` calendar days of the universe.

        The data are (field, time, asset). During `train_model` or `predict` they end with the data of this
        call.
        """
        return market_data.load_last(self.competition_type, period)

    def load_range(self, start: Any, end: Any = None) -> "xr.DataArray":
        """Load the universe for a backtest.

        The data are (field, time, asset).

        Parameters
        ----------
        start, end : date
            First and last day of the backtest; None for the last day of the data. The data begin
            ``max(train_period + lookback_period, 60)`` calendar days before `start`, since the first
            training, its out-of-sample check and the costs of the first trades need them. As in `load_data`,
            they end at the latest with the data of a running `train_model` or `predict`.
        """
        before = max(self.train_period + self.lookback_period, STATISTICS_DAYS)
        return market_data.load_range(self.competition_type, np.datetime64(start, "D") - before, end)

    def train_model(self, data: "xr.DataArray") -> "TrainedModels":
        """Train a model for each asset on all of `data`.

        See `lib.engine.training.train_model`.
        """
        with ending_with(data):
            return training.train_model(data, self)

    def predict(
        self, models: Mapping[str, Any], data: "xr.DataArray", state: "State | None"
    ) -> tuple["xr.DataArray", "State"]:
        """Return the weights of the last day and the state.

        See `lib.engine.prediction.predict`.
        """
        with ending_with(data):
            return prediction.predict(models, data, state, self)


def resolve_functions(strategy: Parameters) -> dict[str, Any]:
    """Return the functions of a strategy by parameter.

    They have the form of `lib.common.registry.canonical`.

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
    if not isinstance(strategy.model, str) or strategy.model not in ("LSTM", *MODELS):
        from lib.model import model  # torch, whose import takes seconds

        registries["model"] = {**model, **MODELS}
    used = [find("features", item, feature) for item in strategy.features]
    used += [find(name, getattr(strategy, name), known) for name, known in registries.items()]
    for file in changed_files(used):
        _report_changed(file)
    names: dict[str, Any] = {
        name: canonical(getattr(strategy, name), known) for name, known in registries.items()
    }
    return names | {"features": tuple(canonical(item, feature) for item in strategy.features)}


@functools.cache
def _report_changed(file: str) -> None:
    print(f"{file} {CHANGED}.", file=sys.stderr, flush=True)


def own_methods(strategy: Strategy) -> list[str]:
    """Return the names of the methods that a subclass overrides.

    Only methods in `METHODS` count.
    """
    return [name for name in METHODS if getattr(type(strategy), name) is not getattr(Strategy, name)]


def uses_methods_of_strategy(strategy: Strategy) -> bool:
    """Return True if `train_model` and `predict` are not overridden.

    Then the outputs of a day do not depend on the state, and many days can be computed in parallel.
    """
    return not {"train_model", "predict"}.intersection(own_methods(strategy))


def loads_own_data(strategy: Strategy) -> bool:
    """Return True if a subclass overrides `load_data`."""
    return "load_data" in own_methods(strategy)


def _within_data(name: str, method: Any) -> Any:
    """Wrap an overriding method to load nothing after its data.

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
    """Return True if a notebook's cell defines this function."""
    return inspect.isfunction(names.get(name))


def _parameters_cell(cells: Any, known: list[str]) -> set[str] | None:
    """Return the names that a kernel's cells set.

    `cells` is IPython's history `In`. Of the parameters cells only the last one counts: a name that only an
    older version of the cell set is left out, though the kernel still holds its value. None where the history
    holds no such cell.
    """
    found = [_assigned(source) for source in cells if isinstance(source, str)]
    cell = [names for names in found if len(names.intersection(known)) * 2 > len(known)]
    if not cell:
        return None
    return set().union(cell[-1], *(names for names in found if names not in cell))


@functools.lru_cache(maxsize=1024)
def _assigned(source: str) -> set[str]:
    """Return the names assigned at a cell's top level."""
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
