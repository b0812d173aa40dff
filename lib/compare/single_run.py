"""One run of a comparison: a backtest and its record.

The backtest is that of a variant, or of a draw of it that shows how much is luck. Its record is planned
before it runs, kept once it ran, and counted as tried. A draw trains on shuffled targets, or trades a random
part of the market. Its record is that of the variant with `draw` added: kind and number, and for a part of
the market its first and last day. The number alone determines the draw: run `k` of every variant has the same
shuffle, or the same part of the market.
"""

import hashlib
import json
import math
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.backtest import backtest, leaving_no_files
from lib.common.competitions import COMPETITIONS
from lib.common.errors import WrongValueError
from lib.common.market_data import data_limit, window_between
from lib.engine.inputs import get_target_classes
from lib.runs import provenance
from lib.runs.store import (
    DamagedResultError,
    Identity,
    Record,
    identity_of,
    key_of,
    prepared_worker,
    read_result,
    read_results,
    write_result,
)
from lib.runs.workers import captured_output
from lib.stats.sharpe import under_friction
from lib.strategy import STATISTICS_DAYS, Strategy, loads_own_data

if TYPE_CHECKING:
    import xarray as xr


START_MODULE = "lib.compare.single_run"  # what a worker runs
CODE = ("parameters", "functions", "registered", "strategy", "code", "versions")  # see `identity_of`
DRAW = "draw"  # in the record of a run on shuffled targets or on a part of the market
RESULT = {"figures": dict, "returns": list}  # in the record of a finished run
BLOCK = 5  # trading days of targets that stay together in a shuffle
SHORTEST_BACKTEST = 60  # calendar days of a backtest whose halves are drawn
DAY = np.timedelta64(1, "D")
LOG_LENGTH = 4_000  # characters
# qnt keeps files, the end of the data and messages for the whole process: one run at a time in each
_ALONE = threading.Lock()


class RunWarning(UserWarning):
    """A warning about a run or its file.

    The run did not finish or could not be kept, or its file cannot be used.
    """


def plan_record(
    strategy: Strategy,
    start: str,
    end: str,
    market: str,
    days: str,
    resolve: provenance.Resolve = provenance.resolve,
) -> Record:
    """Return the record of a planned run.

    The record holds everything that determines the result, and the key made from this content.

    Parameters
    ----------
    strategy : Strategy
    start, end : str
        First and last day of the backtest.
    market, days : str
        Fingerprints of the data that the run loads, and of the market on the days of the backtest alone.
    resolve : callable
        See `lib.runs.store.identity_of`.
    """
    identity = identity_of(strategy, START_MODULE, resolve=resolve)
    record = {**identity.content, "start": start, "end": end, "market": market}
    about = {"modules": identity.modules, "market_name": provenance.market_name(), "days_market": days}
    return {**record, "key": record_key(record), **about, "status": "not run", "message": ""}


def record_key(record: Record) -> str:
    """Return the key of a record.

    The key has 20 hex digits and differs for runs whose results may differ.
    """
    names = [*CODE, "start", "end", "market", *([DRAW] if DRAW in record else [])]
    return key_of({name: record[name] for name in names})


def identity_in(record: Record) -> Identity:
    """Return the strategy's identity in a planned record."""
    return Identity({name: record[name] for name in CODE}, record["modules"])


def redrawn(record: Record, draw: Mapping[str, Any]) -> Record:
    """Return the planned record of a draw.

    The draw is added to `record`, the planned record of its variant, and the key is computed anew.
    """
    new = record | {DRAW: dict(draw)}
    return new | {"key": record_key(new)}


def drawn_from(record: Record) -> str:
    """Return the key of a record's variant.

    The record belongs to the variant itself or to one of its draws.
    """
    return record_key({name: value for name, value in record.items() if name != DRAW})


def variants_of(records: Iterable[Record]) -> list[Record]:
    """Return the records that are no draws."""
    return [record for record in records if DRAW not in record]


def finished_of(records: Iterable[Record]) -> list[Record]:
    """Return the records of runs that finished."""
    return [record for record in records if record["status"] == "finished"]


def keep_record(folder: Path, record: Record) -> None:
    """Write a record as a file of `folder`.

    The file is written by `lib.runs.store.write_result`.
    """
    write_result(folder / f"{record['key']}.json", record["key"], record)


def read_records(folder: Path) -> tuple[dict[str, Record], list[str]]:
    """Return the records in `folder` by key.

    The second value holds a sentence for each file that cannot be used.
    """

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
    """Return all runs that were tried.

    These are the finished runs of `folder` and of `records`, without draws. A variant counts once if it ran
    again with other code or packages, and has the same returns to the last digit: an edit without a changed
    result is no trial. The run in `records` then stands for the others.
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
    """Return the runs on the days of `record`.

    The runs have the competition and the market of `record` too.
    """
    return [other for other in others if _days(other) == _days(record)]


def _days(record: Record) -> Sequence[Any]:
    return record["parameters"]["competition_type"], record["days_market"]


def keep_or_warn(folder: Path, unsaved: dict[str, Record], record: Record) -> None:
    """Write a record, or warn if this fails.

    Records that could not be written before are written too. A full disk does not stop the comparison.
    """
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


def run_once(
    strategy: Strategy, planned: Record, registered: Mapping[str, Mapping[str, Callable]] | None = None
) -> Record:
    """Run one backtest and return its record.

    The status of the record is "finished" or "failed", and an error in the backtest is not raised. `planned`
    comes from `plan_record`. The functions in `registered` are registered first (see `lib.runs.store`). The
    call prints nothing and leaves no file; the end of the library's output is in `log`.
    """
    started = time.perf_counter()
    with _ALONE, leaving_no_files(), captured_output() as log:
        try:
            with prepared_worker(strategy, identity_in(planned), registered or {}):
                outcome = {"status": "finished", "message": "", **_backtest(strategy, planned)}
        except (Exception, SystemExit) as error:  # qnt may end the process, for want of an API_KEY
            traceback.print_exc()
            outcome = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
    outcome |= {"seconds": round(time.perf_counter() - started, 3), "log": log.getvalue()[-LOG_LENGTH:]}
    return planned | outcome


def load_market(strategy: Strategy, start: str, end: str | None) -> tuple["xr.DataArray", str]:
    """Return the market of a run with its fingerprint.

    The fingerprint covers all data that the run loads. These are the universe of the competition, and the
    result of a `load_data` of the user's own.
    """
    data = strategy.load_range(start, end)
    found = provenance.market_fingerprint(data)
    if loads_own_data(strategy):
        days = int((data.time.values[-1] - data.time.values[0]) / DAY)
        try:
            with data_limit(data.time.values[-1]):
                found += f" {provenance.data_fingerprint(strategy.load_data(days))}"
        except Exception as error:  # the backtest ends with the same error, which its record has
            found += f" {type(error).__name__}"
    return data, found


def days_fingerprint(data: "xr.DataArray", start: str, end: str) -> str:
    """Return the fingerprint of a backtest's days.

    The fingerprint covers the market on these days. Data loaded before them do not matter.
    """
    return provenance.market_fingerprint(window_between(data, np.datetime64(start), np.datetime64(end)))


def _backtest(strategy: Strategy, planned: Record) -> Record:
    data, market = load_market(strategy, planned["start"], planned["end"])
    if market != planned["market"]:
        raise ValueError("this worker loads other data than the comparison: give both the same market.")
    draw = planned.get(DRAW, {})
    trained, (start, end) = with_shuffled_target(strategy, draw), backtest_days(planned)
    weights, _ = backtest(trained, start, end, load_data=loader(strategy, draw))
    first, last = weights.time.values[[0, -1]]
    priced = data.sel(time=slice(first - np.timedelta64(STATISTICS_DAYS, "D"), last))
    outcome = _figures(priced, weights)
    if not draw:
        friction = under_friction(priced, weights, COMPETITIONS[strategy.competition_type])
        outcome["friction"] = {name: _finite(value) for name, value in friction.items()}
    return outcome


def _figures(priced: "xr.DataArray", weights: "xr.DataArray") -> Record:
    """Return the statistics and returns of a backtest.

    The figures are the platform's statistics of the weights on their last day. The returns are given for all
    days.
    """
    import qnt.stats as qnstats

    first = weights.time.values[0]
    stats = qnstats.calc_stat(priced, weights).sel(time=slice(first, None))
    values = weights.transpose("time", "asset").values
    return {
        "figures": {str(name): _finite(stats.sel(field=name).values[-1]) for name in stats.field.values},
        "returns": [_finite(value) for value in stats.sel(field="relative_return").values],
        "days": [str(day)[:10] for day in weights.time.values[[0, -1]]],
        "dates": [str(day)[:10] for day in stats.time.values],
        "weights_sha256": hashlib.sha256(np.ascontiguousarray(values, "<f8").tobytes()).hexdigest(),
    }


def _finite(value: float) -> float | None:
    """Return a finite number, or None.

    None stands for NaN and infinity, which JSON cannot hold.
    """
    return float(value) if math.isfinite(value) else None


class ShuffledTarget:
    """The target of a strategy with shuffled days.

    A model can learn only chance from it. The days on which the target of any asset is known form a circle.
    The circle is cut into blocks of `BLOCK` trading days from a random day on, and the blocks change places,
    all assets alike. So each asset keeps its targets, and a day keeps the targets of its block; the features
    that they meet are random. Days without a target keep their place. Number and last day of the training
    window are the seed.
    """

    def __init__(self, strategy: Strategy, number: int):
        self.strategy, self.number = replace(strategy, leave_out_unknown=True), number

    def __call__(self, data: "xr.DataArray", _: Strategy) -> np.ndarray:
        """Return shuffled targets (time, asset).

        A target that is not known is NaN.
        """
        values = get_target_classes(data, self.strategy).values
        known = np.flatnonzero(np.isfinite(values).any(axis=1))
        last = int(data.time.values[-1].astype("M8[D]").astype(int))
        shuffled = values.copy()
        shuffled[known] = values[known[block_order(len(known), [self.number, last % 2**32])]]
        return shuffled


def block_order(days: int, seed: Sequence[int]) -> np.ndarray:
    """Return row numbers in an order of shuffled blocks.

    The row numbers (days,) keep blocks of `BLOCK` rows together.
    """
    if days == 0:
        return np.empty(0, int)
    rng = np.random.default_rng(seed)
    circle = np.roll(np.arange(days), -rng.integers(days))
    blocks = np.split(circle, range(BLOCK, days, BLOCK))
    return np.concatenate([blocks[k] for k in rng.permutation(len(blocks))])


def check_numbers(shuffles: int, universes: int) -> None:
    """Check the numbers of shuffles and universes.

    A number that is not whole, or below 0, raises a ValueError.
    """
    for name, number in (("shuffles", shuffles), ("universes", universes)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise WrongValueError(f"{name} is {number!r}: it must be a whole number from 0 on.")


def draws_for(record: Record, shuffles: int, universes: int) -> list[dict[str, Any]]:
    """Return the draws of a variant's planned record.

    Raises
    ------
    ValueError
        Universes of a backtest that is too short.
    """
    found: list[dict[str, Any]] = [{"shuffle": k} for k in range(shuffles)]
    return found + [{"universe": k, **_window(k, record["start"], record["end"])} for k in range(universes)]


def backtest_days(planned: Record) -> tuple[str, str]:
    """Return first and last day of a backtest."""
    found = {**planned, **planned.get(DRAW, {})}
    return found["start"], found["end"]


def with_shuffled_target(strategy: Strategy, draw: Mapping[str, Any]) -> Strategy:
    """Return the strategy that a run trains.

    For a shuffle its target is a `ShuffledTarget`.
    """
    if "shuffle" not in draw:
        return strategy
    return replace(strategy, target=ShuffledTarget(strategy, draw["shuffle"]))


def loader(strategy: Strategy, draw: Mapping[str, Any]) -> "Callable[[int], xr.DataArray]":
    """Return the `load_data` of a run.

    For a universe the function loads half of the assets.
    """
    if "universe" not in draw:
        return strategy.load_data

    def load_data(period: int) -> "xr.DataArray":
        data = strategy.load_data(period)
        return data.isel(asset=np.flatnonzero(in_half(data.asset.values.tolist(), draw["universe"])))

    return load_data


def in_half(assets: Iterable[str], number: int) -> np.ndarray:
    """Return a mask of half of the assets.

    The mask (asset,) is True for each asset in the half with this number. An asset is drawn by its name
    alone, with a probability of one half: prices and other assets do not matter.
    """
    return np.array(
        [hashlib.sha256(f"{number} {name}".encode()).digest()[0] % 2 == 0 for name in assets], bool
    )


def _window(number: int, start: str, end: str) -> dict[str, str]:
    """Return half of a backtest's calendar days.

    The half is a range between `start` and `end` that begins on a random day.
    """
    first, last = np.datetime64(start), np.datetime64(end)
    days = int((last - first) / DAY) + 1
    if days < SHORTEST_BACKTEST:
        raise WrongValueError(
            f"universes are drawn from {SHORTEST_BACKTEST} calendar days or more, not from {days}: "
            "start earlier."
        )
    half = days // 2
    begin = first + int(np.random.default_rng(number).integers(days - half + 1)) * DAY
    return {"start": str(begin), "end": str(begin + (half - 1) * DAY)}
