"""Which parameters has the strategy, and what may they be? The only place with defaults."""

import dataclasses
import difflib
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from lib.state import State

# smallest and largest value of every number
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
COMPETITIONS = ("stocks_nasdaq100", "stocks_s&p500")


@dataclass(frozen=True)
class Strategy:
    """The LSTM strategy with its parameters; its methods are what `qnt.backtester.backtest_ml` asks for.

    Parameters
    ----------
    lookback_period, train_period, retrain_interval : int, calendar days
        Data seen by one prediction; data seen by one training; how often a backtest trains anew.
    top_assets : int
        How many of the liquid assets are traded, those with the lowest volatility.
    hidden_size, learning_rate, epochs, seed
        The network and its training: units of a layer, length of a step of L-BFGS, its calls, and the seed
        from which every asset's model starts.
    lwma_period : int, trading days
        Window of the weighted average beneath the feature `trend`.
    min_weight, max_weight : float
        Weights below the first become 0, those above the second are cut. The contest allows at most 0.1.
    competition_type : "stocks_nasdaq100" or "stocks_s&p500"
    features : names or functions
        What the model sees: names in `lib/features.py`, or functions of (data, strategy).
    target, selection, model : name or function
        What the model should say (`lib/features.py`), which assets to trade (`lib/universe.py`), and the
        model (`lib/model.py`).
    leave_out_unknown : bool
        Train without the days whose future is not known yet. The published strategy calls them "did not
        rise".
    whole_sequence : bool
        Predict from all days of the lookback window, so that the network's memory is used. The published
        strategy shows the last day only, to an empty memory.
    log_price : bool
        `trend` from the logarithm of the price, as the published text says; its code takes the price.

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
    leave_out_unknown: bool = False
    whole_sequence: bool = False
    log_price: bool = False

    def __new__(cls, *args: Any, **parameters: Any) -> "Strategy":
        """Refuse a parameter that does not exist before Python does, with the nearest that does."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in parameters:
            if name not in known:
                raise TypeError(f"Strategy has no parameter {name!r}: {suggest(name, known)}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every value."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in RANGES:
                value = _number(field.name, value, whole=field.type is int)
            elif field.type is bool:
                if not isinstance(value, bool):
                    raise TypeError(f"{field.name} must be True or False, not {value!r}.")
            elif field.name == "features":
                if not isinstance(value, str | list | tuple) and not callable(value):
                    raise TypeError(f"features takes names or functions, not {value!r}.")
                value = tuple(value) if isinstance(value, list | tuple) else (value,)
                if not value:
                    raise ValueError("features must name at least one feature, such as features=['trend'].")
            object.__setattr__(self, field.name, value)
        if self.competition_type not in COMPETITIONS:
            raise ValueError(
                f"competition_type is {self.competition_type!r}: "
                + suggest(self.competition_type, COMPETITIONS)
            )
        if self.min_weight >= self.max_weight:
            raise ValueError(
                f"min_weight ({self.min_weight}) must be below max_weight ({self.max_weight}): "
                "no weight lies between."
            )
        self._find_all()

    def _find_all(self) -> None:
        """Names of functions are looked up here, so that a misspelt one fails at once."""
        from lib.features import FEATURES, TARGETS
        from lib.universe import SELECTIONS

        for feature in self.features:
            find("features", feature, FEATURES)
        find("target", self.target, TARGETS)
        find("selection", self.selection, SELECTIONS)
        if self.model != "LSTM":  # the others need torch, which takes its time to import
            from lib.model import MODELS

            find("model", self.model, MODELS)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Every parameter as a plain value, a function by its name; kept with the state and every result."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def load_data(self, period: int) -> "xr.DataArray":
        """The last `period` calendar days of the universe, (field, time, asset), as the platform has them."""
        import qnt.data as qndata

        if self.competition_type == "stocks_s&p500":
            return qndata.stocks.load_spx_data(tail=period)
        return qndata.stocks.load_ndx_data(tail=period)

    def train_model(self, data: "xr.DataArray") -> Mapping[str, Any]:
        """Models by asset, trained on all of `data`: see `lib.training.train_model`."""
        from lib.training import train_model

        return train_model(data, self)

    def predict(
        self, models: Mapping[str, Any], data: "xr.DataArray", state: "State | None"
    ) -> tuple["xr.DataArray", "State"]:
        """Weights of the last day of `data`, and the state to hand on: see `lib.prediction.predict`."""
        from lib.prediction import predict

        return predict(models, data, state, self)


def suggest(name: Any, known: Any) -> str:
    """'did you mean …?' where a known name is near, and in any case the list of them."""
    names = [str(one) for one in known]
    near = difflib.get_close_matches(str(name), names, n=1)
    question = f"did you mean {near[0]!r}? " if near else ""
    return f"{question}It can be: {', '.join(names)}."


def find(parameter: str, value: str | Callable, known: Mapping[str, Callable]) -> Callable:
    """The function that `value` names among `known`, or `value` itself where it is a function."""
    if callable(value):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{parameter} takes a name or a function, not {value!r}.")
    if value not in known:
        raise ValueError(f"{parameter} is {value!r}: {suggest(value, known)} Or a function of your own.")
    return known[value]


def _number(name: str, value: Any, whole: bool) -> int | float:
    kind: Any = numbers.Integral if whole else numbers.Real
    low, high = RANGES[name]
    allowed = f"{'a whole number' if whole else 'a number'} from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {allowed}, not {value!r}.")
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}: it must be {allowed}.")
    return int(value) if whole else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    return value
