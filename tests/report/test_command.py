from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.report import __main__ as command
from lib.report.__main__ import main
from lib.report.evaluation import Evaluation
from tests.switches import long


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook with functions of its own, by which every day has the same weights."""
    cells = [
        "from lib import Strategy",
        "def predict(models, data, state):\n"
        "    weights = data.sel(field='close', drop=True).isel(time=slice(-1, None)) * 0\n"
        "    weights[:, ::2] = 0.02\n"
        "    return weights, {'entries': 1}",
        "def train_model(data):\n    return {'mean': float(data.mean())}",
        "start_date, end_date = '2024-12-16', '2024-12-23'",
        "strategy = Strategy().with_functions(predict=predict, train_model=train_model)",
    ]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    path = tmp_path / "mine" / "own.ipynb"
    path.parent.mkdir()
    nbformat.write(made, path)
    return path


@long
def test_a_backtest_with_what_the_model_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--start", "2024-12-02", "--set", "top_assets=3", "hidden_size=3"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("strategy.ipynb: top_assets=3, hidden_size=3\n")
    assert "without the model" in shown
    assert "The model adds" in shown
    assert "the outputs of the assets differ by" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]  # nothing else is left behind
    assert "Before:" not in shown
    again = ["--start", "2024-12-02", "--set", "top_assets=4", "hidden_size=3", "--keep", "four"]
    assert main(again) == 0
    shown = capsys.readouterr().out
    assert "Before: top_assets=3, hidden_size=3, run on" in shown
    assert len(list((tmp_path / "runs" / "report").iterdir())) == 3


def test_the_report_is_on_the_notebook_s_strategy_and_days(
    notebook: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--notebook", str(notebook)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("own.ipynb: ")
    assert "own train_model, own predict" in shown.splitlines()[0]
    assert "there is no line without the model" in shown
    assert "train_model returned dict" in shown
    assert "Backtest from 2024-12-16 to 2024-12-23" in shown
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "runs"}


TIME = np.array(["2024-12-16", "2024-12-17", "2024-12-18"], dtype="M8[ns]")
WEIGHTS = xr.DataArray([[0.1, 0.0], [0.1, 0.2], [0.0, 0.2]], {"time": TIME, "asset": ["A", "B"]})


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list:
    """Record what is evaluated, and return an evaluation with sentences."""
    seen: list = []
    found = Evaluation(
        {}, {"strategy": "measures"}, None, "What it **adds**.", WEIGHTS, None, "What changed."
    )
    made = SimpleNamespace(
        headline="The headline", strategy="S", start_date="2024-01-01", end_date="2024-02-01"
    )
    monkeypatch.setattr(command, "strategy_of", lambda *given: seen.append(given) or made)
    monkeypatch.setattr(command, "check_range", lambda strategy, start, end: (start, end))
    monkeypatch.setattr(command, "evaluated", lambda *given: seen.append(given) or (found, "A **spread**."))
    monkeypatch.setattr(command, "performance_table", lambda *_: pd.DataFrame({"strategy": ["the table"]}))
    return seen


def test_options_of_earlier_runs_are_explained(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--before RUN earlier run to be shown beside this one: last, none, or a name of --keep" in shown
    assert "--keep NAME keep this run in runs/report under a name (default: none)" in shown


@pytest.mark.parametrize(
    ("arguments", "days", "runs"),
    [
        ([], ("2024-01-01", "2024-02-01"), ("last", "")),
        (["--end", "2024-03-01", "--before", "none"], ("2024-01-01", "2024-03-01"), (None, "")),
        (["--start", "2024-03-01", "--keep", "mine"], ("2024-03-01", None), ("last", "mine")),
        (["--start", "2024-03-01", "--end", "2024-04-01"], ("2024-03-01", "2024-04-01"), ("last", "")),
    ],
    ids=["notebook's days", "end", "start", "both"],
)
def test_a_report_by_hand(
    arguments: list[str], days: tuple, runs: tuple, calls: list, capsys: pytest.CaptureFixture
) -> None:
    assert main([*arguments, "--notebook", "n.ipynb", "--set", "top_assets=3"]) == 0
    (notebook, settings), backtest = calls
    assert (str(notebook), settings) == ("n.ipynb", {"top_assets": 3})
    assert backtest == ("S", *days, *runs)
    assert capsys.readouterr().out == (
        "The headline\nBacktest from 2024-12-16 to 2024-12-18\n\n"
        "    strategy\n0  the table\n\nWhat it adds.\nWhat changed.\nA spread.\n"
    )


def test_the_days_of_a_backtest_are_evaluated_with_its_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    import qnt.log as qnlog

    class Log:
        trainings = ("one", "two")

        def __init__(self, strategy: object):
            self.strategy = strategy

        def backtest(self, *days: str) -> tuple:
            qnlog.log_info("noise")
            return ("weights", *days)

        def evaluated(self, data: object, weights: object) -> list:
            later = pd.DataFrame({"target": [1.0]})
            return [SimpleNamespace(out_of_sample=later, data=data, weights=weights) for _ in self.trainings]

        def without_table(self, weights: object) -> str:
            return f"no table of {weights}"

    strategy = SimpleNamespace(competition_type="crypto_daily_long", load_range=lambda *days: ("data", *days))
    monkeypatch.setattr(command, "BacktestLog", Log)
    monkeypatch.setattr(command, "evaluate", lambda *given: given)
    monkeypatch.setattr(command, "traded_outputs", lambda trainings: [each.data for each in trainings])
    monkeypatch.setattr(command, "outputs_sentence", lambda *given: given)
    given, (traded, later) = command.evaluated(strategy, "a", "b", "last", "mine")
    data, weights = ("data", "a", "b"), ("weights", "a", "b")
    rules = COMPETITIONS["crypto_daily_long"]
    assert given[:3] == (data, weights, rules)
    assert given[3].strategy is strategy
    assert given[4:] == ("last", "mine")
    assert traded == [data] * 2
    assert later["target"].tolist() == [1.0, 1.0]
    Log.trainings = ()
    assert command.evaluated(strategy, "a", None)[1] == "no table of ('weights', 'a', None)"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--start", "2024-12-02", "--set", "modl=constant"], "did you mean 'model'"),
        (["--start", "2030-01-01"], "start_date is 2030-01-01, but the data end on 2024-12-30"),
        pytest.param(["--start", "2024-12-30"], "A single day has no statistics", marks=long),
        (["--notebook", "nowhere.ipynb"], "nowhere.ipynb"),
        (["--before", "mine", "--notebook", "nowhere.ipynb"], "No run was kept as 'mine'"),
        (["--keep", "a/b"], "cannot be kept as 'a/b'"),
    ],
    ids=["parameter", "start", "one day", "notebook", "before", "keep"],
)
def test_wrong_arguments_end_in_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
