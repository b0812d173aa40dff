"""Batches of models in torch.

One module has the parameters of each asset, and is evaluated for all together. Parameters are rows (assets,
size): those that training changes, as `torch.nn.utils.parameters_to_vector` lays them out. Recurrent layers,
for which torch has no batching rule, run as the sweeps of `lib.engine.recurrent`, with the same parameters.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from lib.common.errors import WrongValueError
from lib.engine import recurrent
from lib.engine.lstm import one_thread

LAYERS = (nn.LSTM, nn.GRU, nn.RNN)
LSTM_ORDER = [0, 1, 3, 2]
PARAMETERS = (2, 2, 1, 1)  # dimensions of W_ih, W_hh, b_ih, b_hh of one sequence


class NotBatchableError(RuntimeError):
    """An error for a module that cannot be batched.

    The module, or a use of it, cannot be evaluated for all assets together.
    """


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
        self.model = with_batchable_layers(copy.deepcopy(model))
        self.shapes = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
        self.buffers = _versions(self.model)
        self.row = nn.utils.parameters_to_vector(trained(model)).detach().numpy().copy()

    @one_thread
    def outputs(self, rows: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Compute the outputs (assets, time) in evaluation mode.

        `x` is (assets, time, feature), float32.
        """
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
        """Compute the losses and gradients in training mode.

        The losses (assets,) are mean squared errors, and the gradients are by `rows`. Random numbers, such as
        dropout's, are the same for all assets. One asset alone would draw the same numbers.
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
    """Return the identity and version of each buffer.

    The version is the number of changes made to the buffer.
    """
    return [(id(buffer), buffer._version) for buffer in model.buffers()]


def _twice(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Repeat one asset along the first axis.

    Torch computes a product for one asset alone in another way, with other last digits.
    """
    return tuple(np.repeat(array, 2, axis=0) for array in arrays)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a model that training changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def check_shape(output: torch.Size, inputs: torch.Size) -> None:
    """Check that an output is one number per day.

    Another shape raises a `WrongValueError`.
    """
    if output != inputs[:2]:
        raise WrongValueError(
            f"the model must return one number per day, shape {tuple(inputs[:2])}, not {tuple(output)}."
        )


def with_batchable_layers(module: nn.Module) -> nn.Module:
    """Replace the recurrent layers of a module.

    Each is replaced by an equal layer that can be batched. The module changes in place, unless it is a
    recurrent layer itself.
    """
    if type(module) in LAYERS:
        return _Recurrent(module)
    if isinstance(module, nn.RNNBase):
        raise NotBatchableError(f"it derives {type(module).__name__} from a recurrent layer")
    for name, child in module.named_children():
        setattr(module, name, with_batchable_layers(child))
    return module


class _Recurrent(nn.Module):
    """A stack of recurrent layers that can be batched.

    The layers are LSTM, GRU or plain layers and start from a zero state. They have the parameters of torch's
    layers.
    """

    def __init__(self, layer: Any):
        super().__init__()
        if layer.bidirectional or getattr(layer, "proj_size", 0):
            raise NotBatchableError("it has a recurrent layer that is bidirectional or projected")
        self.layer = [layer]  # in a list, so that its parameters are not registered a second time
        for name, parameter in layer.named_parameters():
            self.register_parameter(name, parameter)

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        (layer,) = self.layer
        if state is not None or x.dim() != 3:
            raise NotBatchableError("it gives a recurrent layer an initial state, or input without a batch")
        x = x if layer.batch_first else x.transpose(0, 1)
        last = []
        for k in range(layer.num_layers):
            if k and layer.dropout:
                x = nn.functional.dropout(x, layer.dropout, self.training)
            x = self._layer(layer, x, k)
            last.append(x[:, -1])
        state = torch.stack(last)
        if isinstance(layer, nn.LSTM):
            state = (state, _Unavailable())
        return (x if layer.batch_first else x.transpose(0, 1)), state

    def _layer(self, layer: Any, x: torch.Tensor, k: int) -> torch.Tensor:
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if layer.bias else [])]
        parameters = [getattr(self, f"{name}_l{k}") for name in names]
        if not layer.bias:
            parameters += [x.new_zeros(parameters[0].shape[0])] * 2
        kind = type(layer).__name__ + ("_relu" if getattr(layer, "nonlinearity", "") == "relu" else "")
        return _Layer.apply(kind, x, *parameters)[0]


class _Unavailable:
    """The last cell state of an LSTM, without values.

    The sweep does not return this state, so that a use of its attributes raises a `NotBatchableError`.
    """

    def __getattr__(self, name: str) -> Any:
        raise NotBatchableError("it uses the last cell state of an LSTM")


class _Layer(torch.autograd.Function):
    """A differentiable recurrent layer that runs in numpy.

    It computes h (sequences, time, hidden) from its input (sequences, time, input). The parameters, as torch
    lays them out, are shared by all sequences or have a leading axis of them. All products are numpy's, whose
    bits do not depend on which other sequences are in a batch.
    """

    @staticmethod
    def forward(kind: str, *tensors: torch.Tensor) -> tuple:
        x = _numpy(tensors[0])
        w_ih, w_hh, b_ih, b_hh = (
            _stacked(tensor, len(x), dim, kind) for tensor, dim in zip(tensors[1:], PARAMETERS, strict=True)
        )
        hidden = w_hh.shape[2]
        bias = b_ih + b_hh
        if kind == "GRU":  # the reset gate multiplies the candidate's recurrent bias
            bias[:, -hidden:] = b_ih[:, -hidden:]
        w_ih, w_hh = (np.ascontiguousarray(w.swapaxes(1, 2)) for w in (w_ih, w_hh))
        kept: list[np.ndarray] = []
        if kind == "LSTM":
            h, *kept = recurrent.lstm(x, w_ih, w_hh, bias)
        elif kind == "GRU":
            h, *kept = recurrent.gru(x, w_ih, w_hh, bias, b_hh[:, -hidden:])
        else:
            h = recurrent.rnn(x, w_ih, w_hh, bias, kind == "RNN_relu")
        return torch.from_numpy(recurrent.contiguous(h[1:])), (x, w_ih, w_hh, h, kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.kind, _, *parameters = inputs
        ctx.shared = [tensor.dim() == dim for tensor, dim in zip(parameters, PARAMETERS, strict=True)]
        ctx.kept = output[1]

    @staticmethod
    def backward(ctx: Any, grad_h: torch.Tensor, _: Any) -> tuple:
        x, w_ih, w_hh, h, kept = ctx.kept
        grad = recurrent.contiguous(_numpy(grad_h))
        if ctx.kind == "LSTM":
            shares = [recurrent.lstm_back(grad, w_hh, *kept)]
        elif ctx.kind == "GRU":
            shares = list(recurrent.gru_back(grad, w_hh, h, *kept))
        else:
            shares = [recurrent.rnn_back(grad, w_hh, h, ctx.kind == "RNN_relu")]
        shares = [np.ascontiguousarray(each) for each in shares]  # as `contiguous`, for the products below
        share, recurrent_share = shares[0], shares[-1]  # of the input, and of the hidden state
        gradients = [
            share.swapaxes(1, 2) @ x,
            recurrent_share.swapaxes(1, 2) @ recurrent.by_sequence(h[:-1]),
            share.sum(axis=1),
            recurrent_share.sum(axis=1),
        ]
        if ctx.kind == "LSTM":
            gradients = [_reordered(gradient) for gradient in gradients]
        gradients = [g.sum(axis=0) if shared else g for g, shared in zip(gradients, ctx.shared, strict=True)]
        return None, *map(torch.from_numpy, [share @ w_ih.swapaxes(1, 2), *gradients])

    @staticmethod
    def vmap(info: Any, in_dims: tuple, kind: str, *tensors: torch.Tensor) -> tuple:
        x, *parameters = (
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims[1:], strict=True)
        )
        inner = x.shape[1]
        if inner > 1:
            parameters = [parameter.repeat_interleave(inner, 0) for parameter in parameters]
        h, _ = _Layer.apply(kind, x.flatten(0, 1), *parameters)
        return (h.unflatten(0, (info.batch_size, inner)), None), (0, None)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _stacked(tensor: torch.Tensor, sequences: int, dim: int, kind: str) -> np.ndarray:
    """Return a parameter with a leading axis of sequences.

    The gates of an LSTM are put in the order of the sweep.
    """
    array = _numpy(tensor.expand(sequences, *tensor.shape) if tensor.dim() == dim else tensor)
    return _reordered(array) if kind == "LSTM" else array


def _reordered(array: np.ndarray) -> np.ndarray:
    """Swap the last two gates of an LSTM.

    The gates are along axis 1. This turns torch's order i, f, g, o into i, f, o, g, and back.
    """
    gates = array.reshape(len(array), 4, -1)
    return gates[:, LSTM_ORDER].reshape(array.shape)
