"""The code is formatted and linted by ruff, and its types are checked."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.switches import LONG

PROJECT = Path(__file__).parents[2]
COMMANDS = [["ruff", "check", "--no-cache"], ["ruff", "format", "--check", "--no-cache"]]
COMMANDS += [["mypy"]] if LONG else []  # 15 s


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_to_complain_of(command, tmp_path):
    where = [f"--cache-dir={tmp_path}"] if command == ["mypy"] else []
    done = subprocess.run(
        [sys.executable, "-m", *command, *where], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
