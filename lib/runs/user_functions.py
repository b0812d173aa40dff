"""The user's own functions among the parameters of a strategy."""

import sys
from collections.abc import Callable, Mapping

from lib.features import feature, target
from lib.sizing import sizing
from lib.strategy import Strategy
from lib.universe import selection

REGISTRARS = {"lib.features", "lib.universe", "lib.model", "lib.sizing"}  # known to every worker


def functions_of(strategy: Strategy) -> dict[str, list[Callable | None]]:
    """Functions among a strategy's values, None for a name, by parameter; only parameters with a function."""
    given = {name: getattr(strategy, name) for name in strategy.as_dict()}
    lists = {name: value if isinstance(value, tuple) else (value,) for name, value in given.items()}
    found = {name: [item if callable(item) else None for item in items] for name, items in lists.items()}
    return {name: items for name, items in found.items() if any(items)}


def registered(strategy: Strategy) -> dict[str, dict[str, Callable]]:
    """Functions that a strategy names and that the user's modules registered, by parameter and name.

    A worker loads only what lib/ itself registers, and is sent these.
    """
    found: dict[str, dict[str, Callable]] = {}
    for parameter, known in registries().items():
        value = getattr(strategy, parameter)
        for name in value if isinstance(value, tuple) else (value,):
            name = name.partition("(")[0] if isinstance(name, str) else ""
            if name in known and known[name].__module__ not in REGISTRARS:
                found.setdefault(parameter, {})[name] = known[name]
    return found


def register(functions: Mapping[str, Mapping[str, Callable]]) -> None:
    """Register functions in this process, by parameter and name."""
    if "model" in functions:
        import lib.model  # noqa: F401  (only then is its registry known)
    for parameter, known in registries().items():
        known.update(functions.get(parameter, {}))


def registries() -> dict[str, dict[str, Callable]]:
    """By parameter the functions that can be named; models only where torch is loaded already."""
    models = getattr(sys.modules.get("lib.model"), "model", {})
    known = {"features": feature, "target": target, "selection": selection, "sizing": sizing}
    return known | {"model": models}
