"""The command checks the notebook's strategy, and its exit code says what was found."""

import nbformat
import pytest

from lib.lookahead import LeakReport, __main__
from lib.lookahead.__main__ import main

CLEAN = "def level(data, strategy):\n    return data.sel(field='close') / 100"
PEEKS = "def level(data, strategy):\n    return data.sel(field='close').shift(time=-1)"
TABLE = (
    "import qnt.data as qndata\nprices = qndata.stocks.load_ndx_data(tail=400).sel(field='close')\n"
    "def level(data, strategy):\n"
    "    return data.sel(field='close') / prices.isel(time=-1).reindex(asset=data.asset)"
)
YEAR = "def level(data, strategy):\n    return data.sel(field='close') * 0 + data.time.dt.year"
BROKEN = "def level(data, strategy):\n    raise ZeroDivisionError('never worked')"
METHODS = """
import numpy as np
import xarray as xr
def train_model(data):
    return {"days": data.sizes["time"]}
def predict(models, data, state):
    coords = {"time": data.time[-1:], "asset": data.asset}
    return xr.DataArray(np.full((1, data.sizes["asset"]), 0.001), coords), (state or []) + [1]
"""
STRATEGY = "from lib import Strategy\nstrategy = Strategy({settings})"
SMALL = "lookback_period=25, train_period=20, top_assets=2, hidden_size=2"


@pytest.fixture
def notebook(tmp_path):
    def write(source, settings=f"features=[level], {SMALL}"):
        cells = [nbformat.v4.new_code_cell(text) for text in (source, STRATEGY.format(settings=settings))]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "mine.ipynb")
        return ["--notebook", str(tmp_path / "mine.ipynb"), "--period", "150", "--days", "1"]

    return write


@pytest.mark.usefixtures("in_one_process")
@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (CLEAN, 0, "No look-ahead found"),
        (PEEKS, 1, "LOOK-AHEAD"),
        (TABLE, 1, "entries of `prices` after the day"),
        (YEAR, 3, "DEPENDS ON THE DATES"),
        (BROKEN, 3, "ZeroDivisionError: never worked"),
    ],
    ids=["clean", "peeks", "table of another cell", "dates", "broken"],
)
def test_a_function_of_a_cell_is_checked(source, code, words, notebook, capsys):
    assert main(notebook(source)) == code
    output = capsys.readouterr()
    assert output.out.splitlines()[0].startswith("mine.ipynb: ")
    assert words in output.out + output.err
    assert "Traceback" not in output.err


@pytest.mark.usefixtures("in_one_process")
def test_methods_of_a_notebook_are_checked(notebook, capsys):
    arguments = notebook(METHODS, f"{SMALL}).with_functions(train_model=train_model, predict=predict")
    assert main(arguments) == 0
    assert "training, prediction." in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["--days", "0"], ["--seed", "-1"], ["--period", "0"], ["--period", "20"], ["--set", "top_asset=3"]],
    ids=" ".join,
)
def test_bad_input_is_refused_in_a_sentence(words, notebook, capsys):
    assert main([*notebook(CLEAN), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error


def test_the_notebook_must_be_there(tmp_path, capsys):
    assert main(["--notebook", str(tmp_path / "none.ipynb")]) == 2
    assert "none.ipynb" in capsys.readouterr().err


def test_ctrl_c_ends_in_a_sentence(notebook, monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "check", stopped)
    assert main(notebook(CLEAN)) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_setting_and_the_choice_of_days_reach_the_check(notebook, monkeypatch):
    seen = {}

    def check(strategy, data, days, seed):
        seen.update(top_assets=strategy.top_assets, days=days, seed=seed, loaded=data.sizes["time"])
        return LeakReport((), data.time.values[-1:].astype("M8[D]"), ("training",))

    monkeypatch.setattr(__main__, "check", check)
    assert main([*notebook(CLEAN), "--set", "top_assets=7", "--days", "4", "--seed", "9"]) == 0
    assert seen["loaded"] < 150
    assert (seen["top_assets"], seen["days"], seen["seed"]) == (7, 4, 9)
