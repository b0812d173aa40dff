"""The state file: written on one day, read on the next.

The file is a gzip-compressed pickle of a versioned plain record, which the platform's `qnt.state.read` reads
too. Reading it here runs no code of the file.
"""

import gzip
import io
import itertools
import os
import pickle
import stat
import warnings
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from lib.common.files import replace_file
from lib.state.positions import State, StateError, StateWarning, restore
from lib.state.safe_pickle import Call, Name, NotPlain, read_plain

if TYPE_CHECKING:
    import xarray as xr


__all__ = [
    "State",
    "StateError",
    "StateWarning",
    "from_bytes",
    "state_read",
    "state_write",
    "states_table",
    "to_bytes",
]

DEFAULT_PATH = "state.out.pickle.gz"


def state_write(state: State | None, path: str | os.PathLike | None = None) -> None:
    """Write the state for the next day.

    A crash leaves the old file or the new one.

    A state of a later day, or a file without a complete state, is first copied beside the file, and a
    `StateWarning` names the copy.

    Parameters
    ----------
    state : State or None
        None means "no positions yet".
    path : path, optional
        Default: the environment's OUT_STATE_PATH, else ``state.out.pickle.gz``.

    Raises
    ------
    StateError
        It could not be written; the old file is untouched.
    """
    if state is not None and not isinstance(state, State):
        raise StateError(
            f"state_write takes a State or None, not a {type(state).__name__}: pass what predict returned. "
            "Values of your own belong in its memory (state.with_memory)."
        )
    place = _out_path() if path is None else os.fsdecode(path)
    try:
        kept = keep_aside(place, state)
        confirmed = replace_file(place, to_bytes(state))
    except (OSError, ValueError) as error:
        raise StateError(
            f"The state could not be written to {place} ({_reason(error)}). What was there is untouched. "
            "Fix that, or set OUT_STATE_PATH to a file that can be written; then run state_write again."
        ) from error
    if kept:
        warnings.warn(f"{place} now holds: {_line(state)}; {kept}.", StateWarning, stacklevel=2)
    if not confirmed:
        warnings.warn(
            f"The state is in {place}, but the disk did not confirm it: after a power cut, check that it "
            "is still the new one.",
            StateWarning,
            stacklevel=2,
        )
    print(f"State saved to {place}: {_line(state)}.", flush=True)


def to_bytes(state: State | None) -> bytes:
    """Return the content of a state file.

    `from_bytes` reads it.
    """
    return gzip.compress(pickle.dumps(state, protocol=4), mtime=0)


def state_read(path: str | os.PathLike | None = None) -> State | None:
    """Read the state of an earlier day.

    No code in the file is run.

    Parameters
    ----------
    path : path, optional
        Default: the environment's IN_STATE_PATH where it is set and there, else that of `state_write`.

    Returns
    -------
    State or None
        None on the first day (no file; a line is printed), and where "no positions yet" was written.

    Raises
    ------
    StateError
        The file is there, but holds no complete state of this project, or cannot be read.
    """
    place = _in_path() if path is None else os.fsdecode(path)
    try:
        state = state_at(place)
    except FileNotFoundError:
        print(f"No state at {place}: first day, starts without positions.", flush=True)
        return None
    except (OSError, ValueError) as error:
        problem = f"it cannot be read ({_reason(error)}). Fix that and read it again"
        if isinstance(error, StateError):
            problem = str(error)
        raise StateError(f"State file {place}: {problem}. To start afresh, move it away.") from None
    print(f"State read from {place}: {_line(state)}.", flush=True)
    return state


def states_table(states: Iterable[State | None]) -> "xr.DataArray":
    """Return the weights by day from states.

    ``backtest_ml(collect_all_states=True)`` returns such states.

    Returns
    -------
    xarray.DataArray
        Dims (time, asset), both sorted; 0 where an asset was not held. Of two of one day the last counts.
    """
    import xarray as xr

    by_day = {state.date: state.weights for state in states if state is not None}
    days, assets = sorted(by_day), sorted({asset for row in by_day.values() for asset in row})
    table = np.array([[by_day[day].get(asset, 0.0) for asset in assets] for day in days], dtype=np.float64)
    return xr.DataArray(
        table.reshape(len(days), len(assets)),
        dims=["time", "asset"],
        coords={"time": np.array(days, dtype="M8[ns]"), "asset": np.array(assets, dtype=str)},
        name="weights",
    )


def _line(state: State | None) -> str:
    return "no positions yet" if state is None else repr(state)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "its folder does not exist"
    return getattr(error, "strerror", None) or str(error)


def _out_path() -> str:
    return os.environ.get("OUT_STATE_PATH") or DEFAULT_PATH


def _in_path() -> str:
    given = os.environ.get("IN_STATE_PATH") or ""
    try:
        if given and os.stat(given):
            return given
    except FileNotFoundError:
        print(f"IN_STATE_PATH names {given}, which does not exist: reading {_out_path()}.", flush=True)
    except (OSError, ValueError):
        return given  # it exists, and reading it reports the error
    return _out_path()


LARGEST = 1 << 27  # bytes, unpacked: a state takes some thousand, one with models some million
RESTORE = Name("lib.state.positions", "restore")
KNOWN_NAMES = {
    RESTORE,
    Name("lib.engine.models", "_load_models"),
    Name("lib.trained_models", "_load_models"),  # its places in older files
    Name("lib.training", "_load_models"),
    Name("numpy", "dtype"),
    Name("numpy.core.multiarray", "scalar"),
    Name("numpy._core.multiarray", "scalar"),
}


def state_at(place: str) -> State | None:
    """Return the state in a file.

    The result is None if the file holds "no positions yet". No code in the file is run.

    Raises
    ------
    StateError
        It holds no complete state of this project.
    OSError, ValueError
        It cannot be read.
    """
    return from_bytes(_content(place))


def keep_aside(place: str, state: State | None) -> str | None:
    """Copy a state file before it is overwritten.

    A copy is made if the file at `place` holds a state of a later day than `state`, or no complete state.

    The copy lies beside the file, under its name and the later day, or ``unreadable``; it is made once.

    Returns
    -------
    str or None
        A description of the copied file and its place; None if no copy was needed.

    Raises
    ------
    StateError, OSError, ValueError
        The file cannot be read or copied.
    """
    try:
        content = _content(place)
    except FileNotFoundError:
        return None
    try:
        there = from_bytes(content) if content else None
        if there is None or (state is not None and there.date <= state.date):
            return None
        what, label = f"the later state of {there.date}", str(there.date)
    except StateError:
        what, label = "a file that holds no complete state", "unreadable"
    for number in itertools.count(1):
        aside = f"{place}.{label}" + f"-{number}" * (number > 1)
        if not os.path.lexists(aside):
            replace_file(aside, content)
            break
        if _content(aside) == content:
            break
    return f"{what} is kept in {aside}"


def _content(place: str) -> bytes:
    """Return the bytes of a file.

    Opening does not wait, since a pipe would block for ever.
    """
    at_once = getattr(os, "O_NONBLOCK", 0)
    with open(place, "rb", opener=lambda path, flags: os.open(path, flags | at_once)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is a pipe or a device, not a file")
        if status.st_size > LARGEST:
            raise StateError(f"it has more than {LARGEST >> 20} MiB, which no state does")
        return file.read()


def from_bytes(content: bytes) -> State | None:
    """Return the state in the bytes of a file.

    `state_write` writes such a file; `backtest_ml` writes (time, models, state). No code in the bytes is run.

    Raises
    ------
    StateError
        They hold no complete state of this project.
    """
    unpacked = _unpacked(content)
    try:
        value = read_plain(unpacked, KNOWN_NAMES)
    except NotPlain as error:
        raise StateError(
            f"not a state of this project: it asks for {error}. Nothing in it was run; do not unpickle it"
        ) from None
    except (ValueError, LookupError) as error:
        raise StateError(f"not a pickle, or a broken one ({error!s:.80})") from None
    if type(value) is tuple and len(value) == 3:
        value = value[2]
    if value is None:
        return None
    if isinstance(value, Call) and value.function == RESTORE and len(value.arguments) == 1:
        return restore(value.arguments[0])
    raise StateError(f"it holds a {type(value).__name__}, not a state of this project")


def _unpacked(content: bytes) -> io.BytesIO:
    """Return the complete content of a gzip file.

    Its checksum is verified.
    """
    if not content:
        raise StateError("it is empty, as an interrupted write leaves it")
    unpacked = io.BytesIO()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            while chunk := packed.read(1 << 20):
                unpacked.write(chunk)
                if unpacked.tell() > LARGEST:
                    raise StateError(f"it unpacks to more than {LARGEST >> 20} MiB, which no state does")
    except EOFError:
        raise StateError("it is cut short: its end is missing") from None
    except gzip.BadGzipFile as error:
        raise StateError(f"not a gzip file, or a damaged one ({error})") from None
    except zlib.error as error:
        raise StateError(f"it is damaged ({error})") from None
    unpacked.seek(0)
    return unpacked
