"""The comparison of many variants of the strategy.

It is called from Python, or as ``python -m lib.compare``. Their backtests run in parallel, and each is kept
as a file once it is finished.
"""

import contextlib
import functools
import os
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from lib.backtest import check_range
from lib.common.command_line import PROJECT
from lib.compare import single_run
from lib.compare.single_run import RunWarning, plan_record, tried
from lib.compare.table import changed_parameters, comparison_table
from lib.compare.variants import make_strategies
from lib.runs import provenance
from lib.runs.store import Record, identity_of, registered
from lib.runs.workers import captured_output, check_backend, pack, run_all
from lib.strategy import Strategy, loads_own_data

__all__ = ["compare"]

FOLDER = "runs/compare"
NOTEBOOK = PROJECT / "strategy.ipynb"


class ComparisonStopped(KeyboardInterrupt):
    """A stop of the comparison by hand.

    Finished runs are kept, and `records` shows how far the comparison came.
    """

    def __init__(self, records: list[Record]):
        """Keep the records of all requested runs."""
        super().__init__("stopped: what is finished is kept, and the same call goes on from there.")
        self.records = records


def compare(
    variants: Iterable[Mapping[str, Any]],
    start_date: Any,
    end_date: Any = None,
    *,
    base: Strategy | None = None,
    folder: str | Path = FOLDER,
    progress: bool = True,
    shuffles: int = 0,
    universes: int = 0,
    **where: Any,
) -> pd.DataFrame:
    """Backtest each set of parameters and return a table.

    Runs that finished before are not repeated.

    Parameters
    ----------
    variants : iterable of dict
        Parameters that differ from those of `base`, functions included. `variants.grid` makes such a list.
    start_date, end_date : date-like
        First and last day of the backtest. Default end: the last day there is.
    base : Strategy, optional
        The strategy that each variant changes, such as that of a notebook, with all methods that it
        overrides. Default: the published strategy.
    folder : path
        Where each run is kept as a file. All runs that are finished there count as tried.
    progress : bool
        Show a progress bar on stderr.
    shuffles, universes : int
        Further runs of each variant that finished: on shuffled targets, and on a random half of the universe
        and of the days (see `lib.compare.single_run`). They are kept like runs, and do not count as tried.
    **where
        `workers`, `backend`, `scheduler`: how many at once, and on what; see `lib.runs.workers.run_all`.

    Returns
    -------
    pandas.DataFrame
        One row per variant: see `lib.compare.table`.

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
    records = run_variants(
        variants,
        start_date,
        end_date,
        base=base,
        folder=folder,
        progress=progress,
        shuffles=shuffles,
        universes=universes,
        **where,
    )
    return comparison_table(records, tried(folder, records), base)


def run_variants(
    variants: Iterable[Mapping[str, Any]],
    start_date: Any,
    end_date: Any = None,
    *,
    base: Strategy | None = None,
    folder: str | Path = FOLDER,
    progress: bool = True,
    shuffles: int = 0,
    universes: int = 0,
    **where: Any,
) -> list[Record]:
    """Backtest each set of parameters and return the records.

    The arguments are the same as for `compare`. The records are in the order of `variants`, and the draws
    follow. Equal runs have one record.
    """
    check_backend(**where)
    single_run.check_numbers(shuffles, universes)
    planned = _plan(make_strategies(variants, base), start_date, end_date)
    drawn = [
        (strategy, record, single_run.redrawn(record, draw))
        for strategy, record in planned.values()
        for draw in single_run.draws_for(record, shuffles, universes)
    ]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    before, damaged = single_run.read_records(folder)
    for sentence in damaged:
        warnings.warn(sentence, RunWarning, stacklevel=2)
    records: dict[str, Record] = {}
    unsaved: dict[str, Record] = {}
    total = len(planned) + len(drawn)
    with tqdm(total=total, unit="run", mininterval=0.5, disable=not progress) as bar:

        def finish(part: dict[str, tuple[Strategy, Record]]) -> None:
            records.update({key: before.get(key, record) for key, (_, record) in part.items()})
            left = [key for key in part if records[key]["status"] != "finished"]
            bar.update(len(part) - len(left))
            jobs = {key: pack(single_run.run_once, *part[key], registered(part[key][0])) for key in left}
            if not jobs:
                return
            with contextlib.closing(run_all(jobs, **where)) as answers:
                for key, answer, message in answers:
                    records[key] = part[key][1] | (answer or {"status": "interrupted", "message": message})
                    single_run.keep_or_warn(folder, unsaved, records[key])
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
    """Return strategy and planned record by key.

    The market is loaded once for all strategies that see the same days.
    """
    seen: dict[tuple, tuple[str, str, str, str]] = {}
    planned, resolve = {}, functools.cache(provenance.resolve)
    with captured_output():
        for strategy in chosen:
            days: tuple = strategy.competition_type, strategy.train_period, strategy.lookback_period
            days += (id(strategy),) if loads_own_data(strategy) else ()
            if days not in seen:
                start, end = check_range(strategy, start_date, end_date)
                data, market = single_run.load_market(strategy, start, end)
                last = end or str(data.time.values[-1])[:10]
                seen[days] = start, last, market, single_run.days_fingerprint(data, start, last)
            record = plan_record(strategy, *seen[days], resolve)
            planned[record["key"]] = strategy, record
    return planned


def _unfinished(records: list[Record], total: int) -> str:
    lines = [f"{len(records)} of {total} runs did not finish; the same call tries them again:"]
    lines += [f"  {record['key']} {record['status']}: {record['message']}" for record in records]
    return "\n".join(lines)


def execute_notebooks(
    records: Sequence[Record],
    folder: Path,
    notebook: Path = NOTEBOOK,
    base: Strategy | None = None,
    **where: Any,
) -> list[Path]:
    """Execute the notebook with each finished run's parameters.

    The notebook also gets the range of the run. The runs are executed in parallel, and a run that was
    executed before is left out. Each run gets `notebooks/KEY` in `folder`, with notebook, weights and state,
    once it ran to the end; these folders are returned. `base` is the strategy that the notebook makes. For
    `where` see `lib.runs.workers.run_all`; a cluster must share the disk.

    Warns
    -----
    RunWarning
        A notebook that failed (how far it came is in `notebooks/KEY.part`), or that could not be started: it
        does not know a parameter, or a parameter is a function that the notebook does not set.
    """
    finished = single_run.finished_of(records)
    folders = {record["key"]: folder / "notebooks" / record["key"] for record in finished}
    known = identity_of(base or Strategy()).content["functions"]
    jobs = {}
    for record in finished:
        key = record["key"]
        if folders[key].exists():
            continue
        new = [name for name, own in record["functions"].items() if known.get(name) != own]
        if new:
            _warn(key, f"{', '.join(new)} is a function: a notebook takes names only")
            continue
        own = changed_parameters(record, base) | {"start_date": record["start"], "end_date": record["end"]}
        jobs[key] = pack(_execute, str(notebook.resolve()), str(folders[key].resolve()), own)
    for key, answer, message in list(run_all(jobs, **where)):
        if answer != "":
            _warn(key, message or str(answer))
    return [path for path in folders.values() if path.exists()]


def _execute(notebook: str, folder: str, parameters: dict[str, Any]) -> str:
    """Execute one notebook and return any error.

    The text is empty if the notebook ran to its end.
    """
    from lib.notebook import run_notebook

    part = f"{folder}.part"  # renamed when all of it is there
    shutil.rmtree(part, ignore_errors=True)
    try:
        with captured_output():
            run_notebook(notebook, part, parameters)
    except Exception as error:
        return f"{type(error).__name__}: {error}".strip()
    os.rename(part, folder)
    return ""


def _warn(key: str, message: str) -> None:
    warnings.warn(f"no notebook for {key}: {message}", RunWarning, stacklevel=3)
