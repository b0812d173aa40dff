"""Command lines: shared options, settings NAME=VALUE, exit codes, temporary environment."""

import argparse
import ast
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.common.errors import UserError, WrongValueError, sentence_of
from lib.common.files import valid_text
from lib.common.interrupts import STOPPED, STOPPED_BY_HAND, end_at_once

if TYPE_CHECKING:
    import numpy as np

PROJECT = Path(__file__).parents[2]


def parse_settings(words: Iterable[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` words into values by name.

    See `parse_value`.

    Raises
    ------
    ValueError
        A word without "=", or a name that is set twice.
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, separator, text = valid_text(word).partition("=")
        if not (separator and name.strip()):
            raise WrongValueError(f"{word!r} must have the form NAME=VALUE.")
        if name in settings:
            raise WrongValueError(f"{name} is set twice: keep one of them.")
        settings[name] = parse_value(text)
    return settings


def parse_value(text: str) -> Any:
    """Return text as a Python literal if possible.

    Other text is returned without the spaces around it.
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables inside a ``with``.

    A variable with the value None is unset.
    """
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


def parse_day(name: str, value: Any) -> "np.datetime64 | None":
    """Return the calendar day of a date.

    The date is such as "2024-01-31"; None gives None.

    Raises
    ------
    ValueError
        `value` is not a date in the form YYYY-MM-DD, or a date of Python, numpy or pandas.
    """
    import numpy as np

    if value is None:
        return None
    try:
        if isinstance(value, int | float | np.number):  # numpy would count days from 1970 on
            raise ValueError
        day = np.datetime64(value, "D")
        if (isinstance(value, str) and str(day) != value.strip()[:10]) or np.isnat(day):
            raise ValueError
    except (ValueError, TypeError):
        raise WrongValueError(f"{name} is {value!r}: it must be a date such as 2024-01-31.") from None
    return day


def print_any_text() -> None:
    """Replace characters that the encoding of stdout lacks.

    They are printed as "?"; a pipe on Windows may lack some.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--set NAME=VALUE …``.

    It may be repeated.
    """
    what = "change parameters of the notebook for this call, such as top_assets=6 (default: as it sets them)"
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help=what)


def add_range(parser: argparse.ArgumentParser, start: str, end: str) -> None:
    """Add the options ``--start DATE`` and ``--end DATE``.

    `start` and `end` are their defaults in words.
    """
    parser.add_argument("--start", metavar="DATE", help=f"first day (default: {start})")
    add_end(parser, end)


def add_end(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option ``--end DATE``."""
    parser.add_argument("--end", metavar="DATE", help=f"last day (default: {default})")


OF_NOTEBOOK = "the notebook's start_date", "the notebook's end_date, or with --start the last there is"


def add_output(parser: argparse.ArgumentParser, default: Path | str, content: str) -> None:
    """Add the option ``--output FOLDER``.

    `content` names what the command writes there.
    """
    what = f"folder for {content} (default: {default})"
    parser.add_argument("--output", type=_folder, metavar="FOLDER", default=Path(default), help=what)


OK, FAILED, REFUSED, UNKNOWN = 0, 1, 2, 3  # exit codes, besides STOPPED; argparse ends with 2 too
EXIT_CODES = (
    "exit code: 0 yes, 1 no, 2 an input was refused, 3 it cannot be told, 130 stopped by hand (Ctrl-C)"
)


def add_notebook(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--notebook FILE``.

    It names the notebook whose strategy a command uses.
    """
    parser.add_argument(
        "--notebook",
        type=Path,
        default=PROJECT / "strategy.ipynb",
        metavar="FILE",
        help="the notebook that makes the strategy (default: strategy.ipynb)",
    )


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: name a folder")
    return Path(text)


def add_workers(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the options ``--workers``, ``--backend`` and ``--scheduler``.

    They choose where the work runs; `what` names the units of work in the help text.
    """
    add = parser.add_argument
    everywhere = "default: one per core, or all of the cluster"
    add("--workers", type=_count, metavar="N", help=f"{what} at once ({everywhere})")
    add(
        "--backend",
        default="loky",
        help="loky (processes of this machine), threading or dask (default: loky)",
    )
    add("--scheduler", metavar="ADDRESS", help="address of a running Dask cluster (default: none)")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is {text!r}, and must be a whole number from 1 on")
    return int(text)


def run_command(command: Callable[[], int]) -> int:
    """Run a command and return its exit code.

    An error that its input causes is printed as a sentence. Ctrl-C ends the command with a sentence too, and
    with `STOPPED`.
    """
    print_any_text()
    try:
        with _raising_interrupts():
            return command()
    except KeyboardInterrupt as stop:
        print(str(stop) or STOPPED_BY_HAND, file=sys.stderr)
        return STOPPED
    except (UserError, TypeError, ValueError, OSError) as error:
        print(sentence_of(error), file=sys.stderr)
        return REFUSED


@contextmanager
def _raising_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C inside the block.

    The block follows the imports.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not end_at_once:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
