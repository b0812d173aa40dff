"""Trained models: one per asset, with the report of each fit."""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.engine import lstm
from lib.engine.examples import equally_long

if TYPE_CHECKING:
    import torch

    from lib.parameters import Parameters


CONSTANT_OUTPUT = 0.5


class Constant:
    """A model named "constant" without torch and training: one half for every asset and day."""

    def __call__(self, x: Any) -> Any:
        """Map (asset, time, feature), an array or a tensor of finite numbers, to (asset, time)."""
        return x[..., 0] * 0 + CONSTANT_OUTPUT


MODELS = {"constant": Constant}  # the models besides those of lib/model.py


@dataclass(frozen=True)
class Fit:
    """The report of one asset's training; a loss is a mean squared error."""

    losses: tuple[float, ...]  # before each step; empty of a model without training
    loss_after: float
    accuracy: float  # share of training days predicted right, an output above one half meaning "rises"
    majority_accuracy: float  # the same for always predicting the more frequent class
    days: int


class TrainedModels(Mapping):
    """Trained models by asset, with the report of their training.

    `models[asset]` is a `torch.nn.Module`, from (1, time, feature) to (1, time). A model trained by
    `lib.engine.lstm` becomes one on access, so that a pass that only predicts needs no torch.

    Attributes
    ----------
    fits : dict of str to Fit
    dropped : dict of str to str
        Selected assets without a model, and why.
    window : tuple of numpy.datetime64
        First and last day trained on.
    seconds : float
        Wall time of the training.
    """

    def __init__(self, strategy: "Parameters", window: tuple, seconds: float = 0.0):
        self.strategy, self.window, self.seconds = strategy, window, seconds
        self._models: dict[str, Any] = {}
        self.fits: dict[str, Fit] = {}
        self.dropped: dict[str, str] = {}

    def add(self, asset: str, model: Any, fit: Fit) -> None:
        """Add a model, a torch module or a row of parameters in the order of `lstm`, and its report."""
        self._models[asset], self.fits[asset] = model, fit

    def __getitem__(self, asset: str) -> "torch.nn.Module":
        """The model of an asset, in torch."""
        if isinstance(self._models[asset], np.ndarray):
            self._models[asset] = _as_module(self._models[asset], self.strategy)
        return self._models[asset]

    def __contains__(self, asset: object) -> bool:
        """Whether the asset has a model, without converting it to torch."""
        return asset in self._models

    def __iter__(self) -> Iterator[str]:
        """Assets in the order of the data."""
        return iter(self._models)

    def __len__(self) -> int:
        """Number of assets that have a model."""
        return len(self._models)

    def __repr__(self) -> str:
        """One line: the number of assets and the training window."""
        return f"TrainedModels of {len(self)} assets, trained on {self.window[0]} to {self.window[1]}"

    def fast_outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By asset the output (time,) for a sequence (time, feature), of the models in the fast form."""
        rows = {asset: row for asset in inputs if (row := self.row(asset)) is not None}
        constants = {asset: model for asset in inputs if isinstance(model := self._models[asset], Constant)}
        outputs: dict[str, np.ndarray] = {asset: model(inputs[asset]) for asset, model in constants.items()}
        for assets in equally_long({asset: inputs[asset] for asset in rows}):
            x = np.stack([inputs[asset] for asset in assets])
            parameters = np.stack([rows[asset] for asset in assets])
            outputs.update(zip(assets, lstm.outputs(parameters, x, self.strategy.hidden_size), strict=True))
        return outputs

    def row(self, asset: str) -> np.ndarray | None:
        """The parameters of a model that is in the fast form, else None."""
        model = self._models[asset]
        return model if isinstance(model, np.ndarray) else None

    def __reduce__(self) -> tuple:
        """Pickle as bytes, so that reading a state from the same file does not decode the models.

        Functions of the strategy that cannot be pickled, such as a lambda, are left out: a backtest pickles
        its models at its end and must not fail then. The models themselves need none of these functions.
        """
        content = dict(self.__dict__)
        try:
            return _load_models, (pickle.dumps(content, protocol=4),)
        except (pickle.PicklingError, AttributeError):
            content["strategy"] = replace(
                self.strategy,
                features=("trend",) * len(self.strategy.features),
                target="next_open_up",
                selection="low_volatility",
                model="LSTM",
                sizing="as_output",
            )
            return _load_models, (pickle.dumps(content, protocol=4),)


def _load_models(content: bytes) -> TrainedModels:
    models = TrainedModels.__new__(TrainedModels)
    models.__dict__.update(pickle.loads(content))
    return models


def _as_module(row: np.ndarray, strategy: "Parameters") -> "torch.nn.Module":
    import torch

    from lib.engine.torch_training import new_model

    model = new_model(strategy)
    flat = lstm.to_torch(row, len(strategy.features), strategy.hidden_size)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), model.parameters())
    return model.eval()


def needs_torch(strategy: "Parameters") -> bool:
    """Return True if the strategy's model is trained in torch."""
    return strategy.model not in MODELS and not lstm.is_published(strategy)
