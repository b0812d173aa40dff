"""Errors that a user's input causes: one sentence each, which a notebook shows without a traceback."""

import difflib
from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """An error whose message says what to change, so that a traceback would not help."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        return [str(self)]


class WrongValueError(UserError, ValueError):
    """A value outside of what is allowed, or a name that is not known."""


class WrongTypeError(UserError, TypeError):
    """A value of the wrong type, or a parameter that does not exist."""


def suggest(name: Any, known: Iterable[Any]) -> str:
    """Return "did you mean …?" where a known name is near, and in any case the list of known names."""
    names = [str(item) for item in known]
    lower = {item.lower(): item for item in reversed(names)}
    near = difflib.get_close_matches(str(name), names, n=1)
    near = near or [lower[item] for item in difflib.get_close_matches(str(name).lower(), lower, n=1)]
    question = f"did you mean {near[0]!r}? " if near else ""
    return f"{question}It can be: {', '.join(names)}."
