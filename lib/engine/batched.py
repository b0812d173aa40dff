"""Batches of models in torch: one module with the parameters of each asset, evaluated for all together.

Parameters are rows (assets, size): those that training changes, as `torch.nn.utils.parameters_to_vector` lays
them out. Recurrent layers, for which torch has no batching rule, run as the sweeps of `lib.engine.recurrent`
and `lib.engine.gru`, with the same parameters.
"""

import copy

import numpy as np
import torch
from torch import nn

from lib.engine.fast_lstm import one_thread
from lib.engine.torch_recurrent import NotBatchableError, written_out


class Batch:
    """One module with a row of parameters per asset.

    Parameters
    ----------
    model : torch.nn.Module
        From (1, time, feature) to (1, time); stays as it is.

    Raises
    ------
    NotBatchableError
        The module has parameters that are not float32, a recurrent layer that is bidirectional or projected,
        or, when the loss is computed, buffers that training changes.
    """

    def __init__(self, model: nn.Module):
        if any(p.dtype != torch.float32 for p in model.parameters()):
            raise NotBatchableError("its parameters are not float32")
        self.model = written_out(copy.deepcopy(model))
        self.shapes = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
        self.buffers = _versions(self.model)
        self.row = nn.utils.parameters_to_vector(trained(model)).detach().numpy().copy()

    @one_thread
    def outputs(self, rows: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Outputs (assets, time) in evaluation mode for `x` (assets, time, feature), float32."""
        if len(rows) == 1:
            return self.outputs(*_twice(rows, x))[:1]
        self.model.eval()
        with torch.no_grad():
            return torch.vmap(self._output)(
                self._parameters(torch.from_numpy(rows)), torch.from_numpy(x)
            ).numpy()

    def loss_and_gradient(
        self, rows: np.ndarray, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared error over all days (assets,) in training mode, and its gradient by `rows`.

        Random numbers, such as dropout's, are the same for all assets: those that one asset alone would draw.
        """
        if len(rows) == 1:
            losses, gradients = self.loss_and_gradient(*_twice(rows, x, y))
            return losses[:1], gradients[:1]
        self.model.train()
        flat = torch.from_numpy(rows).requires_grad_()

        def loss(parameters: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return nn.functional.mse_loss(self._output(parameters, x), y)

        losses = torch.vmap(loss, randomness="same")(
            self._parameters(flat), torch.from_numpy(x), torch.from_numpy(y)
        )
        if self.buffers != _versions(self.model):
            raise NotBatchableError("training changes its buffers")
        (gradient,) = torch.autograd.grad(losses.sum(), flat)
        return losses.detach().numpy(), gradient.numpy()

    def _output(self, parameters: dict, x: torch.Tensor) -> torch.Tensor:
        output = torch.func.functional_call(self.model, parameters, (x[None],))
        check_shape(output.shape, x[None].shape)
        return output[0]

    def _parameters(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        pieces = rows.split([shape.numel() for shape in self.shapes.values()], dim=1)
        return {
            name: piece.reshape(-1, *shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }


def _versions(model: nn.Module) -> list[tuple[int, int]]:
    """Return the identity of each buffer and the number of changes made to it."""
    return [(id(buffer), buffer._version) for buffer in model.buffers()]


def _twice(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """One asset as two: torch computes a product for one alone in another way, with other last digits."""
    return tuple(np.repeat(array, 2, axis=0) for array in arrays)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a model that training changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def check_shape(output: torch.Size, inputs: torch.Size) -> None:
    """Refuse an output that is not one number per day."""
    if output != inputs[:2]:
        raise ValueError(
            f"the model must return one number per day, shape {tuple(inputs[:2])}, not {tuple(output)}."
        )
