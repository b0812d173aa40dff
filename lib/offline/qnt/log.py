"""Messages to stdout and stderr, flushed; `Settings` redirects or silences them temporarily."""

import sys

from lib.offline import uncovered

info_enabled = True
err_enabled = True
err2info = False


def log_info(*args: object) -> None:
    """Print to stdout and flush."""
    if info_enabled:
        print(*args, flush=True)


def log_err(*args: object) -> None:
    """Print to stderr (to stdout while `err2info`) and flush."""
    if err_enabled:
        print(*args, file=sys.stdout if err2info else sys.stderr, flush=True)


class Settings:
    """A context that silences or redirects messages.

    `log_info` and `log_err` are silent in it, or errors go to stdout. None leaves a setting as it is.
    """

    def __init__(self, info: bool | None = None, err: bool | None = None, err2info: bool | None = None):
        wanted = {"info_enabled": info, "err_enabled": err, "err2info": err2info}
        self._wanted = {name: value for name, value in wanted.items() if value is not None}

    def __enter__(self) -> None:
        """Apply the settings."""
        self._before = {name: globals()[name] for name in self._wanted}
        globals().update(self._wanted)

    def __exit__(self, *error: object) -> None:
        """Restore the previous settings."""
        globals().update(self._before)


__getattr__ = uncovered(__name__)
