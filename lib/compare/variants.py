"""The sets of parameters to compare, from Python, from files and from the command line."""

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib.common.command_line import parse_settings, parse_value
from lib.compare.labels import label
from lib.strategy import Strategy

Variant = dict[str, Any]

_ALONE: list[Variant] = [
    {"leave_out_unknown": True},
    {"whole_sequence": True},
    {"log_price": True},
    {"target": "tradable_open_up"},
]
# the published strategy, each of its oddities corrected alone, and all of them together
ODDITIES: list[Variant] = [{}, *_ALONE, {name: value for change in _ALONE for name, value in change.items()}]


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
                raise ValueError(f"{', '.join(twice)} is set twice: keep one of them.")
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


def read_file(path: str | Path) -> list[Variant]:
    """Variants from a JSON file: a list of objects, each the parameters of one.

    Raises
    ------
    ValueError
        The file cannot be read, or holds anything else.
    """
    try:
        variants = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(variants, list) or not all(isinstance(variant, dict) for variant in variants):
        raise ValueError(f'{path} must hold a list of objects, such as [{{"top_assets": 6}}, {{}}].')
    return variants


def parse_choices(words: Iterable[str]) -> dict[str, list[Any]]:
    """Parse ``NAME=VALUE,VALUE`` words of a command line; values as in `lib.common.command_line.parse_value`.

    >>> parse_choices(["top_assets=6,12", "features=['trend'],['trend','volume']"])
    {'top_assets': [6, 12], 'features': [['trend'], ['trend', 'volume']]}
    """
    return {name: _listed(value) for name, value in parse_settings(words).items()}


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str) and "," in value and "(" not in value:
        return [parse_value(text) for text in value.split(",")]
    return list(value) if isinstance(value, tuple) else [value]
