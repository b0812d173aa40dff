"""What is known of a run, and how is it kept?"""

import hashlib
import json
from pathlib import Path
from typing import Any

from lib.compare import provenance
from lib.files import replace_file
from lib.strategy import Strategy

Record = dict[str, Any]
IDENTITY = ("parameters", "functions", "start", "end", "market", "code")  # what two runs of one key share


def plan(strategy: Strategy, start: str, end: str, market: str, code: str) -> Record:
    """The record of a run before it is run: what it depends on, and the key made from that.

    `market` and `code` are fingerprints from `lib.compare.provenance`.
    """
    record = {
        "parameters": strategy.as_dict(),
        "functions": provenance.functions_fingerprint(strategy),
        "start": start,
        "end": end,
        "market": market,
        "code": code,
    }
    return record | {
        "key": key(record),
        "market_name": provenance.market_name(),
        "status": "not run",
        "message": "",
    }


def key(record: Record) -> str:
    """20 hex digits, different for runs that may differ in what comes of them."""
    identity = json.dumps({name: record[name] for name in IDENTITY}, sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:20]


def keep(folder: Path, record: Record) -> None:
    """Write the record as one file of `folder`; a crash leaves the old file or the new one."""
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
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            damaged.append(
                f"{path} is damaged ({error}): it is not counted, and run again where it is wanted."
            )
        else:
            records[record["key"]] = record
    return records, damaged


def _checksum(content: Record) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
