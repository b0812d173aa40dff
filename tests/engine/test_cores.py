import os
import signal
import subprocess
import sys
import time
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
THIS_PROCESS = os.getpid()


def squares(rows, doubled):
    return [(float(row) ** 2, os.getpid()) for row in rows]


@pytest.fixture(autouse=True)
def _nothing_kept():
    yield
    while cores._kept:
        cores._kept.pop().end()


def spread(function=squares, workers=2, at_once=3, at_least=3, keep=False):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "available", lambda: workers)
        return cores.spread(function, ROWS, 2 * ROWS, at_once=at_once, at_least=at_least, keep=keep)


def fails_here(rows, doubled):
    if rows[0] == 0:
        raise KeyError("here")
    signal.pause()


def other_process(**how):
    """The process, other than this one, that had a part of the rows; the results are right."""
    answers = spread(**how)
    assert [square for square, _ in answers] == (ROWS**2).tolist()
    (other,) = {process for _, process in answers} - {os.getpid()}
    return other


def is_gone(process):
    """Whether a child of this process ends within ten seconds, without being told."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if os.waitpid(process, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    return False


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


def test_where_no_process_can_start_everything_is_computed_here(monkeypatch):
    def refuses():
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuses)
    assert spread(keep=True) == [(row**2, THIS_PROCESS) for row in ROWS]
    assert not cores._kept


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

    with pytest.raises(KeyError, match="here"):
        spread(fails_here)
    (child,) = children
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


def test_a_process_is_kept_for_the_next_call_if_asked():
    assert len({other_process(keep=True) for _ in range(3)}) == 1
    assert len({other_process() for _ in range(3)}) == 3


def test_with_processes_kept_fewer_rows_are_parted_but_not_at_first(monkeypatch):
    monkeypatch.setattr(cores, "_last_kept", -np.inf)
    few = {"at_least": 9, "keep": True}
    assert {process for _, process in spread(**few)} == {os.getpid()}
    assert other_process(**few) == other_process(**few)
    assert {process for _, process in spread(at_least=9)} == {os.getpid()}


def test_a_kept_process_ends_when_it_is_idle(monkeypatch):
    monkeypatch.setattr(cores, "IDLE", 0.05)
    ended = other_process(keep=True)
    (child,) = cores._kept
    assert is_gone(ended)
    assert other_process(keep=True) != ended
    assert child not in cores._kept


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_kept_process_that_is_killed_costs_nothing_but_time(when):
    killed = other_process(keep=True)
    if when == "before":
        os.kill(killed, signal.SIGKILL)
        time.sleep(0.05)
        assert [square for square, _ in spread(keep=True)] == (ROWS**2).tolist()
    else:
        assert {process for _, process in spread(kills_others, keep=True)} == {THIS_PROCESS}
    assert other_process(keep=True) != killed


def kills_others(rows, doubled):
    if os.getpid() != THIS_PROCESS:
        os.kill(os.getpid(), signal.SIGKILL)
    return squares(rows, doubled)


def test_a_process_with_an_answer_outstanding_is_not_kept():
    other_process(keep=True)
    (child,) = cores._kept
    with pytest.raises(KeyError, match="here"):
        spread(fails_here, keep=True)
    assert not cores._kept
    with pytest.raises(ChildProcessError):
        os.waitpid(child.process, os.WNOHANG)


def test_a_fork_of_this_process_does_not_use_what_this_one_keeps():
    kept = other_process(keep=True)
    forked = os.fork()
    if forked == 0:
        os._exit(0 if other_process(keep=True) != kept else 1)
    assert os.waitpid(forked, 0)[1] == 0
    assert other_process(keep=True) == kept


def test_what_a_process_keeps_ends_with_it():
    """After SIGKILL too, of which it is told by nothing but its pipe."""
    code = """
from tests.engine.test_cores import cores, other_process, os, signal
cores.IDLE = 600
other_process(keep=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    # ends when the last process that holds the output does
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr


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
