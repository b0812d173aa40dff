"""The code, data, engine and versions behind a run.

The fingerprint of the code covers the user's objects, and all modules that they import. It changes with the
behaviour of the code, not with comments, docstrings, line breaks or the order of a notebook's definitions.
There are two kinds of code:

- Objects of a notebook or a script count by their compiled code and by the objects that they refer to.
- Modules of the project, and modules of the user's own elsewhere, count by their syntax tree. Installed
  packages count by their version (see `versions`).
"""

import ast
import dis
import functools
import hashlib
import importlib.machinery
import importlib.util
import io
import pickle
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.command_line import PROJECT
from lib.common.market_data import LAYOUT
from lib.common.references import IGNORED, closure_of, global_names
from lib.common.registry import Choices
from lib.engine.learners import estimator_packages, needs_torch
from lib.offline import is_stand_in as is_stand_in
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr


# Python or a command imports these modules, but they do not change the result of a run.
WITHOUT_EFFECT = {"lib", "lib.compare", "lib.contest", "lib.runs.workers"}
WITH_DOCSTRING = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
NOT_FOLLOWED = {"__main__", *sys.stdlib_module_names}
OF_PYTHON = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
ATOMS = str | bytes | int | float | complex | None


def market_fingerprint(data: "xr.DataArray") -> str:
    """Return a fingerprint of market data.

    It has 16 hex digits and changes with any value, day, asset or field, but not with the order of the
    dimensions.
    """
    data = data.transpose(*LAYOUT)
    values = data.values.astype("<f8")  # a copy
    values[np.isnan(values)] = np.nan  # the same bits for every NaN
    digest = hashlib.sha256(repr([data[dim].values.astype(str).tolist() for dim in LAYOUT]).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def data_fingerprint(data: Any) -> str:
    """Return a fingerprint of data of any kind.

    It has 16 hex digits; a user's `load_data` may return such data.
    """
    if set(getattr(data, "dims", ())) == set(LAYOUT):
        return market_fingerprint(data)
    if isinstance(data, dict):
        values: Any = [(name, data_fingerprint(item)) for name, item in data.items()]
    else:
        values = data.to_dict() if hasattr(data, "to_dict") else data
    return hashlib.sha256(pickle.dumps(values, 4)).hexdigest()[:16]


def engine() -> str:
    """Return the name and version of `qnt`.

    It is the `qnt` in use.
    """
    if is_stand_in():
        return "lib/offline"
    try:
        return f"qnt {metadata.version('qnt')}"
    except metadata.PackageNotFoundError:
        return "qnt of unknown version"


def market_name() -> str:
    """Return a description of the prices."""
    if not is_stand_in():
        return "Quantiacs' data"
    from lib.offline import market

    return market.describe()


def is_synthetic() -> bool:
    """Return True if the prices are random."""
    if not is_stand_in():
        return False
    from lib.offline import market

    return market.is_synthetic()


def versions(strategy: Strategy) -> dict[str, str]:
    """Return the versions of Python and the computing packages.

    torch and the packages of an estimator are included only where they are used.
    """
    packages = ["numpy", "pandas", "xarray"] + (["torch"] if needs_torch(strategy) else [])
    found = {"python": platform.python_version(), "qnt": engine()}
    found |= {name: metadata.version(name) for name in packages}
    for name in estimator_packages(strategy):
        found[name] = str(getattr(sys.modules.get(name), "__version__", "unknown"))
    return found


class ObjectCode:
    """The code of an object.

    The object is usually a function or a class.

    Attributes
    ----------
    fingerprint : str
        16 hex digits. A function or class that other processes import counts by its name: its module is among
        `modules`. Others count by compiled code, defaults, closure, and the global names that they use.
        Objects count by class and state.
    modules : set of str
        Dotted names of the modules, or of objects in them, that the object refers to.
    """

    def __init__(self, value: Any):
        self.modules: set[str] = set()
        self._seen: dict[int, tuple[int, Any]] = {}  # keeps the objects alive, so that no id occurs twice
        self.fingerprint = hashlib.sha256(self._text(value).encode()).hexdigest()[:16]

    def _text(self, value: Any) -> str:
        return "\0".join(self._parts(value))

    def _parts(self, value: Any) -> Iterator[str]:
        if isinstance(value, ATOMS):
            yield repr(value)
            return
        yield type(value).__qualname__
        if not isinstance(value, tuple | frozenset):  # Python may merge equal constants, or not
            if id(value) in self._seen:
                yield str(self._seen[id(value)][0])
                return
            self._seen[id(value)] = len(self._seen), value
        if isinstance(value, ModuleType):
            self.modules.add(value.__name__)
            yield value.__name__
        elif isinstance(value, Choices):  # a registered function refers to its whole registry
            yield value.kind
        elif isinstance(value, list | tuple):
            yield str(len(value))
            for item in value:
                yield from self._parts(item)
        elif isinstance(value, set | frozenset):  # their order differs from process to process
            yield from sorted(map(self._text, value))
        elif isinstance(value, dict):
            yield from self._parts(list(value.items()))
        elif isinstance(value, functools.partial):
            yield from self._parts([value.func, value.args, value.keywords])
        elif isinstance(value, staticmethod | classmethod | MethodType):
            yield from self._parts([value.__func__, getattr(value, "__self__", None)])
        elif isinstance(value, property):
            yield from self._parts([value.fget, value.fset, value.fdel])
        elif isinstance(value, CodeType):
            yield from self._code(value)
        elif isinstance(value, FunctionType | type) and _is_imported(value):
            self.modules.add(value.__module__)
            yield f"{value.__module__}.{value.__qualname__}"
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, type):
            own = {name: item for name, item in vars(value).items() if name not in IGNORED}
            yield from self._parts([value.__qualname__, value.__bases__, sorted(own.items())])
        elif isinstance(getattr(value, "__wrapped__", None), FunctionType):  # functools.cache and the like
            yield from self._parts(value.__wrapped__)
        else:
            yield from self._object(value)

    def _function(self, function: FunctionType) -> Iterator[str]:
        yield from self._code(function.__code__)
        cells = [item for _, item in closure_of(function)]
        yield from self._parts([function.__defaults__, function.__kwdefaults__, cells, vars(function)])
        for name in sorted(global_names(function.__code__) & function.__globals__.keys()):
            yield name
            yield from self._parts(function.__globals__[name])

    def _code(self, code: CodeType) -> Iterator[str]:
        """Yield the parts of compiled code.

        Constants count where they are loaded, so that a docstring does not count.
        """
        yield repr((code.co_varnames, code.co_freevars, code.co_flags, code.co_exceptiontable))
        yield repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount))
        module = ""
        steps = list(dis.get_instructions(code))
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            stores = [each for each in (step, after) if each is not None and each.opname == "STORE_NAME"]
            if any(each.argval in IGNORED for each in stores):
                continue  # a class within the function stores its docstring or its line
            yield step.opname
            if isinstance(step.argval, CodeType):
                yield from self._code(step.argval)
            else:
                yield from self._parts(step.argval)
            if step.opname == "IMPORT_NAME":
                module = step.argval
                self.modules.add(module)
            elif step.opname == "IMPORT_FROM":
                self.modules.add(f"{module}.{step.argval}")

    def _object(self, value: Any) -> Iterator[str]:
        kind = type(value)
        try:
            if file_of(kind.__module__) or not _is_imported(kind):
                yield from self._parts([kind, value.__getstate__()])
            else:  # of Python or of an installed package
                content = io.BytesIO()
                _Pickler(content, self).dump(value)
                yield hashlib.sha256(content.getvalue()).hexdigest()
        except Exception:  # without a state to inspect; no worker could be sent it either
            yield f"{kind.__module__}.{kind.__qualname__}"


class _Pickler(pickle.Pickler):
    """A pickler for objects of installed packages.

    The user's objects inside count by their own code.
    """

    def __init__(self, file: io.BytesIO, code: ObjectCode):
        super().__init__(file, 4)
        self._of = code

    def persistent_id(self, value: Any) -> str | None:
        own = isinstance(value, FunctionType | type | MethodType) and not (
            _is_imported(value) and file_of(value.__module__) is None
        )
        return self._of._text(value) if own or isinstance(value, set | frozenset) else None


def _is_imported(value: Any) -> bool:
    """Return True if other processes import `value` by name.

    `value` is a function or class; pickle finds it in the same way.
    """
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None or module.__name__ == "__main__":
        return False
    if not getattr(module, "__file__", None) and module.__name__ not in sys.builtin_module_names:
        return False
    found: Any = module
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def reached_modules(names: Iterable[str]) -> list[str]:
    """Return the modules that `names` import, directly or indirectly.

    They are sorted and include `names`. Installed packages and Python's own modules are left out. A name
    inside a module stands for the module. Imports inside functions and for type hints count too; imports by a
    computed name (`importlib.import_module`) are not seen.
    """
    found: set[str] = set()
    seen: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        path = file_of(name)
        if path is None:  # of `from module import function`
            name = name.rpartition(".")[0]
            path = file_of(name)
        if path is None or name in found or name in WITHOUT_EFFECT:
            continue
        found.add(name)
        packages = name.split(".")[:-1]
        left += [".".join(packages[: k + 1]) for k in range(len(packages))]
        package = name if path.name == "__init__.py" else ".".join(packages)
        left += [_absolute(module, package) for module in _read(path.read_bytes())[1]]
    if is_stand_in():
        files = (
            path.relative_to(PROJECT).with_suffix("") for path in (PROJECT / "lib/offline").rglob("*.py")
        )
        found |= {".".join(path.parts).removesuffix(".__init__") for path in files}
    return sorted(found)


def code_fingerprint(modules: Iterable[str]) -> str:
    """Return a fingerprint of modules and backtest engine.

    It has 16 hex digits.
    """
    digest = hashlib.sha256(engine().encode())
    for name in modules:
        path = file_of(name)
        code = "(missing)" if path is None else _read(path.read_bytes())[0]
        digest.update(f"\0{name}\0{code}".encode())
    return digest.hexdigest()[:16]


def file_of(module: str) -> Path | None:
    """Return the file of a module.

    The result is None for modules of installed packages and of Python.
    """
    if not module or module.partition(".")[0] == "qnt":  # the platform's library counts by its version
        return None
    place = PROJECT.joinpath(*module.split("."))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    return _file_elsewhere(module)


def _file_elsewhere(module: str) -> Path | None:
    """Find a module outside the project by its name.

    The name is dotted; the module is not imported.
    """
    parts = module.split(".")
    if parts[0] in NOT_FOLLOWED:
        return None
    places, spec = None, None
    for k in range(len(parts)):
        try:
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: k + 1]), places)
        except (ImportError, ValueError):
            return None
        if spec is None or _is_installed(spec.origin):
            return None
        places = spec.submodule_search_locations
        if places is None and k + 1 < len(parts):
            return None
    path = Path(spec.origin) if spec and spec.origin else None
    return path if path and path.suffix == ".py" and path.is_file() else None


def _is_installed(origin: str | None) -> bool:
    if origin is None:  # a folder without __init__.py: its modules decide
        return False
    path = Path(origin)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or any(path.is_relative_to(place) for place in OF_PYTHON)


@functools.lru_cache(maxsize=4096)
def _read(text: bytes) -> tuple[str, list[str]]:
    """Return a digest and the imports of a module.

    Imports are dotted names: "a.b" for ``from a import b``, ".a.b" for ``from .a import b``.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # importing it raises the error
        return hashlib.sha256(text).hexdigest(), []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (f"{node.module}." if node.module else "")
            names += [f"{base}{alias.name}" for alias in node.names]
        elif isinstance(node, WITH_DOCSTRING) and node.body and _is_text(node.body[0]):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), names


def _absolute(name: str, package: str) -> str:
    """Return the absolute name of an import in `package`."""
    try:
        return importlib.util.resolve_name(name, package)
    except ImportError:  # more dots than packages: importing it raises the error
        return ""


def _is_text(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return (
        isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    )


def resolve(names: Iterable[str]) -> tuple[list[str], str]:
    """Return the reached modules and their fingerprint.

    See `reached_modules` and `code_fingerprint`.
    """
    modules = reached_modules(names)
    return modules, code_fingerprint(modules)


Resolve = Callable[[frozenset[str]], tuple[list[str], str]]
