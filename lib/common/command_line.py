"""The grammar of the command lines, NAME=VALUE, and a temporary environment."""

import argparse
import ast
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from lib.common.errors import WrongValueError


def parse_settings(words: Iterable[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` words into values by name; see `parse_value`.

    Raises
    ------
    ValueError
        A word without "=", or a name that is set twice.
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not (separator and name.strip()):
            raise WrongValueError(f"{word!r} must have the form NAME=VALUE.")
        if name in settings:
            raise WrongValueError(f"{name} is set twice: keep one of them.")
        settings[name] = parse_value(text)
    return settings


def parse_value(text: str) -> Any:
    """Return the Python literal that `text` is, or the text itself."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or unset those that are None, within a ``with``."""
    before = {name: os.environ.get(name) for name in variables}
    _apply(variables)
    try:
        yield
    finally:
        _apply(before)


def _apply(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def parse_day(name: str, value: Any) -> np.datetime64 | None:
    """Return the calendar day of a date such as "2024-01-31", or None for None.

    Raises
    ------
    ValueError
        `value` is not a date in the form YYYY-MM-DD, or a value that numpy or pandas reads as one day.
    """
    if value is None:
        return None
    try:
        day = np.datetime64(value, "D")
        if (isinstance(value, str) and str(day) != value.strip()[:10]) or np.isnat(day):
            raise ValueError
    except (ValueError, TypeError):
        raise WrongValueError(f"{name} is {value!r}: it must be a date such as 2024-01-31.") from None
    return day


def print_any_text() -> None:
    """Let stdout show "?" for a character that its encoding lacks, as that of a pipe on Windows may."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def add_settings(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option ``--set NAME=VALUE …``, which may be repeated."""
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help=what)


def add_range(parser: argparse.ArgumentParser, start: str, end: str) -> None:
    """Add the options ``--start DATE`` and ``--end DATE`` with these explanations."""
    parser.add_argument("--start", metavar="DATE", help=start)
    parser.add_argument("--end", metavar="DATE", help=end)
