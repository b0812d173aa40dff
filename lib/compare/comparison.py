"""A comparison: backtests of many variants in parallel, each kept as a file once it is finished."""

import contextlib
import functools
import io
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from lib.backtest import check_range
from lib.compare import draws, run_table
from lib.compare.run_one import execute
from lib.compare.variants import strategies
from lib.runs import project_code, provenance, store
from lib.runs.store import Record, RunWarning, keep_or_warn, tried
from lib.runs.user_functions import registered
from lib.runs.workers import check_backend, pack, run_all
from lib.strategy import Strategy

FOLDER = "runs/compare"


class ComparisonStopped(KeyboardInterrupt):
    """Stopped by hand: what is finished is kept, and `records` says how far it came."""

    def __init__(self, records: list[Record]):
        """Keep the records of all runs that were asked for."""
        super().__init__("stopped: what is finished is kept, and the same call goes on from there.")
        self.records = records


def compare(
    variants: Iterable[Mapping[str, Any]],
    start_date: Any,
    end_date: Any = None,
    *,
    folder: str | Path = FOLDER,
    progress: bool = True,
    shuffles: int = 0,
    universes: int = 0,
    **where: Any,
) -> pd.DataFrame:
    """Backtest each set of parameters; what was finished before is not run again.

    Parameters
    ----------
    variants : iterable of dict
        Parameters of `Strategy` that differ from its defaults, functions included. `variants.grid` makes
        such a list.
    start_date, end_date : date-like
        First and last day of the backtest. Default end: the last day there is.
    folder : path
        Where each run is kept as a file. All runs that are finished there count as tried.
    progress : bool
        Show a progress bar on stderr.
    shuffles, universes : int
        Further runs of each variant that finished: on shuffled targets, and on a random half of the universe
        and of the days (see `lib.compare.draws`). They are kept like runs, and do not count as tried.
    **where
        `workers`, `backend`, `scheduler`: how many at once, and on what; see `lib.runs.workers.run_all`.

    Returns
    -------
    pandas.DataFrame
        One row per variant: see `lib.compare.run_table.as_table`.

    Raises
    ------
    TypeError, ValueError
        A wrong parameter or range, or a market without data there: before anything runs.
    OSError
        The folder cannot be made or written: before anything runs.
    ComparisonStopped
        At Ctrl-C.

    Warns
    -----
    RunWarning
        Runs that failed or were interrupted, which the next call tries again; damaged files; runs that could
        not be written, which are in the table nevertheless.
    """
    records = run(
        variants,
        start_date,
        end_date,
        folder=folder,
        progress=progress,
        shuffles=shuffles,
        universes=universes,
        **where,
    )
    return run_table.as_table(records, tried(folder, records))


def run(
    variants: Iterable[Mapping[str, Any]],
    start_date: Any,
    end_date: Any = None,
    *,
    folder: str | Path = FOLDER,
    progress: bool = True,
    shuffles: int = 0,
    universes: int = 0,
    **where: Any,
) -> list[Record]:
    """As `compare`, but the whole records, in the order of `variants`, then draws; equal ones once."""
    check_backend(**where)
    draws.check_numbers(shuffles, universes)
    planned = _plan(strategies(variants), start_date, end_date)
    drawn = [
        (strategy, record, store.redrawn(record, draw))
        for strategy, record in planned.values()
        for draw in draws.drawn(record, shuffles, universes)
    ]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept, damaged = store.read(folder)
    for sentence in damaged:
        warnings.warn(sentence, RunWarning, stacklevel=2)
    records: dict[str, Record] = {}
    unsaved: dict[str, Record] = {}
    total = len(planned) + len(drawn)
    with tqdm(total=total, unit="run", mininterval=0.5, disable=not progress) as bar:

        def finish(part: dict[str, tuple[Strategy, Record]]) -> None:
            records.update({key: kept.get(key, record) for key, (_, record) in part.items()})
            left = [key for key in part if records[key]["status"] != "finished"]
            bar.update(len(part) - len(left))
            jobs = {key: pack(execute, *part[key], registered(part[key][0])) for key in left}
            if not jobs:
                return
            with contextlib.closing(run_all(jobs, **where)) as answers:
                for key, answer, message in answers:
                    records[key] = part[key][1] | (answer or {"status": "interrupted", "message": message})
                    keep_or_warn(folder, unsaved, records[key])
                    bar.update()

        try:
            finish(planned)
            done = {key for key, record in records.items() if record["status"] == "finished"}
            finish({draw["key"]: (strategy, draw) for strategy, of, draw in drawn if of["key"] in done})
        except KeyboardInterrupt as stop:
            raise ComparisonStopped(list(records.values())) from stop
    unfinished = [record for record in records.values() if record["status"] != "finished"]
    if unfinished:
        warnings.warn(_unfinished(unfinished, len(records)), RunWarning, stacklevel=2)
    return list(records.values())


def _plan(chosen: list[Strategy], start_date: Any, end_date: Any) -> dict[str, tuple[Strategy, Record]]:
    """By key each run before it is run. The market is loaded once for all that see the same days of it."""
    seen: dict[tuple, tuple[str, str, str]] = {}
    planned, snapshot = {}, functools.cache(project_code.snapshot)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for strategy in chosen:
            days = strategy.competition_type, strategy.train_period, strategy.lookback_period
            if days not in seen:
                start, end = check_range(strategy, start_date, end_date)
                data = strategy.load_range(start, end)
                last = end or str(data.time.values[-1])[:10]
                seen[days] = start, last, provenance.market_fingerprint(data)
            record = store.plan(strategy, *seen[days], snapshot)
            planned[record["key"]] = strategy, record
    return planned


def _unfinished(records: list[Record], total: int) -> str:
    lines = [f"{len(records)} of {total} runs did not finish; the same call tries them again:"]
    lines += [f"  {record['key']} {record['status']}: {record['message']}" for record in records]
    return "\n".join(lines)
