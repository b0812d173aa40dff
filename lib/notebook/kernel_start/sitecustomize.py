"""The start of a kernel: `import qnt` finds the built-in stand-in where the library is not installed.

Python imports this module first where PYTHONPATH names its folder. It imports the environment's own
`sitecustomize` too, which it hides.
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]


class StandInFinder:
    """The last import finder, which is asked for `qnt` only where no other finder has found it."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return where the stand-in's package lies, or None for any other module."""
        if name != "qnt":
            return None
        if importlib.util.find_spec("lib") is None:
            sys.path.append(str(PROJECT))
        try:
            offline = importlib.import_module("lib.offline")
            offline.install()
        except (ImportError, AttributeError):  # the notebook has a `lib` of its own
            return None
        return PathFinder.find_spec(name)


def _import_hidden() -> None:
    """Import the environment's own `sitecustomize`, if it has one, under the usual name."""
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).absolute() != HERE]
    this = sys.modules.pop(__name__, None)
    try:
        importlib.import_module(__name__)
    except ModuleNotFoundError:
        pass
    finally:
        if this is not None:
            sys.modules.setdefault(__name__, this)


sys.meta_path.append(StandInFinder)
_import_hidden()
