"""The identity of a result: all inputs besides days and market, and their key."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lib.common.errors import WrongValueError
from lib.common.registry import is_plain
from lib.features import feature, target
from lib.runs import fingerprint, provenance
from lib.sizing import sizing
from lib.strategy import Strategy
from lib.universe import selection

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
    strategy: Strategy, *start: str, resolve: fingerprint.Resolve = fingerprint.resolve
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
        code = fingerprint.ObjectCode(value)
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
    if fingerprint.code_fingerprint(identity.modules) != identity.content["code"]:
        raise WrongValueError(
            "a worker has another version of the code than this process: give both the same."
        )
    here, there = identity.content["versions"], provenance.versions(strategy)
    differing = [name for name in {**here, **there} if there.get(name) != here.get(name)]
    if differing:
        raise WrongValueError(
            f"a worker has another version of {', '.join(differing)} than this process: give both the same."
        )


def functions_of(strategy: Strategy) -> dict[str, list[Callable | None]]:
    """Return the functions and estimators among a strategy's values by parameter.

    A plain value stands as None; parameters without another are left out.
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
