from pathlib import Path

import nbformat
import pytest

from lib.report.__main__ import main
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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--start", "2024-12-02", "--set", "modl=constant"], "did you mean 'model'"),
        (["--start", "2030-01-01"], "start_date is 2030-01-01, but the data end on 2024-12-30"),
        pytest.param(["--start", "2024-12-30"], "A single day has no statistics", marks=long),
        (["--notebook", "nowhere.ipynb"], "nowhere.ipynb"),
        (["--before", "mine"], "No run was kept as 'mine'"),
        (["--keep", "a/b"], "cannot be kept as 'a/b'"),
    ],
    ids=["parameter", "start", "one day", "notebook", "before", "keep"],
)
def test_wrong_arguments_end_in_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
