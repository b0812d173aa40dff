"""The files of passes, so that no day is computed twice."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.market_data import load_range, window_between
from lib.contest.passes import Pass
from lib.runs import provenance
from lib.runs.identity import Identity, identity_of
from lib.runs.store import DamagedResultError, read_result, read_results, write_result
from lib.state import State, StateError, from_bytes, to_bytes
from lib.strategy import loads_own_data, uses_methods_of_strategy

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy


class Kept(NamedTuple):
    """The kept passes, and the states after some of their days.

    A state belongs to a chain that began on a certain day.
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


def pass_identity(strategy: "Strategy") -> Identity:
    """Return the identity of a strategy's passes.

    Passes with the same key are equal on the same market.
    """
    return identity_of(strategy, "lib.contest.passes")


def keep_passes(
    folder: Path,
    passes: list[Pass],
    data: "xr.DataArray",
    strategy: "Strategy",
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
    folder: Path, data: "xr.DataArray", strategy: "Strategy", identity: Identity
) -> tuple[Kept, list[str]]:
    """Return the kept passes of a strategy and its data.

    Files of another market stay where they are. The second value holds a sentence for each file that cannot
    be used.
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


def fingerprint_seen(
    data: "xr.DataArray", first: Any, last: Any, strategy: "Strategy", widest: int = 0
) -> str:
    """Return the fingerprint of all data that passes saw.

    The passes are on the days from `first` to `last`.

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
