"""Ctrl-C while a command is imported.

``python -m lib.NAME`` imports packages for seconds before it runs. This module comes first, so it imports
nothing that takes time itself.
"""

import os
import signal
import sys

STOPPED = 130  # the exit code after Ctrl-C
STOPPED_BY_HAND = "Stopped by hand."


def end_imports_on_interrupt() -> None:
    """Let Ctrl-C end a command's imports with a sentence.

    Anywhere else, as in a notebook, nothing changes.
    """
    begins = sys.argv[:1] == ["-m"]  # Python has not found the command's module yet
    if begins and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)


def end_at_once(*_: object) -> None:
    """End this process with a sentence."""
    try:
        os.write(2, f"{STOPPED_BY_HAND}\n".encode())
    finally:
        os._exit(STOPPED)
