"""GRU and plain recurrent layers over time in numpy, in the manner of `lib.engine.recurrent`.

Sources: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder (GRU); Elman (1990),
Finding structure in time; Werbos (1990), Backpropagation through time.
"""

import itertools

import numpy as np

from lib.engine.recurrent import ONE, by_sequence, product


def gru(
    x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, bias: np.ndarray, b_hn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One GRU layer forward, gates in the order reset, update, candidate. `x` is (sequences, time, input).

    `b_hn` (sequences, hidden) is the recurrent bias of the candidate, which the reset gate multiplies; the
    other biases are in `bias`. Returns h (time + 1, sequences, hidden), which begins with the zero state; the
    gates (time, 3, sequences, hidden); the candidate's recurrent share (time, sequences, hidden).
    """
    (assets, days, _), hidden = x.shape, w_hh.shape[1]
    factors = np.repeat(np.array([-1, -1, 1], np.float32), hidden)
    share = product(x, w_ih * factors)
    share += bias * factors
    w_hh = w_hh * factors

    h = np.empty((days + 1, assets, hidden), np.float32)
    h[0] = 0
    steps = np.empty((days, 3, assets, hidden), np.float32)
    recalled = np.empty((days, assets, hidden), np.float32)
    z = np.empty((assets, 3 * hidden), np.float32)
    z_open, z_candidate = z[:, : 2 * hidden], z[:, 2 * hidden :]
    open_or_shut = np.empty((assets, 2 * hidden), np.float32)
    by_gate = open_or_shut.reshape(assets, 2, hidden).swapaxes(0, 1)
    part = np.empty((assets, hidden), np.float32)
    days_in_turn = zip(  # views of each day, as in `recurrent.lstm`
        *(h[:-1], h[:-1, :, None], share[:, :, : 2 * hidden], share[:, :, 2 * hidden :]),
        *(steps[:, :2], steps[:, 0], steps[:, 1], steps[:, 2], recalled, h[1:]),
        strict=True,
    )
    with np.errstate(over="ignore"):  # as in `recurrent.lstm`
        for before, row, x_open, x_candidate, gates, reset, update, candidate, recall, after in days_in_turn:
            np.matmul(row, w_hh, out=z[:, None])
            np.add(z_open, x_open, out=open_or_shut)
            np.exp(open_or_shut, out=open_or_shut)
            np.add(open_or_shut, ONE, out=open_or_shut)
            np.divide(ONE, by_gate, out=gates)
            np.add(z_candidate, b_hn, out=recall)
            np.multiply(reset, recall, out=part)
            np.add(part, x_candidate, out=candidate)
            np.tanh(candidate, out=candidate)
            # h = candidate + update · (h before - candidate)
            np.subtract(before, candidate, out=part)
            np.multiply(part, update, out=part)
            np.add(candidate, part, out=after)
    return h, steps, recalled


def gru_back(
    grad_h: np.ndarray, w_hh: np.ndarray, h: np.ndarray, steps: np.ndarray, recalled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One GRU layer backward, from `grad_h` (time, sequences, hidden) and what `gru` returned.

    Returns the gradients of the input's and of the recurrent share of the gates, both
    (sequences, time, 3 hidden).
    """
    days, assets, hidden = grad_h.shape
    reset, update, candidate = steps.swapaxes(0, 1)
    to_candidate = (1 - update) * (1 - candidate * candidate)
    # how the recurrent shares answer to the gradient of h, all days at once
    slope = np.empty((days, assets, 3, hidden), np.float32)
    np.multiply(to_candidate, reset, out=slope[:, :, 2])
    np.multiply(slope[:, :, 2], recalled * (1 - reset), out=slope[:, :, 0])
    np.multiply(h[:-1] - candidate, update * (1 - update), out=slope[:, :, 1])
    dh = grad_h.copy()  # completed from the last day to the first
    back = np.empty((assets, hidden, 1), np.float32)
    part = np.empty((assets, hidden), np.float32)
    back_h = back[:, :, 0]
    by_day = (slope, slope.reshape(days, assets, -1, 1), dh[:, :, None], dh, update)
    days_in_turn = zip(*(each[:0:-1] for each in by_day), dh[-2::-1], strict=True)
    for dz, dz_column, each_gate, now, update_now, earlier in days_in_turn:
        np.multiply(dz, each_gate, out=dz)
        np.matmul(w_hh, dz_column, out=back)
        np.multiply(now, update_now, out=part)
        np.add(part, back_h, out=part)
        np.add(earlier, part, out=earlier)
    np.multiply(slope[0], dh[0][:, None], out=slope[0])
    shares = slope.reshape(days, assets, -1)
    inputs = shares.copy()
    np.multiply(dh, to_candidate, out=inputs[:, :, 2 * hidden :])
    return by_sequence(inputs), by_sequence(shares)


def rnn(x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, bias: np.ndarray, relu: bool) -> np.ndarray:
    """One plain layer forward: h (time + 1, sequences, hidden), which begins with the zero state."""
    h = np.empty((x.shape[1] + 1, len(x), w_hh.shape[1]), np.float32)
    h[0] = 0
    np.add(product(x, w_ih), bias, out=h[1:])
    share = np.empty((len(x), 1, w_hh.shape[1]), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # relu has no bound: a loss that overflows is reported
        for before, now in itertools.pairwise(h):
            np.matmul(before[:, None], w_hh, out=share)
            np.add(now, share[:, 0], out=now)
            if relu:
                np.maximum(now, 0, out=now)
            else:
                np.tanh(now, out=now)
    return h


def rnn_back(grad_h: np.ndarray, w_hh: np.ndarray, h: np.ndarray, relu: bool) -> np.ndarray:
    """One plain layer backward: from `grad_h` to the share of the gates, (sequences, time, hidden)."""
    slope = (h[1:] > 0).astype(np.float32) if relu else 1 - h[1:] * h[1:]
    back = np.empty((*grad_h.shape[1:], 1), np.float32)
    dh = grad_h[-1].copy()
    for day in range(len(grad_h) - 1, -1, -1):
        dz = slope[day]
        np.multiply(dz, dh, out=dz)
        if day:
            np.matmul(w_hh, dz[:, :, None], out=back)
            np.add(back[:, :, 0], grad_h[day - 1], out=dh)
    return by_sequence(slope)
