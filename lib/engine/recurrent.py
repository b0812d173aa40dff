"""Recurrent layers in numpy, forward and backward, for many sequences.

Every layer starts from a zero state. A sequence has its own weights: `w_ih` (sequences, input, gates ·
hidden), `w_hh` (sequences, hidden, gates · hidden) and `bias` (sequences, gates · hidden). Input and
gradients of the gates are (sequences, time, ...) to the outside; in memory time is in front, so that a step
works on one piece, and the products of all days at once read and write it there. All are float32.

The sigmoid is 1 / (1 + exp(-z)), and the tanh of a gate is 2 / (1 + exp(-2z)) - 1: numpy's exp takes a
quarter of the time of its tanh. The factors -1 and -2 are part of the weights of a sweep.

Sources: Hochreiter and Schmidhuber (1997), Long Short-Term Memory; Cho et al. (2014), Learning phrase
representations using RNN encoder-decoder (GRU); Elman (1990), Finding structure in time; Werbos (1990),
Backpropagation through time.
"""

import itertools

import numpy as np

ONE = np.array(1, np.float32)  # an array, since a number would be converted in each step


def by_sequence(array: np.ndarray) -> np.ndarray:
    """Exchange the first two axes in a view.

    The axes are time and sequences, in either order.
    """
    return array.swapaxes(0, 1)


def contiguous(array: np.ndarray) -> np.ndarray:
    """Exchange the first two axes in contiguous memory.

    The values are as in `by_sequence`. In a view the distance between the rows grows with the number of
    sequences, and the bits of a product with one column depend on it.
    """
    return np.ascontiguousarray(by_sequence(array))


def product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Compute `x @ w` of all days at once.

    `x` is (sequences, time, ...). The result is (time, sequences, ...), with time in front in memory.
    """
    out = np.empty((x.shape[1], len(x), w.shape[2]), np.float32)
    np.matmul(x, w, out=by_sequence(out))
    return out


def lstm(
    x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute one LSTM layer forward.

    The gates are in the order i, f, o, g, and `x` is (sequences, time, input).

    The first result is h (time + 1, sequences, hidden), which begins with the zero state. The second has the
    gates and, fifth, the cell before the step, (time + 1, 5, sequences, hidden). The third is tanh of the
    cell (time, sequences, hidden).
    """
    (assets, days, _), hidden = x.shape, w_hh.shape[1]
    factors = np.repeat(np.array([-1, -1, -1, -2], np.float32), hidden)
    numerators = np.array([1, 1, 1, 2], np.float32)[:, None, None]
    share = product(x, w_ih * factors)
    share += bias * factors
    w_hh = w_hh * factors

    h = np.empty((days + 1, assets, hidden), np.float32)
    steps = np.empty((days + 1, 5, assets, hidden), np.float32)
    h[0] = steps[0, 4] = 0
    tanh_c = np.empty((days, assets, hidden), np.float32)
    z = np.empty((assets, 4 * hidden), np.float32)
    z_by_gate = z.reshape(assets, 4, hidden).swapaxes(0, 1)
    parts = np.empty((2, assets, hidden), np.float32)
    i_g, f_c = parts
    days_in_turn = zip(  # views of each day, made here since indexing costs a sixth of a step
        *(h[:-1, :, None], share, steps[:-1, :4], steps[:-1, 3], steps[:-1, :2], steps[:-1, 3:]),
        *(steps[:-1, 2], steps[1:, 4], tanh_c, h[1:]),
        strict=True,
    )
    with np.errstate(over="ignore"):  # exp of a gate that is as good as closed: 1 / inf = 0
        for h_before, from_x, gates, g, i_f, g_c, o, c, tanh_of_c, h_after in days_in_turn:
            np.matmul(h_before, w_hh, out=z[:, None])
            np.add(z, from_x, out=z)
            np.exp(z, out=z)
            np.add(z, ONE, out=z)
            np.divide(numerators, z_by_gate, out=gates)
            np.subtract(g, ONE, out=g)
            np.multiply(i_f, g_c, out=parts)  # i · g and f · the cell before
            np.add(i_g, f_c, out=c)
            np.tanh(c, out=tanh_of_c)
            np.multiply(o, tanh_of_c, out=h_after)
    return h, steps, tanh_c


def lstm_back(grad_h: np.ndarray, w_hh: np.ndarray, steps: np.ndarray, tanh_c: np.ndarray) -> np.ndarray:
    """Compute one LSTM layer backward.

    The gradient `grad_h` is (time, sequences, hidden). `steps` and `tanh_c` are results of `lstm`. The result
    is the gradient of the gates (sequences, time, 4 hidden).
    """
    days, assets, hidden = grad_h.shape
    i, f, o, g, before = steps[:-1].swapaxes(0, 1)
    # derivatives of i, f and g by the cell and of o by the output, all days at once
    slope = np.empty((days, assets, 4, hidden), np.float32)
    np.multiply(i - i * i, g, out=slope[:, :, 0])
    np.multiply(f - f * f, before, out=slope[:, :, 1])
    np.multiply(i, 1 - g * g, out=slope[:, :, 3])
    slope_o = (o - o * o) * tanh_c
    slope[:, :, 2] = 0
    to_cell = o * (1 - tanh_c * tanh_c)

    dh, dc, part = np.zeros((3, assets, hidden), np.float32)
    back = np.zeros((assets, hidden, 1), np.float32)
    back_h, each_gate = back[:, :, 0], dc[:, None]
    by_day = (grad_h, to_cell, slope, slope_o, slope[:, :, 2], slope.reshape(days, assets, -1, 1), f)
    for from_above, cell, dz, to_o, dz_o, dz_column, f_now in zip(*(a[::-1] for a in by_day), strict=True):
        np.add(back_h, from_above, out=dh)
        np.multiply(dh, cell, out=part)
        np.add(dc, part, out=dc)
        np.multiply(dz, each_gate, out=dz)
        np.multiply(to_o, dh, out=dz_o)
        np.matmul(w_hh, dz_column, out=back)
        np.multiply(dc, f_now, out=dc)
    return by_sequence(slope.reshape(days, assets, -1))


def gru(
    x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, bias: np.ndarray, b_hn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute one GRU layer forward.

    The gates are in the order reset, update, candidate, and `x` is (sequences, time, input). `b_hn`
    (sequences, hidden) is the recurrent bias of the candidate, which the reset gate multiplies; the other
    biases are in `bias`.

    The first result is h (time + 1, sequences, hidden), which begins with the zero state. The second has the
    gates (time, 3, sequences, hidden). The third is the candidate's recurrent share (time, sequences,
    hidden).
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
    days_in_turn = zip(  # views of each day, as in `lstm`
        *(h[:-1], h[:-1, :, None], share[:, :, : 2 * hidden], share[:, :, 2 * hidden :]),
        *(steps[:, :2], steps[:, 0], steps[:, 1], steps[:, 2], recalled, h[1:]),
        strict=True,
    )
    with np.errstate(over="ignore"):  # as in `lstm`
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
    """Compute one GRU layer backward.

    The gradient `grad_h` is (time, sequences, hidden). `h`, `steps` and `recalled` are the results of `gru`.
    The function returns the gradients of the input's and of the recurrent share of the gates, both
    (sequences, time, 3 hidden).
    """
    days, assets, hidden = grad_h.shape
    reset, update, candidate = steps.swapaxes(0, 1)
    to_candidate = (1 - update) * (1 - candidate * candidate)
    # derivative of the recurrent shares by h, all days at once
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
    """Compute one plain layer forward.

    The result is h (time + 1, sequences, hidden), which begins with the zero state.
    """
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
    """Compute one plain layer backward.

    The gradient `grad_h` is (time, sequences, hidden), and `h` is the result of `rnn`. The result is the
    gradient of the gates' share (sequences, time, hidden).
    """
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
