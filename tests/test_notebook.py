"""The notebook, run in every way, and `lib/notebook.py`, which runs it."""

import errno
import gzip
import importlib
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import papermill
import pytest
import qnt.data as qndata
import xarray as xr

from lib import state_read
from lib.notebook import main, run_notebook, write_page
from lib.report.display import NO_BREAK
from tests.conftest import LAST_DAY, REAL
from tests.processes import run_python
from tests.switches import long
from tests.systems import link_or_copy

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "strategy.ipynb"
START = "2024-09-02"
SCREEN = 40  # lines
PLOTLY = "application/vnd.plotly.v1+json"
SMALL = {"start_date": START, "retrain_interval": 60, "top_assets": 4, "hidden_size": 6}

Notebook = nbformat.NotebookNode


def code_cells(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_debug(cell: Notebook) -> bool:
    return cell.source.split("\n")[0] == "#DEBUG#"


@pytest.fixture
def notebook() -> Notebook:
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


# ---- run: with papermill, as a submission, and by hand ----


def copy_of(folder: Path, notebook: Notebook) -> Path:
    """The notebook in a folder of its own, beside the same lib."""
    folder.mkdir()
    link_or_copy(ROOT / "lib", folder / "lib")
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
    """Return the figures in the outputs of each cell."""
    return {
        cell.id: found
        for cell in code_cells(notebook)
        if (found := [output.data[PLOTLY] for output in cell.outputs if PLOTLY in output.get("data", {})])
    }


def check_backtest_output(done: Notebook) -> None:
    """The backtest itself leaves a progress bar, not a log; the Sharpe ratio has one verdict, one value."""
    texts = {cell.get("id"): [text_of(output) for output in cell.outputs] for cell in code_cells(done)}
    log = "".join(texts["backtest"])
    assert re.search(r"100%.*\b86\b", log)  # days
    assert len(log.splitlines()) <= SCREEN
    assert "\r" not in log
    shown = [text for cell in texts.values() for text in cell]
    assert not [text for text in shown if "ERROR" in text or "too low" in text]
    naming = [text for text in shown if re.search("sharpe ratio", text, re.IGNORECASE)]
    assert set(naming) <= set(texts["backtest-report"])
    rule, measure = (
        re.search(r"^Sharpe ratio +(\S+)", text, re.M)[1]
        for text in naming
        if text.startswith(("rule", "measure"))
    )
    assert float(rule) == pytest.approx(float(measure), abs=0.006)  # two digits and three


def text_of(output: Notebook) -> str:
    return output.get("text", "") + output.get("data", {}).get("text/plain", "")


@long
def test_with_papermill(notebook: Notebook, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
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
        **{"backtest-training": 1, "backtest-report": 3, "training-report": 1}
    }
    source = "" if REAL else "Prices: the market file market.nc"
    assert all(source in figure["layout"]["title"]["text"] for found in figures.values() for figure in found)
    assert "weights" not in figures
    cells = {cell.get("id"): str(cell.outputs) for cell in code_cells(done)}
    assert "out of sample" in cells["backtest-training"]
    for day in ("2024-09-02", "2024-11-01"):
        assert day.replace("-", NO_BREAK) in cells["backtest-training"]
    assert "on the days from 2024-09-02 to 2024-12-30:" in cells["backtest-report"]
    assert "The model adds" in cells["backtest-report"]
    assert "the outputs of the assets differ by" in cells["backtest-training"]
    assert "majority" in cells["training-report"]
    assert f"positions on {LAST_DAY}" in cells["weights"]
    check_backtest_output(done)
    assert "over TCP" not in capfd.readouterr().err

    html = write_page(executed).read_text(encoding="utf-8")
    assert html.count("Plotly.newPlot(") >= 3
    if not REAL:  # the real library takes plotly's script from the network
        assert html.count("* plotly.js v") == 1


@long
def test_as_a_submission_and_by_hand(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluator's run and one cell by cell leave the same; a submission shows nothing."""
    path = copy_of(tmp_path / "project", without_debug(notebook))
    small = {name: value for name, value in SMALL.items() if name != "start_date"}
    with monkeypatch.context() as submission:
        submission.setenv("SUBMISSION_ID", "-1")
        executed = run_notebook(path, tmp_path / "run", small)
    done = nbformat.read(executed, as_version=4)
    cells = {cell.id: cell.outputs for cell in code_cells(done) if "id" in cell}
    assert cells["strategy"] == cells["training-report"] == cells["weights"] == []

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


@long
def test_with_its_debug_cells_as_a_submission(notebook: Notebook, tmp_path: Path) -> None:
    """Should somebody leave them in: no backtest runs, and nothing is shown."""
    script = "\n".join(cell.source for cell in code_cells(notebook))
    script += "\nimport sys; unused = {'qnt.backtester', 'lib.report.figures', 'lib.report.backtest_log'}"
    script += "\nassert not unused & set(sys.modules)"
    run_python(script, cwd=tmp_path, SUBMISSION_ID="-1")
    assert (tmp_path / "fractions.nc.gz").exists()


# ---- the runner ----


def tiny(folder: Path, source: str) -> Path:
    own = "hidden_size = 34\nseed = 42\nnote = ''"
    parameters = nbformat.v4.new_code_cell(own, metadata={"tags": ["parameters"]})
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


REFUSED = {
    "an unknown parameter": (["--set", "start_dat=2024-10-01"], "did you mean 'start_date'"),
    "a date": (["--start", "yesterday"], "start_date is 'yesterday': it must be a date"),
    "an end before the start": (["--start", START, "--end", "2024-01-02"], "is before start_date"),
    "a day before the data": (["--start", "1999-01-01"], "but the data begin on"),
    "a value": (["--start", START, "--set", "top_assets=0"], "top_assets is 0: it must be a whole number"),
    "a type": (["--start", START, "--set", "top_assets=many"], "top_assets must be a whole number"),
    "a name": (["--start", START, "--set", "target=next_open"], "did you mean 'next_open_up'?"),
    "no value": (["--set", "top_assets", "6"], "'top_assets' must have the form NAME=VALUE"),
    "a missing notebook": (["--notebook", "none.ipynb"], "There is no notebook"),
    "a file that is no notebook": (["--notebook", __file__], "is not a notebook (nbformat 4)"),
    "the notebook's own folder": (["--output", str(ROOT)], "would replace"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_wrong_call_ends_with_a_sentence_before_a_kernel_starts(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    arguments, sentence = REFUSED[fault]
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: pytest.fail("it was executed"))
    assert main(["--output", str(tmp_path / "run"), *arguments]) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "stand-in is used" not in text]
    assert sentence in line
    assert not (tmp_path / "run").exists()


STOPS = {
    "a full disk": (
        OSError(errno.ENOSPC, "No space left on device"),
        2,
        "tiny.ipynb: No space left on device.",
    ),
    "Ctrl-C": (KeyboardInterrupt(), 130, "Stopped by hand."),
}


@pytest.mark.parametrize("what", STOPS)
def test_a_run_that_is_stopped_ends_with_a_sentence_and_leaves_what_was_written(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    error, code, sentence = STOPS[what]

    def fail(*_: Any) -> None:
        raise error

    def execute(_: str, out: str, *__: Any, **___: Any) -> None:
        papermill.iorw.papermill_io.write("after the first cell", out)
        monkeypatch.setattr(os, "fsync", fail)
        papermill.iorw.papermill_io.write("after the second cell", out)

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert main(["--notebook", str(tiny(tmp_path, "1")), "--output", str(tmp_path / "run")]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(sentence)
    assert {path.name: path.read_text("utf-8") for path in (tmp_path / "run").iterdir()} == {
        "tiny.ipynb": "after the first cell"
    }


def test_a_cell_that_fails_on_a_full_disk_is_what_the_command_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def execute(path: str, out: str, *_: Any, **__: Any) -> None:
        shutil.copy(path, out)
        raise papermill.PapermillExecutionError(0, 1, "", "OSError", "no space left", ["a", "b"])

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    monkeypatch.setattr("lib.notebook.replace_file", full)
    assert main(["--notebook", str(tiny(tmp_path, "1")), "--output", str(tmp_path / "run")]) == 1
    assert "A cell failed: OSError: no space left" in capsys.readouterr().err


def test_braces_in_names_and_bytes_that_are_no_text_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill fills in parameters between braces; a file's name may hold bytes of another encoding."""

    def execute(path: str, out: str, *_: Any, **__: Any) -> None:
        assert Path(path.format()) == notebook
        papermill.iorw.papermill_io.write(
            json.dumps({"cells": [], "a": "\udce4"}, ensure_ascii=False), out.format()
        )

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    monkeypatch.setattr("lib.notebook._tidy", lambda path: path)
    (tmp_path / "{x}").mkdir()
    notebook = tiny(tmp_path / "{x}", "1")
    executed = run_notebook(notebook, tmp_path / "{y}" / "run")
    assert json.loads(executed.read_text("utf-8"))["a"] == "\ufffd"


@long
def test_every_parameter_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, Any] = {}

    def execute(path: str, out: str, values: dict[str, Any], **_: Any) -> None:
        passed.update(values)
        shutil.copy(path, out)

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    words = ["top_assets=6", "features=['trend', 'trend']", "target=tradable_open_up", "min_weight=0.01"]
    words += [
        "whole_sequence=True",
        "selection=low_volatility",
        "model=LSTM",
        "competition_type=stocks_nasdaq100",
    ]
    main(["--output", str(tmp_path / "run"), "--set", *words, "--start", START, "--end", LAST_DAY])
    assert passed == {
        **{"top_assets": 6, "features": ["trend", "trend"], "target": "tradable_open_up", "min_weight": 0.01},
        **{"whole_sequence": True, "selection": "low_volatility", "model": "LSTM"},
        **{"competition_type": "stocks_nasdaq100", "start_date": START, "end_date": LAST_DAY},
    }


def test_a_missing_notebook(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no notebook .*none\.ipynb"):
        run_notebook(tmp_path / "none.ipynb", tmp_path / "run")


@long
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTPUT_PATH", raising=False)
    path = tiny(tmp_path, "import os; print(hidden_size, repr(note), os.environ['OUTPUT_PATH'], os.getcwd())")
    run = tmp_path / "a" / "run"
    main(["--notebook", str(path), "--output", str(run), "--set", "hidden_size=7", "--set", "note=a b"])
    done = nbformat.read(run / "tiny.ipynb", as_version=4)
    assert done.cells[-1].outputs[0].text.strip() == f"7 'a b' {run / 'fractions.nc.gz'} {tmp_path}"
    page = run / "tiny.html"
    assert f"open {page} in a browser" in capsys.readouterr().out
    assert "a b" in page.read_text(encoding="utf-8")
    assert "OUTPUT_PATH" not in os.environ


@long
def test_the_command_is_never_silent_for_long(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.notebook.SILENCE", 0.1)
    path = tiny(tmp_path, "import time; time.sleep(0.5)")
    main(["--notebook", str(path), "--output", str(tmp_path / "run")])
    assert capsys.readouterr().err.count("tiny.ipynb has been running for") >= 2


def test_a_failing_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_PATH", "mine")
    with pytest.raises(papermill.PapermillExecutionError, match="1 / 0"):
        run_notebook(tiny(tmp_path, "1 / 0"), tmp_path / "run")
    assert "ZeroDivisionError" in (tmp_path / "run" / "tiny.ipynb").read_text(encoding="utf-8")
    assert os.environ["OUTPUT_PATH"] == "mine"


@long
def test_a_wrong_value_in_the_notebook_is_shown_as_its_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    link_or_copy(ROOT / "lib", tmp_path / "lib")
    path = tiny(tmp_path, "from lib import Strategy\nStrategy(top_assets=0)")
    assert main(["--notebook", str(path), "--output", str(tmp_path / "run")]) == 1
    sentence, place = capsys.readouterr().err.splitlines()[-2:]
    assert sentence == "A cell failed: top_assets is 0: it must be a whole number from 1 to 1000."
    assert place == f"The notebook up to there: {tmp_path / 'run' / 'tiny.ipynb'}"
    done = nbformat.read(tmp_path / "run" / "tiny.ipynb", as_version=4)
    (error,) = [output for output in done.cells[-1].outputs if output.output_type == "error"]
    assert error.traceback == ["top_assets is 0: it must be a whole number from 1 to 1000."]


@long
def test_of_a_progress_bar_the_last_state_is_kept(tmp_path: Path) -> None:
    bar = "import sys\nfor k in (0, 50, 100):\n    print(f'\\r{k}%', end='', file=sys.stderr, flush=True)\n"
    path = tiny(tmp_path, f"{bar}print('', file=sys.stderr, flush=True)\nprint('done')")
    done = nbformat.read(run_notebook(path, tmp_path / "run"), as_version=4)
    outputs = sorted((output.name, output.text) for output in done.cells[-1].outputs)
    assert outputs == [("stderr", "100%\n"), ("stdout", "done\n")]
