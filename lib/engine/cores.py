"""Several cores for one training: parts of its assets in forked processes.

The steps of a recurrent network are too small for threads, which would wait for each other. A forked process
shares the data and the code at no cost; on systems without it everything runs in this process. A part has the
same result wherever it is computed.

What a new process costs is mostly copies of memory that it or this process then changes. Where trainings
follow each other, as in a multi-pass backtest, a process can be kept for the next one.
"""

import contextlib
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# Products of a parameter and a day that take about as long as starting a process and filling its memory
WORTH_A_PROCESS = 12_000_000
WORTH_STARTING = 3  # times as much work as to use a process that is kept
IDLE = 5.0  # seconds after which a process that is kept ends

_blas = ThreadpoolController().select(user_api="blas")
_kept: list["_Child"] = []
_last_kept = -math.inf  # time of the last call that keeps processes


def available() -> int:
    """Number of cores that a training may use: those of this process, at most numpy's limit of threads.

    Variables such as OMP_NUM_THREADS set that limit; workers of a comparison have a limit of one.
    """
    if sys.platform != "linux" or not hasattr(os, "fork"):
        return 1
    limit = max((library["num_threads"] for library in _blas.info()), default=1)
    return min(len(os.sched_getaffinity(0)), limit)


def fewest_rows(parameters: int, days: int) -> int:
    """Fewest models with so many parameters, trained on so many days, that are worth a process."""
    return max(1, -(-WORTH_A_PROCESS // max(1, parameters * days)))


def spread(
    function: Callable[..., list], *arrays: np.ndarray, at_once: int, at_least: int, keep: bool = False
) -> list:
    """Apply `function` to chunks of the arrays, on several cores if there are many, and chain the results.

    Parameters
    ----------
    function : callable
        Takes a chunk of each array and returns a list with an entry for each of its rows, which can be
        pickled.
    *arrays : np.ndarray, (assets, ...)
    at_once : int
        Most rows of a chunk; more would leave the processor's cache.
    at_least : int
        Fewest rows that are worth a process of their own.
    keep : bool
        Whether processes stay for a next call within `IDLE` seconds. `function` must then be one that can be
        pickled, and be free of the user's code: a kept process would not notice a change of it.
    """
    global _last_kept
    if keep:
        soon, _last_kept = time.monotonic() - _last_kept < IDLE, time.monotonic()
        at_least = -(-at_least // WORTH_STARTING) if soon else at_least
    parts = max(1, min(available(), len(arrays[0]) // at_least))
    here, *others = zip(*(np.array_split(array, parts) for array in arrays), strict=True)
    children = [_child_with((function, at_once, part), keep) for part in others]
    try:
        results = _in_chunks(function, at_once, here)
        for child in children:
            results += child.result()
    finally:
        for child in children:
            if keep and child.idle:
                _kept.append(child)
            else:
                child.end()
    return results


def _in_chunks(function: Callable[..., list], at_once: int, part: tuple) -> list:
    """The results of the part's rows, at most so many in a call."""
    chunks = max(1, -(-len(part[0]) // at_once))  # of equal size: a small one is hardly sooner done
    pieces = zip(*(np.array_split(array, chunks) for array in part), strict=True)
    return [result for piece in pieces for result in function(*piece)]


def _child_with(task: tuple, keep: bool) -> "_Child":
    """A process that computes the task: a kept one, if one lives."""
    while keep and _kept:
        child = _kept.pop()
        if child.takes(task):
            return child
        child.end()
    return _Child(task, keep)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.clear)  # they work for one process alone


class _Child:
    """A forked process that computes one part after another; if it is lost, the part is computed here."""

    def __init__(self, task: tuple, keep: bool):
        from multiprocessing import Pipe  # not needed on one core

        self.task, self.idle = task, False
        self.pipe, its_end = Pipe()
        with warnings.catch_warnings():
            # Python warns of forking with threads: the child only computes, and touches none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                self.process: int | None = os.fork()
            except OSError:  # no more processes, or no memory for one
                self.process = None
        if self.process == 0:
            self.pipe.close()
            self._serve(its_end, keep)
        its_end.close()

    def _serve(self, pipe: "Connection", keep: bool) -> None:
        """Answer until nothing more is asked, then end, without the clean-up that is the parent's."""
        code = 1
        try:
            pipe.send(_in_chunks(*self.task))
            while keep and pipe.poll(IDLE):
                pipe.send(_in_chunks(*pipe.recv()))
            code = 0
        finally:
            os._exit(code)

    def takes(self, task: tuple) -> bool:
        """Give it another task; whether it lives to take it."""
        self.task, self.idle = task, False
        try:
            self.pipe.send(task)
        except OSError:
            return False
        return True

    def result(self) -> list:
        """The answer to its last task."""
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            return _in_chunks(*self.task)
        self.idle = True
        return answer

    def end(self) -> None:
        """See that nothing is left of it, after an error too."""
        self.pipe.close()
        if self.process is None:
            return
        with contextlib.suppress(ChildProcessError):  # somebody else waited for it
            if os.waitpid(self.process, os.WNOHANG) == (0, 0):
                os.kill(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
