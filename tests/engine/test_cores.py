import os
import signal
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lib import Strategy
from lib.engine import cores, fast_lstm
from tests.systems import on_linux
from tests.trained import window

pytestmark = on_linux
ROWS = np.arange(10.0)


def squares(rows, doubled):
    return [(float(row) ** 2, os.getpid()) for row in rows]


def spread(function=squares, workers=2, at_once=3, at_least=3):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "available", lambda: workers)
        return cores.spread(function, ROWS, 2 * ROWS, at_once=at_once, at_least=at_least)


def test_results_come_in_order_from_processes_of_their_own():
    answers = spread()
    assert [square for square, _ in answers] == (ROWS**2).tolist()
    assert len({process for _, process in answers}) == 2
    assert answers[0][1] == os.getpid()


@pytest.mark.parametrize(("workers", "at_least"), [(1, 3), (2, 10), (2, 6)])
def test_one_core_or_few_rows_start_no_process(workers, at_least):
    assert {process for _, process in spread(workers=workers, at_least=at_least)} == {os.getpid()}


@pytest.mark.parametrize(("hidden", "parted"), [(34, 24), (64, 8)])
def test_a_larger_network_is_parted_among_cores_from_fewer_assets_on(hidden, parted):
    """Of 70 days. Measured: below these numbers a second process costs as much as it saves."""
    rows = cores.fewest_rows(fast_lstm.number_of_parameters(1, hidden), days=70)
    assert 2 * rows == parted


def test_no_call_has_more_rows_than_it_may():
    calls = []
    spread(lambda rows, doubled: calls.append(len(rows)) or squares(rows, doubled), workers=1)
    assert calls == [3, 3, 2, 2]


def test_a_child_that_is_killed_costs_nothing_but_time():
    parent = os.getpid()

    def dies_in_a_child(rows, doubled):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return squares(rows, doubled)

    assert spread(dies_in_a_child) == [(row**2, parent) for row in ROWS]


def test_an_error_in_a_child_is_raised_here():
    def fails_late(rows, doubled):
        if rows[-1] > 8:
            raise KeyError("late")
        return squares(rows, doubled)

    with pytest.raises(KeyError, match="late"):
        spread(fails_late)


def test_an_error_here_leaves_no_child_behind(monkeypatch):
    fork, children = os.fork, []
    monkeypatch.setattr(os, "fork", lambda: children.append(fork()) or children[-1])

    def fails_here(rows, doubled):
        if rows[0] == 0:
            raise KeyError("here")
        signal.pause()

    with pytest.raises(KeyError, match="here"):
        spread(fails_here)
    (child,) = children
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


def test_the_limit_of_threads_is_one_of_cores():
    with threadpool_limits(1, user_api="blas"):
        assert cores.available() == 1


@pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning")
@pytest.mark.parametrize("model", ["LSTM", "MLP"])
def test_a_training_has_the_same_bits_on_one_core_and_on_two(model, monkeypatch):
    from tests.engine.test_batched import Mlp

    chosen = model if model == "LSTM" else partial(Mlp, dropout=0.2)
    strategy = Strategy(top_assets=8, hidden_size=4, learning_rate=0.01, model=chosen)
    monkeypatch.setattr(cores, "WORTH_A_PROCESS", 1)
    answers = []
    for workers in (1, 2):
        monkeypatch.setattr(cores, "available", lambda workers=workers: workers)
        models = strategy.train_model(window(40))
        answers.append({asset: (fit.losses, fit.loss_after) for asset, fit in models.fits.items()})
    assert len(answers[0]) >= 5
    assert answers[0] == answers[1]
