"""The code is formatted and linted by ruff, its types are checked, and docstrings begin shortly."""

import ast
import re
import statistics
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


def first_sentences(source):
    """The first sentence of each docstring, split into words."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    texts = [ast.get_docstring(node) for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [re.split(r"(?<=\.)\s|\n\n", text)[0].split() for text in texts if text]


def test_docstrings_begin_with_a_short_sentence():
    paths = [*(PROJECT / "lib").rglob("*.py"), PROJECT / "init.py"]
    found = [words for path in paths for words in first_sentences(path.read_text("utf-8"))]
    assert statistics.median(map(len, found)) <= 9
    assert [" ".join(words) for words in found if len(words) > 12] == []


def test_a_long_first_sentence_is_found():
    source = '''def f():\n    """Return one: and\n    two. Three.\n\n    Four."""'''
    assert first_sentences(source) == [["Return", "one:", "and", "two."]]
