"""Whatever the README shows is run: its commands, its examples, its tree."""

import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
import qnt.backtester as qnbt

from lib import Strategy, lookahead
from tests.conftest import REAL

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
EXAMPLES = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    line for language, text in BLOCKS if not language for line in text.splitlines() if ".venv" in line
]
TREE = next(text for language, text in BLOCKS if not language and text.startswith("strategy.ipynb"))
SET_UP = "python -m venv .venv && .venv/bin/python init.py && "
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])}

own_functions = [text for text in EXAMPLES if "lookahead" not in text]
leaky = next(text for text in EXAMPLES if "lookahead" in text)


def run_code(text):
    """The names that an example leaves; as a module of its own would."""
    module = sys.modules["example"] = types.ModuleType("example")
    exec(compile(text, "README.md", "exec"), module.__dict__)
    return module.__dict__


def test_every_command_is_known_here():
    assert [command.removeprefix(SET_UP).split(maxsplit=1)[0] for command in COMMANDS] == [
        ".venv/bin/jupyter",
        ".venv/bin/python",  # the tests: these, which .ci/run starts with this very line
        ".venv/bin/python",
        ".venv/bin/python",
        ".venv/bin/python",
    ]
    assert [command.startswith(SET_UP) for command in COMMANDS] == [True, True, False, False, False]


@pytest.mark.parametrize("part", ["nbconvert", "lib.rehearsal", "lib.compare"])
def test_a_command_does_what_it_should(part, tmp_path):
    command = next(command.removeprefix(SET_UP) for command in COMMANDS if part in command)
    words = shlex.split(command.replace(".venv/bin/python", sys.executable))
    if words[0] == ".venv/bin/jupyter":
        words[:2] = [sys.executable, "-m", "nbconvert"]
    nbformat.write(nbformat.read(PROJECT / "strategy.ipynb", 4), tmp_path / "strategy.ipynb")
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    if part == "nbconvert":
        assert (tmp_path / "strategy.html").stat().st_size > 100_000
        assert (tmp_path / "fractions.nc.gz").exists()
        assert (tmp_path / "state.out.pickle.gz").exists()
    elif part == "lib.compare":
        assert (tmp_path / "runs").is_dir()
        assert "hidden_size" in done.stdout


@pytest.mark.parametrize("text", own_functions, ids=["features", "target", "model", "selection"])
def test_an_example_trades_and_does_not_know_the_future(text, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    strategy = run_code(text)["strategy"]
    weights, state = qnbt.backtest_ml(
        load_data=strategy.load_data,
        train=strategy.train_model,
        predict=strategy.predict,
        train_period=strategy.train_period,
        retrain_interval=strategy.retrain_interval,
        predict_each_day=True,
        competition_type=strategy.competition_type,
        lookback_period=strategy.lookback_period,
        start_date="2024-12-16",
        analyze=False,
    )
    assert (weights > 0).any()
    assert not np.array_equal(weights[-1], published_weights().reindex_like(weights[-1]))
    assert state.fingerprint == strategy.fingerprint
    report = lookahead.check(strategy, strategy.load_data(400), days=3)
    assert not report.leaks, str(report)
    capfd.readouterr()


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
    shown = re.findall(r"[\w./]+(?:\.py|\.ipynb)|\b(?:lib|tests)/[\w]*/?", TREE)
    missing = [name for name in shown if not (PROJECT / name).exists()]
    assert not missing
    inside = {
        f"lib/{path.name}" for path in (PROJECT / "lib").iterdir() if path.suffix == ".py" or path.is_dir()
    }
    inside = {name for name in inside if "__" not in name}
    known = {name.rstrip("/") for name in shown}
    assert inside - known == {"lib/indicators.py"}  # named below the tree, where it is used


@pytest.mark.skipif(REAL, reason="about qnt not being installed")
def test_the_engine_says_that_it_answers():
    done = subprocess.run(
        [sys.executable, "-c", "import lib"], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stderr.startswith("qnt is not installed: lib/offline answers in its place, on ")
