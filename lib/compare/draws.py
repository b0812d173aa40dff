"""Further runs of a variant that judge its luck: on shuffled targets, or on a random part of its market.

Such a run has a record of its own, that of the variant with a `draw` beside it: its kind, its number, and of
a universe the first and the last day. The number alone says what is drawn, so that run `k` of every variant
has the same shuffle, or the same part of the market.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.errors import WrongValueError
from lib.engine.inputs import get_target_classes
from lib.runs.store import DRAW, Record

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy

BLOCK = 5  # trading days of targets that stay together in a shuffle
SHORTEST = 60  # calendar days of a backtest whose halves are drawn
DAY = np.timedelta64(1, "D")


class ShuffledTarget:
    """The target of a strategy with its days in another order: what a model learns from it is chance.

    The days on which the target of any asset is known form a circle, which is cut into blocks of `BLOCK`
    trading days from a random day on, and the blocks change places, all assets alike. So each asset keeps its
    targets, and a day keeps those of its block; which features they meet is random. Days that are not known
    keep their place. Number and last day of the training window are the seed.
    """

    def __init__(self, strategy: "Strategy", number: int):
        self.strategy, self.number = replace(strategy, leave_out_unknown=True), number

    def __call__(self, data: "xr.DataArray", _: "Strategy") -> np.ndarray:
        """Shuffled targets (time, asset), NaN where one is not known."""
        values = get_target_classes(data, self.strategy).values
        known = np.flatnonzero(np.isfinite(values).any(axis=1))
        last = int(data.time.values[-1].astype("M8[D]").astype(int))
        shuffled = values.copy()
        shuffled[known] = values[known[block_order(len(known), [self.number, last % 2**32])]]
        return shuffled


def block_order(days: int, seed: Sequence[int]) -> np.ndarray:
    """Return the row numbers (days,) in an order that keeps blocks of `BLOCK` rows together."""
    if days == 0:
        return np.empty(0, int)
    rng = np.random.default_rng(seed)
    circle = np.roll(np.arange(days), -rng.integers(days))
    blocks = np.split(circle, range(BLOCK, days, BLOCK))
    return np.concatenate([blocks[k] for k in rng.permutation(len(blocks))])


def check_numbers(shuffles: int, universes: int) -> None:
    """Refuse numbers of runs that are not whole, or below 0, with a ValueError."""
    for name, number in (("shuffles", shuffles), ("universes", universes)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise WrongValueError(f"{name} is {number!r}: it must be a whole number from 0 on.")


def drawn(record: Record, shuffles: int, universes: int) -> list[dict[str, Any]]:
    """Return the draws of a variant's planned record.

    Raises
    ------
    ValueError
        Universes of a backtest that is too short.
    """
    found: list[dict[str, Any]] = [{"shuffle": k} for k in range(shuffles)]
    return found + [{"universe": k, **_window(k, record["start"], record["end"])} for k in range(universes)]


def backtest_days(planned: Record) -> tuple[str, str]:
    """Return the first and the last day of a run's backtest."""
    found = {**planned, **planned.get(DRAW, {})}
    return found["start"], found["end"]


def trained_on(strategy: "Strategy", draw: Mapping[str, Any]) -> "Strategy":
    """Return the strategy that a run trains and trades."""
    return (
        replace(strategy, target=ShuffledTarget(strategy, draw["shuffle"])) if "shuffle" in draw else strategy
    )


def loader(strategy: "Strategy", draw: Mapping[str, Any]) -> "Callable[[int], xr.DataArray]":
    """Return the `load_data` of a run: of a universe half of the assets."""
    if "universe" not in draw:
        return strategy.load_data

    def load_data(period: int) -> "xr.DataArray":
        data = strategy.load_data(period)
        return data.isel(asset=np.flatnonzero(in_half(data.asset.values.tolist(), draw["universe"])))

    return load_data


def in_half(assets: Iterable[str], number: int) -> np.ndarray:
    """Return for each asset whether it belongs to a half of the universe.

    An asset is drawn by its name, with a probability of one half: nothing else, no price and no other asset,
    has a say, on any day.
    """
    return np.array(
        [hashlib.sha256(f"{number} {name}".encode()).digest()[0] % 2 == 0 for name in assets], bool
    )


def _window(number: int, start: str, end: str) -> dict[str, str]:
    """Half of the calendar days from `start` to `end`, beginning on a random one."""
    first, last = np.datetime64(start), np.datetime64(end)
    days = int((last - first) / DAY) + 1
    if days < SHORTEST:
        raise WrongValueError(
            f"universes are drawn from {SHORTEST} calendar days or more, not from {days}: start earlier."
        )
    half = days // 2
    begin = first + int(np.random.default_rng(number).integers(days - half + 1)) * DAY
    return {"start": str(begin), "end": str(begin + (half - 1) * DAY)}
