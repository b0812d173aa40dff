"""Errors caused by a user's input.

Each is one sentence, and a notebook shows it without a traceback. The module also has parts that many
sentences share: similar names, and numbers with their noun.
"""

import difflib
from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """An error with advice instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that replace a traceback in IPython."""
        return [str(self)]


class WrongValueError(UserError, ValueError):
    """A value outside the allowed range.

    An unknown name raises this error too.
    """


class WrongTypeError(UserError, TypeError):
    """A value of the wrong type.

    A parameter that does not exist raises this error too.
    """


def sentence_of(error: BaseException) -> str:
    """Return the message of an error for a user.

    The error of a file names the file and the cause, without a number.
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return str(error) or type(error).__name__


def quantity(number: int, noun: str) -> str:
    """Return a number with its noun.

    The noun is in the singular or the plural, as in "1 day" and "2 days".
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def suggest(name: Any, known: Iterable[Any]) -> str:
    """Return a sentence with the known names.

    It begins with "did you mean …?" if one is near.
    """
    names = [str(item) for item in known]
    lower = {item.lower(): item for item in reversed(names)}
    near = difflib.get_close_matches(str(name), names, n=1)
    near = near or [lower[item] for item in difflib.get_close_matches(str(name).lower(), lower, n=1)]
    question = f"did you mean {near[0]!r}? " if near else ""
    return f"{question}It can be: {', '.join(names)}."
