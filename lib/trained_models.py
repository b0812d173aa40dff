"""What comes out of a training: a model per asset, and how each fit went."""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lib import kernel
from lib.parameters import to_torch
from lib.strategy import Strategy

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Fit:
    """How the training of one asset went; a loss is a mean squared error."""

    losses: tuple[float, ...]  # before each step
    loss_after: float
    hit_rate: float  # share of training days called right, an output above a half meaning "rises"
    base_rate: float  # the same for always calling the more frequent class
    days: int


class Models(Mapping):
    """Trained models by asset, with the report of their training.

    `models[asset]` is a `torch.nn.Module`, from (1, time, feature) to (1, time). A model trained by
    `lib.kernel` becomes one when it is asked for, so that a pass that only predicts does without torch.

    Attributes
    ----------
    fits : dict of str to Fit
    dropped : dict of str to str
        Selected assets that got no model, and why.
    window : tuple of numpy.datetime64
        First and last day trained on.
    seconds : float
        Time the training took.
    """

    def __init__(self, strategy: Strategy, window: tuple, seconds: float = 0.0):
        self.strategy, self.window, self.seconds = strategy, window, seconds
        self._models: dict[str, Any] = {}
        self.fits: dict[str, Fit] = {}
        self.dropped: dict[str, str] = {}

    def add(self, asset: str, model: Any, fit: Fit) -> None:
        """Take in a model, a torch module or a row of parameters in the kernel's order, and its report."""
        self._models[asset], self.fits[asset] = model, fit

    def __getitem__(self, asset: str) -> "torch.nn.Module":
        """The model of an asset, in torch."""
        if isinstance(self._models[asset], np.ndarray):
            self._models[asset] = _as_module(self._models[asset], self.strategy)
        return self._models[asset]

    def __contains__(self, asset: object) -> bool:
        """Whether the asset has a model; without making one of torch."""
        return asset in self._models

    def __iter__(self) -> Iterator[str]:
        """Assets in the order of the data."""
        return iter(self._models)

    def __len__(self) -> int:
        """How many assets have a model."""
        return len(self._models)

    def __repr__(self) -> str:
        """One line: how many, trained on what."""
        return f"Models of {len(self)} assets, trained on {self.window[0]} to {self.window[1]}"

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By asset the answer (time,) to a sequence (time, feature) of the models the kernel can ask."""
        rows = {asset: row for asset in inputs if (row := self.row(asset)) is not None}
        said: dict[str, np.ndarray] = {}
        for assets in equally_long({asset: inputs[asset] for asset in rows}):
            x = np.stack([inputs[asset] for asset in assets])
            parameters = np.stack([rows[asset] for asset in assets])
            said.update(zip(assets, kernel.outputs(parameters, x, self.strategy.hidden_size), strict=True))
        return said

    def row(self, asset: str) -> np.ndarray | None:
        """The parameters of a model that is still in the kernel's form, else None."""
        model = self._models[asset]
        return model if isinstance(model, np.ndarray) else None

    def __reduce__(self) -> tuple:
        """Pickle as bytes, so that whoever reads a state from the same file need not decode models.

        Functions of the strategy that cannot be pickled, such as a lambda, stay behind: a backtest pickles
        its models when all is done, and must not fail then. The models themselves need none of them.
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
            )
            return _load_models, (pickle.dumps(content, protocol=4),)


def _load_models(content: bytes) -> Models:
    models = Models.__new__(Models)
    models.__dict__.update(pickle.loads(content))
    return models


def equally_long(inputs: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Assets in groups, those whose sequences are as long as each other's: the kernel takes them together."""
    by_length: dict[int, list[str]] = {}
    for asset, x in inputs.items():
        by_length.setdefault(len(x), []).append(asset)
    return list(by_length.values())


def _as_module(row: np.ndarray, strategy: Strategy) -> "torch.nn.Module":
    import torch

    from lib.model import get_model

    model = get_model(strategy)
    flat = to_torch(row, len(strategy.features), strategy.hidden_size)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), model.parameters())
    return model.eval()
