"""Trained models: one per asset, with the report of each fit."""

import copy
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.errors import WrongTypeError
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
        self._modules: dict[str, Any] = {}  # of models in the fast form that were asked for in torch
        self.fits: dict[str, Fit] = {}
        self.dropped: dict[str, str] = {}

    def add(self, asset: str, model: Any, fit: Fit) -> None:
        """Add a model, a torch module or a row of parameters in the order of `lstm`, and its report."""
        self._models[asset], self.fits[asset] = model, fit

    def __getitem__(self, asset: str) -> "torch.nn.Module":
        """Return the model of an asset in torch."""
        model = self._models[asset]
        if not isinstance(model, np.ndarray):
            return model
        if asset not in self._modules:
            self._modules[asset] = _as_module(model, self.strategy)
        return self._modules[asset]

    def __contains__(self, asset: object) -> bool:
        """Return True if the asset has a model, without converting it to torch."""
        return asset in self._models

    def __iter__(self) -> Iterator[str]:
        """Iterate over the assets in the order of the data."""
        return iter(self._models)

    def __len__(self) -> int:
        """Return the number of assets that have a model."""
        return len(self._models)

    def __repr__(self) -> str:
        """Return the number of assets and the training window in one line."""
        return f"TrainedModels of {len(self)} assets, trained on {self.window[0]} to {self.window[1]}"

    def fast_outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute by asset the output (time,) for a sequence (time, feature), of models in the fast form."""
        rows = {asset: row for asset in inputs if (row := self.row(asset)) is not None}
        constants = {asset: model for asset in inputs if isinstance(model := self._models[asset], Constant)}
        outputs: dict[str, np.ndarray] = {asset: model(inputs[asset]) for asset, model in constants.items()}
        for assets in equally_long({asset: inputs[asset] for asset in rows}):
            x = np.stack([inputs[asset] for asset in assets])
            parameters = np.stack([rows[asset] for asset in assets])
            outputs.update(zip(assets, lstm.outputs(parameters, x, self.strategy.hidden_size), strict=True))
        return outputs

    def row(self, asset: str) -> np.ndarray | None:
        """Return the parameters of a model in the fast form; None for a module, and for one changed since."""
        model = self._models[asset]
        if asset in self._modules and not np.array_equal(model, _as_row(self._modules[asset], self.strategy)):
            self._models[asset] = model = self._modules.pop(asset)
        return model if isinstance(model, np.ndarray) else None

    def __deepcopy__(self, memo: dict) -> "TrainedModels":
        """Copy the models; functions of the strategy stay the same objects."""
        copied = TrainedModels.__new__(TrainedModels)
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __reduce__(self) -> tuple:
        """Pickle as bytes, so that reading a state from the same file does not decode the models.

        A function of the user's own, such as a lambda, is stored by its code. A backtest pickles its models
        at its end and must not fail then: models that cannot be stored are replaced by `LostModels`, with a
        warning.
        """
        for asset in list(self._modules):
            self.row(asset)  # a module that was changed takes the place of its parameters
        content = self.__dict__ | {"_modules": {}}
        try:
            return _load_models, (pickle.dumps(content, protocol=4),)
        except Exception:  # objects raise anything here
            pass
        try:
            import cloudpickle

            return _load_models, (cloudpickle.dumps(content, protocol=4),)
        except Exception as error:
            reason = f"the trained models cannot be stored: {str(error).strip().partition(chr(10))[0]:.100}"
            warnings.warn(f"T{reason[1:]}. The weights are not affected.", ModelsWarning, stacklevel=2)
            return _load_models, (pickle.dumps(reason, protocol=4),)


class ModelsWarning(UserWarning):
    """Trained models were replaced by `LostModels` in a pickle."""


class LostModels(Mapping):
    """Trained models that could not be stored; every use raises an error that says why."""

    def __init__(self, reason: str):
        self.reason = reason

    def __getitem__(self, asset: str) -> Any:
        """Raise the error."""
        raise WrongTypeError(f"There are no models: {self.reason}. Train them again.")

    def __iter__(self) -> Iterator[str]:
        """Raise the error."""
        return self[""]

    def __len__(self) -> int:
        """Raise the error."""
        return self[""]

    def __reduce__(self) -> tuple:
        """Pickle the reason."""
        return _load_models, (pickle.dumps(self.reason, protocol=4),)


def _load_models(content: bytes) -> TrainedModels | LostModels:
    loaded = pickle.loads(content)
    if isinstance(loaded, str):
        return LostModels(loaded)
    models = TrainedModels.__new__(TrainedModels)
    models.__dict__.update({"_modules": {}} | loaded)  # an older file has no modules
    return models


def _as_module(row: np.ndarray, strategy: "Parameters") -> "torch.nn.Module":
    import torch

    from lib.engine.torch_training import new_model

    model = new_model(strategy)
    flat = lstm.to_torch(row, len(strategy.features), strategy.hidden_size)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), model.parameters())
    return model.eval()


def _as_row(module: "torch.nn.Module", strategy: "Parameters") -> np.ndarray:
    import torch

    flat = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()
    return lstm.from_torch(flat, len(strategy.features), strategy.hidden_size)


def needs_torch(strategy: "Parameters") -> bool:
    """Return True if the strategy's model is trained in torch."""
    return strategy.model not in MODELS and not lstm.is_published(strategy)
