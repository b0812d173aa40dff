"""The published LSTM in numpy, for many assets at once: the one place where speed is bought with clarity.

What it buys: training is some twenty evaluations of a small network over one sequence of some seventy days,
for each of a dozen assets. In torch, step by step, nearly all of that time is the overhead of tiny
operations. Here all assets take each step together, so that an operation is paid once a day, not once a day
and asset; and what does not depend on the step before is one product for all days. It also spares a contest
pass the import of torch, which takes longer than the training.

It states exactly the class `LSTM` of `lib/model.py`: two layers of LSTM cells and a linear layer to one
number, from a zero state, in float32. `states_model` tells whether that class still reads as it did; where it
was edited, training uses torch.

Parameters are rows as `lib.parameters` lays them out, one per asset.

Source: Hochreiter and Schmidhuber (1997), Long Short-Term Memory; backward, back-propagation through time.
"""

import ast
import hashlib
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from lib.parameters import shapes, split

# The products here are too small to share out: threads would wait for each other, and change the last digits.
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")

# The allocator learns from one large block that comes and goes to keep memory of this size at hand. Without
# it every evaluation asks the system for its arrays anew, a quarter of its time.
np.empty(2**24, np.uint8)

_MODEL = Path(__file__).with_name("model.py")
# sha256 of the class `LSTM` of lib/model.py, without comments and docstrings, as this file states it
STATED_MODEL = "36fe293b0f995203cddc5d2371704e9f6bde6ff02d88998d9379071f17e185f2"


def states_model(path: Path = _MODEL) -> bool:
    """Whether the class `LSTM` in `path` reads as this file states it (comments and docstrings aside)."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == "LSTM":
            for part in ast.walk(node):
                if isinstance(part, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(part) is not None:
                    part.body = part.body[1:]
            return hashlib.sha256(ast.unparse(node).encode()).hexdigest() == STATED_MODEL
    return False


@one_thread
def outputs(parameters: np.ndarray, x: np.ndarray, hidden: int) -> np.ndarray:
    """What the networks answer from a zero state to `x` (assets, time, feature): (assets, time) float32."""
    return _forward(parameters, x, hidden)[0]


def loss_and_gradient(
    parameters: np.ndarray, x: np.ndarray, y: np.ndarray, hidden: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared error over all days, (assets,), and its gradient by `parameters`, (assets, size).

    A training asks for it again and again, and holds to `one_thread` for all of them together.
    """
    out, layer1, h1, layer2, h2, (w_ih2, w) = _forward(parameters, x, hidden)
    error = out - y
    gradient = np.empty_like(parameters)
    *cells, d_w, d_b = split(gradient, shapes(x.shape[2], hidden))

    d_out = error * np.float32(2 / x.shape[1])
    np.matmul(h2.transpose(0, 2, 1), d_out[:, :, None], out=d_w)
    d_b[:, 0] = d_out.sum(axis=1)
    dz = _sweep_back(d_out.T[:, :, None] * w[:, :, 0], *layer2)
    _accumulate(dz, h1, h2, *cells[4:])
    dz = _sweep_back(_swapped(dz @ w_ih2.transpose(0, 2, 1)), *layer1)
    _accumulate(dz, x, h1, *cells[:4])
    return (error * error).mean(axis=1), gradient


def _swapped(array: np.ndarray) -> np.ndarray:
    """The first two axes exchanged, in one piece of memory."""
    return np.ascontiguousarray(array.swapaxes(0, 1))


def _forward(parameters: np.ndarray, x: np.ndarray, hidden: int) -> tuple:
    """Output (assets, time), then all that `loss_and_gradient` needs again."""
    w_ih1, w_hh1, b_ih1, b_hh1, w_ih2, w_hh2, b_ih2, b_hh2, w, b = split(
        parameters, shapes(x.shape[2], hidden)
    )
    gates1 = _input_share(x, w_ih1, b_ih1 + b_hh1)
    h1, c1, tanh1 = _sweep(gates1, w_hh1)
    gates2 = _input_share(h1, w_ih2, b_ih2 + b_hh2)
    h2, c2, tanh2 = _sweep(gates2, w_hh2)
    out = (h2 @ w)[:, :, 0] + b
    return out, (gates1, c1, tanh1, w_hh1), h1, (gates2, c2, tanh2, w_hh2), h2, (w_ih2, w)


def _input_share(x: np.ndarray, w_ih: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What a layer's input and biases add to its gates, (time, 4, assets, hidden)."""
    assets, days, _ = x.shape
    share = (x @ w_ih).reshape(assets, days, 4, -1).transpose(1, 2, 0, 3)
    return np.add(share, bias.reshape(assets, 4, -1).swapaxes(0, 1), order="C")


def _sweep(gates: np.ndarray, w_hh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One layer forward. `gates` (time, 4, assets, hidden): the input's share, in place the activations.

    Returns h (assets, time, hidden), c and tanh(c), both (time, assets, hidden).
    """
    days, _, assets, hidden = gates.shape
    h, c, tanh_c = np.empty((3, days, assets, hidden), np.float32)
    # sigmoid(z) = (1 + tanh(z / 2)) / 2, so that one call of tanh serves all four gates
    gates[:, :3] *= 0.5
    w_hh = w_hh * np.repeat(np.array([0.5, 0.5, 0.5, 1], np.float32), hidden)
    product = np.empty((assets, 1, 4 * hidden), np.float32)
    recurrent = product.reshape(assets, 4, hidden).swapaxes(0, 1)
    kept = np.empty((assets, hidden), np.float32)
    for day in range(days):
        z = gates[day]
        if day:
            np.matmul(h[day - 1, :, None], w_hh, out=product)
            z += recurrent
        np.tanh(z, out=z)
        sigmoids = z[:3]
        sigmoids *= 0.5
        sigmoids += 0.5
        now = c[day]
        np.multiply(z[0], z[3], out=now)
        if day:
            np.multiply(z[1], c[day - 1], out=kept)
            now += kept
        np.tanh(now, out=tanh_c[day])
        np.multiply(z[2], tanh_c[day], out=h[day])
    return _swapped(h), c, tanh_c


def _sweep_back(
    grad_h: np.ndarray, gates: np.ndarray, c: np.ndarray, tanh_c: np.ndarray, w_hh: np.ndarray
) -> np.ndarray:
    """One layer backward: from `grad_h` (time, assets, hidden) to the gates, (assets, time, 4 hidden)."""
    days, _, assets, hidden = gates.shape
    i, f, o, g = gates.swapaxes(0, 1)
    # how the gates answer: i, f and g to the gradient of the cell, o to that of the output; all days at once
    slope = np.empty((days, assets, 4, hidden), np.float32)
    np.multiply(g, i * (1 - i), out=slope[:, :, 0])
    slope[0, :, 1] = 0
    np.multiply(c[:-1], (f * (1 - f))[1:], out=slope[1:, :, 1])
    np.multiply(tanh_c, o * (1 - o), out=slope[:, :, 2])
    np.multiply(i, 1 - g * g, out=slope[:, :, 3])
    to_cell = o * (1 - tanh_c * tanh_c)

    received = np.empty((assets, 4, hidden), np.float32)
    dc, part = np.zeros((2, assets, hidden), np.float32)
    back = np.empty((assets, hidden, 1), np.float32)
    dh = grad_h[-1].copy()
    for day in range(days - 1, -1, -1):
        np.multiply(dh, to_cell[day], out=part)
        dc += part
        received[:] = dc[:, None]
        received[:, 2] = dh
        dz = slope[day]
        dz *= received
        if day:
            np.matmul(w_hh, dz.reshape(assets, -1, 1), out=back)
            np.add(back[:, :, 0], grad_h[day - 1], out=dh)
            dc *= f[day]
    return _swapped(slope).reshape(assets, days, -1)


def _accumulate(dz, x, h, d_ih, d_hh, d_b_ih, d_b_hh) -> None:
    """Gradients of one layer's parameters, summed over the days in one product each."""
    np.matmul(x.transpose(0, 2, 1), dz, out=d_ih)
    np.matmul(h[:, :-1].transpose(0, 2, 1), dz[:, 1:], out=d_hh)
    d_b_ih[:] = d_b_hh[:] = dz.sum(axis=1)
