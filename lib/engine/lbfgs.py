"""L-BFGS without line search on a numpy vector.

It takes the same steps as `torch.optim.LBFGS`. Torch's optimiser spends as much time on its bookkeeping as
`lstm` on its evaluations.

Source: Nocedal and Wright, Numerical Optimization, algorithm 7.4 (the two loops); constants and order of
tests from torch.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

# numbers of rows, rows (rows, size) -> losses (rows,), gradients (rows, size)
Evaluate = Callable[[Any, np.ndarray], tuple[np.ndarray, np.ndarray]]
# torch's defaults; its 25 evaluations are never reached without line search
MAX_ITERATIONS, HISTORY = 20, 100
TOLERANCE_GRADIENT, TOLERANCE_CHANGE, MIN_CURVATURE = 1e-7, 1e-9, 1e-10


class Lbfgs:
    """A minimisation by L-BFGS without line search.

    It takes losses and gradients and moves `x` until `done`.

    Parameters
    ----------
    x : np.ndarray, (size,), float32 or float64
        Starting point; moved in place.
    learning_rate : float
        Length of a step.
    epochs : int
        Number of calls of `torch.optim.LBFGS.step`: up to 20 iterations each, with one shared history.
    memory : np.ndarray, (2, capacity, size), optional
        Memory for the history, as `memory_for` gives it.
    """

    def __init__(
        self, x: np.ndarray, learning_rate: float, epochs: int = 1, memory: np.ndarray | None = None
    ):
        self.x, self.learning_rate, self.epochs = x, learning_rate, epochs
        self.history = History(memory_for(x[None], epochs)[0] if memory is None else memory)
        self.losses: list[float] = []
        self.gradient = self.step_taken = np.empty(0, x.dtype)
        self.iteration = 0  # within the epoch

    @property
    def done(self) -> bool:
        """Return True once the minimisation has ended."""
        return self.epochs == 0

    def step(self, loss: float, gradient: np.ndarray) -> None:
        """Move `x` by a loss and its gradient.

        `loss` and `gradient` (size,) are both at `x`. Where the minimisation has settled or does not descend,
        the step ends the epoch instead. `gradient` is kept, and must not be changed afterwards.
        """
        self.losses.append(float(loss))
        settled = self.iteration > 0 and (
            abs(self.losses[-1] - self.losses[-2]) < TOLERANCE_CHANGE
            or _within(self.step_taken, TOLERANCE_CHANGE)
        )
        if settled or _within(gradient, TOLERANCE_GRADIENT):
            self._next_epoch()
            return

        first = self.gradient.size == 0
        length = self.learning_rate
        if first:
            length *= min(1.0, 1 / float(np.abs(gradient).sum()))
            direction = -gradient
        else:
            self.history.add(self.step_taken, gradient - self.gradient)
            direction = self.history.direction(gradient)
        self.gradient = gradient
        descends = gradient @ direction <= -TOLERANCE_CHANGE
        self.step_taken = np.multiply(direction, length, out=direction)
        if not descends:
            self._next_epoch()
            return
        self.x += self.step_taken
        self.iteration += 1
        if self.iteration == MAX_ITERATIONS:
            self._next_epoch()

    def _next_epoch(self) -> None:
        self.iteration = 0
        self.epochs -= 1


class History:
    """The last steps with the changes of the gradient.

    They represent the inverse Hessian of L-BFGS.

    The two loops over the pairs, of which each step depends on the steps before, are solved for all pairs at
    once. With R the upper triangle of steps · changes, loop one is alpha = R⁻¹ (steps · gradient), loop two
    delta = R⁻ᵀ (diag(R) alpha + changes · direction). The pairs are then read in a few products, at the speed
    of memory. R⁻¹ grows by a column with each pair, and keeps its lower right part when the oldest pair
    leaves.
    """

    def __init__(self, memory: np.ndarray):
        self.steps, self.changes = memory
        self.inverse = np.zeros((len(self.steps), len(self.steps)))  # R⁻¹
        self.curvatures = np.empty(len(self.steps))  # diag(R)
        self.scale = memory.dtype.type(1)
        self.first = self.end = 0  # the pairs in use

    def __len__(self) -> int:
        """Return the number of pairs."""
        return self.end - self.first

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        """Keep a step with its change of the gradient.

        The pair is kept only where the function curves upwards along the step.
        """
        curvature = change @ step
        if not curvature > MIN_CURVATURE:
            return
        if len(self) == HISTORY:
            self.first += 1
        if self.end == len(self.steps):
            self._to_front()
        used, new = slice(self.first, self.end), self.end
        self.steps[new], self.changes[new], self.curvatures[new] = step, change, curvature
        self.inverse[used, new] = self.inverse[used, used] @ (self.steps[used] @ change) / -curvature
        self.inverse[new, new] = 1 / curvature
        self.scale = curvature / (change @ change)
        self.end += 1

    def _to_front(self) -> None:
        used = slice(self.first, self.end)
        self.first, self.end = 0, len(self)
        for kept in (self.steps, self.changes, self.curvatures):
            kept[: self.end] = kept[used].copy()
        self.inverse[: self.end, : self.end] = self.inverse[used, used].copy()

    def direction(self, gradient: np.ndarray) -> np.ndarray:
        """Compute the direction of descent at a gradient.

        The gradient is (size,). The result is -1 times the direction of algorithm 7.4.
        """
        used, dtype = slice(self.first, self.end), gradient.dtype
        steps, changes, inverse = self.steps[used], self.changes[used], self.inverse[used, used]
        alpha = inverse @ (steps @ gradient)
        direction = alpha.astype(dtype) @ changes
        direction -= gradient
        direction *= self.scale
        delta = (self.curvatures[used] * alpha + changes @ direction) @ inverse
        direction -= delta.astype(dtype) @ steps
        return direction


def memory_for(rows: np.ndarray, epochs: int) -> np.ndarray:
    """Allocate memory for the histories of rows.

    The rows are (rows, size). The memory is contiguous and has at least 33 MiB. The system gives so much in
    large pages. Unused memory costs nothing.
    """
    shape = len(rows), 2, min(MAX_ITERATIONS * epochs, HISTORY + MAX_ITERATIONS), rows.shape[1]
    size = math.prod(shape)
    return np.empty(max(size, 33 * 2**20 // rows.itemsize), rows.dtype)[:size].reshape(shape)


def _within(values: np.ndarray, limit: float) -> bool:
    """Return True if no absolute value exceeds the limit.

    The sum of squares mostly suffices for the comparison.
    """
    return not values @ values > 2 * values.size * limit**2 and bool(np.abs(values).max() <= limit)


def minimise(rows: np.ndarray, evaluate: Evaluate, learning_rate: float, epochs: int) -> list[list[float]]:
    """Minimise a function of each row in place.

    The rows are minimised side by side, and the losses before each step are returned. `evaluate` is called
    with the numbers of the rows that go on and these rows (rows, size), and returns their losses (rows,) and
    gradients (rows, size).
    """
    memory = memory_for(rows, epochs)
    runs = [Lbfgs(row, learning_rate, epochs, part) for row, part in zip(rows, memory, strict=True)]
    with np.errstate(all="ignore"):  # a minimisation that diverges is recognised by its loss
        while active := [k for k, run in enumerate(runs) if not run.done]:
            chosen = slice(None) if len(active) == len(runs) else active  # a slice takes no copy
            losses, gradients = evaluate(chosen, rows[chosen])
            for k, loss, gradient in zip(active, losses, gradients, strict=True):
                runs[k].step(loss, gradient)
    return [run.losses for run in runs]
