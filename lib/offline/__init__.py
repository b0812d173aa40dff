"""Lets this folder answer `import qnt` where Quantiacs' own library is not installed."""

import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).parent)


class NotCoveredError(AttributeError, NotImplementedError):
    """Something of the real library was asked for that the stand-in does not have."""


def install() -> None:
    """Make `import qnt` find this folder, unless it already does, and say so once on stderr."""
    if HERE in sys.path:
        return
    # At the end: a qnt that is installed later, or lies nearer, is always preferred.
    sys.path.append(HERE)
    sys.meta_path.append(_UncoveredModules)
    print(
        f"qnt is not installed: lib/offline answers in its place, on {_market()}.",
        file=sys.stderr,
        flush=True,
    )


def uncovered(module_name: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module of the stand-in: it names what is missing and who has it.

    Parameters
    ----------
    module_name : str
        `__name__` of the module. The module must be the one being imported.

    Returns
    -------
    callable
        Raises `NotCoveredError`, an `AttributeError`, for every name: `hasattr` and `inspect` still work.
    """
    module = sys.modules[module_name]
    # `from m import name` would replace our sentence by "cannot import name", but asks the finders first
    # where m is a package; then the sentence is ours again (see _UncoveredModules).
    if not hasattr(module, "__path__"):
        module.__path__ = []

    def __getattr__(name: str) -> Any:
        full = f"{module_name}.{name}"
        if name.startswith("__"):
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        if PathFinder.find_spec(full, list(module.__path__)):
            raise AttributeError(
                f"{full} is a module that was not imported yet: write `import {full}` first."
            )
        raise NotCoveredError(not_covered(full))

    return __getattr__


def not_covered(what: str) -> str:
    """Return the sentence about something of the real library that the stand-in lacks."""
    return (
        f"{what} is not covered by lib/offline, which answers here because qnt is not installed. If the name "
        "is right, the real library has it: install qnt (see README.md) or run this on Quantiacs."
    )


class _UncoveredModules:
    """The last finder asked: whatever nobody found below `qnt.` ends here, with a sentence."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.startswith("qnt."):
            raise ModuleNotFoundError(
                not_covered(name)
            )  # with its name set, `from qnt import x` would swallow it


def _market() -> str:
    try:
        from . import market
    except ImportError:
        return "a market"
    return market.describe()
