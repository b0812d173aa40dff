"""The whole run of a contest: a pass for every day, in parallel, and the weights that follow from them."""

import contextlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from lib.common.errors import UserError
from lib.contest import kept_days
from lib.contest.chain import follow
from lib.contest.kept_days import Identity
from lib.contest.passes import Pass, compute
from lib.contest.windows import days_between, seen_by
from lib.runs import provenance
from lib.runs.user_functions import registered
from lib.runs.workers import pack, run_all
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

BYTES_AT_ONCE = 2**28  # of packed market data in memory


class ContestWarning(UserWarning):
    """A file of kept passes that cannot be used."""


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
    """Run a pass on every trading day from `start` to `end`; what is kept in `folder` is not run again.

    Parameters
    ----------
    strategy : Strategy
    data : xarray.DataArray
        (field, time, asset), as ``strategy.load_range(start, end)`` returns them.
    start, end : numpy.datetime64[D]
    folder : pathlib.Path
        Where passes are kept, of this identity alone.
    identity : lib.contest.kept_days.Identity
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
    passes, damaged = kept_days.read(folder, data, strategy)
    missing = [day for day in days if str(day) not in passes]
    with tqdm(
        total=len(days), initial=len(days) - len(missing), desc=title, unit="day", disable=not progress
    ) as bar:
        for jobs in _jobs(strategy, data, missing, identity):
            for found, market in _answers(jobs, where):
                kept_days.keep(folder, found, market)
                passes |= {entry["day"]: Pass(**entry) for entry in found}
                bar.update(len(found))
    in_order = [passes[str(day)] for day in days]
    return WholeRun(follow(strategy, data, in_order), in_order), damaged


def _jobs(
    strategy: Strategy, data: "xr.DataArray", days: list[np.datetime64], identity: Identity
) -> Iterator[dict[str, tuple[bytes, str]]]:
    """Packed calls with the fingerprint of their data, a call for each calendar month, in lots."""
    named = registered(strategy)
    jobs: dict[str, tuple[bytes, str]] = {}
    for month, group in groupby(days, lambda day: str(day)[:7]):
        of_month = list(group)
        seen = seen_by(data, of_month[0], of_month[-1], strategy)
        blob = pack(compute, strategy, seen, of_month, identity.files, identity.code, named)
        jobs[month] = blob, provenance.market_fingerprint(seen)
        if sum(len(blob) for blob, _ in jobs.values()) > BYTES_AT_ONCE:
            yield jobs
            jobs = {}
    if jobs:
        yield jobs


def _answers(
    jobs: Mapping[str, tuple[bytes, str]], where: Mapping[str, Any]
) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """The passes of each call as they come, with the fingerprint of their data."""
    blobs = {month: blob for month, (blob, _) in jobs.items()}
    try:
        with contextlib.closing(run_all(blobs, **where)) as answers:
            for month, answer, message in answers:
                if not isinstance(answer, list):
                    reason = message or answer["message"]
                    raise PassError(f"A pass in {month} failed: {reason}")
                yield answer, jobs[month][1]
    except KeyboardInterrupt as stop:
        raise RunStopped(
            "stopped: the passes that are finished are kept, and the same command continues from there."
        ) from stop
