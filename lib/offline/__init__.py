"""A stand-in for Quantiacs' library qnt.

``import qnt`` finds it where the real one is not installed. It lies in this folder, which `import lib` adds
to the end of Python's path. The folder `qnt` beside `lib` makes `import qnt.ta` and the like work before
that: it has no `__init__.py` and so is a namespace package, to which Python prefers an installed `qnt`,
wherever that stands on the path.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class NotCoveredError(AttributeError, NotImplementedError):
    """The error for parts that the stand-in lacks.

    The real library has these parts.
    """


def is_stand_in() -> bool:
    """Return True if `import qnt` finds no installed library."""
    spec = importlib.util.find_spec("qnt")
    return spec is None or spec.origin is None or HERE in Path(spec.origin).parents


def install() -> None:
    """Make `import qnt` find the stand-in.

    Nothing changes where the library is installed.
    """
    if str(HERE) not in sys.path and is_stand_in():
        # At the end of the path, so that a real qnt is preferred, even one installed later.
        sys.path.append(str(HERE))
        sys.meta_path.append(_UncoveredModules)


def load(name: str) -> None:
    """Import a module of the stand-in.

    The module replaces the one of the folder `qnt` that calls this function.
    """
    install()
    for module in ("qnt", name):
        sys.modules.pop(module, None)
    importlib.import_module(name)


def uncovered(module_name: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module of the stand-in.

    The module `module_name` calls this function while it is imported. `__getattr__` raises an
    `AttributeError`, in most cases a `NotCoveredError`, for every name, so that `hasattr` and `inspect` work.
    """
    module = sys.modules[module_name]
    # `from m import name` replaces this sentence by "cannot import name", except where m is a package: there
    # it asks the finders first, and `_UncoveredModules` raises the sentence.
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
    """Return the message about an uncovered part.

    The stand-in lacks the part `what` of the real library.
    """
    return (
        f"{what} is not covered by the stand-in for qnt, which is used because qnt is not installed. If the "
        "name is right, the real library has it: install qnt (see README.md) or run this on Quantiacs."
    )


class _UncoveredModules:
    """An import finder for unknown modules below `qnt`.

    It is the last finder and refuses every such module with a sentence.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.startswith("qnt."):
            # Without the argument `name`, with which `from qnt import x` would swallow it.
            raise ModuleNotFoundError(not_covered(f"'{name}'"))


install()
