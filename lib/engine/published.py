"""Whether a strategy's model is the published network, for which there is a fast path."""

import ast
import functools
import hashlib
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
    """Whether the strategy's model is the published network, which `lib.engine.fast_lstm` implements.

    Needs no torch. Where the answer is no, a line on stderr says, once per model, that training runs in
    torch.
    """
    if strategy.model == "LSTM" and class_is_published(MODEL_FILE):
        return True
    edited = strategy.model == "LSTM"
    _report_once("LSTM of lib/model.py was edited: it" if edited else label(strategy.model))
    return False


def needs_torch(strategy: "Strategy") -> bool:
    """Whether the strategy's model is trained in torch."""
    return strategy.model not in MODELS and not is_published(strategy)


@functools.cache
def _report_once(name: str) -> None:
    print(
        f"Model {name} trains in torch, not on the fast path of the published LSTM.",
        file=sys.stderr,
        flush=True,
    )


def class_is_published(path: Path) -> bool:
    """Whether the class `LSTM` in a file reads as published, comments and docstrings aside."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == "LSTM":
            for part in ast.walk(node):
                if isinstance(part, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(part) is not None:
                    part.body = part.body[1:]
            return hashlib.sha256(ast.unparse(node).encode()).hexdigest() == PUBLISHED_CLASS
    return False
