"""References of functions and objects: globals, closures, defaults, attributes and items."""

import dis
import functools
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

Reference = tuple[str, Any]  # the name under which a value is used, and the value
LIBRARY = Path(__file__).parents[1]
FILES_OF_THE_USER = ("features.py", "model.py", "universe.py", "sizing.py")
PATHS = sysconfig.get_paths()
INSTALLED = (*(PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), "<frozen")
# Attributes of a class that do not change what it does, that repeat its methods, or that pickling adds.
IGNORED = {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__"}
IGNORED |= {"__slotnames__", "_abc_impl"}


def global_names(code: CodeType) -> set[str]:
    """Return the global names that compiled code uses.

    Code inside it counts too.
    """
    names = {
        step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return names.union(*(global_names(const) for const in code.co_consts if isinstance(const, CodeType)))


def attribute_names(code: CodeType) -> set[str]:
    """Return all names of globals, attributes and modules.

    They occur in compiled code. Code inside it counts too.
    """
    inside = (attribute_names(const) for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*inside)


def closure_of(function: FunctionType) -> list[Reference]:
    """Return the closure variables of a function.

    Variables that are not set yet are left out.
    """
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:  # the cell is empty
            continue
    return found


def references_of_function(function: FunctionType) -> Iterator[Reference]:
    """Yield the references of a function.

    They are the names and values that it uses. Its arguments do not count.
    """
    yield from closure_of(function)
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(names[len(names) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()
    yield from vars(function).items()
    used = function.__globals__
    attributes = attribute_names(function.__code__)
    for name in sorted(global_names(function.__code__) & used.keys()):
        if isinstance(used[name], ModuleType):
            yield from _of_module(name, used[name], attributes)
        else:
            yield name, used[name]
    for name in sorted(attributes - used.keys()):  # imported inside the function
        if isinstance(module := sys.modules.get(name), ModuleType):
            yield from _of_module(name, module, attributes)


def _of_module(name: str, module: ModuleType, attributes: set[str]) -> Iterator[Reference]:
    if is_of_user(module):
        yield from ((f"{name}.{key}", vars(module)[key]) for key in sorted(attributes & vars(module).keys()))


def references_of_object(value: Any) -> Iterator[Reference] | None:
    """Return the named references of an object.

    The result is None if the object cannot be inspected.
    """
    if isinstance(value, FunctionType):
        return references_of_function(value)
    if isinstance(value, functools.partial):
        return iter([("func", value.func), *enumerate_names(value.args), *value.keywords.items()])
    if isinstance(value, staticmethod | classmethod):
        return iter([("__func__", value.__func__)])
    if isinstance(value, MethodType):
        return iter([("__func__", value.__func__), ("self", value.__self__)])
    if isinstance(value, property):
        return iter([("fget", value.fget), ("fset", value.fset), ("fdel", value.fdel)])
    if isinstance(value, type):
        own = [(name, item) for name, item in vars(value).items() if name not in IGNORED]
        return iter([*own, *(("", base) for base in value.__bases__)])
    if isinstance(value, Mapping):
        return iter([(f"[{key!r}]", item) for key, item in value.items()])
    if isinstance(value, list | tuple | set | frozenset):
        return enumerate_names(value)
    if hasattr(value, "__wrapped__"):  # functools.cache
        return iter([("", value.__wrapped__)])
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    if not slots and not hasattr(value, "__dict__"):
        return None
    found = [(name, getattr(value, name)) for name in slots if hasattr(value, name)]
    return iter([*found, *getattr(value, "__dict__", {}).items()])


def enumerate_names(values: Any) -> Iterator[Reference]:
    """Yield the items of a sequence by position."""
    yield from ((f"[{k}]", item) for k, item in enumerate(values))


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    slots = (slots,) if isinstance(slots, str) else slots
    return [name for name in slots if name not in ("__dict__", "__weakref__")]


def is_of_user(value: Any) -> bool:
    """Return True if the user can edit the definition.

    `value` is a function, class or module. It is defined in a notebook's cell or in a file of the user's own,
    or in one of the four files of this project that users edit. Installed packages, Python and all other
    files of this project do not count.
    """
    if isinstance(value, ModuleType):
        name, file = value.__name__, getattr(value, "__file__", None)
        if file is None:
            return name == "__main__"
    else:
        name = getattr(value, "__module__", None) or ""
        if isinstance(value, type) and name == "__main__":
            return True
        module = sys.modules.get(name)
        file = getattr(getattr(value, "__code__", module), "co_filename", None)
        file = file or getattr(module, "__file__", None) or ""
        if module is not None and not file and name != "__main__":
            return False  # built in
    if name.split(".")[0] == "qnt" or name in sys.builtin_module_names:
        return False
    return is_of_user_file(file)


@functools.lru_cache(maxsize=4096)
def is_of_user_file(file: str) -> bool:
    """Return True if the user can edit a file.

    See `is_of_user`.
    """
    if file.startswith(INSTALLED) or "site-packages" in file or "dist-packages" in file:
        return False
    path = Path(file)
    return not path.is_relative_to(LIBRARY) or (path.parent == LIBRARY and path.name in FILES_OF_THE_USER)


def numbers_in(value: Any, most: int = 100_000) -> list[Any]:
    """Return the numbers in any object.

    They are arrays of floats in the order of its attributes; dates and times do not count. At most `most`
    objects are inspected.
    """
    import numpy as np

    found: list[Any] = []
    seen: dict[int, Any] = {}
    left = [value]
    while left and len(seen) < most:
        item = left.pop()
        if isinstance(item, bool | int | float | np.number):
            found.append(np.array([item], float))
            continue
        if isinstance(item, str | bytes | type | ModuleType | FunctionType | None) or id(item) in seen:
            continue
        seen[id(item)] = item
        if hasattr(item, "detach") and hasattr(item, "cpu"):
            item = item.detach().cpu().numpy()
        elif hasattr(item, "to_numpy"):
            item = item.to_numpy()
        if isinstance(item, np.ndarray):
            if item.dtype.kind in "fiub":
                found.append(item.astype(float))
            elif item.dtype.kind == "O":
                left += reversed(item.reshape(-1).tolist())
            elif item.dtype.names:
                left += [item[name] for name in reversed(item.dtype.names)]
            continue
        if not isinstance(item, Mapping | list | tuple | set | frozenset):
            try:
                item = item.__getstate__()  # a tree of scikit-learn has its numbers there alone
            except Exception:  # it has no state to inspect
                continue
            if isinstance(item, np.ndarray | dict | tuple | list):
                left.append(item)
            continue
        left += [child for _, child in reversed(list(references_of_object(item) or ()))]
    return found
