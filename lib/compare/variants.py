"""The variants of a comparison and their labels.

A variant is a set of parameters that change a base strategy.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.common.command_line import parse_settings, parse_value
from lib.common.errors import WrongTypeError, WrongValueError
from lib.common.registry import is_plain, name_of
from lib.strategy import Strategy

Variant = dict[str, Any]
PUBLISHED, OF_NOTEBOOK, OF_BASE = "as published", "as in the notebook", "as in base"
WIDTH = 40  # characters of a short label

_ALONE: list[Variant] = [
    {"leave_out_unknown": True},
    {"whole_sequence": True},
    {"log_price": True},
    {"target": "tradable_open_up"},
]
# the published strategy, each of its oddities corrected alone, and all of them together
ODDITIES: list[Variant] = [{}, *_ALONE, {name: value for change in _ALONE for name, value in change.items()}]


def grid(choices: Mapping[str, Iterable[Any]]) -> list[Variant]:
    """Return every combination of parameter values.

    The last parameter changes fastest.

    >>> grid({"top_assets": [6, 12], "seed": [1]})
    [{'top_assets': 6, 'seed': 1}, {'top_assets': 12, 'seed': 1}]

    Raises
    ------
    ValueError
        A parameter without a value.
    """
    choices = {name: list(values) for name, values in choices.items()}
    for name, values in choices.items():
        if not values:
            raise WrongValueError(f"{name} has no value to try: write {name}=VALUE,VALUE.")
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def combine(*lists: list[Variant]) -> list[Variant]:
    """Return every combination of variants from all lists.

    Each result merges one variant of every list.

    Raises
    ------
    ValueError
        Two lists set the same parameter.
    """
    combined = []
    for parts in itertools.product(*lists):
        merged: Variant = {}
        for part in parts:
            twice = sorted(merged.keys() & part.keys())
            if twice:
                raise WrongValueError(f"{', '.join(twice)} is set twice: keep one of them.")
            merged |= part
        combined.append(merged)
    return combined


def make_strategies(variants: Iterable[Mapping[str, Any]], base: Strategy | None = None) -> list[Strategy]:
    """Return the base changed by each set of parameters.

    The default of `base` is the published strategy. A wrong set is refused before anything runs.

    Raises
    ------
    TypeError, ValueError
        The error of `Strategy` with the variant; or there is no variant, or no base.
    """
    if base is not None and not isinstance(base, Strategy):
        raise WrongTypeError(f"base is a Strategy, such as Strategy(top_assets=6), not {base!r}.")
    made = []
    for variant in variants:
        if not isinstance(variant, Mapping):
            raise WrongTypeError(
                f"a variant is a dict of parameters such as {{'top_assets': 6}}, not {variant!r}."
            )
        try:
            made.append((base or Strategy()).changed(**variant))
        except (TypeError, ValueError) as error:
            raise type(error)(f"variant {variant_label(variant)}: {error}") from None
    if not made:
        raise WrongValueError("there is nothing to compare: give at least one set of parameters.")
    return made


def read_variants(path: str | Path) -> list[Variant]:
    """Read variants from a JSON file.

    The file holds a list of objects, each with the parameters of one variant.

    Raises
    ------
    ValueError
        The file cannot be read, or holds anything else.
    """
    try:
        variants = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise WrongValueError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(variants, list) or not all(isinstance(variant, dict) for variant in variants):
        raise WrongValueError(f'{path} must hold a list of objects, such as [{{"top_assets": 6}}, {{}}].')
    return variants


def parse_choices(words: Iterable[str]) -> dict[str, list[Any]]:
    """Parse ``NAME=VALUE,VALUE`` words of a command line.

    Values are parsed as in `lib.common.command_line.parse_value`.

    >>> parse_choices(["top_assets=6,12", "features=['trend'],['trend','volume']"])
    {'top_assets': [6, 12], 'features': [['trend'], ['trend', 'volume']]}
    """
    return {name: _as_list(value) for name, value in parse_settings(words).items()}


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, str) and "," in value and "(" not in value:
        return [parse_value(text) for text in value.split(",")]
    return list(value) if isinstance(value, tuple) else [value]


def base_name(base: Strategy | None, name: str = OF_BASE) -> str:
    """Return the label of an unchanged variant.

    The label is `name`, or `PUBLISHED` if the base is the published strategy.
    """
    return name if base is not None and base.differences() else PUBLISHED


def variant_label(changes: Mapping[str, Any], unchanged: str = PUBLISHED) -> str:
    """Return the changed parameters in one line.

    The line is `unchanged` without any change.
    """
    return " ".join(f"{name}={value_text(value)}" for name, value in changes.items()) or unchanged


def value_text(value: Any) -> str:
    """Return a value as text.

    The items of a list are joined by "+", and a function is given by its name.
    """
    if isinstance(value, list | tuple):
        return "+".join(map(value_text, value))
    return str(value) if is_plain(value) else name_of(value)


def short_labels(
    variants: Sequence[Mapping[str, Any]], keys: Sequence[str], unchanged: str = PUBLISHED
) -> list[str]:
    """Return unique labels of at most `WIDTH` characters.

    If any is too long, parameters that all variants share are left out of all labels. A label that is still
    too long loses the modules of its functions, then the later words of its parameters, then its end. Equal
    labels are distinguished by the beginning of the run's key.
    """
    labels = [variant_label(variant, unchanged) for variant in variants]
    if any(len(text) > WIDTH for text in labels):
        first = next(iter(variants))
        shared = {n for n in first if len(variants) > 1 and all(v.get(n) == first[n] for v in variants)}
        rest = f"otherwise {unchanged}" if shared else unchanged
        labels = [_fitting({n: v[n] for n in v if n not in shared}, rest) for v in variants]
    count = Counter(labels)
    return [
        f"{_cut(text, WIDTH - 5)}·{key[:4]}" if count[text] > 1 else text
        for text, key in zip(labels, keys, strict=True)
    ]


def _fitting(variant: Mapping[str, Any], unchanged: str) -> str:
    if not variant:
        return unchanged
    named = {name: _without_modules(value) for name, value in variant.items()}
    brief = {_abbreviated(name): value for name, value in named.items()}
    words = " ".join(name if value == "True" else f"{name}={value}" for name, value in brief.items())
    candidates = variant_label(variant), variant_label(named), words
    return next((text for text in candidates if len(text) <= WIDTH), _cut(words, WIDTH))


def _without_modules(value: Any) -> str:
    """Return a value as text without module names.

    Of a function's full name ("module.name(periods=3)") only the last part is kept.
    """
    if isinstance(value, list | tuple):
        return "+".join(map(_without_modules, value))
    if not isinstance(value, str):
        return value_text(value)
    name, bracket, settings = value.partition("(")
    return name.rpartition(".")[2] + bracket + settings


def _abbreviated(name: str) -> str:
    """Return the first words of a parameter's name.

    They are as few as distinguish the parameter from all others.
    """
    words, names = name.split("_"), Strategy.defaults()
    starts = ["_".join(words[: k + 1]) for k in range(len(words))]
    return next((s for s in starts if sum(f"{n}_".startswith(f"{s}_") for n in names) == 1), name)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
