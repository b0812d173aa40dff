"""Who does the work? Processes of this machine, or a cluster that is there already; through joblib."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import cloudpickle
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor

Job = tuple[Callable, tuple]


class NotPicklableError(TypeError):
    """A function that cannot be sent to another process."""


def pack(function: Callable, *arguments: Any) -> bytes:
    """A call as bytes, which a worker unpacks; functions of a notebook or a script are sent with their code.

    Raises
    ------
    NotPicklableError
        With what is to be done.
    """
    try:
        return cloudpickle.dumps((function, arguments))
    except Exception as error:  # pickling runs code of whatever is pickled
        raise NotPicklableError(
            f"a function among the parameters cannot be sent to a worker ({error}): it must not hold files, "
            "locks or generators; make them inside the function."
        ) from error


def run_all(
    jobs: Mapping[str, bytes], workers: int | None = None, backend: str = "loky", scheduler: str | None = None
) -> Generator[tuple[str, Any, str], None, None]:
    """Do packed calls in parallel, and hand out each answer as it comes.

    Parameters
    ----------
    jobs : mapping of name to bytes
        What `pack` answered.
    workers : int, optional
        How many at once: default all cores, or all of the cluster. On this machine each is a process of its
        own with one thread; even a single one, so that what crashes in it does not end the comparison.
    backend : str
        "loky" (this machine), "dask", "ray", or another that joblib knows.
    scheduler : str, optional
        Address of the cluster.

    Yields
    ------
    name, answer, message
        A worker that dies (killed, out of memory) costs its own call only: the answer is then None, and
        `message` says what happened. Calls that were in its neighbours' hands are repeated one by one.
    """
    with _configured(backend, scheduler):
        local = backend == "loky"
        wanted = workers or (cpu_count() if local else -1)
        left = dict(jobs)
        while left:
            try:
                for name, answer in _answers(left, wanted, local):
                    del left[name]
                    yield name, answer, ""
            except Exception:  # whatever a backend raises when a worker is lost; a call itself raises nothing
                for name in list(left)[: 2 * max(wanted, 1)]:
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
    # One worker: joblib would run it in this process, to end with it. So two, with one call in hand.
    alone = local and workers == 1
    settings = {
        "n_jobs": 2 if alone else workers,
        "batch_size": 1,
        "pre_dispatch": 1 if alone else "2*n_jobs",
    }
    try:
        parallel = Parallel(return_as="generator_unordered", **settings)
    except ValueError:  # a backend that answers all at once (Ray): small lots, so that a crash costs little
        parallel = Parallel(**settings)
        lot = 2 * parallel._effective_n_jobs()
        for k in range(0, len(calls), lot):
            yield from parallel(calls[k : k + lot])
        return
    yield from parallel(calls)


def _caller() -> Callable[[str, bytes], tuple[str, Any]]:
    """What a worker is sent; being local, with its code, so that what its imports print can be held back."""

    def call(name: str, blob: bytes) -> tuple[str, Any]:
        import contextlib
        import io
        import pickle
        import sys

        said, plain = io.StringIO(), contextlib.nullcontext()
        if "dask" in sys.modules:
            # On a worker of Dask xarray would guard even a file in memory by a lock of the cluster, and wait
            # for it forever.
            plain = sys.modules["dask"].config.set(scheduler="synchronous")
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
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
    if scheduler and backend not in ("dask", "ray"):
        raise ValueError(f"a scheduler is for the backends dask and ray, not for {backend!r}.")
    if backend == "loky":
        _end_workers()
        finished = False
        try:
            with parallel_config(backend, inner_max_num_threads=1):
                yield
            finished = True
        finally:
            _end_workers(kill=not finished)
        return
    settings = {}
    if backend == "dask":
        settings = {"scheduler_host": scheduler} if scheduler else {}
    elif backend == "ray":
        import ray
        from ray.util.joblib import register_ray

        if not ray.is_initialized():
            ray.init(address=scheduler)
        register_ray()
    with parallel_config(backend, **settings):
        yield


def _end_workers(kill: bool = False) -> None:
    get_reusable_executor(max_workers=1, reuse=True).shutdown(wait=True, kill_workers=kill)
