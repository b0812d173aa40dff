"""A pass is run as the platform runs it, and what it leaves is seen; a program stands for the notebook."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lib.rehearsal import one_pass
from lib.rehearsal.one_pass import Pass, run_pass

DAY = np.datetime64("2024-12-27")
WRITE_VARIABLES = """
import json, os
names = ["SUBMISSION_ID", "DATA_BASE_URL", "OUTPUT_PATH", "LAST_DATA_PATH", "OUT_STATE_PATH", "IN_STATE_PATH"]
names += ["MULTI_PASS_MODE_ENABLED"]
json.dump({name: os.environ.get(name) for name in names}, open("variables", "w"))
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Let a pass run a Python program instead of a notebook."""

    def put(source: str) -> Path:
        monkeypatch.setattr(one_pass, "RUN", [sys.executable, "-c", source])
        return tmp_path

    return put


def test_a_pass_is_told_what_the_platform_tells_it(program, monkeypatch):
    monkeypatch.setenv("MULTI_PASS_MODE_ENABLED", "1")
    monkeypatch.setenv("IN_STATE_PATH", "left over")
    folder = program(WRITE_VARIABLES)
    done = run_pass(folder, DAY, "http://localhost")
    told = json.loads((folder / "variables").read_text())
    assert told["SUBMISSION_ID"] == "-1"
    assert told["DATA_BASE_URL"] == "http://localhost/last/2024-12-27/"
    assert told["MULTI_PASS_MODE_ENABLED"] is None
    assert told["IN_STATE_PATH"] is None  # there is none on the first day
    assert Path(told["OUTPUT_PATH"]).parent == Path(told["OUT_STATE_PATH"]).parent == folder
    assert isinstance(done, Pass)
    assert (done.exit_code, done.weights, done.state, done.saw_last_day) == (0, None, None, False)
    assert done.seconds > 0


def test_the_memory_is_that_of_the_pass_and_not_of_who_started_it(program):
    small = run_pass(program("pass"), DAY, "http://localhost").memory
    large = run_pass(program("bytearray(80 << 20)"), DAY, "http://localhost").memory
    assert small < 60 << 20  # the process that runs this test has far more
    assert 80 << 20 < large < 160 << 20


def test_the_state_of_one_pass_is_handed_to_the_next(program):
    folder = program("import os; open(os.environ['OUT_STATE_PATH'], 'w').write('mine')")
    first = run_pass(folder, DAY, "http://localhost")
    assert "not a gzip file" in first.state_problem
    folder = program(WRITE_VARIABLES)
    run_pass(folder, DAY, "http://localhost")
    told = json.loads((folder / "variables").read_text())
    assert Path(told["IN_STATE_PATH"]).read_text() == Path(told["OUT_STATE_PATH"]).read_text() == "mine"


def test_what_one_pass_wrote_is_not_taken_for_the_next_ones(program):
    folder = program("import os; [open(os.environ[name], 'wb') for name in ('LAST_DATA_PATH',)]")
    assert run_pass(folder, DAY, "http://localhost").saw_last_day
    folder = program("")
    assert not run_pass(folder, DAY, "http://localhost").saw_last_day


def test_a_pass_that_takes_too_long_is_stopped(program, monkeypatch):
    monkeypatch.setattr(one_pass, "LONGEST", 0.2)
    done = run_pass(program("import time; time.sleep(600)"), DAY, "http://localhost")
    assert done.exit_code == -9


def test_the_last_lines_of_an_error_are_kept(program, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    source = "import sys; print('one'); print('two\\n' * 50); sys.exit('\\x1b[31mit broke\\x1b[0m')"
    done = run_pass(program(source), DAY, "http://localhost")
    assert done.exit_code == 1
    assert done.error.endswith("it broke")
    assert "one" not in done.error
