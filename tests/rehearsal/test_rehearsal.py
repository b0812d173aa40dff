"""The rehearsal runs the notebook as the platform does, and fails it for what the platform would not take."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib import rehearsal

PROJECT = Path(__file__).parents[2]
NOTEBOOK = PROJECT / "strategy.ipynb"
LAST = ["2024-12-26", "2024-12-27", "2024-12-30"]

# On the first day an illiquid position and one over the limit, on the second a state that starts afresh and
# weights of another day, on the third an error.
PLANTED = """
from lib.state import State

day = str(data_predict.time.values[-1])[:10]
if day == "2024-12-26":
    weights.values[0, (data_predict.sel(field="is_liquid").values[-1] > 0).argmin()] = 0.2
if day == "2024-12-27":
    state_new = State(state_new.date, state_new.weights, {}, state_new.parameters)
    weights = weights.assign_coords(time=weights.time.values - np.timedelta64(1, "D"))
if day == "2024-12-30":
    raise RuntimeError("planted for the test")
"""


def notebook_with(source: str, before: str, path: Path) -> Path:
    """The shipped notebook, with a cell of this source put in before the first that contains a text."""
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    at = next(
        k
        for k, cell in enumerate(content["cells"])
        if cell["cell_type"] == "code" and before in "".join(cell["source"])
    )
    cell = {"cell_type": "code", "id": "planted", "metadata": {}, "outputs": [], "execution_count": None}
    content["cells"].insert(at, cell | {"source": source})
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def rehearse(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lib.rehearsal", *arguments]
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_shipped_notebook_passes_and_leaves_nothing_behind(tmp_path):
    beside = set(PROJECT.iterdir())
    done = rehearse(tmp_path, "--days", "2", "--until", LAST[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [[day, "ok"] for day in LAST[-2:]]
    assert "positions" in lines[0]
    assert "MiB" in lines[0]
    assert lines[-1].startswith("PASSED: weights on each of 2 days")
    assert "Rehearsal: 100%" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert {path.name for path in set(PROJECT.iterdir()) - beside} <= {"__pycache__"}


def test_five_planted_faults_are_said(tmp_path):
    notebook = notebook_with(PLANTED, before="state_write(state_new)", path=tmp_path / "mine.ipynb")
    done = rehearse(tmp_path, "--days", "3", "--until", LAST[-1], "--notebook", str(notebook))
    assert done.returncode == 1, done.stdout + done.stderr
    by_day = {day: done.stdout.split(day + "  FAILED")[1].split("\n202")[0] for day in LAST}
    assert "an illiquid position: NAS:" in by_day[LAST[0]]
    assert "a position over the limit of 0.1: NAS:" in by_day[LAST[0]]
    assert "the state was reset: the pass began with 0 positions" in by_day[LAST[1]]
    assert "the day is missed: the weights written are of 2024-12-26" in by_day[LAST[1]]
    assert "the pass crashed (exit code 1)" in by_day[LAST[2]]
    assert "RuntimeError: planted for the test" in by_day[LAST[2]]
    assert "FAILED on 3 of 3 days." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--days", "0"], "--days must be at least 1"),
        (["--days", "9", "--until", "2021-01-08"], "there are only 5 trading days up to 2021-01-08"),
        (["--notebook", "nowhere.ipynb"], "nowhere.ipynb"),
        (["--notebook", __file__], "is not a notebook"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        rehearsal.main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_copy_has_no_debug_cells_and_what_lies_beside(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    (home / "mine.py").write_text("")
    (home / "fractions.nc.gz").write_text("")
    notebook = notebook_with(
        "#DEBUG#\nprint('slow')", before="state_write(state_new)", path=home / "mine.ipynb"
    )
    assert rehearsal._working_copy(notebook, folder) == "stocks_nasdaq100"
    assert {path.name for path in folder.iterdir()} == {"strategy.ipynb", "mine.py", "lib"}
    text = (folder / "strategy.ipynb").read_text()
    assert "#DEBUG#" not in text.replace("`#DEBUG#`", "")
    assert "backtest_ml(" not in text
    assert "qnout.write(weights)" in text


def test_the_competition_is_read_from_the_notebook():
    assert rehearsal._competition(["x = 1", "competition_type = 'stocks_s&p500'  # or"]) == "stocks_s&p500"
    assert rehearsal._competition(["x = 1"]) == "stocks_nasdaq100"
