"""Tables that a strategy's functions use besides their arguments.

Prices of another cell are an example. The functions are followed through their globals, closures, defaults
and attributes. Each array, frame, list or dict with a time axis can be changed after a day, like the data
themselves. What has no time axis, or cannot be changed or followed, is named.
"""

import datetime
import io
import itertools
import logging
import mmap
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.common.references import Reference, is_of_user, references_of_object
from lib.common.registry import Choices, find, label
from lib.engine.learners import is_estimator
from lib.features import feature, target
from lib.lookahead.questions import feature_labels
from lib.sizing import sizing
from lib.strategy import METHODS, Strategy
from lib.universe import selection

if TYPE_CHECKING:
    import xarray as xr

MOST_OBJECTS = 20_000  # followed; a strategy that refers to more is not followed to its end
DIGITS = 6  # a number with more significant digits was computed, one with fewer may be written by hand
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
# of which there is nothing to follow
CLOSED: tuple[type, ...] = (BuiltinFunctionType, np.ufunc, np.dtype, range, slice, re.Pattern)
CLOSED += (np.random.Generator, np.random.RandomState, logging.Logger, threading.Thread)
CLOSED += (datetime.date, datetime.timedelta, datetime.tzinfo, pd.Timestamp, pd.Timedelta)
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)


@dataclass(frozen=True)
class Table:
    """A table with a time axis.

    The functions of a strategy refer to it.

    Attributes
    ----------
    name, owner : str
        The variable, such as "prices", and who refers to it, such as "feature momentum".
    value : array, frame, series, list or dict
    times : numpy.ndarray of datetime64[ns]
        Of the entries along `axis`.
    axis : int
        Of the array; of a frame 0 for rows, 1 for columns.
    """

    name: str
    owner: str
    value: Any
    times: np.ndarray
    axis: int = 0

    def __str__(self) -> str:
        """Return the variable and its owner as text."""
        return f"`{self.name}` ({self.owner})"

    @contextmanager
    def changed_after(self, day: np.datetime64, rng: np.random.Generator) -> Iterator[None]:
        """Replace the entries after a day by noise.

        They are changed in place, and restored at the end of the ``with``.
        """
        later = np.flatnonzero(self.times > day)
        with ExitStack() as restored:
            if len(later):
                _change(self.value, later, self.axis, rng, restored)
            yield


@dataclass
class Known:
    """The objects that a strategy's functions refer to.

    Attributes
    ----------
    tables : list of Table
        With a time axis, and changeable.
    constants, closed : list of str
        Numbers, arrays and objects without a time axis; what cannot be changed or looked into.
    """

    tables: list[Table] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    @contextmanager
    def changed_after(self, day: np.datetime64, rng: np.random.Generator) -> Iterator[None]:
        """Replace later entries of all tables by noise.

        The entries after `day` are changed in place, and restored at the end of the ``with``.
        """
        with ExitStack() as stack:
            for table in self.tables:
                stack.enter_context(table.changed_after(day, rng))
            yield


def known_to(strategy: Strategy, data: "xr.DataArray", others: Iterable[Reference] = ()) -> Known:
    """Return the objects that a strategy's functions use.

    The functions of the strategy and `others` are followed to all objects besides their arguments. `data`
    give the length of a time axis without labels, and the names of the assets.
    """
    return _Walk(data).follow([*functions_of_user(strategy), *others])


def functions_of_user(strategy: Strategy) -> list[Reference]:
    """Return a strategy's functions by stage.

    Overriding methods and attributes of its own are included.
    """
    found: list[Reference] = [
        (name, find("feature", item, feature))
        for name, item in zip(feature_labels(strategy), strategy.features, strict=True)
    ]
    for kind, known in (("selection", selection), ("target", target), ("sizing", sizing)):
        found.append((kind, find(kind, getattr(strategy, kind), known)))
    models: Mapping[str, Any] = getattr(sys.modules.get("lib.model"), "model", {})
    if is_estimator(strategy.model):
        found.append((f"model {label(strategy.model)}", strategy.model))
    elif callable(strategy.model) or strategy.model.partition("(")[0] in models:
        found.append((f"model {label(strategy.model)}", find("model", strategy.model, models)))
    if callable(strategy.loss):
        found.append((f"loss {label(strategy.loss)}", strategy.loss))
    for owner in type(strategy).__mro__:
        if issubclass(owner, Strategy) and owner is not Strategy and is_of_user(owner):
            own = ((name, item) for name, item in vars(owner).items() if not name.startswith("__"))
            found += [(name if name in METHODS else f"attribute {name}", item) for name, item in own]
    fields = type(strategy).__dataclass_fields__
    return found + [
        (f"attribute {name}", vars(strategy)[name]) for name in vars(strategy).keys() - fields.keys()
    ]


class _Walk:
    """One walk over all references, breadth first."""

    def __init__(self, data: "xr.DataArray"):
        self.assets = set(data.asset.values.tolist())
        self.first = data.time.values[0]
        self.axes = {data.sizes["time"]: data.time.values}
        self.known = Known()
        self.unlabelled: list[tuple[str, str, Any]] = []
        self.seen: dict[int, Any] = {}  # keeps the objects alive, so that no id occurs twice

    def follow(self, roots: list[Reference]) -> Known:
        left = [("", owner, value) for owner, value in roots]
        for place in itertools.count():
            if place >= len(left):
                break
            if len(self.seen) > MOST_OBJECTS:
                self.known.closed.append(f"more than {MOST_OBJECTS:,} objects, not followed to the end")
                break
            name, owner, value = left[place]
            left += self._visit(name, owner, value)
        for name, owner, value in self.unlabelled:  # now that the lengths of all time axes are known
            self._without_labels(name, owner, value)
        self.known.constants = list(dict.fromkeys(self.known.constants))
        self.known.closed = list(dict.fromkeys(self.known.closed))
        return self.known

    def _visit(self, name: str, owner: str, value: Any) -> Iterator[tuple[str, str, Any]]:
        if isinstance(value, PLAIN):
            if _is_computed(value) or (isinstance(value, str) and value in self.assets):
                self.known.constants.append(f"`{name}` ({owner})")
            return
        if id(value) in self.seen or isinstance(value, (ModuleType, Choices, *CLOSED)):
            return
        self.seen[id(value)] = value
        if isinstance(value, FunctionType):
            yield from self._of_function(name, owner, value)
        elif isinstance(value, type) and not is_of_user(value):
            return
        elif (axes := _labelled(value)) is not None:
            yield from self._with_labels(name, owner, value, axes)
        elif _is_array(value) or _is_numbers(value):
            self.unlabelled.append((name, owner, value))
        else:
            children = None if isinstance(value, io.IOBase) else references_of_object(value)
            if children is None:
                self.known.closed.append(f"`{name}` ({owner}), a {type(value).__name__}")
                return
            if of_user := is_of_user(type(value)):
                yield name, owner, type(value)
            for key, child in children:
                inner = key if key.startswith("[") else f".{key}" if key and of_user else ""
                yield (name + inner if name else key), owner, child

    def _of_function(self, name: str, owner: str, value: FunctionType) -> Iterator[tuple[str, str, Any]]:
        if "__wrapped__" in vars(value):
            yield name, owner, value.__wrapped__  # type: ignore[attr-defined]
        if not is_of_user(value):
            return
        for other in value.__globals__.values():  # their lengths, though the function may not use them
            for times, _ in _labelled(other) or ():
                self.axes.setdefault(len(times), times)
        yield from ((key, owner, child) for key, child in references_of_object(value) or ())

    def _with_labels(
        self, name: str, owner: str, value: Any, axes: list[tuple[np.ndarray, int]]
    ) -> Iterator[tuple[str, str, Any]]:
        if type(value).__name__ == "Dataset":
            yield from ((f"{name}[{key!r}]", owner, value[key]) for key in value.data_vars)
            return
        for times, axis in axes:
            self.axes.setdefault(len(times), times)
            self._add(Table(name, owner, value, times, axis))
        if not axes and not isinstance(value, pd.Index):
            self.known.constants.append(f"`{name}` ({owner})")

    def _without_labels(self, name: str, owner: str, value: Any) -> None:
        array = _as_array(value)
        for axis, length in enumerate(array.shape):
            # a difference, or a window, is shorter by some entries: each is known on the last of its days
            fits = [n for n in self.axes if n - max(1, n // 10) <= length <= n and length > 2]
            if fits:
                times = self.axes[min(fits)]
                self._add(Table(name, owner, value, times[len(times) - length :], axis))
                return
        if array.dtype.kind == "M":  # dates
            return
        entries = array.reshape(-1)[:1000].tolist()
        if _is_array(value) or any(_is_computed(item) or item in self.assets for item in entries):
            self.known.constants.append(f"`{name}` ({owner})")

    def _add(self, table: Table) -> None:
        if len(table.times) and table.times.max() > self.first:
            try:
                first = table.times.min() - np.timedelta64(1, "D")
                with table.changed_after(first, np.random.default_rng(0)):
                    pass
            except Exception:  # whatever an array, a frame or a lock of pandas raises
                self.known.closed.append(f"{table}, which cannot be changed")
                return
            self.known.tables.append(table)


def _labelled(value: Any) -> list[tuple[np.ndarray, int]] | None:
    """Return the time axes of a labelled object.

    Each axis is a pair (times, axis). The result is None for any other object.
    """
    kind = type(value).__module__.partition(".")[0]
    if kind == "pandas" and isinstance(value, pd.Index):
        return []
    if kind == "pandas" and isinstance(value, pd.Series):
        times = _times(value.index)
        return [] if times is None else [(times, 0)]
    if kind == "pandas" and isinstance(value, pd.DataFrame):
        for axis, index in enumerate((value.index, value.columns)):
            if (times := _times(index)) is not None:
                return [(times, axis)]
        dates = [value.iloc[:, k] for k, dtype in enumerate(value.dtypes) if dtype.kind == "M"]
        return [(dates[0].to_numpy().astype("M8[ns]"), 0)] if dates else []
    if kind == "xarray" and type(value).__name__ == "Dataset":
        return [pair for name in value.data_vars for pair in _labelled(value[name]) or ()]
    if kind == "xarray" and type(value).__name__ == "DataArray":
        indexes = [(value.indexes.get(dim), axis) for axis, dim in enumerate(value.dims)]
        found = [(_times(index), axis) for index, axis in indexes if index is not None]
        return [(times, axis) for times, axis in found if times is not None]
    if isinstance(value, dict) and len(value) > 1:
        times = _times(pd.Index(list(value), tupleize_cols=False))
        return None if times is None else [(times, 0)]
    return None


def _times(index: pd.Index) -> np.ndarray | None:
    """Return the dates of an index.

    They are datetime64[ns]. The result is None if the index holds no dates.
    """
    if isinstance(index, pd.MultiIndex):
        levels = (index.get_level_values(k) for k in range(index.nlevels))
        return next((times for level in levels if (times := _times(level)) is not None), None)
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        return index.tz_localize(None).to_numpy().astype("M8[ns]")
    if index.dtype.kind in "iu" and len(index) and index.min() > 1900_00_00 and index.max() < 2200_00_00:
        index = pd.Index(index.astype(str))  # such as 20240131
    elif (
        index.dtype.kind not in "OTUS"
        or not len(index)
        or not all(
            isinstance(item, datetime.date | np.datetime64)
            or (isinstance(item, str) and ISO_DATE.match(item))
            for item in index
        )
    ):
        return None
    times = pd.to_datetime(index, errors="coerce")
    return None if times.isna().any() else _times(times)


def _is_array(value: Any) -> bool:
    tensor = type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")
    return tensor or isinstance(value, np.ndarray)


def _is_numbers(value: Any) -> bool:
    """Return True for a container of plain values.

    The container is a list, tuple, set or dict, and has no other values.
    """
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        return False
    return all(isinstance(item, PLAIN) for item in value)


def _is_computed(value: Any) -> bool:
    """Return True if a number looks computed.

    It has more than `DIGITS` significant digits, which is more than a person writes by hand.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return False
    mantissa = f"{float(value):.15e}".partition("e")[0].replace(".", "").lstrip("-").rstrip("0")
    return bool(np.isfinite(value)) and len(mantissa) > DIGITS


def _as_array(value: Any) -> np.ndarray:
    if isinstance(value, dict):
        value = list(value.values())
    elif isinstance(value, set | frozenset):
        return np.array(sorted(value, key=repr), dtype=object)[None]  # without an order in time
    elif isinstance(value, list | tuple):
        numbers = all(isinstance(item, int | float | np.number) for item in value)
        return np.array(value, dtype=float if numbers else object)
    elif not isinstance(value, np.ndarray):  # a tensor
        return value.detach().cpu().numpy()
    return value if isinstance(value, np.ndarray) else np.array(value, dtype=object)


# ---- changing a table in place ----


def _change(value: Any, later: np.ndarray, axis: int, rng: np.random.Generator, restored: ExitStack) -> None:
    """Replace entries along an axis by noise.

    `later` gives their places. `restored` puts the old entries back when it ends.
    """
    if isinstance(value, dict):
        keys = [list(value)[k] for k in later]
        _replace_items(value, keys, [value[key] for key in keys], list(value.values()), rng, restored)
    elif isinstance(value, list):
        _replace_items(value, later.tolist(), [value[k] for k in later], list(value), rng, restored)
    elif isinstance(value, pd.Series):
        kept = value.iloc[later].copy()
        restored.callback(value.iloc.__setitem__, later, kept.array)
        value.iloc[later] = noise_like(value, kept, rng)
    elif isinstance(value, pd.DataFrame):
        for k in range(value.shape[1]) if axis == 0 else later:
            rows = later if axis == 0 else np.arange(len(value))
            column = value.iloc[:, k]
            if column.dtype.kind == "M":  # dates; the time axis itself may be such a column
                continue
            kept = column.iloc[rows].copy()
            restored.callback(value.iloc.__setitem__, (rows, k), kept.array)
            pool = column if axis == 0 else value.iloc[:, 0]
            value.iloc[rows, k] = noise_like(pool, kept, rng)
    elif isinstance(value, tuple):
        raise TypeError("a tuple cannot be changed")
    else:
        array = _writable(value.values if hasattr(value, "dims") else _as_array(value), restored)
        part = np.moveaxis(array, axis, 0)
        kept = part[later].copy()
        restored.callback(part.__setitem__, later, kept)
        before = np.delete(part, later, axis=0)
        part[later] = noise_like(before if len(before) else kept, kept, rng)


def _writable(array: np.ndarray, restored: ExitStack) -> np.ndarray:
    base: Any = array
    while base is not None:
        if isinstance(base, np.memmap | mmap.mmap):  # noise would reach the file
            raise TypeError("an array in a file cannot be changed")
        base = getattr(base, "base", None)
    if not array.flags.writeable:
        array.flags.writeable = True  # ValueError where its memory belongs to another
        restored.callback(array.setflags, write=False)
    return array


def _replace_items(
    holder: Any, keys: list, kept: list, pool: list, rng: np.random.Generator, restored: ExitStack
) -> None:
    def restore() -> None:
        for key, item in zip(keys, kept, strict=True):
            holder[key] = item

    restored.callback(restore)
    if all(isinstance(item, int | float | np.number) for item in pool):
        new: list = noise_like(np.asarray(pool), np.asarray(kept), rng).tolist()
    else:
        new = [pool[k] for k in rng.integers(0, len(pool), len(kept))]
        new = [_noisy(item, rng) for item in new]
    for key, item in zip(keys, new, strict=True):
        holder[key] = item


def _noisy(item: Any, rng: np.random.Generator) -> Any:
    if isinstance(item, np.ndarray) and item.dtype.kind in "fiub":
        return noise_like(item, item, rng)
    if type(item).__name__ in ("DataArray", "Series", "DataFrame") and hasattr(item, "copy"):
        item = item.copy(deep=True)
        with ExitStack() as never:
            if item.ndim:
                _change(item, np.arange(item.shape[0]), 0, rng, never)
            never.pop_all()
    return item


def noise_like(pool: Any, kept: Any, rng: np.random.Generator) -> np.ndarray:
    """Return noise in the form of `kept`.

    It has the size and kind of the values of `pool`.
    """
    shape = np.shape(kept)
    kind = getattr(kept, "dtype", np.asarray(kept).dtype)
    values = np.asarray(pool)
    if kind.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if kind.kind not in "fiu" or values.dtype.kind not in "fiu":
        every = np.concatenate([values.reshape(-1), np.asarray(kept).reshape(-1)])
        return every[rng.integers(0, len(every), shape)]
    values = np.where(np.isfinite(values), values, np.nan).astype(float)
    known = values[np.isfinite(values)]
    if set(np.unique(known[:10_000])) <= {0.0, 1.0}:
        return (rng.random(shape) < 0.5).astype(kind)
    by_column = values.ndim > 1 and values.shape[1:] == shape[1:]
    with np.errstate(all="ignore"):
        level = np.nanmean(values, axis=0) if by_column else known.mean()
        spread = np.nanstd(values, axis=0) if by_column else known.std()
    level, spread = np.nan_to_num(level, nan=1.0), np.nan_to_num(spread, nan=1.0)
    if (known > 0).all():
        noise = level * rng.lognormal(0, 0.5, shape)
    else:
        noise = level + np.maximum(spread, np.maximum(np.abs(level), 1e-3)) * 2 * rng.normal(size=shape)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return np.clip(np.rint(noise), limits.min, limits.max).astype(kind)
    noise[rng.random(shape) < 0.1] = np.nan
    return noise.astype(kind)
