"""The processes that do the work, on this machine or on a running cluster, through joblib."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import cloudpickle
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor

from lib.common.errors import suggest

BACKENDS = ("loky", "threading", "dask")


class NotPicklableError(TypeError):
    """A function that cannot be sent to another process."""


def pack(function: Callable, *arguments: Any) -> bytes:
    """A call as bytes, which a worker unpacks; functions of a notebook or a script are sent with their code.

    Raises
    ------
    NotPicklableError
        The message says how to change the function.
    """
    try:
        return cloudpickle.dumps((function, arguments))
    except Exception as error:  # pickling runs code of whatever is pickled
        raise NotPicklableError(
            f"a function among the parameters cannot be sent to a worker ({error}): it must not hold files, "
            "locks or generators; make them inside the function."
        ) from error


def check_backend(backend: str = "loky", scheduler: str | None = None, **_: Any) -> None:
    """Refuse an unknown backend, and a scheduler where none is used, with a ValueError."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}: {suggest(backend, BACKENDS)}")
    if scheduler and backend != "dask":
        raise ValueError(f"a scheduler is for the backend dask, not for {backend!r}.")


def run_all(
    jobs: Mapping[str, bytes], workers: int | None = None, backend: str = "loky", scheduler: str | None = None
) -> Generator[tuple[str, Any, str], None, None]:
    """Run packed calls in parallel, and yield each answer as it comes.

    Parameters
    ----------
    jobs : mapping of name to bytes
        What `pack` returned.
    workers : int, optional
        Calls at once; default: one per core, or all of the cluster. On this machine each is a process of its
        own with one thread; even a single one, so that what crashes in it does not end the comparison.
    backend : "loky" (processes of this machine), "threading" or "dask"
    scheduler : str, optional
        Address of the Dask cluster.

    Yields
    ------
    name, answer, message
        A worker that dies (killed, out of memory) costs its own call only: the answer is then None, and
        `message` says what happened. Calls that other workers had begun are repeated one by one.
    """
    with _configured(backend, scheduler):
        local = backend == "loky"
        count = workers or (cpu_count() if local else -1)
        left = dict(jobs)
        while left:
            try:
                for name, answer in _answers(left, count, local):
                    del left[name]
                    yield name, answer, ""
            except Exception:  # whatever a backend raises when a worker is lost; a call itself raises nothing
                for name in list(left)[: 2 * max(count, 1)]:
                    message, answer = "", None
                    try:
                        ((_, answer),) = _answers({name: left[name]}, 1, local)
                    except Exception as error:
                        message = f"its worker died: {type(error).__name__}: {error}".splitlines()[0]
                    del left[name]
                    yield name, answer, message


def _answers(jobs: Mapping[str, bytes], workers: int, local: bool) -> Iterator[tuple[str, Any]]:
    call = _caller()
    calls = [delayed(call)(name, blob) for name, blob in jobs.items()]
    # One worker: joblib would run the calls in this process, to end with it. So two, with one call in hand.
    alone = local and workers == 1
    yield from Parallel(
        n_jobs=2 if alone else workers,
        batch_size=1,
        pre_dispatch=1 if alone else "2*n_jobs",
        return_as="generator_unordered",
    )(calls)


def _caller() -> Callable[[str, bytes], tuple[str, Any]]:
    """What a worker is sent; being local, with its code, so that what its imports print can be held back."""

    def call(name: str, blob: bytes) -> tuple[str, Any]:
        import contextlib
        import io
        import pickle
        import sys

        output, plain = io.StringIO(), contextlib.nullcontext()
        if "dask" in sys.modules:
            # On a worker of Dask xarray would guard even a file in memory by a lock of the cluster, and wait
            # for it forever.
            plain = sys.modules["dask"].config.set(scheduler="synchronous")
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                function, arguments = pickle.loads(blob)
            with plain:
                return name, function(*arguments)
        except (Exception, SystemExit) as error:
            return name, {"status": "failed", "message": f"{type(error).__name__}: {error}"}

    return call


@contextlib.contextmanager
def _configured(backend: str, scheduler: str | None) -> Iterator[None]:
    """The backend for the length of a `with`; workers of this machine begin anew, and end with it.

    Older ones would still have modules as they were before an edit, and another environment.
    """
    check_backend(backend, scheduler)
    if backend != "loky":
        with parallel_config(backend, **({"scheduler_host": scheduler} if scheduler else {})):
            yield
        return
    _end_workers()
    finished = False
    try:
        with parallel_config(backend, inner_max_num_threads=1):
            yield
        finished = True
    finally:
        _end_workers(kill=not finished)


def _end_workers(kill: bool = False) -> None:
    get_reusable_executor(max_workers=1, reuse=True).shutdown(wait=True, kill_workers=kill)
