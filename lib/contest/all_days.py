"""The whole run of a contest, one pass per day.

Passes are kept in files, so that no day is computed twice.
"""

import base64
import contextlib
from collections.abc import Generator, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from lib.common.errors import UserError
from lib.common.market_data import days_between, load_range, window_between
from lib.contest.passes import Pass, compute_outputs, follow, predict_trained, train_days
from lib.runs import provenance
from lib.runs.store import (
    DamagedResultError,
    Identity,
    identity_of,
    read_result,
    read_results,
    registered,
    write_result,
)
from lib.runs.workers import captured_output, default_workers, pack, run_all
from lib.state import State, StateError, from_bytes, to_bytes
from lib.strategy import Strategy, loads_own_data, uses_methods_of_strategy

if TYPE_CHECKING:
    import xarray as xr

BYTES_AT_ONCE = 2**28  # of packed market data in memory
MONTHS_AT_ONCE = 4  # for each worker, of models in memory before they predict


class Kept(NamedTuple):
    """The kept passes and some of their states.

    Each state follows one of the days, and belongs to a chain that began on a certain day.
    """

    passes: dict[str, Pass]  # by day
    states: dict[tuple[str, str], State | None]  # by the first day of the chain and the day

    def beginning(self, days: np.ndarray) -> tuple[list[Pass], State | None]:
        """Return the passes that a chain can continue.

        They begin on the first of `days`; the second value is the state after them.
        """
        names = [str(day) for day in days]
        whole = 0
        while whole < len(names) and names[whole] in self.passes:
            whole += 1
        while whole and (names[0], names[whole - 1]) not in self.states:
            whole -= 1
        state = self.states[names[0], names[whole - 1]] if whole else None
        return [self.passes[name] for name in names[:whole]], state


def pass_identity(strategy: Strategy) -> Identity:
    """Return the identity of a strategy's passes.

    Passes with the same key are equal on the same market.
    """
    return identity_of(strategy, "lib.contest.passes")


def keep_passes(
    folder: Path,
    passes: list[Pass],
    data: "xr.DataArray",
    strategy: Strategy,
    identity: Identity,
    chain: tuple[str, State | None] | None = None,
) -> None:
    """Keep passes on consecutive days as one file.

    Passes of a strategy with its own loader are not kept, since the loaded data are unknown.

    Parameters
    ----------
    folder : pathlib.Path
    passes : list of Pass
    data : xarray.DataArray
        (field, time, asset): the whole run's.
    strategy : Strategy
    identity : Identity
    chain : tuple, optional
        Of a strategy with methods of its own: the first day of the chain, and the state after these passes.
    """
    if loads_own_data(strategy):
        return
    first, last = passes[0].day, passes[-1].day
    widest = max(entry.widest for entry in passes)
    content: dict[str, Any] = {"passes": [entry._asdict() for entry in passes]}
    content |= {"market": fingerprint_seen(data, first, last, strategy, widest), "widest": widest}
    if chain is not None:
        content |= {"chain": chain[0], "state": base64.b64encode(to_bytes(chain[1])).decode()}
    write_result(folder / f"{first}_{last}_{content['market']}.json", identity.key, content)


def read_passes(
    folder: Path, data: "xr.DataArray", strategy: Strategy, identity: Identity
) -> tuple[Kept, list[str]]:
    """Return the kept passes of a strategy.

    The passes were computed from the same data as `data` holds. Files of another market stay where they are.
    The second value holds a sentence for each file that cannot be used.
    """
    kept = Kept({}, {})
    first, last = (str(day)[:10] for day in data.time.values[[0, -1]])
    files = {path: rest for path, *rest in _files(folder) if first <= rest[0] <= rest[1] <= last}

    def load(path: Path) -> None:
        begin, end, market = files[path]
        content = read_result(path, identity.key)
        if fingerprint_seen(data, begin, end, strategy, content["widest"]) != market:
            return
        found = [Pass(**entry) for entry in content["passes"]]
        if (found[0].day, found[-1].day, content["market"]) != (begin, end, market):
            raise DamagedResultError("it holds other days than its name says")
        chain = content.get("chain")
        if (chain is None) != uses_methods_of_strategy(strategy):
            raise DamagedResultError("it was computed in another way")
        if chain is not None:
            try:
                kept.states[chain, end] = from_bytes(base64.b64decode(content["state"]))
            except StateError as error:
                raise DamagedResultError("its state is damaged") from error
        kept.passes.update({entry.day: entry for entry in found})

    _, sentences = read_results(files, load, "its days are computed again")
    return kept, sentences


def fingerprint_seen(data: "xr.DataArray", first: Any, last: Any, strategy: Strategy, widest: int = 0) -> str:
    """Return the fingerprint of all data that passes saw.

    The passes are on the days from `first` to `last`. `widest` is the longest period in calendar days that
    functions of the strategy loaded by themselves.
    """
    period = max(strategy.train_period, strategy.lookback_period, widest)
    begin = np.datetime64(first, "D") - period  # type: ignore[operator]
    if begin < data.time.values[0]:
        data = load_range(strategy.competition_type, begin, last)
    return provenance.market_fingerprint(window_between(data, begin, np.datetime64(last, "D")))


def _files(folder: Path) -> Iterator[tuple[Path, str, str, str]]:
    for path in sorted(folder.glob("*_*_*.json")):
        begin, end, market = path.stem.split("_", 2)
        try:
            np.datetime64(begin, "D"), np.datetime64(end, "D")
        except ValueError:
            continue
        yield path, begin, end, market


class ContestWarning(UserWarning):
    """A warning about a file of passes.

    The file cannot be used or written.
    """


class PassError(UserError, RuntimeError):
    """An error in the pass of a day.

    The message gives the reason.
    """


class RunStopped(KeyboardInterrupt):
    """A stop by hand, with the finished passes kept."""


class WholeRun(NamedTuple):
    """The weights and passes of a contest run."""

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
    """Run a pass on every trading day.

    The days are in the range from `start` to `end`. Passes kept in `folder` are not run again. Outputs that
    need no state are computed in parallel, and only sizing and blending follow in sequence. If a strategy has
    its own `train_model` or `predict`, the trainings run in parallel and the predictions in sequence.

    Parameters
    ----------
    strategy : Strategy
    data : xarray.DataArray
        (field, time, asset), as ``strategy.load_range(start, end)`` returns them.
    start, end : numpy.datetime64[D]
    folder : pathlib.Path
        Folder of the kept passes, of this identity alone.
    identity : lib.runs.store.Identity
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
    kept, damaged = read_passes(folder, data, strategy, identity)
    with tqdm(total=len(days), desc=title, unit="day", disable=not progress) as bar:
        independent = uses_methods_of_strategy(strategy)
        complete = _independent if independent else _in_sequence
        run = _Run(strategy, data, days, folder, identity, kept, bar, where)
        passes = {entry.day: entry for entry in complete(run)}
    in_order = [passes[str(day)] for day in days]
    return WholeRun(follow(strategy, data, in_order), in_order), damaged


class _Run(NamedTuple):
    """The inputs of a run and its progress.

    They are the days to compute, and the place and manner of their computation.
    """

    strategy: Strategy
    data: "xr.DataArray"
    days: np.ndarray
    folder: Path
    identity: Identity
    kept: Kept
    bar: tqdm
    where: Mapping[str, Any]

    def keep(self, passes: list[Pass], *chain: Any) -> None:
        """Write passes to the folder."""
        keep_passes(self.folder, passes, self.data, self.strategy, self.identity, *chain)

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
