"""An execution is timed, measured, and ended with all that it started; a program stands for the notebook."""

import sys
import time

import psutil
import pytest

from lib.rehearsal import execution
from lib.rehearsal.execution import execute, last_lines
from tests.switches import long
from tests.systems import needs_limits


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Execute a Python program instead of a notebook."""

    def execute_program(source: str, limit: float = 60, **variables: str | None) -> execution.Execution:
        monkeypatch.setattr(execution, "command", lambda python, results: [python, "-c", source])
        return execute(tmp_path, tmp_path, variables, limit)

    return execute_program


@needs_limits
def test_the_memory_is_that_of_the_pass_and_not_of_who_started_it(run):
    small, large = run("pass").memory, run("bytearray(80 << 20)").memory
    assert small < 60 << 20  # the process that runs this test has far more
    assert 80 << 20 < large < 160 << 20


STARTS_ANOTHER = """
import subprocess, sys, time
code = "import time; time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)  # as Jupyter starts a kernel
open("child", "w").write(str(child.pid))
time.sleep(600)
"""


@long
def test_a_pass_that_takes_too_long_is_ended_with_its_kernel(run, tmp_path, monkeypatch):
    """The child runs in a session of its own, in no group that could be signalled."""
    waiting = execution.subprocess.Popen.wait

    def until_started(process, limit=None):
        while limit is not None and not (tmp_path / "child").exists():
            time.sleep(0.01)
        return waiting(process, limit)

    monkeypatch.setattr(execution.subprocess.Popen, "wait", until_started)
    done = run(STARTS_ANOTHER, limit=0.2)
    assert done.timed_out
    assert done.exit_code
    pid = int((tmp_path / "child").read_text(encoding="utf-8"))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_variables_are_set_for_the_program_alone(run, monkeypatch):
    monkeypatch.setenv("GONE", "1")
    source = "import os, sys; sys.exit(f\"{os.environ['ADDED']} {os.environ.get('GONE')}\")"
    assert run(source, ADDED="yes", GONE=None).last_lines == "yes None"
    assert execution.environment.__module__ == "lib.common.command_line"


def test_the_last_lines_of_an_error_are_kept(run):
    noise = "Kernel is running over TCP without encryption."
    source = (
        f"import sys; print('first'); print('two\\n' * 50); sys.exit('\\x1b[31mit broke\\x1b[0m\\n{noise}')"
    )
    done = run(source, PYTHONUNBUFFERED="1")
    assert done.exit_code == 1
    assert done.last_lines.endswith("it broke")
    assert "first" not in done.last_lines
    assert last_lines("a\n\n ---\nb") == "a\n        b"


def test_cells_are_read_from_the_log(run):
    entries = '{"cell": 1, "seconds": 0.5}\\n{"cell": 3, "seconds": 2, "error": "NameError", "text": "no"}'
    done = run(f"open('cells', 'w').write('{entries}')")
    assert done.cells == ((1, 0.5, "", ""), (3, 2, "NameError", "no"))
    assert run("pass").cells == ()


def test_the_command_is_the_evaluators(tmp_path):
    words = execution.command(sys.executable, tmp_path)
    assert words[1:6] == ["-m", "nbconvert", "--to", "html", "--execute"]
    assert "strategy.ipynb" in words


LEAVES_ONE = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
"""


@pytest.mark.parametrize("source", ["pass", LEAVES_ONE], ids=["none", "one"])
def test_processes_left_running_are_named_and_ended(source, run, monkeypatch):
    monkeypatch.setattr(execution, "PATIENCE", 0.05)
    left = run(source).left_running
    assert len(left) == (source == LEAVES_ONE)
    assert all("time.sleep(600)" in command for command in left)
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if command in left]
