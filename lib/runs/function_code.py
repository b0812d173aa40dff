"""A fingerprint of functions, classes and callable objects: their code, and all that it refers to."""

import dis
import functools
import hashlib
import pickle
import sys
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from lib.common.registry import Choices
from lib.runs.project_code import in_project

# attributes of a class that say nothing about what it does, or that only repeat its methods
IGNORED = {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__"}


class FunctionCode:
    """What a function consists of.

    A function that other processes import from a file counts by its name, and its module is among `modules`.
    Others (of a notebook or a script, or made inside a function) count by their compiled code, defaults,
    closure, and the global names that they use; source text is not read, because Python can name the wrong
    one for code without a file. An object counts by its class and its state. `fingerprint` has 16 hex digits;
    `modules` names the modules, or objects in them, that the function refers to.
    """

    def __init__(self, function: Callable):
        self.modules: set[str] = set()
        self._seen: dict[int, tuple[int, Any]] = {}  # keeps the objects alive, so that no id occurs twice
        self.fingerprint = hashlib.sha256("\0".join(self._parts(function)).encode()).hexdigest()[:16]

    def _parts(self, value: Any) -> Iterator[str]:
        if isinstance(value, str | bytes | int | float | complex | None):
            yield repr(value)
            return
        yield type(value).__qualname__
        if id(value) in self._seen:
            yield str(self._seen[id(value)][0])
            return
        self._seen[id(value)] = len(self._seen), value
        if isinstance(value, ModuleType):
            self.modules.add(value.__name__)
            yield value.__name__
        elif isinstance(value, Choices):  # a registered function holds on to its whole registry
            yield value.kind
        elif isinstance(value, list | tuple):
            yield str(len(value))
            for item in value:
                yield from self._parts(item)
        elif isinstance(value, set | frozenset):  # their order differs from process to process
            yield from sorted("\0".join(self._parts(item)) for item in value)
        elif isinstance(value, dict):
            yield from self._parts(list(value.items()))
        elif isinstance(value, functools.partial):
            yield from self._parts([value.func, value.args, value.keywords])
        elif isinstance(value, staticmethod | classmethod | MethodType):
            yield from self._parts([value.__func__, getattr(value, "__self__", None)])
        elif isinstance(value, property):
            yield from self._parts([value.fget, value.fset, value.fdel])
        elif isinstance(value, FunctionType | type) and _is_imported(value):
            self.modules.add(value.__module__)
            yield f"{value.__module__}.{value.__qualname__}"
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, type):
            own = {name: item for name, item in vars(value).items() if name not in IGNORED}
            yield from self._parts([value.__qualname__, value.__bases__, sorted(own.items())])
        else:
            yield from self._object(value)

    def _function(self, function: FunctionType) -> Iterator[str]:
        names: set[str] = set()
        yield from self._code(function.__code__, names)
        cells = [cell.cell_contents for cell in function.__closure__ or () if cell != CellType()]
        yield from self._parts([function.__defaults__, function.__kwdefaults__, cells, vars(function)])
        for name in sorted(names & function.__globals__.keys()):
            yield name
            yield from self._parts(function.__globals__[name])

    def _code(self, code: CodeType, names: set[str]) -> Iterator[str]:
        """Parts of compiled code; adds the global names that it uses to `names`."""
        yield code.co_code.hex()
        yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags))
        yield repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount))
        for const in code.co_consts:
            yield from self._code(const, names) if isinstance(const, CodeType) else self._parts(const)
        module = ""
        for step in dis.get_instructions(code):
            if step.opname == "IMPORT_NAME":
                module = step.argval
                self.modules.add(module)
            elif step.opname == "IMPORT_FROM":
                self.modules.add(f"{module}.{step.argval}")
            elif step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                names.add(step.argval)

    def _object(self, value: Any) -> Iterator[str]:
        kind = type(value)
        try:
            if in_project(kind.__module__) or not _is_imported(kind):
                yield from self._parts([kind, value.__getstate__()])
            else:  # of Python or of a library
                yield hashlib.sha256(pickle.dumps(value, 4)).hexdigest()
        except Exception:  # no state to inspect: it could not be sent to a worker either
            yield f"{kind.__module__}.{kind.__qualname__}"


def _is_imported(value: Any) -> bool:
    """Whether another process finds a function or class by importing its module, as pickle would."""
    module = sys.modules.get(value.__module__)
    if module is None or module.__name__ == "__main__":
        return False
    if not getattr(module, "__file__", None) and module.__name__ not in sys.builtin_module_names:
        return False
    found: Any = module
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value
