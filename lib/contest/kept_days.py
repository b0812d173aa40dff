"""The files in which the passes of many days are kept, so that none is computed twice."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.files import replace_file
from lib.common.market_data import load_range
from lib.contest.passes import Pass
from lib.engine.chain import window_between
from lib.runs import project_code, provenance, store
from lib.state import State, StateError, from_bytes, to_bytes
from lib.strategy import loads_own_data, uses_methods_of_strategy

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy


class Identity(NamedTuple):
    """All that determines a pass besides the market."""

    key: str  # 16 hex digits, of parameters, functions, methods, versions and code
    files: list[str]  # of the project
    code: str  # fingerprint of their text


class Kept(NamedTuple):
    """Passes that were kept, and the states after some of their days, for a chain that began on a day."""

    passes: dict[str, Pass]  # by day
    states: dict[tuple[str, str], State | None]  # by the first day of the chain and the day

    def beginning(self, days: np.ndarray) -> tuple[list[Pass], State | None]:
        """Return the passes from the first of `days` on that a chain can continue, and its state."""
        names = [str(day) for day in days]
        whole = 0
        while whole < len(names) and names[whole] in self.passes:
            whole += 1
        while whole and (names[0], names[whole - 1]) not in self.states:
            whole -= 1
        state = self.states[names[0], names[whole - 1]] if whole else None
        return [self.passes[name] for name in names[:whole]], state


def identity_of(strategy: "Strategy") -> Identity:
    """Return the identity of a strategy's passes: two of one key are the same on the same market."""
    plan = store.plan(
        strategy, "", "", "", lambda modules: project_code.snapshot(modules | {"lib.contest.passes"})
    )
    digest = hashlib.sha256(json.dumps([plan["key"], provenance.versions(strategy)]).encode())
    return Identity(digest.hexdigest()[:16], plan["files"], plan["code"])


def keep_passes(
    folder: Path,
    passes: list[Pass],
    data: "xr.DataArray",
    strategy: "Strategy",
    identity: Identity,
    chain: tuple[str, State | None] | None = None,
) -> None:
    """Keep passes on consecutive days as one file.

    Passes of a strategy with a loader of its own are not kept: what it read is not known.

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
    content: dict[str, Any] = {"key": identity.key, "passes": [entry._asdict() for entry in passes]}
    content |= {"market": fingerprint_seen(data, first, last, strategy, widest), "widest": widest}
    if chain is not None:
        content |= {"chain": chain[0], "state": base64.b64encode(to_bytes(chain[1])).decode()}
    text = json.dumps({"checksum": _checksum(content)} | content)
    replace_file(folder / f"{first}_{last}_{content['market']}.json", text.encode())


def read_passes(
    folder: Path, data: "xr.DataArray", strategy: "Strategy", identity: Identity
) -> tuple[Kept, list[str]]:
    """Return the kept passes that belong to a strategy and these data.

    Files of another market stay where they are. The second value holds a sentence for each file that cannot
    be used.
    """
    kept, damaged = Kept({}, {}), []
    first, last = (str(day)[:10] for day in data.time.values[[0, -1]])
    for path, begin, end, market in _files(folder):
        if not first <= begin <= end <= last:
            continue
        try:
            content = json.loads(path.read_text("utf-8"))
            if content.pop("checksum") != _checksum(content):
                raise ValueError("its checksum does not fit")
            if content["key"] != identity.key:
                raise ValueError("it belongs to another strategy")
            if fingerprint_seen(data, begin, end, strategy, content["widest"]) != market:
                continue
            found = [Pass(**entry) for entry in content["passes"]]
            if (found[0].day, found[-1].day, content["market"]) != (begin, end, market):
                raise ValueError("it holds other days than its name says")
            chain = content.get("chain")
            if (chain is None) != uses_methods_of_strategy(strategy):
                raise ValueError("it was computed in another way")
            if chain is not None:
                kept.states[chain, end] = from_bytes(base64.b64decode(content["state"]))
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            RecursionError,
        ) as error:
            reason = "its state is damaged" if isinstance(error, StateError) else error
            damaged.append(f"{path} is damaged ({reason}): its days are computed again.")
        else:
            kept.passes.update({entry.day: entry for entry in found})
    return kept, damaged


def fingerprint_seen(
    data: "xr.DataArray", first: Any, last: Any, strategy: "Strategy", widest: int = 0
) -> str:
    """Return the fingerprint of all data that the passes on these days saw.

    `widest` is the longest period in calendar days that functions of the strategy loaded by themselves.
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


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
