"""The published LSTM in numpy, for many assets at once.

The module also defines the layout of its parameters. A training is some twenty evaluations of a small network
over one sequence of some seventy days, for each of a dozen assets. In torch, step by step, nearly all of that
time is the overhead of tiny operations. Here all assets take each step together, so that an operation is paid
for once per day instead of once per day and asset, and whatever does not depend on the step before is one
product for all days. A contest pass is also spared the import of torch, which takes longer than the training.

The network is the class `LSTM` of `lib/model.py`: two layers of LSTM cells and a linear layer to one number,
from a zero state, in float32. `is_published_network` returns True for a strategy that uses that class
unchanged.

Parameters of an asset are one row. Torch's order is W_ih, W_hh, b_ih, b_hh of the first layer, the same of
the second, then W and b of the linear layer, gates in the order i, f, g, o. The order used here has every
weight transposed and the gates in the order i, f, o, g, the three sigmoids side by side.

Sources: Hochreiter and Schmidhuber (1997), Long Short-Term Memory; Werbos (1990), Backpropagation through
time.
"""

import ast
import functools
import hashlib
import inspect
import itertools
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import ThreadpoolController

from lib.common.registry import registered_source
from lib.engine import recurrent
from lib.engine.recurrent import by_sequence

if TYPE_CHECKING:
    from lib.parameters import Parameters

MODEL_FILE = Path(__file__).parents[1] / "model.py"
# sha256 of the class `LSTM` that this module implements, without comments, docstrings and hints
PUBLISHED_CLASS = "8fe85492d2f10c5f585b60eed756bddaaa06c83fcc565b3f3551f589d6d9d88c"

# The products here are too small to share out: threads would wait for each other, and change the last digits.
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")

# After one large block came and went, the allocator keeps memory of this size at hand. Without it every
# evaluation asks the system for its arrays anew, which takes a quarter of its time.
np.empty(2**24, np.uint8)


def number_of_parameters(n_features: int, hidden: int) -> int:
    """Return the number of parameters of one model."""
    return sum(map(math.prod, shapes(n_features, hidden)))


def initial_parameters(n_features: int, hidden: int, seed: int) -> np.ndarray:
    """Draw the initial parameters that torch would draw.

    They are one float32 row in torch's order, and equal to the parameters after `torch.manual_seed(seed)`.
    Torch draws each uniformly in ±1/sqrt(hidden), from the Mersenne Twister, 24 bits a number.
    """
    size = number_of_parameters(n_features, hidden)
    bits = np.random.RandomState(seed).randint(0, 2**32, size, dtype=np.uint32) & np.uint32(2**24 - 1)
    bound = np.float64(np.float32(1 / np.sqrt(hidden)))  # torch multiplies and adds with one rounding
    return (bits * 2.0**-24 * (2 * bound) - bound).astype(np.float32)


def from_torch(row: np.ndarray, n_features: int, hidden: int) -> np.ndarray:
    """Reorder a row from torch's order.

    The result is in the order used here.
    """
    pieces = split(row[None], _torch_shapes(n_features, hidden))
    return np.concatenate([_regated(piece[0], hidden).T.ravel() for piece in pieces])


def to_torch(row: np.ndarray, n_features: int, hidden: int) -> np.ndarray:
    """Reorder a row to torch's order.

    The given row is in the order used here.
    """
    pieces = split(row[None], shapes(n_features, hidden))
    return np.concatenate([_regated(piece[0].T, hidden).ravel() for piece in pieces])


def shapes(n_features: int, hidden: int) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays in a row.

    They are in the order that the module's docstring describes, with the gates side by side.
    """
    gates = 4 * hidden
    cell1 = [(n_features, gates), (hidden, gates), (gates,), (gates,)]
    cell2 = [(hidden, gates), (hidden, gates), (gates,), (gates,)]
    return [*cell1, *cell2, (hidden, 1), (1,)]


def _torch_shapes(n_features: int, hidden: int) -> list[tuple[int, ...]]:
    return [shape[::-1] for shape in shapes(n_features, hidden)]


def split(rows: np.ndarray, parts: list[tuple[int, ...]]) -> list[np.ndarray]:
    """View rows of parameters as arrays.

    `rows` are (assets, size), and `parts` are the shapes of the arrays in one row. Each array has a leading
    axis of assets.
    """
    sizes = [math.prod(shape) for shape in parts]
    stops = itertools.accumulate(sizes)
    return [
        rows[:, stop - size : stop].reshape(len(rows), *shape)
        for stop, size, shape in zip(stops, sizes, parts, strict=True)
    ]


def _regated(array: np.ndarray, hidden: int) -> np.ndarray:
    """Swap the last two gates along the first axis.

    This turns torch's order i, f, g, o into the order i, f, o, g used here, and back. An array without gates
    is returned as it is.
    """
    if len(array) != 4 * hidden:
        return array
    return array.reshape(4, hidden, -1)[[0, 1, 3, 2]].reshape(array.shape)


@one_thread
def outputs(parameters: np.ndarray, x: np.ndarray, hidden: int) -> np.ndarray:
    """Compute the outputs (assets, time) of the networks.

    `x` is (assets, time, feature), and the outputs are float32. Each network starts from a zero state.
    """
    return _forward(parameters, x, hidden)[0]


def loss_and_gradient(
    parameters: np.ndarray, x: np.ndarray, y: np.ndarray, hidden: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean squared errors and their gradient.

    The errors (assets,) are means over all days. The gradient is by `parameters` and has their shape.

    Repeated calls belong under one `one_thread`, whose cost is that of several steps.
    """
    out, h1, layer1, h2, layer2, top, w_ih2, w = _forward(parameters, x, hidden)
    error = out - y
    gradient = np.empty_like(parameters)
    *cells, d_w, d_b = split(gradient, shapes(x.shape[2], hidden))

    d_out = error * np.float32(2 / x.shape[1])
    np.matmul(top.swapaxes(1, 2), d_out[:, :, None], out=d_w)
    d_b[:, 0] = d_out.sum(axis=1)
    dz = recurrent.lstm_back(d_out.T[:, :, None] * w[:, :, 0], *layer2)
    _accumulate(dz, by_sequence(h1[1:]), h2, *cells[4:])
    dz = recurrent.lstm_back(recurrent.product(dz, w_ih2.swapaxes(1, 2)), *layer1)
    _accumulate(dz, x, h1, *cells[:4])
    return (error * error).mean(axis=1), gradient


def _forward(parameters: np.ndarray, x: np.ndarray, hidden: int) -> tuple:
    """Compute the outputs (assets, time) with intermediate values.

    `loss_and_gradient` needs the intermediate values again.
    """
    w_ih1, w_hh1, b_ih1, b_hh1, w_ih2, w_hh2, b_ih2, b_hh2, w, b = split(
        parameters, shapes(x.shape[2], hidden)
    )
    h1, *kept1 = recurrent.lstm(x, w_ih1, w_hh1, b_ih1 + b_hh1)
    h2, *kept2 = recurrent.lstm(by_sequence(h1[1:]), w_ih2, w_hh2, b_ih2 + b_hh2)
    top = recurrent.contiguous(h2[1:])
    out = (top @ w)[:, :, 0] + b
    return out, h1, (w_hh1, *kept1), h2, (w_hh2, *kept2), top, w_ih2, w


def _accumulate(dz, x, h, d_ih, d_hh, d_b_ih, d_b_hh) -> None:
    """Compute the gradients of one layer's parameters.

    They are sums over the days, of the weights in one product each. They are written into the last four
    arguments.
    """
    np.matmul(x.swapaxes(1, 2), dz, out=d_ih)
    np.matmul(by_sequence(h[:-1]).swapaxes(1, 2), dz, out=d_hh)
    d_b_ih[:] = d_b_hh[:] = dz.sum(axis=1)


def is_published_network(strategy: "Parameters") -> bool:
    """Return True if the strategy's model is this network.

    The network of this module is the published one. The check needs no torch. If the network was edited, a
    line on stderr reports once that it trains in torch.
    """
    if strategy.model != "LSTM":
        return False
    if not _registered_is_published():
        report_torch("LSTM was edited or replaced: it")
        return False
    return True


def _registered_is_published() -> bool:
    """Return True if the registered class is as published.

    This is the class `LSTM` that would train in torch. It is in memory once `lib.model` is imported, and
    counts with its source at that time. Before, the source in the file counts.
    """
    module = sys.modules.get("lib.model")
    if module is None:
        return source_is_published(MODEL_FILE.read_text(encoding="utf-8"))
    registered = module.model.get("LSTM")
    methods = [value for value in getattr(registered, "__dict__", {}).values() if inspect.isfunction(value)]
    unchanged = all(method.__module__ == "lib.model" for method in (registered, *methods))
    return unchanged and source_is_published(registered_source(registered))


@functools.cache
def report_torch(name: str) -> None:
    """Report on stderr that a model trains in torch.

    Each model is reported once.
    """
    print(
        f"Model {name} trains in torch, not on the fast path of the published LSTM.",
        file=sys.stderr,
        flush=True,
    )


@functools.lru_cache(maxsize=8)
def source_is_published(source: str) -> bool:
    """Return True if a source has the published class.

    Its class `LSTM` is compared. Comments, docstrings and type hints do not count.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "LSTM":
            for part in ast.walk(node):
                if isinstance(part, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(part) is not None:
                    part.body = part.body[1:]
                if isinstance(part, ast.FunctionDef):
                    part.returns = None
                if isinstance(part, ast.arg):
                    part.annotation = None
            return hashlib.sha256(ast.unparse(node).encode()).hexdigest() == PUBLISHED_CLASS
    return False
