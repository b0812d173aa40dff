"""The records of a comparison's runs: planned before they run, kept once they ran, and counted as tried."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.runs import fingerprint
from lib.runs.identity import Identity, identity_of, key_of
from lib.runs.provenance import market_name
from lib.runs.store import DamagedResultError, Record, read_result, read_results, write_result
from lib.strategy import Strategy

START_MODULE = "lib.compare.single_run"  # what a worker runs
CODE = ("parameters", "functions", "registered", "strategy", "code", "versions")  # see `identity_of`
DRAW = (
    "draw"  # in the record of a run on shuffled targets or on a part of the market (`lib.compare.single_run`)
)
RESULT = {"figures": dict, "returns": list}  # in the record of a finished run


class RunWarning(UserWarning):
    """A run that did not finish or could not be kept, or a file of one that cannot be used."""


def plan_record(
    strategy: Strategy,
    start: str,
    end: str,
    market: str,
    days: str,
    resolve: fingerprint.Resolve = fingerprint.resolve,
) -> Record:
    """Return the record of a run before it runs: all that its result depends on, and the key made from it.

    Parameters
    ----------
    strategy : Strategy
    start, end : str
        First and last day of the backtest.
    market, days : str
        Fingerprints of the data that the run loads, and of the market on the days of the backtest alone.
    resolve : callable
        See `lib.runs.identity.identity_of`.
    """
    identity = identity_of(strategy, START_MODULE, resolve=resolve)
    record = {**identity.content, "start": start, "end": end, "market": market}
    about = {"modules": identity.modules, "market_name": market_name(), "days_market": days}
    return {**record, "key": record_key(record), **about, "status": "not run", "message": ""}


def record_key(record: Record) -> str:
    """Return the key of a record: 20 hex digits that differ for runs whose results may differ."""
    names = [*CODE, "start", "end", "market", *([DRAW] if DRAW in record else [])]
    return key_of({name: record[name] for name in names})


def identity_in(record: Record) -> Identity:
    """Return the identity of the strategy that a planned record is of."""
    return Identity({name: record[name] for name in CODE}, record["modules"])


def redrawn(record: Record, draw: Mapping[str, Any]) -> Record:
    """Return the planned record of a variant as that of a run on a draw."""
    new = record | {DRAW: dict(draw)}
    return new | {"key": record_key(new)}


def drawn_from(record: Record) -> str:
    """Return the key of a record's variant, for the variant itself or one of its draws."""
    return record_key({name: value for name, value in record.items() if name != DRAW})


def variants_of(records: Iterable[Record]) -> list[Record]:
    """Return the records that are no draws."""
    return [record for record in records if DRAW not in record]


def finished_of(records: Iterable[Record]) -> list[Record]:
    """Return the records of runs that finished."""
    return [record for record in records if record["status"] == "finished"]


def keep_record(folder: Path, record: Record) -> None:
    """Write a record as one file of `folder`; see `lib.runs.store.write_result`."""
    write_result(folder / f"{record['key']}.json", record["key"], record)


def read_records(folder: Path) -> tuple[dict[str, Record], list[str]]:
    """Return the records in `folder` by key, and a sentence for each file that cannot be used."""

    def load(path: Path) -> Record:
        record = read_result(path, path.stem)
        if record_key(record) != path.stem:
            raise DamagedResultError("it is not the run that its name says")
        for name, kind in RESULT.items():
            if record["status"] == "finished" and not isinstance(record.get(name), kind):
                raise DamagedResultError(f"it is finished but has no {name}")
        return record

    again = "it is not counted, and is run again when needed"
    found, sentences = read_results(sorted(folder.glob("*.json")), load, again)
    return {record["key"]: record for record in found.values()}, sentences


def tried(folder: str | Path, records: Iterable[Record] = ()) -> list[Record]:
    """Return all runs that were tried: those that finished, of `folder` and of `records`, without draws.

    A variant that ran again with other code or packages, and has the same returns to the last digit, counts
    once: an edit that changes no result is no trial. Those of `records` stand for it.
    """
    records = list(records)
    known = {record["key"]: record for record in records} | {
        key: record
        for key, record in read_records(Path(folder))[0].items()
        if key not in {record["key"] for record in records}
    }
    distinct: dict[str, Record] = {}
    for record in finished_of(variants_of(known.values())):
        result = [record["parameters"], *_days(record), record["returns"]]
        distinct.setdefault(json.dumps(result, sort_keys=True), record)
    return list(distinct.values())


def on_same_days(record: Record, others: Iterable[Record]) -> list[Record]:
    """Return the runs of the same competition on the same market and days as `record`."""
    return [other for other in others if _days(other) == _days(record)]


def _days(record: Record) -> Sequence[Any]:
    return record["parameters"]["competition_type"], record["days_market"]


def keep_or_warn(folder: Path, unsaved: dict[str, Record], record: Record) -> None:
    """Write a record, and those that could not be written before; a full disk stops no comparison."""
    waiting = bool(unsaved)
    unsaved[record["key"]] = record
    for key in list(unsaved):
        try:
            keep_record(folder, unsaved[key])
        except OSError as error:
            if not waiting:
                warnings.warn(
                    f"{folder} cannot be written ({error.strerror or error}): free space or change its "
                    "permissions. The comparison goes on and tries again after each run. The table has all "
                    "runs, but the next call repeats those that could not be written in the end.",
                    RunWarning,
                    stacklevel=3,
                )
            return
        del unsaved[key]
