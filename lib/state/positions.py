"""The state of a strategy: its positions of one day, and what is needed to run that day again."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from lib.state.state_checks import (
    StateError,
    as_record,
    check_same,
    day_of,
    from_record,
    memory_of,
    parameters_of,
    short,
    weights_of,
)

VERSION = 2  # 1 had no memory; a state without one is still written so


class StateWarning(UserWarning):
    """A state that was not used, was kept aside, or was not confirmed by the disk."""


@dataclass(frozen=True, repr=False)
class State:
    """Positions of one day, and what is needed to run that day again.

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

    def __post_init__(self) -> None:
        """Check every field, also of a state that is unpickled."""
        object.__setattr__(self, "date", day_of(self.date))
        object.__setattr__(self, "weights", weights_of(self.weights, "weights"))
        object.__setattr__(self, "carried_in", weights_of(self.carried_in, "weights carried in"))
        object.__setattr__(self, "parameters", MappingProxyType(parameters_of(self.parameters)))
        for name in ("memory", "memory_carried_in"):
            object.__setattr__(self, name, memory_of(getattr(self, name)))

    def __eq__(self, other: object) -> bool:
        """Return True for a state with the same values, arrays compared by type and content."""
        return isinstance(other, State) and self._record() == other._record()

    def with_memory(self, values: Mapping[str, Any]) -> "State":
        """Return this state with other values in its memory, to be handed to the next day.

        The state that `predict` returns already holds the memory of the day before, or, where the day is run
        again, what was carried into it: change a copy, ``dict(state.memory)``, and a repeated day gives the
        same again.

        Raises
        ------
        StateError
            A value is not plain, or a name is not text.
        """
        return replace(self, memory=values)

    def memory_carried_into(self, date: Any) -> Mapping[str, Any]:
        """Return the memory that the day `date` begins with, as `carried_into` does for weights."""
        day = day_of(date)
        if day < self.date:
            return {}
        return self.memory_carried_in if day == self.date else self.memory

    def carried_into(
        self, date: Any, parameters: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> Mapping[str, float]:
        """Weights to blend those of the day `date` with.

        A later day gets this day's weights, however many days lie between. The same day gets what was carried
        into it, so that running it again changes nothing. An earlier day gets none, and a `StateWarning`.

        A parameter that the state does not know, since it was written before the parameter existed, counts as
        its value in `defaults`.

        Raises
        ------
        StateError
            The state was made with other parameters, or for another universe.
        """
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
        """Pickle as a call of `restore` with a plain record."""
        return restore, (self._record(),)

    def _record(self) -> dict[str, Any]:
        """Return the state as plain values."""
        record = {
            "version": VERSION if self.memory or self.memory_carried_in else 1,
            "date": str(self.date),
            "weights": dict(self.weights),
            "before": dict(self.carried_in),
            "fingerprint": parameters_of(self.parameters),
        }
        if record["version"] == 1:
            return record
        memory = {"memory": self.memory, "memory_before": self.memory_carried_in}
        return record | {name: as_record(values) for name, values in memory.items()}

    def __repr__(self) -> str:
        """One line: date, number of positions, their sum."""
        invested = math.fsum(map(abs, self.weights.values()))
        return f"State of {self.date}: {len(self.weights)} positions, {invested:.1%} of the capital"

    def __str__(self) -> str:
        """The date and every position."""
        width = max(map(len, self.weights), default=0)
        rows = (f"  {asset:{width}} {weight:8.4f}" for asset, weight in self.weights.items())
        return "\n".join([repr(self), *rows])


def restore(record: Any) -> State:
    """The state of a plain record; a pickled State is a call of this function.

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
    if set(record) != fields:
        odd = sorted(map(short, fields.symmetric_difference(record)))
        raise StateError(f"its record is damaged: missing or unknown {', '.join(odd):.100}")
    day = day_of(record["date"])
    if str(day) != record["date"]:  # a number, or "today"
        raise StateError(f"its record is damaged: {short(record['date'])} is not a date")
    memory = [from_record(record.get(name, {})) for name in ("memory", "memory_before")]
    return State(day, record["weights"], record["before"], record["fingerprint"], *memory)
