"""Which sets of parameters are to be compared?"""

import ast
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib.strategy import Strategy

Variant = dict[str, Any]

_ALONE: list[Variant] = [
    {"leave_out_unknown": True},
    {"whole_sequence": True},
    {"log_price": True},
    {"target": "tradable_open_up"},
]
# where the published strategy is odd: as published, each mended alone, all together
ODDITIES: list[Variant] = [{}, *_ALONE, {name: value for one in _ALONE for name, value in one.items()}]


def grid(choices: Mapping[str, Iterable[Any]]) -> list[Variant]:
    """Every combination of the values of each parameter, the last parameter changing fastest.

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
            raise ValueError(f"{name} has no value to try: write {name}=VALUE,VALUE.")
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def combine(*lists: list[Variant]) -> list[Variant]:
    """Every variant of each list with every one of the others.

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
                raise ValueError(f"{', '.join(twice)} is set twice: leave one of them away.")
            merged |= part
        combined.append(merged)
    return combined


def strategies(variants: Iterable[Mapping[str, Any]]) -> list[Strategy]:
    """One strategy for each set of parameters, so that a wrong one is refused before anything runs.

    Raises
    ------
    TypeError, ValueError
        What `Strategy` says of a parameter, with the variant; or there is no variant.
    """
    made = []
    for variant in variants:
        if not isinstance(variant, Mapping):
            raise TypeError(
                f"a variant is a dict of parameters such as {{'top_assets': 6}}, not {variant!r}."
            )
        try:
            made.append(Strategy(**variant))
        except (TypeError, ValueError) as error:
            raise type(error)(f"variant {label(variant)}: {error}") from None
    if not made:
        raise ValueError("there is nothing to compare: give at least one set of parameters.")
    return made


def label(variant: Mapping[str, Any]) -> str:
    """The parameters that are set, in one line."""
    return " ".join(f"{name}={shown(value)}" for name, value in variant.items()) or "defaults"


def shown(value: Any) -> str:
    """A value as short as it can be told from others; a function by its name."""
    if isinstance(value, list | tuple):
        return "+".join(map(shown, value))
    return value.__qualname__ if callable(value) else str(value)


def read_file(path: str | Path) -> list[Variant]:
    """Variants from a JSON file: a list of objects, each the parameters of one.

    Raises
    ------
    ValueError
        The file cannot be read, or holds something else.
    """
    try:
        variants = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(variants, list) or not all(isinstance(one, dict) for one in variants):
        raise ValueError(f'{path} must hold a list of objects, such as [{{"top_assets": 6}}, {{}}].')
    return variants


def parse_choices(words: Iterable[str]) -> dict[str, list[Any]]:
    """`name=value,value` from a command line; what is no number, True or list in Python's words is text.

    >>> parse_choices(["top_assets=6,12", "features=['trend'],['trend','volume']"])
    {'top_assets': [6, 12], 'features': [['trend'], ['trend', 'volume']]}
    """
    choices = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not separator:
            raise ValueError(f"{word!r} must read NAME=VALUE.")
        if name in choices:
            raise ValueError(f"{name} is set twice: write {name}=VALUE,VALUE.")
        values = _parse(text)
        if values == text and "," in text:
            values = tuple(map(_parse, text.split(",")))
        choices[name] = list(values) if isinstance(values, tuple) else [values]
    return choices


def parse_settings(words: Iterable[str]) -> Variant:
    """`name=value` from a command line, the value as in `parse_choices` but one."""
    chosen = parse_choices(words)
    for name, values in chosen.items():
        if len(values) != 1:
            raise ValueError(f"--set {name} takes one value: several go with --grid.")
    return {name: values[0] for name, values in chosen.items()}


def _parse(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()
