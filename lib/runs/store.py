"""The record of a run, its key, and the file that keeps it."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lib.common.files import replace_file
from lib.runs import project_code, provenance
from lib.runs.function_code import FunctionCode
from lib.runs.user_functions import functions_of, registered
from lib.strategy import Strategy

Record = dict[str, Any]
Snapshot = Callable[[frozenset[str]], tuple[list[str], str]]
# what two runs of one key share; so do they `draw`, which only runs of `lib.compare.draws` have
IDENTITY = ("parameters", "functions", "registered", "start", "end", "market", "code")
DRAW = "draw"
RESULT = {"figures": dict, "returns": list}  # what the record of a finished run must hold


class RunWarning(UserWarning):
    """A run that did not finish or could not be kept, or a file of one that cannot be used."""


def plan(
    strategy: Strategy, start: str, end: str, market: str, snapshot: Snapshot = project_code.snapshot
) -> Record:
    """Return the record of a run before it is run: what it depends on, and the key made from that.

    `market` is the fingerprint of its data; `snapshot` answers for the text of the project's modules.
    """
    modules: set[str] = set()

    def fingerprint(function: Any) -> str:
        code = FunctionCode(function)
        modules.update(code.modules)
        return code.fingerprint

    functions = {
        parameter: [fingerprint(function) if function else "" for function in own]
        for parameter, own in functions_of(strategy).items()
    }
    named = {
        parameter: {name: fingerprint(function) for name, function in own.items()}
        for parameter, own in registered(strategy).items()
    }
    files, code = snapshot(frozenset(modules))
    record: Record = {"parameters": strategy.as_dict(), "functions": functions, "registered": named}
    record |= {"start": start, "end": end, "market": market, "code": code}
    about = {"files": files, "market_name": provenance.market_name(), "status": "not run", "message": ""}
    return record | {"key": key(record)} | about


def key(record: Record) -> str:
    """20 hex digits, which differ for runs whose results may differ."""
    identity = {name: record[name] for name in IDENTITY}
    identity |= {DRAW: record[DRAW]} if DRAW in record else {}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]


def redrawn(record: Record, draw: Mapping[str, Any]) -> Record:
    """Return the planned record of a variant as that of a run on a draw of `lib.compare.draws`."""
    new = record | {DRAW: dict(draw)}
    return new | {"key": key(new)}


def drawn_from(record: Record) -> str:
    """Return the key of the variant whose run, or whose draw, a record is."""
    return key({name: value for name, value in record.items() if name != DRAW})


def keep(folder: Path, record: Record) -> None:
    """Write the record as one file of `folder`; a crash leaves the old file or the new one.

    Raises
    ------
    OSError
        The disk is full or read-only; an old file is untouched.
    """
    content = {name: value for name, value in record.items() if name != "checksum"}
    content["checksum"] = _checksum(content)
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    replace_file(str(folder / f"{record['key']}.json"), text.encode())


def read(folder: Path) -> tuple[dict[str, Record], list[str]]:
    """Records in `folder` by key, and a sentence for each file that cannot be used."""
    records, damaged = {}, []
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_text("utf-8"))
            if record["checksum"] != _checksum({k: v for k, v in record.items() if k != "checksum"}):
                raise ValueError("its checksum does not fit")
            if not path.stem == record["key"] == key(record):
                raise ValueError("it is not the run that its name says")
            for name, kind in RESULT.items():
                if record["status"] == "finished" and not isinstance(record.get(name), kind):
                    raise ValueError(f"it is finished but has no {name}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            damaged.append(f"{path} is damaged ({error}): it is not counted, and is run again when needed.")
        else:
            records[record["key"]] = record
    return records, damaged


def tried(folder: str | Path, records: Iterable[Record] = ()) -> list[Record]:
    """Every finished run of the folder, of any call, and those of `records`, each once; no draws."""
    known = read(Path(folder))[0] | {record["key"]: record for record in records}
    return [record for record in known.values() if record["status"] == "finished" and DRAW not in record]


def keep_or_warn(folder: Path, unsaved: dict[str, Record], record: Record) -> None:
    """Write a record, and those that could not be written before; a full disk stops no comparison."""
    waiting = bool(unsaved)
    unsaved[record["key"]] = record
    for key in list(unsaved):
        try:
            keep(folder, unsaved[key])
        except OSError as error:
            if not waiting:
                sentence = (
                    f"{folder} cannot be written ({error.strerror or error}): free space or change its "
                )
                sentence += "permissions. The comparison goes on and tries again after each run; what is not "
                sentence += "written in the end is in the table, but the next call runs it again."
                warnings.warn(sentence, RunWarning, stacklevel=3)
            return
        del unsaved[key]


def _checksum(content: Record) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
