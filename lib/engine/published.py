"""Whether a strategy's model is the published network, for which there is a fast path."""

import ast
import functools
import hashlib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lib.common.registry import label
from lib.engine.constant import MODELS

if TYPE_CHECKING:
    from lib.strategy import Strategy

MODEL_FILE = Path(__file__).parents[1] / "model.py"
# sha256 of the class `LSTM` that `lib.engine.fast_lstm` implements, without comments and docstrings
PUBLISHED_CLASS = "2e49135968b3238a53627f6c7eae5ce6cefd9537cf16e01217519f76f3353a22"


def is_published(strategy: "Strategy") -> bool:
    """Return True if the strategy's model is the network that `lib.engine.fast_lstm` implements.

    Needs no torch. Otherwise a line on stderr says, once per model, that training runs in torch.
    """
    named = strategy.model == "LSTM"
    if named and _registered_is_published():
        return True
    _report_once("LSTM was edited or replaced: it" if named else label(strategy.model))
    return False


def _registered_is_published() -> bool:
    """Return True if the class that would train in torch is the published one.

    That class is in memory once `lib.model` is imported, and is judged by its source at that time. Before,
    the file decides.
    """
    module = sys.modules.get("lib.model")
    if module is None:
        return source_is_published(MODEL_FILE.read_text(encoding="utf-8"))
    registered = module.model.get("LSTM")
    methods = [value for value in getattr(registered, "__dict__", {}).values() if inspect.isfunction(value)]
    unchanged = all(method.__module__ == "lib.model" for method in (registered, *methods))
    return unchanged and source_is_published(module.model.source("LSTM"))


def needs_torch(strategy: "Strategy") -> bool:
    """Return True if the strategy's model is trained in torch."""
    return strategy.model not in MODELS and not is_published(strategy)


@functools.cache
def _report_once(name: str) -> None:
    print(
        f"Model {name} trains in torch, not on the fast path of the published LSTM.",
        file=sys.stderr,
        flush=True,
    )


@functools.lru_cache(maxsize=8)
def source_is_published(source: str) -> bool:
    """Return True if the class `LSTM` in a source reads as published, comments and docstrings aside."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "LSTM":
            for part in ast.walk(node):
                if isinstance(part, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(part) is not None:
                    part.body = part.body[1:]
            return hashlib.sha256(ast.unparse(node).encode()).hexdigest() == PUBLISHED_CLASS
    return False
