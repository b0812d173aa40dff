"""The README's commands and examples are run, and its tree is compared with the files."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest

from lib import Strategy, lookahead
from lib.backtest import backtest
from tests.conftest import REAL
from tests.processes import run_python

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
EXAMPLES = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines()]
TREE = next(text for language, text in BLOCKS if not language and text.startswith("strategy.ipynb"))
RUN = {"lib.notebook", "lib.rehearsal", "lib.compare", "lib.contest"}
# commands on a file that is not here, whose tests are in tests/prices, tests/report and .ci/run
TESTED_ELSEWHERE = {"lib.prices", "lib.report", "pytest"}
PUBLISHED_FILES = (
    "curl -LO https://raw.githubusercontent.com/quantiacs/toolbox/main/qnt/tests/data/data_2022_01_09.nc"
)
# what takes minutes is run for as short as it can be
SHORTER = {
    "lib.rehearsal": ["--days", "1"],
    "lib.notebook": ["--start", "2024-12-16"],
    "lib.compare": ["--start", "2024-12-16"],
    "lib.contest": ["--start", "2024-12-27"],
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
ENVIRONMENT |= {"PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])}

own_functions = [text for text in EXAMPLES if "lookahead" not in text]
leaky = next(text for text in EXAMPLES if "lookahead" in text)


def run_code(text):
    """The names that an example leaves; as a module of its own would."""
    module = sys.modules["example"] = types.ModuleType("example")
    exec(compile(text, "README.md", "exec"), module.__dict__)
    return module.__dict__


def test_every_command_is_run_by_a_test():
    modules = {name for command in COMMANDS for name in re.findall(r"-m (\S+)", command)}
    assert modules == {"venv"} | RUN | TESTED_ELSEWHERE
    assert [line for line in COMMANDS if "-m " not in line] == [PUBLISHED_FILES]


@pytest.mark.parametrize("part", sorted(RUN))
def test_a_command_does_what_it_should(part, tmp_path):
    command = next(
        command for command in COMMANDS if f"-m {part} " in command and "QNT_OFFLINE" not in command
    )
    words = shlex.split(command.replace(".venv/bin/python", sys.executable))
    for name in ("strategy.ipynb", "lib", "tests", "pyproject.toml"):
        (tmp_path / name).symlink_to(PROJECT / name)
    words += SHORTER.get(part, [])
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    expected = 1 if part == "lib.contest" else 0  # the template itself is a copy
    assert done.returncode == expected, done.stdout[-3000:] + done.stderr[-3000:]
    if part == "lib.contest":
        assert "copy" in done.stdout
    if part == "lib.notebook":
        written = {path.name for path in (tmp_path / "runs" / "first").iterdir()}
        assert written == {"strategy.ipynb", "fractions.nc.gz", "state.out.pickle.gz"}
    elif part == "lib.compare":
        assert "hidden_size" in done.stdout
        assert (tmp_path / "runs").is_dir()


def test_the_windows_commands_are_the_same_ones():
    """In PowerShell nothing can be run here; paths and arguments are compared with the lines that are."""
    windows = [line for language, text in BLOCKS if language == "powershell" for line in text.splitlines()]
    assert windows
    for line in windows:
        for part in line.split("; "):
            unix = part.replace("py -3", "python3").replace("\\", "/").replace("Scripts", "bin")
            assert any(unix in command for command in COMMANDS), part
    assert (PROJECT / "init.py").is_file()


def test_saved_outputs_can_be_cleared(tmp_path):
    command = re.search(r"`\.venv/bin/(python -m nbconvert [^`]*)`", README).group(1)
    notebook = nbformat.read(PROJECT / "strategy.ipynb", 4)
    clean = nbformat.writes(notebook)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text="x" * 1000)], 3
    nbformat.write(notebook, tmp_path / "strategy.ipynb")
    words = [sys.executable, *shlex.split(command)[1:]]
    subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)
    after = nbformat.read(tmp_path / "strategy.ipynb", 4)
    assert [(c.id, c.source) for c in after.cells] == [
        (c.id, c.source) for c in nbformat.reads(clean, 4).cells
    ]
    assert not any(c.get("outputs") or c.get("execution_count") for c in after.cells)


@pytest.mark.parametrize("text", own_functions, ids=["functions", "model", "sizing"])
def test_an_example_trades_and_does_not_know_the_future(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strategy = run_code(text)["strategy"]
    weights, state = backtest(strategy, "2024-12-16")
    assert (weights > 0).any()
    assert not np.array_equal(weights[-1], published_weights().reindex_like(weights[-1]))
    assert state.parameters == strategy.as_dict()
    report = lookahead.check(strategy, strategy.load_data(400), days=3)
    assert not report.leaks, str(report)


def published_weights():
    strategy = Strategy()
    models = strategy.train_model(strategy.load_data(100))
    return strategy.predict(models, strategy.load_data(155), None)[0][0]


def test_all_examples_together_pass_the_rehearsal(tmp_path):
    """In the notebook, as a reader would put them there."""
    notebook = nbformat.read(PROJECT / "strategy.ipynb", 4)
    place = [cell.id for cell in notebook.cells].index("strategy")
    code = "\n".join(re.sub(r"^strategy = .*\n", "", text, flags=re.MULTILINE) for text in own_functions)
    code += (
        "\nstrategy = Strategy(features=features, target=beats_the_median, model=GRU,"
        " selection=much_traded_and_calm, sizing=best_third)"
    )
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(code))
    nbformat.write(notebook, tmp_path / "strategy.ipynb")
    notebook = str(tmp_path / "strategy.ipynb")
    words = [sys.executable, "-m", "lib.rehearsal", "--days", "1", "--notebook", notebook]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_leaky_example_is_caught(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_code(leaky)
    printed = capsys.readouterr().out
    assert "tomorrow" in printed
    assert "LOOK-AHEAD" in printed


def test_the_tree_names_every_file_and_folder():
    shown = {line.split()[0].rstrip(",") for line in TREE.splitlines()} | set(
        re.findall(r"lib/\w+(?:\.py|/)", TREE)
    )
    assert not [name for name in shown if not (PROJECT / name).exists()]
    top = {path.name for path in (PROJECT / "lib").iterdir() if path.suffix == ".py" or path.is_dir()}
    folders = {name for name in top if (PROJECT / "lib" / name).is_dir() and "__" not in name}
    files = {name for name in top if name.endswith(".py") and "__" not in name}
    assert {f"lib/{name}/" for name in folders} | {f"lib/{name}" for name in files} == {
        name for name in shown if name.startswith("lib/")
    }


@pytest.mark.skipif(not (PROJECT / ".git").exists() or not shutil.which("git"), reason="no git checkout")
def test_the_top_level_is_what_it_should_be():
    done = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert {name.split("/")[0] for name in done.stdout.splitlines() if not name.startswith(".")} == {
        "LICENSE",
        "README.md",
        "init.ipynb",
        "init.py",
        "lib",
        "pyproject.toml",
        "requirements.txt",
        "strategy.ipynb",
        "tests",
    }


@pytest.mark.skipif(REAL, reason="about qnt not being installed")
def test_the_engine_says_that_it_answers():
    _, err = run_python("import lib")
    assert err.startswith("qnt is not installed: lib/offline answers in its place, on ")
