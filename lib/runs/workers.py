"""Workers: parallel calls in processes, threads or on a Dask cluster."""

import contextlib
import io
import itertools
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import cloudpickle
from joblib import cpu_count
from joblib.externals.loky.process_executor import ProcessPoolExecutor

from lib.common.errors import UserError, WrongTypeError, WrongValueError, suggest

BACKENDS = ("loky", "threading", "dask")
SINGLE_THREAD = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA", "NUMEXPR")  # *_NUM_THREADS
Submit = Callable[[str, bytes], "Future[Any]"]


class NotPicklableError(UserError, TypeError):
    """A function that cannot be sent to another process."""


def pack(function: Callable, *arguments: Any) -> bytes:
    """Return a call as bytes for a worker.

    Functions of a notebook are sent with their code.

    Raises
    ------
    NotPicklableError
        The message advises how to change the function.
    """
    try:
        return cloudpickle.dumps((function, arguments))
    except Exception as error:  # pickling runs code of whatever is pickled
        raise NotPicklableError(
            f"a function among the parameters cannot be sent to a worker ({error}): it must not hold files, "
            "locks or generators; make them inside the function."
        ) from error


def check_backend(
    backend: str = "loky", scheduler: str | None = None, workers: int | None = None, **_: Any
) -> None:
    """Check the choice of backend, scheduler and workers.

    Raises
    ------
    WrongValueError, WrongTypeError
        An unknown backend, a scheduler that is not used, or a number of workers below 1.
    """
    if backend not in BACKENDS:
        raise WrongValueError(f"backend is {backend!r}: {suggest(backend, BACKENDS)}")
    if scheduler and backend != "dask":
        raise WrongValueError(f"a scheduler is for the backend dask, not for {backend!r}.")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int)):
        raise WrongTypeError(f"workers is {workers!r}: it must be a whole number from 1 on.")
    if workers is not None and workers < 1:
        raise WrongValueError(f"workers is {workers}: it must be 1 or more.")
    if workers is None and backend != "dask":
        default_workers()


def run_all(
    jobs: Mapping[str, bytes], workers: int | None = None, backend: str = "loky", scheduler: str | None = None
) -> Generator[tuple[str, Any, str], None, None]:
    """Run packed calls in parallel and yield their results.

    Each result is yielded as soon as it is there.

    Parameters
    ----------
    jobs : mapping of name to bytes
        From `pack`.
    workers : int, optional
        Calls at once; default: one per core, or all of the cluster. With "loky" each is a process of its own
        with one thread, even a single one, so that a crash in it does not end this process. Processes start
        with this call and end with it, or when this process is killed.
    backend : "loky" (processes of this machine), "threading" or "dask"
    scheduler : str, optional
        Address of the Dask cluster; default: the address of the client in use.

    Yields
    ------
    name, result, message
        A worker that dies (killed, out of memory) costs its own call only: the result is then None, and
        `message` describes the failure. Calls that other workers had begun are repeated one by one.
    """
    check_backend(backend, scheduler, workers)
    left = dict(jobs)
    while left:
        lost = []
        with _executor(backend, scheduler, workers) as (submit, at_once):
            for name, answer, error in _answers(left, submit, at_once or len(left)):
                if error is None:
                    del left[name]
                    yield name, answer, ""
                else:
                    lost.append(name)
        for name in lost:
            with _executor(backend, scheduler, 1) as (submit, _):
                ((_, answer, error),) = _answers({name: left.pop(name)}, submit, 1)
            failed = f"its worker died: {type(error).__name__}: {error}".splitlines()[0]
            yield name, answer, failed if error is not None else ""


def _answers(
    jobs: Mapping[str, bytes], submit: Submit, at_once: int
) -> Iterator[tuple[str, Any, BaseException | None]]:
    """Yield name, result and error of each call.

    They are yielded as the calls end. After an error no further call begins, and the calls that have not
    begun yield nothing.
    """
    waiting = iter(list(jobs.items()))  # a copy, since the caller removes finished jobs
    running: dict[Future[Any], str] = {}
    while True:
        for name, blob in itertools.islice(waiting, at_once - len(running)):
            try:
                running[submit(name, blob)] = name
            except Exception as lost:  # the processes of this pool are gone
                waiting = iter(())
                yield name, None, lost
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda each: each.exception() is not None):
            name, error = running.pop(future), future.exception()
            if error is not None:
                waiting = iter(())
            yield name, None if error else future.result(), error


@contextlib.contextmanager
def _executor(
    backend: str, scheduler: str | None, workers: int | None
) -> Iterator[tuple[Submit, int | None]]:
    """Provide a function that submits a packed call.

    The second value is the number of calls to submit at once, None for no limit.
    """
    call, finished = _caller(), False
    if backend == "dask":
        executor, close = _on_cluster(scheduler)
        at_once = workers
    else:
        count = workers or default_workers()
        at_once = count + 1  # one in hand
        if backend == "threading" and count == 1:
            yield _in_this_thread, 1
            return
        executor = _processes(count) if backend == "loky" else ThreadPoolExecutor(count)
        close = contextlib.nullcontext()
    with close:
        try:

            def submit(_: str, blob: bytes) -> Any:
                with _without_interrupts() if backend == "loky" else contextlib.nullcontext():
                    return executor.submit(call, blob)  # the first calls start the workers

            yield submit, at_once
            finished = True
        finally:
            if backend == "loky":
                executor.shutdown(wait=True, kill_workers=not finished)
            elif backend == "dask":
                executor.shutdown(wait=finished)
            else:
                executor.shutdown(wait=finished, cancel_futures=True)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until after the block.

    Processes that start in the block never receive it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its own start would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which a new process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_this_thread(_: str, blob: bytes) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(_caller()(blob))
    return future


def _processes(count: int) -> ProcessPoolExecutor:
    """Return a pool of processes for `run_all`.

    The pool serves one call of it.
    """
    variables = {f"{name}_NUM_THREADS": "1" for name in SINGLE_THREAD} | {"VECLIB_MAXIMUM_THREADS": "1"}
    return ProcessPoolExecutor(count, env=variables, initializer=_starter(), initargs=(os.getpid(),))


def _on_cluster(scheduler: str | None) -> tuple[Any, contextlib.AbstractContextManager]:
    """Return an executor on a Dask cluster.

    The second value is a context that closes the connection.
    """
    try:
        from distributed import Client, get_client
    except ImportError as error:
        raise WrongValueError("the backend dask needs the package distributed: install it.") from error
    if scheduler:
        client = Client(scheduler, set_as_default=False)
        return _Cluster(client), client
    try:
        return _Cluster(get_client()), contextlib.nullcontext()
    except ValueError as error:
        raise WrongValueError(
            "the backend dask needs the address of a running cluster: give it as the scheduler."
        ) from error


class _Cluster:
    """The executor of a Dask client.

    It omits the client's warning about large calls.
    """

    def __init__(self, client: Any):
        self._executor = client.get_executor(pure=False)  # a call that is repeated runs again
        self.shutdown = self._executor.shutdown

    def submit(self, function: Callable, blob: bytes) -> "Future[Any]":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._executor.submit(function, blob)


def default_workers() -> int:
    """Return the number of usable cores.

    Raises
    ------
    WrongValueError
        The environment variable LOKY_MAX_CPU_COUNT is no number.
    """
    try:
        return cpu_count()
    except ValueError as error:
        value = os.environ.get("LOKY_MAX_CPU_COUNT")
        raise WrongValueError(
            f"the environment variable LOKY_MAX_CPU_COUNT is {value!r}: it must be a whole number from 1 on."
        ) from error


def _starter() -> Callable[[int], None]:
    """Return the function that initialises a worker process.

    It is local, so that it is sent with its code and imports nothing of lib.
    """

    def start(parent: int) -> None:
        import contextlib
        import os
        import signal
        import sys
        import threading
        import time

        def end_with_parent() -> None:
            if sys.platform == "win32":
                import psutil

                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(parent).wait()
            else:
                while os.getppid() == parent:
                    time.sleep(0.2)
            os._exit(1)

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
        threading.Thread(target=end_with_parent, daemon=True).start()

    return start


def _caller() -> Callable[[bytes], Any]:
    """Return the function that runs a worker's call.

    It is local, so that it is sent with its code; it silences its imports.
    """

    def call(blob: bytes) -> Any:
        import contextlib
        import io
        import pickle
        import sys
        import threading

        plain = contextlib.ExitStack()
        if "dask" in sys.modules:
            # On a worker of Dask xarray would guard even a file in memory by a lock of the cluster, and wait
            # for it forever.
            plain.enter_context(sys.modules["dask"].config.set(scheduler="synchronous"))
        try:
            with plain:
                with contextlib.ExitStack() as quiet:
                    if threading.current_thread() is threading.main_thread():  # else others would be silenced
                        quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
                        quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
                    function, arguments = pickle.loads(blob)
                return function(*arguments)
        except (Exception, SystemExit) as error:
            return {"status": "failed", "message": f"{type(error).__name__}: {error}"}

    return call


class _Routed(io.TextIOBase):
    """A stream that routes text by thread.

    The text of a thread goes to the capture of that thread, else to the original stream.
    """

    def __init__(self, name: str, original: Any):
        self.name, self.original = name, original
        self.targets: dict[int, list[io.StringIO]] = {}

    def _target(self) -> Any:
        main = self.targets.get(threading.main_thread().ident or 0)
        own = (
            self.targets.get(threading.get_ident()) or main
        )  # threads of a captured main thread are captured
        return own[-1] if own else self.original

    def write(self, text: str) -> int:
        target = self._target()
        return len(text) if target is None else target.write(text)

    def flush(self) -> None:
        target = self._target()
        if target is not None:
            target.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)


_capturing = threading.RLock()


@contextlib.contextmanager
def captured_output() -> Iterator[io.StringIO]:
    """Capture this thread's output on stdout and stderr.

    Unlike `contextlib.redirect_stdout`, threads do not capture or lose each other's output.
    """
    output, thread = io.StringIO(), threading.get_ident()
    streams = []
    with _capturing:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if not isinstance(stream, _Routed):
                stream = _Routed(name, stream)
                setattr(sys, name, stream)
            stream.targets.setdefault(thread, []).append(output)
            streams.append(stream)
    try:
        yield output
    finally:
        with _capturing:
            for stream in streams:
                stream.targets[thread].remove(output)
                if not stream.targets[thread]:
                    del stream.targets[thread]
                if not stream.targets and getattr(sys, stream.name) is stream:
                    setattr(sys, stream.name, stream.original)


_torch_calls: list[int] = []  # the numbers of threads before each call that runs with one thread


@contextlib.contextmanager
def single_torch_thread(used: bool) -> Iterator[None]:
    """Limit torch to one thread if it is `used`.

    Other calls occupy the other cores. The number of threads before the first of several simultaneous calls
    is restored.
    """
    if not used:
        yield
        return
    import torch

    with _capturing:
        _torch_calls.append(torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _capturing:
            torch.set_num_threads(_torch_calls[0])
            _torch_calls.pop()
