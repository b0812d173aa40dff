"""The content of a state file: the state it holds, and what must not be lost when it is replaced."""

import gzip
import io
import itertools
import os
import stat
import zlib

from lib.common.files import replace_file
from lib.state.positions import State, restore
from lib.state.safe_pickle import Call, Name, NotPlain, read_plain
from lib.state.state_checks import StateError

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
    """The state that a file holds, or None where it holds "no positions yet"; nothing in it is run.

    Raises
    ------
    StateError
        It holds no complete state of this project.
    OSError, ValueError
        It cannot be read.
    """
    return from_bytes(_content(place))


def keep_aside(place: str, state: State | None) -> str | None:
    """Copy what `state` would overwrite at `place`, if it is a state of a later day, or no complete state.

    The copy lies beside the file, under its name and the later day, or ``unreadable``; it is made once.

    Returns
    -------
    str or None
        What was kept, and where; None where nothing had to be.

    Raises
    ------
    StateError, OSError, ValueError
        The file cannot be read, or not be kept.
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
    """Bytes of a file; opened without waiting, since at a pipe that would take for ever."""
    at_once = getattr(os, "O_NONBLOCK", 0)
    with open(place, "rb", opener=lambda path, flags: os.open(path, flags | at_once)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is a pipe or a device, not a file")
        if status.st_size > LARGEST:
            raise StateError(f"it has more than {LARGEST >> 20} MiB, which no state does")
        return file.read()


def from_bytes(content: bytes) -> State | None:
    """Return the state in the bytes of a file of `state_write`, or of `backtest_ml`: (time, models, state).

    Nothing in them is run.

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
    """Content of a gzip file, all of it, checked against its sum."""
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
