"""Recurrent layers of torch that can be batched: sweeps in numpy, with their gradients."""

from typing import Any

import numpy as np
import torch
from torch import nn

from lib.engine import gru, recurrent

LAYERS = (nn.LSTM, nn.GRU, nn.RNN)
LSTM_ORDER = [0, 1, 3, 2]
PARAMETERS = (2, 2, 1, 1)  # dimensions of W_ih, W_hh, b_ih, b_hh of one sequence


class NotBatchableError(RuntimeError):
    """A module, or a use of it, that cannot be evaluated for all assets together."""


def written_out(module: nn.Module) -> nn.Module:
    """The module with each recurrent layer replaced by its equal that can be batched."""
    if type(module) in LAYERS:
        return _Recurrent(module)
    if isinstance(module, nn.RNNBase):
        raise NotBatchableError(f"it derives {type(module).__name__} from a recurrent layer")
    for name, child in module.named_children():
        setattr(module, name, written_out(child))
    return module


class _Recurrent(nn.Module):
    """A stack of LSTM, GRU or plain recurrent layers from a zero state, with the parameters of torch's."""

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
    """The last cell state of an LSTM, which the sweep does not return."""

    def __getattr__(self, name: str) -> Any:
        raise NotBatchableError("it uses the last cell state of an LSTM")


class _Layer(torch.autograd.Function):
    """h (sequences, time, hidden) of one recurrent layer from its input (sequences, time, input).

    The parameters, as torch lays them out, are shared by all sequences or have a leading axis of them. All
    products are numpy's, whose bits do not depend on which other sequences are in a batch.
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
            h, *kept = gru.gru(x, w_ih, w_hh, bias, b_hh[:, -hidden:])
        else:
            h = gru.rnn(x, w_ih, w_hh, bias, kind == "RNN_relu")
        return torch.from_numpy(recurrent.in_one_piece(h[1:])), (x, w_ih, w_hh, h, kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.kind, _, *parameters = inputs
        ctx.shared = [tensor.dim() == dim for tensor, dim in zip(parameters, PARAMETERS, strict=True)]
        ctx.kept = output[1]

    @staticmethod
    def backward(ctx: Any, grad_h: torch.Tensor, _: Any) -> tuple:
        x, w_ih, w_hh, h, kept = ctx.kept
        grad = recurrent.in_one_piece(_numpy(grad_h))
        if ctx.kind == "LSTM":
            shares = [recurrent.lstm_back(grad, w_hh, *kept)]
        elif ctx.kind == "GRU":
            shares = list(gru.gru_back(grad, w_hh, h, *kept))
        else:
            shares = [gru.rnn_back(grad, w_hh, h, ctx.kind == "RNN_relu")]
        shares = [np.ascontiguousarray(each) for each in shares]  # as `in_one_piece`, for the products below
        share, answer = shares[0], shares[-1]  # of the input, and of the hidden state
        gradients = [
            share.swapaxes(1, 2) @ x,
            answer.swapaxes(1, 2) @ recurrent.by_sequence(h[:-1]),
            share.sum(axis=1),
            answer.sum(axis=1),
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
    """A parameter with a leading axis of sequences, an LSTM's gates in the order of the sweep."""
    array = _numpy(tensor.expand(sequences, *tensor.shape) if tensor.dim() == dim else tensor)
    return _reordered(array) if kind == "LSTM" else array


def _reordered(array: np.ndarray) -> np.ndarray:
    """Gates of an LSTM along axis 1 from torch's order i, f, g, o to i, f, o, g, or back."""
    gates = array.reshape(len(array), 4, -1)
    return gates[:, LSTM_ORDER].reshape(array.shape)
