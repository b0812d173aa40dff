"""Workers: processes of their own, of which one may die; threads that keep their output apart."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from joblib import Parallel, delayed

from lib.runs import workers
from lib.runs.workers import (
    NotPicklableError,
    captured_output,
    check_backend,
    pack,
    run_all,
    single_torch_thread,
)
from tests.processes import PROJECT
from tests.switches import long
from tests.systems import needs_fork


@long
@pytest.mark.parametrize("count", [pytest.param(1, marks=long), 2])
def test_a_killed_worker_costs_its_own_call_only(count):
    """Ctrl-C reaches no worker, not even one that is importing: it goes to a whole group of processes."""

    def stops_blocked():
        return not hasattr(signal, "pthread_sigmask") or bool(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def die_at_three(k):  # local, so that a worker need not import this module
        if k == 3:
            psutil.Process().kill()  # on every system
        return k, os.getpid(), os.environ.get("OMP_NUM_THREADS"), stops_blocked()

    jobs = {str(k): pack(die_at_three, k) for k in range(6)}
    answers = {name: (answer, message) for name, answer, message in run_all(jobs, count)}
    assert [answers[str(k)][0][0] for k in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
    assert answers["3"][0] is None
    assert "its worker died: TerminatedWorkerError" in answers["3"][1]
    assert all(answer[1] != os.getpid() and answer[2] == "1" for answer, _ in answers.values() if answer)
    assert all(answer[3] for answer, _ in answers.values() if answer)
    assert os.name == "nt" or not stops_blocked()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_call_that_fails_is_an_answer(backend):
    def fail(k):
        raise SystemExit(k) if k else KeyError("earnings")

    jobs = {str(k): pack(fail, k) for k in range(2)}
    answers = {name: answer for name, answer, _ in run_all(jobs, 2, backend)}
    assert answers == {
        "0": {"status": "failed", "message": "KeyError: 'earnings'"},
        "1": {"status": "failed", "message": "SystemExit: 1"},
    }


def test_a_function_that_cannot_be_sent_is_refused():
    with pytest.raises(NotPicklableError, match="make them inside the function"):
        pack(threading.Lock().acquire)


@long
def test_workers_of_an_earlier_call_are_not_used_again(monkeypatch):
    monkeypatch.setenv("COLOUR", "red")
    before = [answer for _, answer, _ in run_all({"a": pack(os.environ.get, "COLOUR")}, 2)]
    monkeypatch.setenv("COLOUR", "blue")
    assert before == ["red"]
    assert [answer for _, answer, _ in run_all({"a": pack(os.environ.get, "COLOUR")}, 2)] == ["blue"]


@long
def test_the_user_s_own_pool_stays():
    def pids():
        return set(Parallel(n_jobs=2, backend="loky")(delayed(os.getpid)() for _ in range(4)))

    pids()
    before = {process.pid for process in psutil.Process().children()}
    assert [answer for _, answer, _ in run_all({"a": pack(abs, -1)}, 1)] == [1]
    assert before <= {process.pid for process in psutil.Process().children()}
    assert pids() <= before


PARENT = """
import signal, sys
from lib.runs.workers import pack, run_all

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests themselves run under nohup

def work(folder, k):
    import os, pathlib, time
    pathlib.Path(folder, str(os.getpid())).touch()
    time.sleep(600)

list(run_all({str(k): pack(work, sys.argv[1], k) for k in range(2)}, 2))
"""


@needs_fork
@long
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGHUP"])
def test_workers_end_with_their_parent(number, tmp_path):
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stderr=subprocess.DEVNULL,
    )
    try:
        while len(list(tmp_path.iterdir())) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        workers = [psutil.Process(int(path.name)) for path in tmp_path.iterdir()]
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(getattr(signal, number))
        process.wait(60)
        _, alive = psutil.wait_procs({*workers, *children}, timeout=60)
        assert alive == []
    finally:
        process.kill()
        process.wait()


def test_a_generator_that_is_closed_ends_its_workers():
    def pid_then_sleep(k):
        import os
        import time

        time.sleep(600 * k)
        return os.getpid()

    answers = run_all({str(k): pack(pid_then_sleep, k) for k in range(2)}, 2)
    _, pid, _ = next(answers)
    answers.close()
    assert not psutil.pid_exists(pid)


def test_an_unknown_backend_is_an_error():
    with pytest.raises(ValueError, match="backend is 'cloud': It can be: loky, threading, dask"):
        list(run_all({"a": pack(abs, 1)}, 2, "cloud"))


def test_a_scheduler_is_for_a_cluster():
    with pytest.raises(ValueError, match="a scheduler is for the backend dask, not for 'loky'"):
        list(run_all({"a": pack(abs, 1)}, 2, scheduler="tcp://there"))


@pytest.mark.parametrize("workers", [0, -2, 1.5, True, "2"])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    with pytest.raises((ValueError, TypeError), match="workers is"):
        check_backend(workers=workers)


def test_a_wrong_number_of_cores_in_the_environment_ends_in_a_sentence(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "x")
    with pytest.raises(ValueError, match="LOKY_MAX_CPU_COUNT is 'x': it must be a whole number from 1 on"):
        check_backend()
    check_backend(workers=2)
    assert [answer for _, answer, _ in run_all({"a": pack(abs, -1)}, 1)] == [1]


def test_threads_keep_their_output_apart_and_leave_stdout_as_it_was(capsys):
    """The second begins before the first ends, and ends after it."""
    before, texts = (sys.stdout, sys.stderr), {}
    entered, left = threading.Barrier(3), [threading.Event(), threading.Event()]

    def work(number):
        with captured_output() as output:
            entered.wait()
            print(f"thread {number}")
            print(f"error {number}", file=sys.stderr)
            left[number].wait()
        texts[number] = output.getvalue()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    entered.wait()
    print("main")
    for number, thread in enumerate(threads):
        left[number].set()
        thread.join()
    assert texts == {number: f"thread {number}\nerror {number}\n" for number in range(2)}
    assert (sys.stdout, sys.stderr) == before
    print("after")
    assert capsys.readouterr().out == "main\nafter\n"


def test_captured_output_nests_and_covers_threads_of_the_main_thread(capsys):
    with captured_output() as outer:
        print("one")
        with captured_output() as inner:
            print("two")
        thread = threading.Thread(target=print, args=("three",))
        thread.start()
        thread.join()
    assert (outer.getvalue(), inner.getvalue()) == ("one\nthree\n", "two\n")
    with pytest.raises(ZeroDivisionError), captured_output():
        print(1 / 0)
    print("after")
    assert capsys.readouterr().out == "after\n"


def test_the_number_of_torch_threads_is_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with single_torch_thread(used=True), single_torch_thread(used=True):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with single_torch_thread(used=False):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_redirect_of_the_whole_process_is_left_where_threads_may_run():
    """`contextlib.redirect_stdout` in several threads loses stdout for good."""
    for folder in ("runs", "compare", "contest"):
        for path in (Path(PROJECT) / "lib" / folder).glob("*.py"):
            text = path.read_text("utf-8")
            assert path.name == "workers.py" or "redirect_std" not in text, path


def ended(error=None):
    """A call that has ended already."""
    future = Future()
    future.set_exception(error) if error else future.set_result("an answer")
    return future


def test_no_more_calls_than_allowed_are_under_way():
    begun, most = [], []

    def submit(name, blob):
        begun.append(Future())
        waiting = sum(not future.done() for future in begun)
        most.append(waiting)
        if waiting == 2:
            begun[-1].set_result(name)
        return begun[-1]

    answers = workers._answers(dict.fromkeys("abcde", b""), submit, 2)
    assert [next(answers)[0] for _ in range(4)] == list("bcde")
    assert max(most) == 2


def test_answers_come_before_the_error_that_ends_the_calls():
    kinds = {name: ended(KeyError(name) if name in "bd" else None) for name in "abcdef"}
    found = list(workers._answers(dict.fromkeys("abcdef", b""), lambda name, _: kinds[name], 6))
    assert {name for name, *_ in found[:4]} == set("acef")
    assert [type(error) for *_, error in found] == [type(None)] * 4 + [KeyError] * 2


def test_threads_begin_no_further_call_where_the_caller_stops():
    with suppress(KeyError), workers._executor("threading", None, 2) as (submit, _):
        calls = [submit("", pack(time.sleep, 0.2)) for _ in range(6)]
        raise KeyError
    assert [call.cancelled() for call in calls] == [False] * 2 + [True] * 4
