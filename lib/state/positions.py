"""The state of a strategy.

It holds the positions of a day, and the input to repeat this day.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from lib.common.errors import UserError, quantity

VERSION = 3  # 1 had no memory, 2 no days since the rebalance; a state without them is still written so


class StateWarning(UserWarning):
    """A warning about a state.

    The state is unused, backed up, or not confirmed by the disk.
    """


@dataclass(frozen=True, repr=False)
class State:
    """The positions of one day.

    The state also holds the input to repeat this day.

    Attributes
    ----------
    date : numpy.datetime64[D]
        The day whose positions these are.
    weights : mapping of str to float
        Asset -> blended weight of that day, sorted, without zeros; each |w| and their sum at most 1.
    carried_in : mapping of str to float
        The weights carried into that day.
    parameters : mapping of str to plain value
        The strategy's parameters: None, bool, int, float, str, lists and dicts of them.

    memory : mapping of str to plain value
        Values of the user's own, such as entry prices: None, bool, int, float, str, numpy arrays of numbers
        or dates, lists and dicts of them. Set them with `with_memory`.
    memory_carried_in : mapping of str to plain value
        The memory carried into that day.
    days_since_rebalance : int
        Trading days from the last rebalance to that day, 0 on a day of one: positions stay as they are until
        the strategy's `rebalance_interval` has passed.

    Raises
    ------
    StateError
        A value is of another kind, NaN, infinite or too large.
    """

    date: np.datetime64
    weights: Mapping[str, float]
    carried_in: Mapping[str, float]
    parameters: Mapping[str, Any]
    memory: Mapping[str, Any] = field(default_factory=dict, hash=False)
    memory_carried_in: Mapping[str, Any] = field(default_factory=dict, hash=False)
    days_since_rebalance: int = 0

    def __post_init__(self) -> None:
        """Check every field, also of an unpickled state."""
        object.__setattr__(self, "date", day_of(self.date))
        object.__setattr__(self, "weights", weights_of(self.weights, "weights"))
        object.__setattr__(self, "carried_in", weights_of(self.carried_in, "weights carried in"))
        object.__setattr__(self, "parameters", MappingProxyType(parameters_of(self.parameters)))
        for name in ("memory", "memory_carried_in"):
            object.__setattr__(self, name, memory_of(getattr(self, name)))
        object.__setattr__(self, "days_since_rebalance", count_of(self.days_since_rebalance))

    def __eq__(self, other: object) -> bool:
        """Return True if all values are equal.

        Arrays are compared by type and content.
        """
        return isinstance(other, State) and self._record() == other._record()

    def with_memory(self, values: Mapping[str, Any]) -> "State":
        """Return this state with other values in its memory.

        The next day receives them. The state that `predict` returns already holds the memory of the day
        before or, if the day is repeated, the memory carried into it. Change a copy, ``dict(state.memory)``:
        then a repeated day gives the same result.

        Raises
        ------
        StateError
            A value is not plain, or a name is not text.
        """
        return replace(self, memory=values)

    def memory_carried_into(self, date: Any) -> Mapping[str, Any]:
        """Return the memory at the beginning of a day.

        It corresponds to the weights of `carried_into`.
        """
        day = day_of(date)
        if day < self.date:
            return {}
        return self.memory_carried_in if day == self.date else self.memory

    def carried_into(
        self, date: Any, parameters: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> Mapping[str, float]:
        """Return the weights carried into a day.

        The weights of the day `date` are blended with these. A later day gets the weights of this day,
        however many days lie between. The same day gets the weights carried into it, so that running it again
        changes nothing. An earlier day gets none, and a `StateWarning`.

        A parameter missing in the state, because it did not exist yet, counts with its value in `defaults`.

        Raises
        ------
        StateError
            The state was made with other parameters, or for another universe.
        """
        if self.parameters != parameters:  # a shortcut: they are the same on most days of a chain
            check_same(self.date, {**(defaults or {}), **self.parameters}, parameters_of(parameters))
        day = day_of(date)
        if day < self.date:
            warnings.warn(
                f"The state is dated {self.date}, after the data, which end on {day}: positions from the "
                "future are not used, and the strategy starts without any.",
                StateWarning,
                stacklevel=2,
            )
            return MappingProxyType({})
        return self.carried_in if day == self.date else self.weights

    def __reduce__(self) -> tuple:
        """Pickle the state as a plain record.

        The pickle is a call of `restore` with the record.
        """
        return restore, (self._record(),)

    def _record(self) -> dict[str, Any]:
        """Return the state as plain values."""
        memory = bool(self.memory or self.memory_carried_in)
        record = {
            "version": VERSION if self.days_since_rebalance else 2 if memory else 1,
            "date": str(self.date),
            "weights": dict(self.weights),
            "before": dict(self.carried_in),
            "fingerprint": parameters_of(self.parameters),
        }
        if record["version"] == 1:
            return record
        memories = {"memory": self.memory, "memory_before": self.memory_carried_in}
        record |= {name: as_record(values) for name, values in memories.items()}
        waited = self.days_since_rebalance
        return record | {"days_since_rebalance": waited} if waited else record

    def __repr__(self) -> str:
        """Return one line: date, number of positions, their sum."""
        return f"State of {self.date}: {in_words(self.weights.values())}"

    def __str__(self) -> str:
        """Return the date and every position."""
        width = max(map(len, self.weights), default=0)
        rows = (f"  {asset:{width}} {weight:8.4f}" for asset, weight in self.weights.items())
        return "\n".join([repr(self), *rows])


def restore(record: Any) -> State:
    """Return the state of a plain record.

    A pickled State is a call of this function.

    Raises
    ------
    StateError
        The record is damaged, or of a newer version.
    """
    version = record.get("version") if isinstance(record, dict) else None
    if type(version) is not int or version < 1:
        raise StateError("its record is damaged: it has no version")
    if version > VERSION:
        raise StateError(
            f"it was written by a newer version of this project (record {short(version)}, this one reads "
            f"up to {VERSION}). Update the project to go on with it"
        )
    fields = {"version", "date", "weights", "before", "fingerprint"}
    fields |= {"memory", "memory_before"} if version > 1 else set()
    fields |= {"days_since_rebalance"} if version > 2 else set()
    if set(record) != fields:
        odd = sorted(map(short, fields.symmetric_difference(record)))
        raise StateError(f"its record is damaged: missing or unknown {', '.join(odd):.100}")
    day = day_of(record["date"])
    if str(day) != record["date"]:  # a number, or "today"
        raise StateError(f"its record is damaged: {short(record['date'])} is not a date")
    return State(
        day,
        record["weights"],
        record["before"],
        record["fingerprint"],
        from_record(record.get("memory", {})),
        from_record(record.get("memory_before", {})),
        record.get("days_since_rebalance", 0),
    )


EARLIEST, LATEST = np.datetime64("1900-01-01"), np.datetime64("2199-12-31")
ROUNDING = 1e-6  # largest error of a sum of float weights
DEEPEST = 8
ARRAY = "numpy.ndarray"  # the only key of a dict that stands for an array
NUMBERS = (int, float, np.integer, np.floating)
ARRAYS = "biufmM"  # kinds of arrays that a memory may hold: bools, numbers, dates


class StateError(UserError, ValueError):
    """An error in using, reading or writing a state.

    The message gives the reason and the remedy.
    """


def day_of(value: Any) -> np.datetime64:
    """Return the calendar day of a date.

    Raises
    ------
    StateError
        numpy cannot read the value as a date, or its year is out of range.
    """
    try:
        day = np.datetime64(value, "D")
    except (ValueError, TypeError, OverflowError):
        raise StateError(f"{short(value)} is not a date") from None
    if not EARLIEST <= day <= LATEST:  # nor is NaT
        raise StateError(f"the date {day} is not between {EARLIEST} and {LATEST}")
    return day


def weights_of(weights: Any, what: str) -> Mapping[str, float]:
    """Return the weights by asset, sorted, read-only, without zeros.

    Raises
    ------
    StateError
        Not a mapping from names to numbers, a weight NaN or beyond 1, or a sum of |w| beyond 1.
    """
    if not isinstance(weights, Mapping):
        raise StateError(f"the {what} are not a mapping from asset to number")
    for asset, weight in weights.items():
        if not _is_name(asset):
            raise StateError(f"the {what} name an asset {short(asset)}, which is not a name")
        if isinstance(weight, bool) or not isinstance(weight, NUMBERS):
            raise StateError(f"the {what} say {short(weight)} for {asset:.60}, which is not a number")
        if not -1 - ROUNDING <= weight <= 1 + ROUNDING:  # nor is NaN
            raise StateError(f"the {what} say {short(weight)} for {asset:.60}, which is not between -1 and 1")
    row = {str(asset): float(weights[asset]) for asset in sorted(weights) if weights[asset] != 0}
    total = math.fsum(map(abs, row.values()))
    if total > 1 + ROUNDING:
        raise StateError(f"the {what} add up to {total:.4f}, more than the whole capital")
    return MappingProxyType(row)


def in_words(weights: Iterable[float], day: str = "") -> str:
    """Return the number of positions and their sum.

    Where there are short positions, long and short ones are told apart. `day` follows the number.
    """
    held = [weight for weight in weights if weight]
    text = f"{quantity(len(held), 'position')}{day}, {math.fsum(map(abs, held)):.1%} of the capital"
    short = math.fsum(weight for weight in held if weight < 0)
    long = math.fsum(weight for weight in held if weight > 0)
    return f"{text}: {long:.1%} long, {-short:.1%} short" if short else text


def count_of(value: Any) -> int:
    """Return a number of days.

    Raises
    ------
    StateError
        It is not a whole number from 0 on.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**31:
        raise StateError(f"the days since the rebalance are {short(value)}, not a whole number from 0 on")
    return int(value)


def parameters_of(values: Any) -> dict[str, Any]:
    """Return the parameters by name, sorted.

    Values are None, bool, int, float, str, and lists and dicts of them.

    Raises
    ------
    StateError
        A value is of another kind.
    """
    if not isinstance(values, Mapping):
        raise StateError("the parameters are not a mapping from name to value")
    return _plain(values, "", 0)


def check_same(day: np.datetime64, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise a StateError if the parameters differ.

    `then` holds the parameters of the state of the day, `now` the parameters of the strategy.
    """
    universe, made = "competition_type", f"The state of {day}"
    advice = "or move the state file away (OUT_STATE_PATH; by default state.out.pickle.gz) to start afresh."

    def shown(values: Mapping[str, Any], key: str) -> str:
        return f"{values[key]!r:.60}" if key in values else "not set"

    changed = [
        key for key in sorted({*then, *now}) if key not in then or key not in now or then[key] != now[key]
    ]
    if universe in changed:
        raise StateError(
            f"{made} holds positions in the universe {shown(then, universe)}, the strategy trades "
            f"{shown(now, universe)}. Set {universe} back, {advice}"
        )
    if changed:
        listed = "; ".join(f"{key:.60} was {shown(then, key)}, is {shown(now, key)}" for key in changed)
        raise StateError(f"{made} was made with other parameters: {listed}. Set them back, {advice}")


def memory_of(values: Any) -> Mapping[str, Any]:
    """Return a read-only copy of a user's own values.

    Raises
    ------
    StateError
        A value cannot be kept.
    """
    if not isinstance(values, Mapping):
        raise StateError("the memory is not a mapping from name to value")
    return MappingProxyType(_plain(values, "", 0, "memory"))


def as_record(value: Any) -> Any:
    """Return a value of a memory without arrays.

    Each array becomes a dict of its type, shape and bytes.
    """
    if isinstance(value, np.ndarray):
        return {ARRAY: [value.dtype.str, list(value.shape), value.tobytes()]}
    if isinstance(value, list):
        return [as_record(item) for item in value]
    return {key: as_record(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def from_record(value: Any) -> Any:
    """Return the value of a record of `as_record`.

    Raises
    ------
    StateError
        The record is damaged.
    """
    if isinstance(value, list):
        return [from_record(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) != {ARRAY}:
        return {key: from_record(item) for key, item in value.items()}
    try:
        kind, shape, content = value[ARRAY]
        if np.dtype(kind).kind not in ARRAYS:
            raise ValueError
        return np.frombuffer(content, np.dtype(kind)).reshape(shape)
    except (ValueError, TypeError):
        raise StateError("its record is damaged: an array in its memory has another size or type") from None


def _plain(value: Any, name: str, depth: int, what: str = "parameter") -> Any:
    """Return a copy that shares no list or dict.

    Only a memory may hold arrays.
    """
    if value is None or type(value) in (bool, str):  # most of them
        return value
    if what == "memory" and isinstance(value, np.ndarray) and value.dtype.kind in ARRAYS:
        copy = np.array(value, order="C")
        copy.flags.writeable = False
        return copy
    scalar: Any = value.item() if isinstance(value, np.generic) else value
    if scalar is None or type(scalar) in (bool, str):
        return scalar
    if type(scalar) in (int, float) and -(2**63) < scalar < 2**63:  # nor NaN, which equals nothing
        return scalar
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return [_plain(item, name, depth + 1, what) for item in value]
    if isinstance(value, Mapping) and depth < DEEPEST and all(map(_is_name, value)) and ARRAY not in value:
        return {str(key): _plain(value[key], name or key, depth + 1, what) for key in sorted(value)}
    raise StateError(f"the {what} {name:.60} holds {short(value)}, which cannot be kept as plain data")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def short(value: Any) -> str:
    """Return a value in at most 60 printable characters.

    A foreign value may be huge, or upset a terminal.
    """
    if isinstance(value, str | bytes):
        value = value[:60]
    if isinstance(value, str | bytes | float | bool | None) or (
        isinstance(value, int) and abs(value) < 2**63
    ):
        return ascii(value)[:60]
    return f"a value of type {type(value).__name__:.40}"
