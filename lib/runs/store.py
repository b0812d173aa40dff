"""The store of results on disk: JSON files with key and checksum."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lib.common.files import replace_file

FORMAT = 2  # of the files; files of another format are not read
CHECKSUM = "checksum"
Record = dict[str, Any]
T = TypeVar("T")


class DamagedResultError(ValueError):
    """A file that does not hold the result of its name and key.

    The message gives the reason.
    """


class OldResultError(ValueError):
    """A file of an earlier version of the project."""


def write_result(path: Path, key: str, content: Mapping[str, Any]) -> None:
    """Write a result as one file.

    A crash leaves the old file or the new one.

    Parameters
    ----------
    path : pathlib.Path
    key : str
        What the result belongs to, such as `lib.runs.identity.key_of` of all that it depends on. It is part
        of the checked content: a file copied to another result's place is not taken for it.
    content : mapping
        Values that JSON holds, without NaN and infinity.

    Raises
    ------
    OSError
        The disk is full or read-only; an old file is untouched.
    ValueError
        A value that JSON does not hold.
    """
    whole = {name: value for name, value in content.items() if name != CHECKSUM}
    whole |= {"key": key, "format": FORMAT}
    whole[CHECKSUM] = _checksum(whole)
    replace_file(path, json.dumps(whole, indent=1, sort_keys=True, allow_nan=False).encode())


def read_result(path: Path, key: str) -> Record:
    """Return the content of a file of `write_result`.

    The key must be the same; checksum and format are left out.

    Raises
    ------
    OldResultError, DamagedResultError
    """
    try:
        whole = json.loads(path.read_text("utf-8"))
        checksum, format_ = whole.pop(CHECKSUM), whole.get("format")
        if format_ != FORMAT:
            raise OldResultError(str(path))
        if checksum != _checksum(whole):
            raise DamagedResultError("its checksum does not fit")
        if whole["key"] != key:
            raise DamagedResultError("it belongs to another result than its name says")
        return {name: value for name, value in whole.items() if name != "format"}
    except (OldResultError, DamagedResultError):
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedResultError(str(error)) from error


def read_results(
    paths: Iterable[Path], load: Callable[[Path], T], again: str
) -> tuple[dict[Path, T], list[str]]:
    """Load many files, and describe unusable ones.

    Parameters
    ----------
    paths : iterable of pathlib.Path
    load : callable
        Returns the result of a file, from `read_result`, or raises DamagedResultError, or another error if
        the content is not as expected.
    again : str
        Ends the sentence on a damaged file, such as "its days are computed again".

    Returns
    -------
    results : dict of pathlib.Path to object
    sentences : list of str
        One for each damaged file, and one for all files of an earlier version together.
    """
    found: dict[Path, T] = {}
    sentences, old = [], []
    for path in paths:
        try:
            found[path] = load(path)
        except OldResultError:
            old.append(path)
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            sentences.append(f"{path} is damaged ({error}): {again}.")
    if old:
        number = "1 file" if len(old) == 1 else f"{len(old)} files"
        sentences.append(
            f"{old[0].parent} has {number} of an earlier version of this project, not to be used: {again}."
        )
    return found, sentences


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
