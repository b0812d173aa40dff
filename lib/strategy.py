"""The strategy: its parameters, and the calls of a backtest."""

import ast
import dataclasses
import difflib
import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common import market_data
from lib.common.errors import WrongTypeError, suggest
from lib.common.market_data import ending_with
from lib.common.registry import CHANGED, canonical, changed_files, find, is_plain, label
from lib.engine import prediction, training
from lib.engine.learners import MODELS, check_model, is_estimator
from lib.features import feature, target
from lib.parameters import Parameters
from lib.sizing import check_shorts, sizing
from lib.universe import selection

if TYPE_CHECKING:
    import xarray as xr

    from lib.engine.models import TrainedModels
    from lib.state import State

# the methods that `backtest_ml` calls, with the arguments that a function in place of each takes
METHODS = {"load_data": ("period",), "train_model": ("data",), "predict": ("models", "data", "state")}
DATES = ("start_date", "end_date")  # set by the parameters cell beside the parameters
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
        check_model(self)
        if self.sizing == "long_short":  # whose weights are negative whatever the data
            check_shorts(sizing["long_short"], np.array([-1.0]), self)

    @classmethod
    def from_names(cls, names: Mapping[str, Any]) -> "Strategy":
        """Build a strategy from variables named like its parameters.

        `names` may be a notebook's ``globals()``. A parameter declared as optional may be missing; it counts
        where the parameters cell, or a cell of nothing but parameters, sets it.

        Raises
        ------
        TypeError
            Another parameter has no variable, or a variable is named almost like a parameter that has none:
            a misspelt one would be ignored otherwise.
        """
        fields = dataclasses.fields(cls)
        required = [field.name for field in fields if not field.metadata.get("optional")]
        optional = [field.name for field in fields if field.metadata.get("optional")]
        cells = _cells_of_parameters(names.get("In", ()), required, optional)
        anywhere, plain = cells or (frozenset(names), frozenset(names))
        missing = [name for name in required if name not in anywhere]
        if missing:
            others = [name for name in anywhere if name not in required]
            near = {name: difflib.get_close_matches(name, map(str, others), n=1) for name in missing}
            hints = [
                f" Did you mean {name} where it says {found[0]}?" for name, found in near.items() if found
            ]
            raise WrongTypeError(
                f"The parameters cell does not set {', '.join(missing)}: "
                f"it must set every parameter of Strategy.{''.join(hints)}"
            )
        unset = [name for name in optional if name not in plain]
        for name in sorted(plain.difference(required, optional, DATES)) if cells else ():
            if found := difflib.get_close_matches(name.lower(), unset, n=1, cutoff=0.8):
                raise WrongTypeError(
                    f"The parameters cell sets {name}, which is not a parameter: did you mean {found[0]}? "
                    "Give a variable of your own another name."
                )
        for name in unset:
            if name in anywhere and name in names:
                _warn_of_variable(name)
        set_here = [*required, *(name for name in optional if name in plain)]
        strategy = cls(**{name: names[name] for name in set_here})
        return strategy.with_functions(
            **{name: names[name] for name in METHODS if _is_plain_function(names, name)}
        )

    def with_functions(self, **functions: Callable) -> "Strategy":
        """Return this strategy with functions in place of methods.

        Parameters
        ----------
        **functions
            `load_data(period)`, `train_model(data)` and `predict(models, data, state)`, or some of them, as
            `backtest_ml` takes them. A `predict` without `state` keeps none. A function may take `strategy`
            as its last argument, to call for example ``Strategy.predict(strategy, models, data, state)``.

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
        methods: dict[str, Any] = {name: _as_method(function) for name, function in functions.items()}
        kind = type("NotebookStrategy", (type(self),), {"__module__": "__main__", **methods})
        return kind(**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    def differences(self) -> list[str]:
        """Return the differences from the published strategy.

        An item is such as "top_assets=6" or "own predict".
        """
        published = Strategy.defaults(self.competition_type)
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
        """Train a model for each asset on the data.

        All days of `data` are the training window. See `lib.engine.training.train_model`.
        """
        with ending_with(data):
            return training.train_model(data, self)

    def predict(
        self, models: Mapping[str, Any], data: "xr.DataArray", state: "State | None"
    ) -> tuple["xr.DataArray", "State"]:
        """Return the last day's weights and the state.

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
    if isinstance(strategy.model, str) and strategy.model not in ("LSTM", *MODELS):
        from lib.model import model  # torch, whose import takes seconds

        registries["model"] = {**model, **MODELS}
    elif not isinstance(strategy.model, str) and not is_estimator(strategy.model):
        models = getattr(sys.modules.get("lib.model"), "model", {})  # a registered class is imported already
        registries["model"] = {**models, **MODELS}
    used = [find("features", item, feature) for item in strategy.features]
    used += [find(name, getattr(strategy, name), known) for name, known in registries.items()]
    prediction.sizing_of(strategy)
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
    """Return the names of a subclass's own methods.

    They are the methods in `METHODS` that the subclass overrides.
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
    """Wrap a method to load nothing after its data.

    The method overrides `train_model` or `predict`. `backtest_ml` counts the arguments that `predict`
    declares, so the method declares all of them.
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


def _as_method(function: Callable) -> Any:
    """Return a function as a method.

    A function whose last argument is `strategy` receives the strategy there.
    """
    if _positional(function)[-1:] != ["strategy"]:
        return staticmethod(function)

    @functools.wraps(function)
    def method(self: Any, *arguments: Any) -> Any:
        return function(*arguments, self)

    return method


def _positional(function: Callable) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, each in inspect.signature(function).parameters.items() if each.kind in kinds]


def _check_arguments(name: str, function: Any) -> None:
    wanted = METHODS[name]
    if not callable(function):
        raise WrongTypeError(f"{name} must be a function of ({', '.join(wanted)}), not {function!r}.")
    for count in (len(wanted), 2):
        try:
            more = ["strategy"] * (_positional(function)[-1:] == ["strategy"])
            inspect.signature(function).bind(*wanted[:count], *more)
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


def _cells_of_parameters(
    cells: Any, required: list[str], optional: list[str]
) -> tuple[frozenset[str], frozenset[str]] | None:
    """Return the names that a kernel's cells set.

    The second set has the names that cells of parameters set.

    `cells` is IPython's history `In`. Of the parameters cells only the last one counts: a name that only an
    older version of the cell set is left out, though the kernel still holds its value. A cell of nothing but
    parameters counts too, such as the one in which papermill sets them. The result is None where the history
    holds no parameters cell.
    """
    found = [_assigned(source) for source in cells if isinstance(source, str)]
    known = {*required, *optional, *DATES}
    cell = [names for names, _ in found if len(names.intersection(required)) * 2 > len(required)]
    if not cell:
        return None
    others = [(names, only) for names, only in found if names not in cell]
    plain = [names for names, only in others if only and names <= known | cell[-1]]
    return cell[-1].union(*(names for names, _ in others)), cell[-1].union(*plain)


@functools.lru_cache(maxsize=1024)
def _assigned(source: str) -> tuple[frozenset[str], bool]:
    """Return the names assigned at a cell's top level.

    The second value is True if the cell does nothing else.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a cell with a magic, or one that failed
        return frozenset(), False
    made = [item for item in statements if isinstance(item, ast.Assign)]
    targets = [each for item in made for each in item.targets]
    names = {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return frozenset(names), len(made) == len(statements)


@functools.cache
def _warn_of_variable(name: str) -> None:
    warnings.warn(
        f"The variable {name} is not used as the parameter of this name, since a cell with other code sets "
        "it. Set the parameter in the parameters cell, or give the variable another name.",
        UserWarning,
        stacklevel=3,
    )


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value) if is_plain(value) else label(value)
