"""Recurrent layers over time in numpy, forward and backward, for many sequences at once.

Every layer starts from a zero state. A sequence has its own recurrent weights `w_hh` (sequences, hidden,
gates · hidden). Arrays over time have time in front, so that a step works on one piece of memory; `gates`
(time, gates, sequences, hidden) hold the share of the input and of the biases, and in place the activations
after it. All are float32.

Sources: Hochreiter and Schmidhuber (1997), Long Short-Term Memory; Cho et al. (2014), Learning phrase
representations using RNN encoder-decoder (GRU); Elman (1990), Finding structure in time; Werbos (1990),
Backpropagation through time.
"""

import numpy as np


def swapped(array: np.ndarray) -> np.ndarray:
    """The first two axes exchanged, in one piece of memory."""
    return np.ascontiguousarray(array.swapaxes(0, 1))


def lstm(gates: np.ndarray, w_hh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    return swapped(h), c, tanh_c


def lstm_back(
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
    return swapped(slope).reshape(assets, days, -1)


def gru(gates: np.ndarray, w_hh: np.ndarray, b_hn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One GRU layer forward. `gates` (time, 3, sequences, hidden): reset, update, candidate.

    `b_hn` (sequences, hidden) is the recurrent bias of the candidate, which the reset gate multiplies; the
    other biases are part of `gates`. Returns h (time, sequences, hidden) and the candidate's recurrent share,
    of the same shape.
    """
    days, _, assets, hidden = gates.shape
    h, recalled = np.empty((2, days, assets, hidden), np.float32)
    gates[:, :2] *= 0.5  # sigmoid(z) = (1 + tanh(z / 2)) / 2
    w_hh = w_hh * np.repeat(np.array([0.5, 0.5, 1], np.float32), hidden)
    product = np.empty((assets, 1, 3 * hidden), np.float32)
    recurrent = product.reshape(assets, 3, hidden).swapaxes(0, 1)
    part = np.empty((assets, hidden), np.float32)
    for day in range(days):
        z = gates[day]
        sigmoids, candidate = z[:2], z[2]
        if day:
            np.matmul(h[day - 1, :, None], w_hh, out=product)
            sigmoids += recurrent[:2]
            np.add(recurrent[2], b_hn, out=recalled[day])
        else:
            recalled[0] = b_hn
        np.tanh(sigmoids, out=sigmoids)
        sigmoids *= 0.5
        sigmoids += 0.5
        np.multiply(sigmoids[0], recalled[day], out=part)
        candidate += part
        np.tanh(candidate, out=candidate)
        # h = candidate + update · (h before - candidate)
        np.subtract(h[day - 1] if day else np.float32(0), candidate, out=part)
        part *= sigmoids[1]
        np.add(candidate, part, out=h[day])
    return h, recalled


def gru_back(
    grad_h: np.ndarray, gates: np.ndarray, h: np.ndarray, recalled: np.ndarray, w_hh: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One GRU layer backward, from `grad_h` (time, sequences, hidden).

    Returns the gradients of the input's and of the recurrent share of the gates, both
    (sequences, time, 3 hidden).
    """
    days, _, assets, hidden = gates.shape
    reset, update, candidate = gates.swapaxes(0, 1)
    before = np.concatenate([np.zeros((1, assets, hidden), np.float32), h[:-1]])
    to_candidate = (1 - update) * (1 - candidate * candidate)
    # how the recurrent shares answer to the gradient of h, all days at once
    slope = np.empty((days, assets, 3, hidden), np.float32)
    np.multiply(to_candidate, reset, out=slope[:, :, 2])
    np.multiply(slope[:, :, 2], recalled * (1 - reset), out=slope[:, :, 0])
    np.multiply(before - candidate, update * (1 - update), out=slope[:, :, 1])
    dh = grad_h.copy()  # completed from the last day to the first
    back = np.empty((assets, hidden, 1), np.float32)
    part = np.empty((assets, hidden), np.float32)
    for day in range(days - 1, -1, -1):
        dz = slope[day]
        dz *= dh[day][:, None]
        if day:
            np.matmul(w_hh, dz.reshape(assets, -1, 1), out=back)
            np.multiply(dh[day], update[day], out=part)
            part += back[:, :, 0]
            dh[day - 1] += part
    recurrent = swapped(slope).reshape(assets, days, -1)
    inputs = recurrent.copy()
    inputs[:, :, 2 * hidden :] = (dh * to_candidate).swapaxes(0, 1)
    return inputs, recurrent


def rnn(share: np.ndarray, w_hh: np.ndarray, relu: bool) -> np.ndarray:
    """One plain layer forward: h (time, sequences, hidden) from `share` of the same shape, in place."""
    product = np.empty((share.shape[1], 1, share.shape[2]), np.float32)
    for day, h in enumerate(share):
        if day:
            np.matmul(share[day - 1, :, None], w_hh, out=product)
            h += product[:, 0]
        if relu:
            np.maximum(h, 0, out=h)
        else:
            np.tanh(h, out=h)
    return share


def rnn_back(grad_h: np.ndarray, h: np.ndarray, w_hh: np.ndarray, relu: bool) -> np.ndarray:
    """One plain layer backward: from `grad_h` to the share of the gates, (sequences, time, hidden)."""
    slope = (h > 0).astype(np.float32) if relu else 1 - h * h
    back = np.empty((*h.shape[1:], 1), np.float32)
    dh = grad_h[-1].copy()
    for day in range(len(h) - 1, -1, -1):
        dz = slope[day]
        dz *= dh
        if day:
            np.matmul(w_hh, dz[:, :, None], out=back)
            np.add(back[:, :, 0], grad_h[day - 1], out=dh)
    return swapped(slope)
