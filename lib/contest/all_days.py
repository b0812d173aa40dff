"""The whole run of a contest: a pass for every day, in parallel where that is possible, and its weights."""

import contextlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from lib.common.errors import UserError
from lib.contest import kept_days
from lib.contest.passes import Pass, compute_outputs, follow, predict_trained, train_days
from lib.engine.chain import days_between, window_between
from lib.runs.identity import Identity, registered
from lib.runs.workers import captured_output, default_workers, pack, run_all
from lib.state import State
from lib.strategy import Strategy, uses_methods_of_strategy

if TYPE_CHECKING:
    import xarray as xr

BYTES_AT_ONCE = 2**28  # of packed market data in memory
MONTHS_AT_ONCE = 4  # for each worker, of models in memory before they predict


class ContestWarning(UserWarning):
    """A file of kept passes that cannot be used, or passes that cannot be kept."""


class PassError(UserError, RuntimeError):
    """A day whose pass failed; the message says why."""


class RunStopped(KeyboardInterrupt):
    """Stopped by hand: the passes that are finished are kept."""


class WholeRun(NamedTuple):
    """What a strategy does in a contest."""

    weights: "xr.DataArray"  # (time, asset) of every day and every asset of the data, 0 where not held
    passes: list[Pass]  # of every day


def whole_run(
    strategy: Strategy,
    data: "xr.DataArray",
    start: np.datetime64,
    end: np.datetime64,
    folder: Path,
    identity: Identity,
    *,
    title: str = "passes",
    progress: bool = True,
    **where: Any,
) -> tuple[WholeRun, list[str]]:
    """Run a pass on every trading day from `start` to `end`; passes kept in `folder` are not run again.

    Outputs that need no state are computed in parallel, and only sizing and blending follow in sequence. Of
    a strategy with a `train_model` or `predict` of its own the trainings run in parallel and the predictions
    in sequence.

    Parameters
    ----------
    strategy : Strategy
    data : xarray.DataArray
        (field, time, asset), as ``strategy.load_range(start, end)`` returns them.
    start, end : numpy.datetime64[D]
    folder : pathlib.Path
        Where passes are kept, of this identity alone.
    identity : lib.runs.identity.Identity
    title : str
        Stands before the progress bar.
    progress : bool
        Whether there is one, on stderr.
    **where
        `workers`, `backend`, `scheduler`: see `lib.runs.workers.run_all`.

    Returns
    -------
    run : WholeRun
        Equal to a chain of ``strategy.train_model`` and ``strategy.predict``, the first with state None.
    damaged : list of str
        A sentence for each file that could not be used.

    Raises
    ------
    PassError
        A pass failed; those that are finished are kept.
    RunStopped
        At Ctrl-C.
    """
    folder.mkdir(parents=True, exist_ok=True)
    days = days_between(data, start, end)
    kept, damaged = kept_days.read_passes(folder, data, strategy, identity)
    with tqdm(total=len(days), desc=title, unit="day", disable=not progress) as bar:
        independent = uses_methods_of_strategy(strategy)
        complete = _independent if independent else _in_sequence
        passes = {
            entry.day: entry for entry in complete(strategy, data, days, folder, identity, kept, bar, where)
        }
    in_order = [passes[str(day)] for day in days]
    return WholeRun(follow(strategy, data, in_order), in_order), damaged


def _independent(
    strategy: Strategy,
    data: "xr.DataArray",
    days: np.ndarray,
    folder: Path,
    identity: Identity,
    kept: kept_days.Kept,
    bar: tqdm,
    where: Mapping[str, Any],
) -> Iterator[Pass]:
    """Yield the passes of a strategy whose outputs need no state, in any order; keep the new ones."""
    yield from kept.passes.values()
    missing = [day for day in days if str(day) not in kept.passes]
    bar.update(len(days) - len(missing))
    for jobs in _jobs(compute_outputs, strategy, data, _months(missing), identity):
        for _, answer in _answers(jobs, where):
            found = [Pass(**entry) for entry in answer]
            kept_days.keep_passes(folder, found, data, strategy, identity)
            bar.update(len(found))
            yield from found


def _in_sequence(
    strategy: Strategy,
    data: "xr.DataArray",
    days: np.ndarray,
    folder: Path,
    identity: Identity,
    kept: kept_days.Kept,
    bar: tqdm,
    where: Mapping[str, Any],
) -> Iterator[Pass]:
    """Yield the passes of a strategy with methods of its own, in order; keep what the next call can use."""
    done, state = kept.beginning(days)
    yield from done
    bar.update(len(done))
    months = _months(days[len(done) :])
    at_once = MONTHS_AT_ONCE * (where.get("workers") or default_workers())
    for first in range(0, len(months), at_once):
        part = months[first : first + at_once]
        for jobs in _jobs(train_days, strategy, data, part, identity):
            answers = dict(_answers(jobs, where))
            for month in jobs:
                found = []
                try:
                    with captured_output():
                        for entry, after in predict_trained(strategy, data, answers.pop(month), state):
                            found.append(entry)
                            state = after
                            bar.update()
                except Exception as error:
                    raise PassError(f"A pass in {month} failed: {type(error).__name__}: {error}") from error
                if state is None or isinstance(state, State):  # another one cannot be kept safely
                    kept_days.keep_passes(folder, found, data, strategy, identity, (str(days[0]), state))
                yield from found


def _months(days: Any) -> list[tuple[str, list[np.datetime64]]]:
    return [(month, list(group)) for month, group in groupby(days, lambda day: str(day)[:7])]


def _jobs(
    call: Any,
    strategy: Strategy,
    data: "xr.DataArray",
    months: list[tuple[str, list[np.datetime64]]],
    identity: Identity,
) -> Iterator[dict[str, bytes]]:
    """Yield packed calls, one for each calendar month, in lots."""
    named = registered(strategy)
    period = np.timedelta64(max(strategy.train_period, strategy.lookback_period), "D")
    jobs: dict[str, bytes] = {}
    for month, days in months:
        seen = window_between(data, days[0] - period, days[-1])
        jobs[month] = pack(call, strategy, seen, days, identity, named)
        if sum(map(len, jobs.values())) > BYTES_AT_ONCE:
            yield jobs
            jobs = {}
    if jobs:
        yield jobs


def _answers(jobs: Mapping[str, bytes], where: Mapping[str, Any]) -> Iterator[tuple[str, list]]:
    """Yield the month and the answer of each call as they come."""
    try:
        with contextlib.closing(run_all(jobs, **where)) as answers:
            for month, answer, message in answers:
                if not isinstance(answer, list):
                    raise PassError(f"A pass in {month} failed: {message or answer['message']}")
                yield month, answer
    except KeyboardInterrupt as stop:
        raise RunStopped(
            "stopped: the passes that are finished are kept, and the same command continues from there."
        ) from stop
