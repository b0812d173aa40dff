"""The notebook's manners; the notebook, run in every way; and `lib/notebook.py`, which runs it."""

import ast
import gzip
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import papermill
import pytest
import qnt.data as qndata
import xarray as xr

from lib import Strategy, state_read
from lib.notebook import main, run_notebook
from lib.report.display import NO_BREAK
from tests.conftest import LAST_DAY, REAL
from tests.processes import run_python

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "strategy.ipynb"
LONGEST_CELL = 17
START = "2024-09-02"
PLOTLY = "application/vnd.plotly.v1+json"
SMALL = {"start_date": START, "retrain_interval": 60, "top_assets": 4, "hidden_size": 6}

Notebook = nbformat.NotebookNode


def code_cells(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_debug(cell: Notebook) -> bool:
    return cell.source.split("\n")[0] == "#DEBUG#"


def faults(notebook: Notebook) -> set[str]:
    """What is wrong with the manners of a notebook."""
    found = set()
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError:
        found.add("invalid")
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        found.add("not 4.5")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.add("kernel")
    cells = code_cells(notebook)
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        found.add("one cell of parameters")
    elif not all(is_literal(statement) for statement in ast.parse(tagged[0].source).body):
        found.add("literals only")
    for cell in cells:
        if cell.outputs or cell.execution_count is not None:
            found.add("outputs")
        if len(cell.source.splitlines()) > LONGEST_CELL:
            found.add("long cell")
        if re.search(r"#\s*DEBUG\s*#", cell.source) and not is_debug(cell):
            found.add("#DEBUG# is not the first line")
        if re.search("qnbt|backtest_", cell.source) and not is_debug(cell):
            found.add("a backtest in a submission")
    last = ast.parse(cells[-1].source).body
    if len(last) != 1 or ast.unparse(last[0]) != "qnout.write(weights)":
        found.add("write alone")
    return found


def is_literal(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Assign) or not all(
        isinstance(name, ast.Name) for name in statement.targets
    ):
        return False
    try:
        ast.literal_eval(statement.value)
    except ValueError:
        return False
    return True


@pytest.fixture
def notebook() -> Notebook:
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


def test_manners(notebook: Notebook) -> None:
    assert faults(notebook) == set()


def test_cells_stay_where_they_are(notebook: Notebook) -> None:
    assert [cell.id for cell in code_cells(notebook)] == [
        *("parameters", "imports", "strategy"),
        *("backtest-tools", "backtest", "backtest-training", "backtest-report"),
        *("predict", "training-report", "statistics", "keep-state", "write"),
    ]
    assert [cell.id for cell in code_cells(notebook) if is_debug(cell)] == [
        *("backtest-tools", "backtest", "backtest-training", "backtest-report")
    ]


def spoil(notebook: Notebook, fault: str) -> None:
    cells = {cell.id: cell for cell in notebook.cells}
    if fault == "invalid":
        del cells["what"]["source"]
    elif fault == "not 4.5":
        notebook.nbformat_minor = 4
    elif fault == "kernel":
        notebook.metadata.kernelspec.name = "my-env"
    elif fault == "one cell of parameters":
        cells["strategy"].metadata.tags = ["parameters"]
    elif fault == "literals only":
        cells["parameters"].source += "\nlast_layer = hidden_size // 2"
    elif fault == "outputs":
        cells["write"].outputs = [nbformat.v4.new_output("stream", text="written")]
    elif fault == "long cell":
        cells["predict"].source += "\n" * LONGEST_CELL + "print()"
    elif fault == "#DEBUG# is not the first line":
        cells["backtest-report"].source = cells["backtest-report"].source.replace("#DEBUG#", "# DEBUG#")
    elif fault == "a backtest in a submission":
        cells["backtest"].source = cells["backtest"].source.replace("#DEBUG#\n", "")
    elif fault == "write alone":
        cells["write"].source = "print(weights)\n" + cells["write"].source


@pytest.mark.parametrize(
    "fault",
    [
        *("invalid", "not 4.5", "kernel", "one cell of parameters", "literals only", "outputs", "long cell"),
        *("#DEBUG# is not the first line", "a backtest in a submission", "write alone"),
    ],
)
def test_bad_manners_are_noticed(notebook: Notebook, fault: str) -> None:
    spoil(notebook, fault)
    assert fault in faults(notebook)


def test_every_parameter_is_the_strategy_s_with_its_default(notebook: Notebook) -> None:
    cell = next(cell for cell in notebook.cells if cell.id == "parameters")
    values = {s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(cell.source).body}
    values = {name: value for name, value in values.items() if name not in ("start_date", "end_date")}
    assert Strategy(**values) == Strategy()


# ---- run: with papermill, as a submission, and by hand ----


def copy_of(folder: Path, notebook: Notebook) -> Path:
    """The notebook in a folder of its own, beside the same lib."""
    folder.mkdir()
    (folder / "lib").symlink_to(ROOT / "lib")
    nbformat.write(notebook, folder / "strategy.ipynb")
    return folder / "strategy.ipynb"


def without_debug(notebook: Notebook) -> Notebook:
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != "code" or not is_debug(cell)]
    return notebook


def read_weights(path: Path) -> xr.DataArray:
    """Weights under the names that the loaders show here; the file has the service's ids."""
    weights = xr.load_dataarray(io.BytesIO(gzip.decompress(path.read_bytes())))
    return weights.assign_coords(asset=[shown_name(name) for name in weights.asset.values.tolist()])


def shown_name(name: str) -> str:
    """The name that the loaders show here of an asset that a submission calls by the service's id."""
    if not REAL:
        return name
    return importlib.import_module("qnt.data.id_translation").translate_server_id_to_user_id(name)


def check_weights(weights: xr.DataArray, days: np.ndarray) -> None:
    """Weights of exactly these days, that the contest would take."""
    assert weights.time.values.tolist() == days.tolist()
    assert np.isfinite(weights.values).all()
    assert (abs(weights).sum("asset") <= 1 + 1e-9).all()
    assert abs(weights).max() <= 0.1 + 1e-9
    assert (weights != 0).any("asset").all()
    market = qndata.stocks.load_ndx_data(min_date="2024-01-01", assets=weights.asset.values.tolist())
    liquid = market.sel(field="is_liquid", time=weights.time, asset=weights.asset) > 0
    assert not ((weights != 0) & ~liquid).any()


def figures_of(notebook: Notebook) -> dict[str, list[dict[str, Any]]]:
    """By cell the figures in its outputs."""
    return {
        cell.id: found
        for cell in code_cells(notebook)
        if (found := [output.data[PLOTLY] for output in cell.outputs if PLOTLY in output.get("data", {})])
    }


def test_with_papermill(notebook: Notebook, tmp_path: Path) -> None:
    """The whole notebook over four months; what it shows, what it writes, and the page made from it."""
    keep = nbformat.v4.new_code_cell("backtest_weights.to_netcdf('backtest.nc', engine='scipy')")
    notebook.cells.append(keep)
    path = copy_of(tmp_path / "project", notebook)
    executed = run_notebook(path, tmp_path / "run", SMALL)

    assert sorted(file.name for file in executed.parent.iterdir()) == [
        *("fractions.nc.gz", "state.out.pickle.gz", "strategy.ipynb")
    ]
    days = qndata.stocks.load_ndx_data(min_date=START).time.values
    check_weights(read_weights(executed.parent / "fractions.nc.gz"), days[-1:])
    check_weights(xr.load_dataarray(path.parent / "backtest.nc", engine="scipy"), days)
    state = state_read(executed.parent / "state.out.pickle.gz")
    assert str(state.date)[:10] == LAST_DAY

    done = nbformat.read(executed, as_version=4)
    figures = figures_of(done)
    assert {name: len(found) for name, found in figures.items()} == {
        **{"backtest-report": 2, "training-report": 1, "statistics": 1}
    }
    said = "" if REAL else "Prices: the market file market.nc"
    assert all(said in figure["layout"]["title"]["text"] for found in figures.values() for figure in found)
    cells = {cell.get("id"): str(cell.outputs) for cell in code_cells(done)}
    assert "hits out of sample" in cells["backtest-training"]
    for day in ("2024-09-02", "2024-11-01"):
        assert day.replace("-", NO_BREAK) in cells["backtest-training"]
    assert "Contest rules, 2024-09-02 to 2024-12-30: " in cells["backtest-report"]
    assert "majority in training" in cells["training-report"]

    page = tmp_path / "page.html"
    to_html = [sys.executable, "-m", "nbconvert", "--to", "html", str(executed), "--output", str(page)]
    subprocess.run(to_html, check=True, capture_output=True)
    html = page.read_text(encoding="utf-8")
    assert html.count("Plotly.newPlot(") >= 4
    if not REAL:  # the real library takes plotly's script from the network
        assert html.count("* plotly.js v") == 1


def test_as_a_submission_and_by_hand(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the evaluator runs it, then cell by cell: the same weights and state; a submission shows nothing."""
    path = copy_of(tmp_path / "project", without_debug(notebook))
    small = {name: value for name, value in SMALL.items() if name != "start_date"}
    with monkeypatch.context() as submission:
        submission.setenv("SUBMISSION_ID", "-1")
        executed = run_notebook(path, tmp_path / "run", small)
    done = nbformat.read(executed, as_version=4)
    assert figures_of(done) == {}
    cells = {cell.id: cell.outputs for cell in code_cells(done) if "id" in cell}
    assert cells["training-report"] == cells["statistics"] == []

    for name, file in (("OUTPUT_PATH", "by_hand.nc.gz"), ("OUT_STATE_PATH", "by_hand.state")):
        monkeypatch.setenv(name, str(tmp_path / file))
    names: dict[str, Any] = {}
    for cell in code_cells(notebook):
        exec(compile(cell.source, cell.id, "exec"), names)
        if cell.id == "parameters":
            names |= small
    by_hand, submitted = (
        read_weights(tmp_path / "by_hand.nc.gz"),
        read_weights(executed.parent / "fractions.nc.gz"),
    )
    xr.testing.assert_equal(by_hand, submitted)
    check_weights(submitted, np.array([LAST_DAY], dtype="M8[ns]"))
    states = [
        state_read(path) for path in (tmp_path / "by_hand.state", executed.parent / "state.out.pickle.gz")
    ]
    held = [{shown_name(name): weight for name, weight in state.weights.items()} for state in states]
    assert held[0] == held[1]
    assert states[0].date == states[1].date
    assert states[0].parameters == states[1].parameters
    assert dict(states[0].carried_in) == dict(states[1].carried_in) == {}


def test_with_its_debug_cells_as_a_submission(notebook: Notebook, tmp_path: Path) -> None:
    """Should somebody leave them in: no backtest runs, and nothing is shown."""
    script = "\n".join(cell.source for cell in code_cells(notebook))
    script += "\nimport sys; unused = {'qnt.backtester', 'lib.report.figures', 'lib.report.training_log'}"
    script += "\nassert not unused & set(sys.modules)"
    run_python(script, cwd=tmp_path, SUBMISSION_ID="-1")
    assert (tmp_path / "fractions.nc.gz").exists()


# ---- the runner ----


def tiny(folder: Path, source: str) -> Path:
    parameters = nbformat.v4.new_code_cell("hidden_size = 34\nseed = 42", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "tiny.ipynb")
    return folder / "tiny.ipynb"


def test_an_unknown_parameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TypeError, match=r"strategy\.ipynb has no parameter 'top_asset': did you mean 'top_assets'\?"
    ):
        run_notebook(NOTEBOOK, tmp_path / "run", {"top_asset": 3})
    assert not (tmp_path / "run").exists()


def test_an_unknown_parameter_ends_the_command(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="did you mean 'start_date'"):
        main(["--output", str(tmp_path / "run"), "--set", "start_dat", "2024-10-01"])


def test_a_missing_notebook(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no notebook .*none\.ipynb"):
        run_notebook(tmp_path / "none.ipynb", tmp_path / "run")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTPUT_PATH", raising=False)
    path = tiny(
        tmp_path, "import os; print(repr(hidden_size), repr(seed), os.environ['OUTPUT_PATH'], os.getcwd())"
    )
    run = tmp_path / "a" / "run"
    main(
        ["--notebook", str(path), "--output", str(run), "--set", "hidden_size", "[7]", "--set", "seed", "a b"]
    )
    done = nbformat.read(run / "tiny.ipynb", as_version=4)
    assert done.cells[-1].outputs[0].text.strip() == f"[7] 'a b' {run / 'fractions.nc.gz'} {tmp_path}"
    assert str(run) in capsys.readouterr().out
    assert "OUTPUT_PATH" not in os.environ


def test_a_failing_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_PATH", "mine")
    with pytest.raises(papermill.PapermillExecutionError, match="1 / 0"):
        run_notebook(tiny(tmp_path, "1 / 0"), tmp_path / "run")
    assert "ZeroDivisionError" in (tmp_path / "run" / "tiny.ipynb").read_text(encoding="utf-8")
    assert os.environ["OUTPUT_PATH"] == "mine"
