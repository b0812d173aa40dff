"""Whatever the README shows is run: its commands, its examples, its tree."""

import ast
import dataclasses
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
from tests.backtests import backtest
from tests.conftest import REAL
from tests.processes import run_python

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
EXAMPLES = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines()]
TREE = next(text for language, text in BLOCKS if not language and text.startswith("strategy.ipynb"))
SET_UP = re.compile(r"^python3 -m venv \.venv && \.venv/bin/python init\.py( --tests)? && ")
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
    assert [SET_UP.sub("", command).split()[:3] for command in COMMANDS] == [
        [".venv/bin/python", "-m", "lib.notebook"],
        [".venv/bin/python", "-m", "pytest"],  # .ci/run starts these tests with this very line
        [".venv/bin/python", "-m", "lib.rehearsal"],
        [".venv/bin/python", "-m", "lib.compare"],
        [".venv/bin/python", "-m", "lib.compare"],  # the oddities
        [".venv/bin/python", "-m", "pytest"],  # the benchmarks
    ]
    set_up = [SET_UP.match(command) for command in COMMANDS]
    assert [bool(found) for found in set_up] == [True, True, False, False, False, False]
    assert [set_up[k].group(1) for k in (0, 1)] == [None, " --tests"]


@pytest.mark.parametrize("part", ["lib.notebook", "lib.rehearsal", "--grid", "--oddities", "benchmarks"])
def test_a_command_does_what_it_should(part, tmp_path):
    command = next(SET_UP.sub("", command) for command in COMMANDS if part in command)
    words = shlex.split(command.replace(".venv/bin/python", sys.executable))
    for name in ("strategy.ipynb", "lib", "tests", "pyproject.toml"):
        (tmp_path / name).symlink_to(PROJECT / name)
    # what takes minutes is run for as short as it can be
    words += {"benchmarks": ["--collect-only", "-q"]}.get(part, [])
    words += {"--oddities": ["--seeds", "1", "--start", "2024-12-16", "--end", "2024-12-30"]}.get(part, [])
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    if part == "lib.notebook":
        written = {path.name for path in (tmp_path / "runs" / "first").iterdir()}
        assert written == {"strategy.ipynb", "fractions.nc.gz", "state.out.pickle.gz"}
        assert str(tmp_path / "runs" / "first") in done.stdout
    elif part in ("--grid", "--oddities"):
        assert (tmp_path / "runs").is_dir()
        assert {"--grid": "hidden_size", "--oddities": "whole_sequence"}[part] in done.stdout


def test_every_parameter_is_in_the_table_with_its_default():
    table = README[README.index("| parameter of `Strategy` |") :].split("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", table, re.MULTILINE)
    told = {}
    for names, defaults in rows:
        names, defaults = re.findall(r"`(\w+)`", names), [part.strip("` ") for part in defaults.split(", ")]
        told |= dict(zip(names, defaults * len(names) if len(defaults) == 1 else defaults, strict=True))
    actual = {field.name: field.default for field in dataclasses.fields(Strategy)} | {"features": ["trend"]}
    assert {name: ast.literal_eval(told[name]) for name in actual} == actual


@pytest.mark.parametrize("text", own_functions, ids=["features", "target", "model", "selection"])
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
        "strategy = Strategy(features=['trend', ema_ratio, volume], target=beats_the_median, model=GRU,"
        " selection=much_traded_and_calm)"
    )
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(code))
    nbformat.write(notebook, tmp_path / "strategy.ipynb")
    words = [
        sys.executable,
        "-m",
        "lib.rehearsal",
        "--days",
        "2",
        "--notebook",
        str(tmp_path / "strategy.ipynb"),
    ]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_leaky_example_is_caught(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report = run_code(leaky)["report"]
    assert report.leaks
    assert "tomorrow" in capsys.readouterr().out


def test_the_tree_names_every_file_and_folder():
    shown = {line.split()[0] for line in TREE.splitlines()} | set(re.findall(r"lib/\w+\.py", TREE))
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
