"""The files in which the passes of many days are kept, so that none is computed twice."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.files import replace_file
from lib.contest.passes import Pass
from lib.contest.windows import seen_by
from lib.runs import project_code, provenance, store

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy


class Identity(NamedTuple):
    """All that determines a pass besides the market."""

    key: str  # 16 hex digits, of parameters, functions, versions and code
    files: list[str]  # of the project
    code: str  # fingerprint of their text


def identity_of(strategy: "Strategy") -> Identity:
    """The identity of a strategy's passes: two of one key are the same on the same market."""
    plan = store.plan(
        strategy, "", "", "", lambda modules: project_code.snapshot(modules | {"lib.contest.passes"})
    )
    digest = hashlib.sha256(json.dumps([plan["key"], provenance.versions(strategy)]).encode())
    return Identity(digest.hexdigest()[:16], plan["files"], plan["code"])


def keep(folder: Path, passes: list[dict[str, Any]], market: str) -> None:
    """Keep passes on consecutive days, computed from data with this fingerprint, as one file."""
    text = json.dumps(passes)
    content = json.dumps({"checksum": _checksum(text), "passes": passes})
    replace_file(folder / f"{passes[0]['day']}_{passes[-1]['day']}_{market}.json", content.encode())


def read(folder: Path, data: "xr.DataArray", strategy: "Strategy") -> tuple[dict[str, Pass], list[str]]:
    """Passes by day that were computed from these data, and a sentence for each file that cannot be used.

    Files of another market stay where they are.
    """
    passes: dict[str, Pass] = {}
    damaged = []
    first, last = (str(day)[:10] for day in data.time.values[[0, -1]])
    for path, begin, end, market in _files(folder):
        if not first <= begin <= end <= last or fingerprint(data, begin, end, strategy) != market:
            continue
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["checksum"] != _checksum(json.dumps(content["passes"])):
                raise ValueError("its checksum does not fit")
            found = [Pass(**entry) for entry in content["passes"]]
            if (found[0].day, found[-1].day) != (begin, end):
                raise ValueError("it holds other days than its name says")
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            damaged.append(f"{path} is damaged ({error}): its days are computed again.")
        else:
            passes |= {entry.day: entry for entry in found}
    return passes, damaged


def fingerprint(data: "xr.DataArray", first: Any, last: Any, strategy: "Strategy") -> str:
    """The fingerprint of all data that the passes on these days see."""
    return provenance.market_fingerprint(seen_by(data, _day(first), _day(last), strategy))


def _files(folder: Path) -> Iterator[tuple[Path, str, str, str]]:
    for path in sorted(folder.glob("*_*_*.json")):
        begin, end, market = path.stem.split("_", 2)
        try:
            _day(begin), _day(end)
        except ValueError:
            continue
        yield path, begin, end, market


def _day(value: Any) -> np.datetime64:
    return np.datetime64(value, "D")


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
