"""Which variant does better? Backtests of many, in parallel, each kept as a file once it is finished."""

import contextlib
import io
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.compare import provenance, run_table, runs
from lib.compare.run_one import BEFORE, execute, load_market
from lib.compare.runs import Record
from lib.compare.variants import strategies
from lib.compare.workers import pack, run_all
from lib.strategy import Strategy

FOLDER = "runs/compare"


class RunWarning(UserWarning):
    """A run that did not finish, or a file of one that cannot be used."""


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
    **where
        `workers`, `backend`, `scheduler`: how many at once, and on what; see `lib.compare.workers.run_all`.

    Returns
    -------
    pandas.DataFrame
        One row per run: see `lib.compare.run_table.as_table`.

    Raises
    ------
    TypeError, ValueError
        A wrong parameter or range, or a market without data there: before anything runs.
    ComparisonStopped
        At Ctrl-C.

    Warns
    -----
    RunWarning
        Runs that failed or were interrupted, which the next call tries again; damaged files.
    """
    records = run(variants, start_date, end_date, folder=folder, progress=progress, **where)
    return run_table.as_table(records, tried(folder))


def run(
    variants: Iterable[Mapping[str, Any]],
    start_date: Any,
    end_date: Any = None,
    *,
    folder: str | Path = FOLDER,
    progress: bool = True,
    **where: Any,
) -> list[Record]:
    """As `compare`, but the whole records, in the order of `variants`; equal ones once."""
    planned = _plan(strategies(variants), start_date, end_date)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept, damaged = runs.read(folder)
    for sentence in damaged:
        warnings.warn(sentence, RunWarning, stacklevel=2)
    records = {key: kept.get(key, record) for key, (_, record) in planned.items()}
    open_keys = [key for key, record in records.items() if record["status"] != "finished"]
    jobs = {key: pack(execute, *planned[key]) for key in open_keys}
    done = len(records) - len(jobs)
    with tqdm(total=len(records), initial=done, unit="run", mininterval=0.5, disable=not progress) as bar:
        try:
            with contextlib.closing(run_all(jobs, **where)) as answers:
                for key, answer, message in answers:
                    records[key] = planned[key][1] | (answer or {"status": "interrupted", "message": message})
                    runs.keep(folder, records[key])
                    bar.update()
        except KeyboardInterrupt as stop:
            raise ComparisonStopped(list(records.values())) from stop
    unfinished = [record for record in records.values() if record["status"] != "finished"]
    if unfinished:
        warnings.warn(_unfinished(unfinished, len(records)), RunWarning, stacklevel=2)
    return list(records.values())


def tried(folder: str | Path) -> list[Record]:
    """Every run that is finished in the folder, whatever it was asked for."""
    return [record for record in runs.read(Path(folder))[0].values() if record["status"] == "finished"]


def _plan(chosen: list[Strategy], start_date: Any, end_date: Any) -> dict[str, tuple[Strategy, Record]]:
    """By key each run before it is run. The market is loaded once for all that see the same days of it."""
    start = _day("start_date", start_date)
    seen: dict[tuple, tuple[str, str]] = {}
    planned, code = {}, provenance.code_fingerprint()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for strategy in chosen:
            days = (
                strategy.competition_type,
                max(strategy.train_period + strategy.lookback_period, BEFORE),
            )
            if days not in seen:
                end = _day("end_date", end_date) if end_date is not None else _last_day(strategy)
                if end < start:
                    raise ValueError(f"start_date {start} is after the end of the range, {end}.")
                data = load_market(strategy, start, end)
                if data is None or not (data.time.values >= np.datetime64(start)).any():
                    raise ValueError(f"there are no data from {start} to {end}: choose other dates.")
                seen[days] = end, provenance.market_fingerprint(data)
            record = runs.plan(strategy, start, *seen[days], code)
            planned[record["key"]] = strategy, record
    return planned


def _day(name: str, value: Any) -> str:
    try:
        day = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} is {value!r}: it must be a date such as 2024-01-31.") from error
    if day is pd.NaT:
        raise ValueError(f"{name} is {value!r}: it must be a date such as 2024-01-31.")
    return day.strftime("%Y-%m-%d")


def _last_day(strategy: Strategy) -> str:
    return str(strategy.load_data(30).time.values[-1])[:10]


def _unfinished(records: list[Record], total: int) -> str:
    lines = [f"{len(records)} of {total} runs did not finish; the same call tries them again:"]
    lines += [f"  {record['key']} {record['status']}: {record['message']}" for record in records]
    return "\n".join(lines)
