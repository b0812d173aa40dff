"""The store of results on disk.

Results are JSON files with a checksum and the key of all that the result depends on.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lib.common.errors import WrongValueError, quantity
from lib.common.files import replace_file
from lib.common.registry import is_plain
from lib.engine.learners import needs_torch
from lib.features import feature, target
from lib.runs import provenance
from lib.runs.workers import single_torch_thread
from lib.sizing import sizing
from lib.strategy import Strategy
from lib.universe import selection

FORMAT = 2  # of the files; files of another format are not read
CHECKSUM = "checksum"
Record = dict[str, Any]
T = TypeVar("T")
REGISTRARS = {"lib.features", "lib.universe", "lib.model", "lib.sizing"}  # known to every worker


class Identity(NamedTuple):
    """The inputs of a result besides days and market."""

    content: dict[str, Any]  # values that JSON holds
    modules: list[str]  # whose code is part of it

    @property
    def key(self) -> str:
        """Return 20 hex digits that identify the content."""
        return key_of(self.content)


def identity_of(
    strategy: Strategy, *start: str, resolve: provenance.Resolve = provenance.resolve
) -> Identity:
    """Return the identity of the results of a strategy.

    Its content has the parameters; the code of the user's functions among them, given or registered under a
    name; the code of the strategy's class, with all methods that a subclass overrides; the code of all
    modules that compute; and the versions of the packages.

    Parameters
    ----------
    strategy : Strategy
    *start : str
        Dotted names of the modules that compute the result: they and their imports are part of it.
    resolve : callable
        Returns modules and fingerprint of dotted names; a caller with many strategies passes a cached one.
    """
    modules = set(start)

    def code_of(value: Any) -> str:
        code = provenance.ObjectCode(value)
        modules.update(code.modules)
        return code.fingerprint

    content: dict[str, Any] = {"parameters": strategy.as_dict()}
    content["functions"] = {
        parameter: ["" if function is None else code_of(function) for function in own]
        for parameter, own in functions_of(strategy).items()
    }
    content["registered"] = {
        parameter: {name: code_of(function) for name, function in own.items()}
        for parameter, own in registered(strategy).items()
    }
    content["strategy"] = code_of(type(strategy))
    files, content["code"] = resolve(frozenset(modules))
    return Identity(content | {"versions": provenance.versions(strategy)}, files)


def key_of(content: Any) -> str:
    """Return 20 hex digits that identify a content.

    The content holds values that JSON can store.
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def check_worker(strategy: Strategy, identity: Identity) -> None:
    """Check a worker's code and packages against an identity.

    Raises
    ------
    WrongValueError
        They differ.
    """
    if provenance.code_fingerprint(identity.modules) != identity.content["code"]:
        raise WrongValueError(
            "a worker has another version of the code than this process: give both the same."
        )
    here, there = identity.content["versions"], provenance.versions(strategy)
    differing = [name for name in {**here, **there} if there.get(name) != here.get(name)]
    if differing:
        raise WrongValueError(
            f"a worker has another version of {', '.join(differing)} than this process: give both the same."
        )


@contextlib.contextmanager
def prepared_worker(
    strategy: Strategy, identity: Identity, named: Mapping[str, Mapping[str, Callable]]
) -> Iterator[None]:
    """Prepare a worker for a call.

    The functions of `registered` are registered in it, and torch has one thread.

    Raises
    ------
    WrongValueError
        This worker has another version of the code or of a package; see `check_worker`.
    """
    register(named)
    with single_torch_thread(needs_torch(strategy)):
        check_worker(strategy, identity)
        yield


def functions_of(strategy: Strategy) -> dict[str, list[Callable | None]]:
    """Return a strategy's functions and estimators by parameter.

    None stands for a plain value. Parameters with plain values only are left out.
    """
    given = {name: getattr(strategy, name) for name in strategy.as_dict()}
    lists = {name: value if isinstance(value, tuple) else (value,) for name, value in given.items()}
    found = {name: [None if is_plain(item) else item for item in items] for name, items in lists.items()}
    return {name: items for name, items in found.items() if any(item is not None for item in items)}


def registered(strategy: Strategy) -> dict[str, dict[str, Callable]]:
    """Return the named functions that the user registered.

    They are ordered by parameter and name. A worker receives them, since it loads only the functions that
    lib/ itself registers.
    """
    found: dict[str, dict[str, Callable]] = {}
    for parameter, known in _registries().items():
        value = getattr(strategy, parameter)
        for name in value if isinstance(value, tuple) else (value,):
            name = name.partition("(")[0] if isinstance(name, str) else ""
            if name in known and known[name].__module__ not in REGISTRARS:
                found.setdefault(parameter, {})[name] = known[name]
    return found


def register(functions: Mapping[str, Mapping[str, Callable]]) -> None:
    """Register functions in this process.

    They are given by parameter and name.
    """
    if "model" in functions:
        import lib.model  # noqa: F401  (only then is its registry known)
    for parameter, known in _registries().items():
        known.update(functions.get(parameter, {}))


def _registries() -> dict[str, dict[str, Callable]]:
    """Return the registries by parameter.

    That of models is empty unless torch is loaded already.
    """
    models = getattr(sys.modules.get("lib.model"), "model", {})
    known = {"features": feature, "target": target, "selection": selection, "sizing": sizing}
    return known | {"model": models}


class DamagedResultError(ValueError):
    """A result file with wrong content.

    It does not hold the result of its name and key. The message gives the reason.
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
        What the result belongs to, such as `lib.runs.store.key_of` of all that it depends on. It is part
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
        files = quantity(len(old), "file")
        sentences.append(
            f"{old[0].parent} has {files} of an earlier version of this project, not to be used: {again}."
        )
    return found, sentences


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
