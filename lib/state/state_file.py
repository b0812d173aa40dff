"""Does a file hold a state of this project, and which?"""

import gzip
import os
import stat
import zlib
from typing import Any

from lib.state.positions import State, restore
from lib.state.safe_pickle import Call, Malformed, Name, NotPlain, read_plain
from lib.state.state_checks import StateError

LARGEST = 1 << 29  # bytes unpacked: a state takes some thousand, one with models some million
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
        It holds no whole state of this project.
    OSError, ValueError
        It cannot be read.
    """
    try:
        return _state_in(read_plain(_unpacked(place), KNOWN_NAMES))
    except NotPlain as error:
        raise StateError(
            f"not a state of this project: it asks for {error}. Nothing in it was run; do not unpickle it"
        ) from None
    except Malformed as error:
        raise StateError(f"not a pickle, or a broken one ({error})") from None


def _unpacked(place: str) -> bytes:
    """Content of a gzip file, all of it, checked against its sum."""
    with open(place, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("a pipe or device is there, no file")
        if status.st_size == 0:
            raise StateError("it is empty, as an interrupted write leaves it")
        chunks, size = [], 0
        try:
            with gzip.GzipFile(fileobj=file) as packed:
                while chunk := packed.read(1 << 20):
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > LARGEST:
                        raise StateError(f"it unpacks to more than {LARGEST >> 20} MiB, which no state does")
        except EOFError:
            raise StateError("it is cut short: its end is missing") from None
        except gzip.BadGzipFile as error:
            raise StateError(f"not a gzip file, or a damaged one ({error})") from None
        except zlib.error as error:
            raise StateError(f"it is damaged ({error})") from None
    return b"".join(chunks)


def _open_at_once(place: str, flags: int) -> int:
    """Open without waiting, as one would for ever at a pipe."""
    return os.open(place, flags | getattr(os, "O_NONBLOCK", 0))


def _state_in(content: Any) -> State | None:
    """The state in what `state_write` wrote, or `backtest_ml`: (time, models, state)."""
    if type(content) is tuple and len(content) == 3:
        content = content[2]
    if content is None:
        return None
    if isinstance(content, Call) and content.function == RESTORE and len(content.arguments) == 1:
        return restore(content.arguments[0])
    raise StateError(f"it holds a {type(content).__name__}, not a state of this project")
