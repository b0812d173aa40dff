"""How do the parameters of the published LSTM lie in a row, and with which numbers do they start?

Torch's row holds, in the order in which torch draws them, W_ih, W_hh, b_ih, b_hh of the first layer, the same
of the second, then W and b of the linear layer, gates in the order i, f, g, o. The row of `lib.kernel` has
every weight transposed and the gates in the order i, f, o, g, the three sigmoids side by side.
"""

import numpy as np


def initial_parameters(n_features: int, hidden: int, seed: int) -> np.ndarray:
    """Torch's row of initial parameters, float32, equal to what torch draws after `torch.manual_seed(seed)`.

    Torch draws each uniformly in ±1/sqrt(hidden), from the Mersenne Twister, 24 bits a number.
    """
    size = sum(int(np.prod(shape)) for shape in shapes(n_features, hidden))
    bits = np.random.RandomState(seed).randint(0, 2**32, size, dtype=np.uint32) & np.uint32(2**24 - 1)
    bound = np.float64(np.float32(1 / np.sqrt(hidden)))  # torch multiplies and adds with one rounding
    return (bits * 2.0**-24 * (2 * bound) - bound).astype(np.float32)


def from_torch(row: np.ndarray, n_features: int, hidden: int) -> np.ndarray:
    """A row in torch's order as one in the kernel's."""
    pieces = split(row[None], _torch_shapes(n_features, hidden))
    return np.concatenate([_regated(piece[0], hidden).T.ravel() for piece in pieces])


def to_torch(row: np.ndarray, n_features: int, hidden: int) -> np.ndarray:
    """A row in the kernel's order as one in torch's."""
    pieces = split(row[None], shapes(n_features, hidden))
    return np.concatenate([_regated(piece[0].T, hidden).ravel() for piece in pieces])


def shapes(n_features: int, hidden: int) -> list[tuple[int, ...]]:
    """The arrays in a row of the kernel's order, in the order above, gates side by side."""
    gates = 4 * hidden
    cell1 = [(n_features, gates), (hidden, gates), (gates,), (gates,)]
    cell2 = [(hidden, gates), (hidden, gates), (gates,), (gates,)]
    return [*cell1, *cell2, (hidden, 1), (1,)]


def _torch_shapes(n_features: int, hidden: int) -> list[tuple[int, ...]]:
    return [shape[::-1] for shape in shapes(n_features, hidden)]


def split(rows: np.ndarray, parts: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Views of rows (assets, size) as arrays of these shapes, each with a leading axis of assets."""
    stops = np.cumsum([np.prod(shape) for shape in parts], dtype=int)[:-1]
    pieces = np.split(rows, stops, axis=1)
    return [piece.reshape(len(rows), *shape) for piece, shape in zip(pieces, parts, strict=True)]


def _regated(array: np.ndarray, hidden: int) -> np.ndarray:
    """Gates along the first axis from the order i, f, g, o to i, f, o, g; the exchange undoes itself."""
    if len(array) != 4 * hidden:
        return array
    return array.reshape(4, hidden, -1)[[0, 1, 3, 2]].reshape(array.shape)
