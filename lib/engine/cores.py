"""Several cores for one training: parts of its assets in forked processes.

The steps of a recurrent network are too small for threads, which would wait for each other. A forked process
shares the data at no cost and starts within milliseconds; on systems without it everything runs in this
process. A part has the same result wherever it is computed.
"""

import contextlib
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable

import numpy as np
from threadpoolctl import ThreadpoolController

# Products of a parameter and a day that take about as long as starting a process and filling its memory
WORTH_A_PROCESS = 12_000_000

_blas = ThreadpoolController().select(user_api="blas")


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


def spread(function: Callable[..., list], *arrays: np.ndarray, at_once: int, at_least: int) -> list:
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
    """

    def in_chunks(*part: np.ndarray) -> list:
        chunks = max(1, -(-len(part[0]) // at_once))  # of equal size: a small one is hardly sooner done
        pieces = zip(*(np.array_split(array, chunks) for array in part), strict=True)
        return [result for piece in pieces for result in function(*piece)]

    parts = max(1, min(available(), len(arrays[0]) // at_least))
    here, *others = zip(*(np.array_split(array, parts) for array in arrays), strict=True)
    children = [_Child(in_chunks, part) for part in others]
    try:
        results = in_chunks(*here)
        for child in children:
            results += child.result()
    finally:
        for child in children:
            child.end()
    return results


def _hold_more(pipe: int) -> None:
    """Let a child write its whole result and end while this process still computes; 64 KiB is the default."""
    import fcntl  # absent on Windows, where nothing is forked

    with contextlib.suppress(OSError):  # more than this user may have
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


class _Child:
    """A forked process that computes one part; if it is lost, the part is computed here."""

    def __init__(self, function: Callable[..., list], part: tuple):
        self.function, self.part = function, part
        self.reader, writer = os.pipe()
        _hold_more(writer)
        with warnings.catch_warnings():
            # Python warns of forking with threads: the child only computes, and touches none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process: int | None = os.fork()
        if self.process == 0:
            self._compute(writer)
        os.close(writer)

    def _compute(self, writer: int) -> None:
        """Write the result to the pipe and end this process, without the clean-up that is the parent's."""
        code = 1
        try:
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(self.function(*self.part), pipe, protocol=5)
            code = 0
        finally:
            os._exit(code)

    def result(self) -> list:
        with os.fdopen(self.reader, "rb") as pipe:
            content = pipe.read()
        self.reader = -1
        process, self.process = self.process, None
        _, status = os.waitpid(process or 0, 0)
        return pickle.loads(content) if status == 0 else self.function(*self.part)

    def end(self) -> None:
        """See that nothing is left of it, after an error too."""
        if self.reader >= 0:
            os.close(self.reader)
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
