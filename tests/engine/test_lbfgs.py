import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lib.engine.lbfgs import History, Lbfgs, _within, memory_for, minimise
from tests.switches import ALL, LONG

# each from (size,) to a number; the last has its minimum at the start, the one before falls for ever
PROBLEMS = {
    "bowl": lambda x: ((x - 1) ** 2).sum(),
    "valley": lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(),
    "saturating": lambda x: torch.tanh(x).pow(2).sum() + 0.1 * torch.cos(3 * x).sum(),
    "slope": lambda x: x.sum(),
    "nearly flat": lambda x: 1e-9 * x.pow(2).sum(),
    "floor": lambda x: (x * 0).pow(2).sum(),
}


def with_torch(problem, start, learning_rate, epochs, history_size=100):
    x = torch.from_numpy(start.copy()).requires_grad_()
    optimiser, losses = torch.optim.LBFGS([x], lr=learning_rate, history_size=history_size), []

    def closure():
        optimiser.zero_grad()
        loss = problem(x)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(epochs):
        optimiser.step(closure)
    return x.detach().numpy(), losses


def with_ours(problem, start, learning_rate, epochs):
    run = Lbfgs(start.copy(), learning_rate, epochs)
    while not run.done:
        x = torch.from_numpy(run.x).requires_grad_()
        loss = problem(x)
        loss.backward()
        run.step(loss.item(), x.grad.numpy())
    return run.x, run.losses


@pytest.mark.parametrize("name", PROBLEMS)
@settings(max_examples=15 if ALL else 4 if LONG else 1, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    learning_rate=st.sampled_from([0.01, 0.08, 0.5]),
    epochs=st.integers(1, 6),
)
def test_it_takes_the_steps_that_torch_takes(name, seed, learning_rate, epochs):
    start = np.random.default_rng(seed).normal(0, 0.5, 6)
    expected, expected_losses = with_torch(PROBLEMS[name], start, learning_rate, epochs)
    assume(np.isfinite([*expected_losses, *expected]).all())
    x, losses = with_ours(PROBLEMS[name], start, learning_rate, epochs)
    assert len(losses) == len(expected_losses)
    assert np.allclose(losses, expected_losses, rtol=1e-6, atol=1e-9)
    assert np.allclose(x, expected, rtol=1e-6, atol=1e-9)


def test_a_loss_that_is_no_number_ends_it():
    run = Lbfgs(np.zeros(2, np.float32), 0.1)
    run.step(1.0, np.ones(2, np.float32))
    run.step(np.nan, np.full(2, np.nan, np.float32))
    assert run.done
    assert np.isfinite(run.x).all()


@pytest.mark.parametrize("pairs", [2, 5, 30])
def test_a_full_history_forgets_the_oldest_pair_as_torch_does(pairs, monkeypatch):
    """Three epochs, so that a short history moves to the front of its memory several times."""
    monkeypatch.setattr("lib.engine.lbfgs.HISTORY", pairs)
    start = np.random.default_rng(4).normal(0, 0.5, 6)
    expected = with_torch(PROBLEMS["valley"], start, 0.01, 3, history_size=pairs)
    x, losses = with_ours(PROBLEMS["valley"], start, 0.01, 3)
    assert len(losses) == 60
    assert np.allclose(losses, expected[1], rtol=1e-6, atol=1e-9)
    assert np.allclose(x, expected[0], rtol=1e-6, atol=1e-9)
    other = with_torch(PROBLEMS["valley"], start, 0.01, 3, history_size=1)
    assert not np.allclose(x, other[0], rtol=1e-6, atol=1e-9)


def test_the_history_is_bounded(monkeypatch):
    monkeypatch.setattr("lib.engine.lbfgs.HISTORY", 3)
    history = History(np.empty((2, 5, 4), np.float32))
    for k in range(1, 12):
        history.add(np.full(4, k, np.float32), np.full(4, 1, np.float32))
        assert len(history) == min(k, 3)
        assert history.steps[history.end - 1, 0] == k
    history.add(np.ones(4, np.float32), -np.ones(4, np.float32))  # no upward curvature
    assert history.steps[history.first, 0] == 9


def evaluations(loss, slope):
    """How often a minimisation of one epoch evaluates a function whose k-th loss and gradient are given."""
    run = Lbfgs(np.zeros(2), 0.5)
    while not run.done:
        k = len(run.losses)
        run.step(loss(k), np.full(2, slope(k)))
    return len(run.losses)


def test_a_loss_that_hardly_changes_ends_an_epoch():
    """Only the change of the loss is small: the gradient and the step are not."""
    assert evaluations(lambda k: 1.0 - 1e-10 * k, lambda k: 1.0 - 0.01 * k) == 2
    assert evaluations(lambda k: 1.0 - 1e-8 * k, lambda k: 1.0 - 0.01 * k) == 20


def test_a_tiny_step_ends_an_epoch():
    """Only the step is small: the gradient is above its limit, and the loss changes."""
    run = Lbfgs(np.zeros(2), 1e-9)
    run.step(1.0, np.full(2, 1.0))
    run.step(0.5, np.full(2, 1.0))
    assert run.done
    assert len(run.losses) == 2


def test_a_flat_gradient_ends_an_epoch():
    assert evaluations(lambda k: -1.0 * k, lambda k: 1e-8) == 1


def test_the_first_loss_of_an_epoch_is_not_compared_with_the_last_of_the_one_before():
    run = Lbfgs(np.zeros(2), 0.5, 2)
    for loss in (1.0, 1.0, 1.0):  # the second ends the first epoch
        run.step(loss, np.ones(2))
    assert not run.done
    run.step(1.0, np.ones(2))
    assert run.done


@pytest.mark.parametrize(("epochs", "pairs"), [(1, 20), (2, 40), (6, 120), (50, 120)])
def test_memory_holds_the_steps_of_all_epochs_up_to_its_limit(epochs, pairs):
    """Large pages are given to 33 MiB."""
    memory = memory_for(np.empty((3, 7), np.float32), epochs)
    assert memory.shape == (3, 2, pairs, 7)
    assert memory.dtype == np.float32
    assert memory.flags.c_contiguous
    assert memory.base.nbytes == 33 * 2**20


def test_rows_that_are_done_are_evaluated_no_more():
    """Each row moves as it does alone, in place."""
    centre, calls = np.array([[1.0, 2.0], [0.0, 0.0], [-3.0, 0.5]]), []

    def evaluate(active, rows):
        calls.append(active)
        error = rows - centre[active]
        return (error**4).sum(axis=1), 4 * error**3

    rows = np.zeros((3, 2))
    losses = minimise(rows, evaluate, 0.5, 1)
    assert calls[0] == slice(None)
    assert calls[1:] == [[0, 2]] * (len(calls) - 1)
    assert [len(each) for each in losses] == [20, 1, 20]
    for k in range(3):
        alone = Lbfgs(np.zeros(2), 0.5)
        while not alone.done:
            error = alone.x - centre[k]
            alone.step((error**4).sum(), 4 * error**3)
        assert alone.losses == losses[k]
        assert np.array_equal(alone.x, rows[k])


@pytest.mark.parametrize("slope", [0.25, 1.0, 8.0])
def test_the_first_step_is_as_long_as_the_learning_rate_at_most(slope):
    """It goes down the gradient, divided by the sum of its absolute values where that exceeds one."""
    run = Lbfgs(np.zeros(2), 0.5)
    run.step(1.0, np.array([slope, -slope]))
    size = 0.5 * slope * min(1, 1 / (2 * slope))
    assert run.x.tolist() == pytest.approx([-size, size])
    assert not run.done


@pytest.mark.parametrize(
    ("values", "limit", "within"),
    [
        ([1.0, -1.0], 1.0, True),
        ([1.0, -1.01], 1.0, False),
        ([0.0, 1.2], 1.0, False),  # though the sum of squares is small
        ([5.0, 0.0], 1.0, False),
        ([np.nan, 0.0], 1.0, False),
        ([np.inf, 0.0], 1.0, False),
    ],
)
def test_no_absolute_value_exceeds_the_limit(values, limit, within):
    assert _within(np.array(values), limit) is within
