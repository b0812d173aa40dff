"""Errors that a user's input causes: one sentence each, which a notebook shows without a traceback."""


class UserError(Exception):
    """An error whose message says what to change; where it was raised is of no use to the reader."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        return [str(self)]


class WrongValueError(UserError, ValueError):
    """A value outside of what is allowed, or a name that is not known."""


class WrongTypeError(UserError, TypeError):
    """A value of the wrong type, or a parameter that does not exist."""
