"""Workers: processes of their own, of which one may die."""

import os
import threading

import psutil
import pytest

from lib.runs.workers import NotPicklableError, pack, run_all


@pytest.mark.parametrize("count", [1, 2])
def test_a_killed_worker_costs_its_own_call_only(count):
    def die_at_three(k):  # local, so that a worker need not import this module
        if k == 3:
            psutil.Process().kill()  # on every system
        return k, os.getpid(), os.environ.get("OMP_NUM_THREADS")

    jobs = {str(k): pack(die_at_three, k) for k in range(5)}
    answers = {name: (answer, message) for name, answer, message in run_all(jobs, count)}
    assert [answers[str(k)][0][0] for k in (0, 1, 2, 4)] == [0, 1, 2, 4]
    assert answers["3"][0] is None
    assert "its worker died: TerminatedWorkerError" in answers["3"][1]
    assert all(answer[1] != os.getpid() and answer[2] == "1" for answer, _ in answers.values() if answer)


def test_a_function_that_cannot_be_sent_is_refused():
    with pytest.raises(NotPicklableError, match="make them inside the function"):
        pack(threading.Lock().acquire)


def test_workers_of_an_earlier_call_are_not_used_again(monkeypatch):
    monkeypatch.setenv("COLOUR", "red")
    before = [answer for _, answer, _ in run_all({"a": pack(os.environ.get, "COLOUR")}, 2)]
    monkeypatch.setenv("COLOUR", "blue")
    assert before == ["red"]
    assert [answer for _, answer, _ in run_all({"a": pack(os.environ.get, "COLOUR")}, 2)] == ["blue"]


def test_an_unknown_backend_is_an_error():
    with pytest.raises(ValueError, match="backend is 'cloud': It can be: loky, threading, dask"):
        list(run_all({"a": pack(abs, 1)}, 2, "cloud"))


def test_a_scheduler_is_for_a_cluster():
    with pytest.raises(ValueError, match="a scheduler is for the backend dask, not for 'loky'"):
        list(run_all({"a": pack(abs, 1)}, 2, scheduler="tcp://there"))
