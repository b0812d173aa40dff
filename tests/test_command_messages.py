"""Messages that every command shares: it ends with a sentence and an exit code, never with a traceback."""

import ast
import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import pytest

from lib.common.command_line import PROJECT
from lib.compare.__main__ import main as compare_main
from lib.contest.__main__ import main as contest_main
from lib.notebook import main as notebook_main
from lib.notebook_strategy import strategy_of
from lib.runs.provenance import market_name
from tests.conftest import LAST_DAY, REAL
from tests.switches import longest
from tests.vectors import CONFORMANCE

COMMANDS = sorted(path.parent.name for path in (PROJECT / "lib").glob("*/__main__.py"))
STOP = "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(9)\n"
SMALL = ["top_assets=3", "hidden_size=2"]


def run_command_line(command, *words, python=(), cwd=PROJECT, **variables):
    """Run a command in a process of its own."""
    paths = [variables.pop("first", ""), str(PROJECT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | variables | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    line = [sys.executable, *python, "-m", f"lib.{command}", *words]
    heard = None if os.name == "nt" else partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.run(  # a suite in the background ignores Ctrl-C, and its children would too
        line, cwd=cwd, env=environment, capture_output=True, check=False, preexec_fn=heard
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("module", ["numpy", "pandas"])
def test_a_stop_during_the_imports_is_a_sentence(command, module, tmp_path):
    if module == "pandas" and command != "contest":
        pytest.skip("one command shows that later imports do not differ")
    (tmp_path / f"{module}.py").write_text(STOP, encoding="utf-8")
    done = run_command_line(command, first=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, b"", b"Stopped by hand.")


@pytest.mark.parametrize("main", [contest_main, compare_main, notebook_main])
def test_an_empty_output_is_refused(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["--output", ""])
    assert "it is empty: name a folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def optimised_away(source):
    """Return the lines that work otherwise under `python -OO`, which drops docstrings and assertions."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
        or (
            isinstance(node, ast.Attribute | ast.Name)
            and "__doc__" in (getattr(node, "attr", ""), getattr(node, "id", ""))
        )
    ]


def test_nothing_needs_docstrings_or_assertions():
    files = [PROJECT / "init.py", *(PROJECT / "lib").rglob("*.py")]
    assert {path: lines for path in files if (lines := optimised_away(path.read_text("utf-8")))} == {}
    for line in ("assert 1", "print(__doc__)", "f.__doc__"):
        assert optimised_away(line) == [1]


ODD = os.fsdecode(b"m\xe4rkt \xc3\xa4.nc") if os.name != "nt" else "m\udce4rkt \xe4.nc"


@pytest.mark.skipif(REAL, reason="the platform's prices have no file")
def test_the_name_of_the_prices_can_be_written(monkeypatch):
    monkeypatch.setenv("QNT_OFFLINE_MARKET", ODD)
    assert market_name().encode().decode() == "the market file m\ufffdrkt \xe4.nc"


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere take no such name")
def test_the_headline_can_be_written(tmp_path):
    path = tmp_path / ODD.replace(".nc", ".ipynb")
    shutil.copy(PROJECT / "strategy.ipynb", path)
    assert strategy_of(path).headline.encode().decode() == "m\ufffdrkt \xe4.ipynb: as published"


@pytest.mark.skipif(REAL, reason="one engine is enough")
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=longest)
        for command in ("contest", "compare", "report", "lookahead", "notebook", "rehearsal")
    ],
)
def test_a_command_runs_without_docstrings_and_in_ascii(command, tmp_path):
    """Names of the market, the notebook and the folder have letters that the encoding lacks."""
    shutil.copy(CONFORMANCE / "market.nc", tmp_path / "m\xe4rkt \u4e2d.nc")
    notebook = tmp_path / "\xe9tude.ipynb"
    shutil.copy(PROJECT / "strategy.ipynb", notebook)
    words = {
        "contest": ["--start", "2024-12-27", "--set", *SMALL],
        "compare": ["--start", "2024-11-27", "--grid", "top_assets=3,4", "--set", "hidden_size=2"],
        "report": ["--start", "2024-11-27", "--set", *SMALL],
        "lookahead": ["--days", "1", "--set", *SMALL],
        "notebook": ["--start", "2024-12-20", "--set", *SMALL],
        "rehearsal": ["--days", "1", "--set", *SMALL],
    }[command]
    if command in ("contest", "compare", "notebook"):
        words += ["--output", str(tmp_path / "ausg\xe4be")]
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    plain |= {"QNT_OFFLINE_MARKET": str(tmp_path / "m\xe4rkt \u4e2d.nc")}
    plain |= {"DATA_BASE_URL": f"http://localhost/last/{LAST_DAY}/"}
    done = run_command_line(command, "--notebook", str(notebook), *words, python=["-OO"], **plain)
    assert done.returncode in (0, 1, 3), done.stderr
    assert b"Traceback" not in done.stderr
    assert b"codec" not in done.stderr
    if command == "contest":
        assert b"would be admitted" in done.stdout or b"would not be admitted" in done.stdout
        assert "m\xe4rkt \u4e2d.nc" in (tmp_path / "ausg\xe4be" / "verdict.html").read_text("utf-8")
