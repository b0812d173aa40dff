"""A stand-in for Quantiacs' library qnt, found by `import qnt` where the real one is not installed."""

import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).parent)


class NotCoveredError(AttributeError, NotImplementedError):
    """The error for parts of the real library that the stand-in lacks."""


def install() -> None:
    """Make `import qnt` find this folder, unless it already does, and say so once on stderr."""
    if HERE in sys.path:
        return
    # At the end of the path, so that a real qnt is preferred, even one installed later.
    sys.path.append(HERE)
    sys.meta_path.append(_UncoveredModules)
    print(
        f"qnt is not installed: lib/offline answers in its place, on {_market()}.",
        file=sys.stderr,
        flush=True,
    )


def uncovered(module_name: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of the stand-in's module `module_name`, called while that is imported.

    It raises `NotCoveredError`, an `AttributeError`, for every name, so that `hasattr` and `inspect` work.
    """
    module = sys.modules[module_name]
    # `from m import name` replaces this sentence by "cannot import name", except where m is a package: there
    # it asks the finders first, and `_UncoveredModules` answers.
    if not hasattr(module, "__path__"):
        module.__path__ = []

    def __getattr__(name: str) -> Any:
        full = f"{module_name}.{name}"
        if name.startswith("__"):
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        if PathFinder.find_spec(full, list(module.__path__)):
            raise AttributeError(f"{full} is a module that is not yet imported: write `import {full}` first.")
        raise NotCoveredError(not_covered(full))

    return __getattr__


def not_covered(what: str) -> str:
    """Return the sentence about something of the real library that the stand-in lacks."""
    return (
        f"{what} is not covered by lib/offline, which answers here because qnt is not installed. If the name "
        "is right, the real library has it: install qnt (see README.md) or run this on Quantiacs."
    )


class _UncoveredModules:
    """The last import finder, which refuses every unknown module below `qnt.` with a sentence."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.startswith("qnt."):
            # Without the argument `name`, with which `from qnt import x` would swallow it.
            raise ModuleNotFoundError(not_covered(name))


def _market() -> str:
    try:
        from . import market
    except ImportError:
        return "a market"
    return market.describe()
