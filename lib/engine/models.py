"""Trained models by asset, with the report of each fit."""

import copy
import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.errors import WrongTypeError, quantity
from lib.engine import lstm
from lib.engine.inputs import equally_long
from lib.engine.learners import Constant

if TYPE_CHECKING:
    import torch

    from lib.parameters import Parameters


@dataclass(frozen=True)
class Fit:
    """The report of one asset's training.

    A loss is a mean squared error.
    """

    losses: tuple[float, ...]  # before each step; empty of a model without training
    loss_after: float
    accuracy: float  # share of training days predicted right, an output above one half meaning "rises"
    majority_accuracy: float  # the same for always predicting the more frequent class
    days: int
    validation_losses: tuple[float, ...] = ()  # after each epoch


Scale = tuple[np.ndarray, np.ndarray]  # mean and standard deviation (feature,)


class TrainedModels(Mapping):
    """Trained models by asset, with reports of their training.

    `models[asset]` is a `torch.nn.Module`, from (asset, time, feature) to (asset, time), an estimator, or a
    rule. All assets have the same one if the strategy's scope is "pooled". A model trained by
    `lib.engine.lstm` becomes a module on access, so that a pass that only predicts needs no torch.

    Attributes
    ----------
    scales : dict of str to tuple
        By asset mean and standard deviation (feature,) of the features, which its model saw standardised.
    shared_scale : tuple or None
        The same of a pooled model.
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
        self.scales: dict[str, Scale] = {}
        self.shared_scale: Scale | None = None
        self.dropped: dict[str, str] = {}

    def add(self, asset: str, model: Any, fit: Fit) -> None:
        """Add a model and its report.

        The model has the form in which it was trained. A row of parameters is in the order of `lstm`.
        """
        self._models[asset], self.fits[asset] = model, fit

    def __getitem__(self, asset: str) -> "torch.nn.Module":
        """Return the model of an asset in torch."""
        model = self._models[asset]
        if not isinstance(model, np.ndarray):
            return model
        if asset not in self._modules:
            self._modules[asset] = _as_module(model, self.strategy)
        return self._modules[asset]

    def own_form(self, asset: str) -> Any:
        """Return the model as it was trained.

        It is a module, an estimator, a rule or a row of parameters.
        """
        return self._models[asset]

    def __contains__(self, asset: object) -> bool:
        """Return True if the asset has a model.

        The model is not converted to torch.
        """
        return asset in self._models

    def __iter__(self) -> Iterator[str]:
        """Iterate over the assets in the data's order."""
        return iter(self._models)

    def __len__(self) -> int:
        """Return the number of assets that have a model."""
        return len(self._models)

    def __repr__(self) -> str:
        """Return the number of assets and the training window.

        The text is one line.
        """
        first, last = self.window
        return f"TrainedModels of {quantity(len(self), 'asset')}, trained on {first} to {last}"

    @property
    def shared(self) -> Any:
        """Return the model of all assets.

        The result is None unless the strategy's scope is "pooled".
        """
        return next(iter(self._models.values()), None) if self.strategy.scope == "pooled" else None

    def scaled(self, assets: Sequence[str], x: np.ndarray) -> np.ndarray:
        """Return features as models saw them in training.

        The features of `assets` are (asset, time, feature).
        """
        if not self.scales and self.shared_scale is None:
            return x
        result = x.copy()
        for k, asset in enumerate(assets):
            scale = self.scales.get(asset, self.shared_scale)
            if scale is not None:
                result[k] = (x[k] - scale[0]) / scale[1]
        return result

    def fast_outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of models in the fast form.

        The result is by asset the output (time,) for a sequence (time, feature).
        """
        rows = {asset: row for asset in inputs if (row := self.row(asset)) is not None}
        constants = {asset: model for asset in inputs if isinstance(model := self._models[asset], Constant)}
        outputs: dict[str, np.ndarray] = {asset: model(inputs[asset]) for asset, model in constants.items()}
        for assets in equally_long({asset: inputs[asset] for asset in rows}):
            x = np.stack([inputs[asset] for asset in assets])
            parameters = np.stack([rows[asset] for asset in assets])
            outputs.update(zip(assets, lstm.outputs(parameters, x, self.strategy.hidden_size), strict=True))
        return outputs

    def row(self, asset: str) -> np.ndarray | None:
        """Return a model's parameters in the fast form.

        The result is None for a module, and for a model that was changed since.
        """
        model = self._models[asset]
        if asset in self._modules and not np.array_equal(model, _as_row(self._modules[asset], self.strategy)):
            self._models[asset] = model = self._modules.pop(asset)
        return model if isinstance(model, np.ndarray) else None

    def __deepcopy__(self, memo: dict) -> "TrainedModels":
        """Copy the models without the strategy's functions.

        The copy refers to the same functions.
        """
        copied = TrainedModels.__new__(TrainedModels)
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __reduce__(self) -> tuple:
        """Pickle the models as bytes.

        A state that is read from the same file then does not decode the models.

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
    """A warning about models missing from a pickle.

    Trained models were replaced by `LostModels`.
    """


class LostModels(Mapping):
    """Trained models that could not be stored.

    Every use raises an error that gives the reason.
    """

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
    older: dict[str, Any] = {"_modules": {}, "scales": {}, "shared_scale": None}  # files lack these
    models.__dict__.update(older | loaded)
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
