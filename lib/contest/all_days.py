"""The whole run of a contest: a pass for every day, and its weights."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from lib.common.errors import UserError
from lib.common.market_data import days_between, window_between
from lib.contest import kept_days
from lib.contest.passes import Pass, compute_outputs, follow, predict_trained, train_days
from lib.runs.identity import Identity, registered
from lib.runs.workers import captured_output, default_workers, pack, run_all
from lib.state import State
from lib.strategy import Strategy, uses_methods_of_strategy

if TYPE_CHECKING:
    import xarray as xr

BYTES_AT_ONCE = 2**28  # of packed market data in memory
MONTHS_AT_ONCE = 4  # for each worker, of models in memory before they predict


class ContestWarning(UserWarning):
    """A warning about passes whose file cannot be used or written."""


class PassError(UserError, RuntimeError):
    """An error in the pass of a day; the message gives the reason."""


class RunStopped(KeyboardInterrupt):
    """A stop by hand, with the finished passes kept."""


class WholeRun(NamedTuple):
    """The weights and passes of a strategy in a contest."""

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
    """Run a pass on every trading day of a range.

    Passes kept in `folder` are not run again. Outputs that need no state are computed in parallel, and only
    sizing and blending follow in sequence. If a strategy has its own `train_model` or `predict`, the
    trainings run in parallel and the predictions in sequence.

    Parameters
    ----------
    strategy : Strategy
    data : xarray.DataArray
        (field, time, asset), as ``strategy.load_range(start, end)`` returns them.
    start, end : numpy.datetime64[D]
    folder : pathlib.Path
        Folder of the kept passes, of this identity alone.
    identity : lib.runs.identity.Identity
    title : str
        Text before the progress bar.
    progress : bool
        Show a progress bar on stderr.
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
        A pass failed; finished passes are kept.
    RunStopped
        At Ctrl-C.
    """
    folder.mkdir(parents=True, exist_ok=True)
    days = days_between(data, start, end)
    kept, damaged = kept_days.read_passes(folder, data, strategy, identity)
    with tqdm(total=len(days), desc=title, unit="day", disable=not progress) as bar:
        independent = uses_methods_of_strategy(strategy)
        complete = _independent if independent else _in_sequence
        run = _Run(strategy, data, days, folder, identity, kept, bar, where)
        passes = {entry.day: entry for entry in complete(run)}
    in_order = [passes[str(day)] for day in days]
    return WholeRun(follow(strategy, data, in_order), in_order), damaged


class _Run(NamedTuple):
    """The days to compute, and the place and manner of their computation."""

    strategy: Strategy
    data: "xr.DataArray"
    days: np.ndarray
    folder: Path
    identity: Identity
    kept: kept_days.Kept
    bar: tqdm
    where: Mapping[str, Any]

    def keep(self, passes: list[Pass], *chain: Any) -> None:
        """Write passes to the folder."""
        kept_days.keep_passes(self.folder, passes, self.data, self.strategy, self.identity, *chain)

    def jobs(self, call: Any, months: list[tuple[str, list[np.datetime64]]]) -> Iterator[dict[str, bytes]]:
        """Yield packed calls in lots.

        There is a call for each calendar month.
        """
        named = registered(self.strategy)
        period = np.timedelta64(max(self.strategy.train_period, self.strategy.lookback_period), "D")
        jobs: dict[str, bytes] = {}
        for month, days in months:
            seen = window_between(self.data, days[0] - period, days[-1])
            jobs[month] = pack(call, self.strategy, seen, days, self.identity, named)
            if sum(map(len, jobs.values())) > BYTES_AT_ONCE:
                yield jobs
                jobs = {}
        if jobs:
            yield jobs


def _independent(run: _Run) -> Iterator[Pass]:
    """Yield passes whose outputs need no state.

    Their order is arbitrary; new ones are kept. A sizing that cannot be used ends the run at its first month.
    """
    yield from run.kept.passes.values()
    missing = [day for day in run.days if str(day) not in run.kept.passes]
    run.bar.update(len(run.days) - len(missing))
    for jobs in run.jobs(compute_outputs, _months(missing)):
        with contextlib.closing(_answers(jobs, run.where)) as answers:
            for _, answer in answers:
                found = [Pass(**entry) for entry in answer]
                run.keep(found)
                follow(run.strategy, run.data, found[:1])
                run.bar.update(len(found))
                yield from found


def _in_sequence(run: _Run) -> Iterator[Pass]:
    """Yield passes of a strategy with its own methods.

    They come in order; new ones that the next call can use are kept.
    """
    done, state = run.kept.beginning(run.days)
    yield from done
    run.bar.update(len(done))
    months = _months(run.days[len(done) :])
    at_once = MONTHS_AT_ONCE * (run.where.get("workers") or default_workers())
    for first in range(0, len(months), at_once):
        part = months[first : first + at_once]
        for jobs in run.jobs(train_days, part):
            answers = dict(_answers(jobs, run.where))
            for month in jobs:
                found = []
                try:
                    with captured_output():
                        trained = answers.pop(month)
                        for entry, after in predict_trained(run.strategy, run.data, trained, state):
                            found.append(entry)
                            state = after
                            run.bar.update()
                except Exception as error:
                    raise PassError(f"A pass in {month} failed: {type(error).__name__}: {error}") from error
                if state is None or isinstance(state, State):  # another one cannot be kept safely
                    run.keep(found, (str(run.days[0]), state))
                yield from found


def _months(days: Any) -> list[tuple[str, list[np.datetime64]]]:
    return [(month, list(group)) for month, group in groupby(days, lambda day: str(day)[:7])]


def _answers(jobs: Mapping[str, bytes], where: Mapping[str, Any]) -> Generator[tuple[str, list]]:
    """Yield the month and result of each finished call."""
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
