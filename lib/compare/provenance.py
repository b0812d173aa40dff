"""What does a run depend on besides its parameters? Data, code and versions, each as a short fingerprint."""

import hashlib
import inspect
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.market_data import LAYOUT
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

HERE = Path(__file__).parents[1]
# the modules of lib/ that decide what comes of a run
CODE = [
    *(
        "choices",
        "competitions",
        "features",
        "files",
        "indicators",
        "market_data",
        "model",
        "sizing",
        "strategy",
        "universe",
    ),
    *(
        f"engine/{name}"
        for name in ("__init__", "constant", "fast_lstm", "inputs", "lbfgs", "models", "prediction")
    ),
    *("engine/torch_training", "engine/training"),
    *("state/__init__", "state/positions", "compare/provenance", "compare/run_one", "compare/runs"),
]


def market_fingerprint(data: "xr.DataArray") -> str:
    """16 hex digits that change with any value, day, asset or field of `data`, not with the order of dims."""
    data = data.transpose(*LAYOUT)
    values = data.values.astype("<f8")  # a copy
    values[np.isnan(values)] = np.nan  # one NaN is as good as another
    digest = hashlib.sha256(repr([data[dim].values.astype(str).tolist() for dim in LAYOUT]).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def code_fingerprint() -> str:
    """16 hex digits that change with the modules in `CODE`, and with the engine that runs the backtest."""
    files = [HERE / f"{name}.py" for name in CODE]
    if _stand_in():
        files += sorted((HERE / "offline").rglob("*.py"))
    parts = [engine(), *(f"{file.relative_to(HERE).as_posix()}\n{file.read_text('utf-8')}" for file in files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def engine() -> str:
    """Which `qnt` runs the backtest."""
    if _stand_in():
        return "lib/offline"
    try:
        return f"qnt {metadata.version('qnt')}"
    except metadata.PackageNotFoundError:
        return "qnt of unknown version"


def market_name() -> str:
    """What the prices are, in words."""
    if not _stand_in():
        return "Quantiacs' data"
    from lib.offline import market

    return market.describe()


def versions(strategy: Strategy) -> dict[str, str]:
    """Versions of what computes a run; torch only where the strategy uses it."""
    from lib.engine.fast_lstm import needs_torch

    packages = ["numpy", "pandas", "xarray"] + (["torch"] if needs_torch(strategy) else [])
    found = {"python": platform.python_version(), "qnt": engine()}
    return found | {name: metadata.version(name) for name in packages}


def functions_fingerprint(strategy: Strategy) -> dict[str, str | list[str]]:
    """For each parameter that is a function, or a list with one, the `function_fingerprint`."""
    prints: dict[str, str | list[str]] = {}
    for name in strategy.as_dict():
        value = getattr(strategy, name)
        if callable(value):
            prints[name] = function_fingerprint(value)
        elif isinstance(value, tuple) and any(map(callable, value)):
            prints[name] = [function_fingerprint(one) if callable(one) else "" for one in value]
    return prints


def function_fingerprint(function: Any) -> str:
    """16 hex digits that change when a function or class does.

    They are made from its source, defaults and closure, and what it uses of its own module; not from what it
    calls in other modules.
    """
    return hashlib.sha256("\0".join(_parts(function, set())).encode()).hexdigest()[:16]


def _stand_in() -> bool:
    import qnt

    return Path(inspect.getfile(qnt)).is_relative_to(HERE)


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(value, str | bytes | int | float | complex | None):
        yield repr(value)
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    yield type(value).__qualname__
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    elif isinstance(value, list | tuple | dict):
        for one in value.items() if isinstance(value, dict) else value:
            yield from _parts(one, seen)
    elif isinstance(value, FunctionType):
        yield from _function_parts(value, seen)
    elif isinstance(value, type):
        yield value.__qualname__
        for name, attribute in sorted(vars(value).items()):
            if name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__"):
                yield name
                yield from _parts(getattr(attribute, "__func__", getattr(attribute, "fget", attribute)), seen)
        for base in value.__bases__:
            yield from _parts(base, seen) if base.__module__ == value.__module__ else [base.__qualname__]
    elif callable(value):  # an object with __call__
        yield from _parts(type(value), seen)
        yield from _parts(getattr(value, "__dict__", {}), seen)


def _function_parts(function: FunctionType, seen: set[int]) -> Iterator[str]:
    try:
        yield inspect.getsource(function)
    except (OSError, TypeError):  # typed at a prompt
        yield from _code_parts(function.__code__)
    free = inspect.getclosurevars(function).nonlocals
    yield from _parts([function.__defaults__, function.__kwdefaults__, free], seen)
    for name in sorted(_names(function.__code__) & function.__globals__.keys()):
        used = function.__globals__[name]
        if getattr(used, "__module__", function.__module__) == function.__module__:
            yield name
            yield from _parts(used, seen)


def _names(code: CodeType) -> set[str]:
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _code_parts(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    for const in code.co_consts:
        yield from _code_parts(const) if isinstance(const, CodeType) else [repr(const)]
