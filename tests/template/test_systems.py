"""The code runs on Windows and macOS too: what fails there is found in the source, and the workflow tries."""

import ast
import os
import re
from pathlib import Path

import pytest
import yaml

from lib.lookahead.trials import in_child
from lib.offline import market
from tests.switches import long
from tests.template.test_readme import blocks

PROJECT = Path(__file__).parents[2]
SOURCES = [PROJECT / "init.py", *(PROJECT / "lib").rglob("*.py"), *(PROJECT / "tests").rglob("*.py")]
BENCHMARKS = PROJECT / "tests" / "benchmarks" / "bench.py"  # no part of the suite, and for Linux
UNIX_ONLY = {"fcntl", "grp", "pwd", "pty", "resource", "termios"}
BINARY_OPENERS = {"gzip", "os"}  # whose `open` is binary unless its mode says "t"
WORKFLOW = PROJECT / ".github" / "workflows" / "ci.yml"
JOBS = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]


def faults(source: str) -> list[str]:
    """Text that is read or written in the system's encoding, and imports that fail on Windows."""
    tree = ast.parse(source)
    found = [
        ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call) and in_any_encoding(node)
    ]
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [ast.unparse(node)] if UNIX_ONLY & {name.partition(".")[0] for name in names} else []
    return found


def in_any_encoding(call: ast.Call) -> bool:
    owner, name = call.func, ""
    if isinstance(owner, ast.Name):
        owner, name = None, owner.id
    elif isinstance(owner, ast.Attribute):
        owner, name = owner.value, owner.attr
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in keywords or None in keywords:
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) <= (name == "write_text")  # the encoding is the next argument
    if name != "open":
        return False
    module = owner.id if isinstance(owner, ast.Name) else ""
    place = (
        0 if owner is not None and module not in BINARY_OPENERS else 1
    )  # a path's open has no path to take
    mode = keywords.get("mode") or (call.args[place] if len(call.args) > place else ast.Constant(""))
    text = mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else "b"
    return "t" in text if module in BINARY_OPENERS else "b" not in text


@long
def test_every_module_runs_on_every_system():
    found = {path: faults(path.read_text(encoding="utf-8")) for path in SOURCES if path != BENCHMARKS}
    assert not {path: lines for path, lines in found.items() if lines}


PLANTED = [
    "path.read_text()",
    "(folder / 'f').write_text('é')",
    "open('f')",
    "open('f', 'w')",
    "path.open()",
    "path.open(mode='a')",
    "gzip.open('f', 'rt')",
    "import resource",
    "from fcntl import flock",
]
HARMLESS = [
    "path.read_text('utf-8')",
    "path.write_text('é', encoding='utf-8')",
    "open('f', 'rb')",
    "path.open('wb')",
    "gzip.open('f')",
    "os.open('f', os.O_RDONLY)",
    "def measure():\n    import resource",
]


@pytest.mark.parametrize(("source", "found"), [(s, 1) for s in PLANTED] + [(s, 0) for s in HARMLESS])
def test_a_planted_fault_is_found(source, found):
    assert len(faults(source)) == found


def test_without_fork_and_user_ids_everything_runs_in_this_process(monkeypatch):
    """Remove functions that do not exist on Windows."""
    for name in ("fork", "getuid", "sched_getaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr("sys.platform", "win32")
    assert in_child(lambda: 1) is None
    assert market.folders()[-1].name.endswith("-user")


def lines_of(job: str) -> list[str]:
    return [line for step in JOBS[job]["steps"] for line in step.get("run", "").splitlines()]


def test_the_workflow_runs_readmes_commands_on_every_system():
    systems = {
        JOBS["windows"]["runs-on"],
        JOBS["macos"]["runs-on"],
        JOBS["offline"]["runs-on"],
    }
    assert systems == {"windows-latest", "macos-latest", "ubuntu-latest"}
    (powershell,) = blocks("powershell")
    windows = lines_of("windows")
    assert windows[:2] == powershell.splitlines()
    test = next(line for text in blocks("bash") for line in text.splitlines() if "-m pytest" in line)
    unix = [line.replace("\\", "/").replace("Scripts", "bin") for line in windows[2:]]
    assert unix == test.split(" && ")[1:]  # the environment is made already
    run = next(text for text in blocks("bash") if "-m venv" in text)
    lines = [line for line in run.splitlines() if not line.startswith("git clone")]
    assert lines_of("macos") == [*lines, ".ci/run"]


def test_a_python_that_the_project_runs_on_is_chosen_where_readme_says_py_3():
    allowed = {"3.11", "3.12", "3.13"}
    assert JOBS["windows"]["env"]["PY_PYTHON3"] in allowed
    setup = next(step for step in JOBS["windows"]["steps"] if "setup-python" in step.get("uses", ""))
    assert setup["with"]["python-version"] == JOBS["windows"]["env"]["PY_PYTHON3"]
    assert all(
        re.fullmatch(r"[\w./-]+@v\d+", step["uses"])
        for job in JOBS.values()
        for step in job["steps"]
        if "uses" in step
    )
