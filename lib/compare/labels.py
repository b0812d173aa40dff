"""Short labels for variants in tables and plots."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lib.common.registry import name_of
from lib.strategy import Strategy

WIDTH = 40  # characters of a short label
NAMES = tuple(Strategy().as_dict())


def label(variant: Mapping[str, Any]) -> str:
    """The parameters that are set, in one line."""
    return " ".join(f"{name}={shown(value)}" for name, value in variant.items()) or "defaults"


def shown(value: Any) -> str:
    """A value as text; a list joined by "+", a function by its name."""
    if isinstance(value, list | tuple):
        return "+".join(map(shown, value))
    return name_of(value) if callable(value) else str(value)


def short_labels(variants: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    """Labels of at most `WIDTH` characters, each of them unique.

    If any is too long, what all variants share is left out of all of them. One that is still too long loses
    the modules of its functions, then the later words of its parameters, then its end. Labels that would be
    equal are distinguished by the beginning of the run's key.
    """
    labels = [label(variant) for variant in variants]
    if any(len(text) > WIDTH for text in labels):
        first = next(iter(variants))
        shared = {n for n in first if len(variants) > 1 and all(v.get(n) == first[n] for v in variants)}
        labels = [_fitting({n: v[n] for n in v if n not in shared}, bool(shared)) for v in variants]
    count = Counter(labels)
    return [
        f"{_cut(text, WIDTH - 5)}·{key[:4]}" if count[text] > 1 else text
        for text, key in zip(labels, keys, strict=True)
    ]


def _fitting(variant: Mapping[str, Any], some_left_out: bool) -> str:
    if not variant and some_left_out:
        return "otherwise defaults"
    named = {name: _without_modules(value) for name, value in variant.items()}
    brief = {_abbreviated(name): value for name, value in named.items()}
    words = " ".join(name if value == "True" else f"{name}={value}" for name, value in brief.items())
    fitting = (text for text in (label(variant), label(named), words) if len(text) <= WIDTH)
    return next(fitting, _cut(words, WIDTH))


def _without_modules(value: Any) -> str:
    """A value as text, of a function's full name ("module.name(periods=3)") only the last part."""
    if isinstance(value, list | tuple):
        return "+".join(map(_without_modules, value))
    if not isinstance(value, str):
        return shown(value)
    name, bracket, settings = value.partition("(")
    return name.rpartition(".")[2] + bracket + settings


def _abbreviated(name: str) -> str:
    """The first words of a parameter's name, as few as are needed to tell it from all others."""
    words = name.split("_")
    starts = ["_".join(words[: k + 1]) for k in range(len(words))]
    return next((s for s in starts if sum(f"{n}_".startswith(f"{s}_") for n in NAMES) == 1), name)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
