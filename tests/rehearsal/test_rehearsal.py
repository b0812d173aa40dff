"""The rehearsal from end to end: the shipped notebook passes, a chain of faults is found."""

import errno
import os
import subprocess
import sys

import pytest

from lib import rehearsal
from lib.rehearsal.__main__ import main
from tests.conftest import REAL
from tests.loopback import foreign_id
from tests.rehearsal.notebooks import KEEP, PROJECT, SMALL, WRITE, Draft
from tests.switches import longest

FOREIGN_IDS = REAL and os.environ.get("QNT_FOREIGN_IDS", "") not in ("", "0")
LAST = ["2024-12-27", "2024-12-30"]

# On the first day an illiquid position and one over the limit; on the second a state that starts afresh and
# weights of another day.
PLANTED = """
from lib.state import State

day = str(data_predict.time.values[-1])[:10]
if day == "2024-12-27":
    weights.values[0, (data_predict.sel(field="is_liquid").values[-1] > 0).argmin()] = 0.2
if day == "2024-12-30":
    state_new = State(state_new.date, state_new.weights, {}, state_new.parameters)
    weights = weights.assign_coords(time=weights.time.values - np.timedelta64(1, "D"))
"""


@longest
def test_the_shipped_notebook_passes_and_leaves_nothing_behind(tmp_path):
    beside = set(PROJECT.iterdir())
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "lib.rehearsal", "--days", "2", "--end", LAST[-1]]
    command += ["--set", *(f"{name}={value}" for name, value in SMALL.items())]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [[day, "ok"] for day in LAST]
    assert "positions" in lines[0]
    assert "MiB" in lines[0]
    assert lines[2] == "Seconds of a pass:"
    assert any(line.split()[2] == "cell" for line in lines[3:8])
    assert lines[-1].startswith("PASSED: weights on each of 2 days")
    assert "Rehearsal: 100%" in done.stderr
    assert "TCP" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    assert {path.name for path in set(PROJECT.iterdir()) - beside} <= {"__pycache__"}


@longest
def test_four_planted_faults_are_found(tmp_path):
    draft = Draft()
    draft.before(KEEP, PLANTED)
    found = rehearsal.rehearse(draft.save(tmp_path, "mine.ipynb"), days=2, end=LAST[-1], settings=SMALL)
    first, second = (" ".join(found_on_day.faults) for found_on_day in found.assessments)
    assert "illiquid positions: " in first
    assert "positions over the limit of 0.1: " in first
    assert "the state was reset: the pass began with 0 positions" in second
    assert "the day is missed: the weights written are of 2024-12-29" in second
    assert "FAILED on 2 of 2 days." in str(found)
    assert "submit mine.ipynb under the name strategy.ipynb" in str(found)


OWN_SIZING = """
from lib.sizing import above_half


def squared(outputs, strategy):
    return above_half(outputs, strategy) ** 2


sizing = squared
"""


@longest
@pytest.mark.parametrize("name", ["own", "as_output", "above_half", "ranked"])
def test_a_notebook_of_any_sizing_passes(name, tmp_path):
    # so that some outputs are above one half
    draft, settings = Draft(), SMALL | {"whole_sequence": True, "epochs": 3}
    if name == "own":
        draft.before("Strategy.from_names(globals())", OWN_SIZING)
    else:
        settings |= {"sizing": name}
    found = rehearsal.rehearse(draft.save(tmp_path), days=2, end=LAST[-1], settings=settings)
    assert found.passed, str(found)
    for done in found.passes:
        assert float(done.weights.sum()) > 0
        assert done.state.parameters["sizing"] in (name, "__main__.squared")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--days", "0"], "--days must be at least 1"),
        (["--days", "9", "--end", "2021-01-08"], "There are only 5 trading days up to 2021-01-08"),
        (["--end", "yesterday"], "--end is 'yesterday': it must be a date"),
        (["--dates", "precheck", "--end", "2005-01-01"], "before the first day in sample"),
        (["--notebook", "nowhere.ipynb"], "There is no notebook nowhere.ipynb"),
        (["--notebook", __file__], "is not a notebook"),
        (["--set", "top_asset=3"], "did you mean 'top_assets'"),
        (["--set", "top_assets"], "'top_assets' must have the form NAME=VALUE"),
        (["--set", "seed=1", "top_assets=0"], "top_assets is 0"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_in_a_sentence(arguments, sentence, capsys, monkeypatch):
    monkeypatch.setattr(rehearsal, "run_pass", lambda *arguments: pytest.fail("a kernel was started"))
    assert main(arguments) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert sentence in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "Stopped by hand"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
    ],
    ids=["Ctrl-C", "a full disk"],
)
def test_a_rehearsal_that_is_stopped_ends_with_a_sentence(error, code, sentence, capsys, monkeypatch):
    def stop(*arguments):
        raise error

    monkeypatch.setattr(rehearsal, "run_pass", stop)
    assert main(["--days", "1", "--end", LAST[-1]]) == code
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_precheck_is_the_only_name_of_days():
    with pytest.raises(ValueError, match="a number of days or 'precheck'"):
        rehearsal.rehearse(PROJECT / "strategy.ipynb", days="all")


def test_a_fresh_environment_needs_an_init_notebook(tmp_path):
    with pytest.raises(ValueError, match=r"There is no init\.ipynb beside the notebook"):
        rehearsal.rehearse(Draft().save(tmp_path), days=1, fresh=True)


@longest  # installs packages
@pytest.mark.skipif(REAL, reason="without the real library")
def test_a_fresh_environment_has_what_init_installed_and_nothing_else(tmp_path, monkeypatch):
    """Install only the requirements of a pass; papermill is installed here, but not there."""
    monkeypatch.setenv("PIP_NO_COMPILE", "0")  # pip's way to turn it on: most modules are never imported
    needed = ("numpy", "pandas", "xarray", "bottleneck", "scipy", "plotly", "h5netcdf", "h5py", "ipykernel")
    needed += ("nbformat", "nbconvert", "threadpoolctl")
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    draft = Draft()
    draft.after(WRITE, "import papermill")
    draft.beside = {
        "requirements.txt": "\n".join(line for line in lines if line.startswith(needed)),
        "init.py": (PROJECT / "init.py").read_text(encoding="utf-8"),
        "init.ipynb": (PROJECT / "init.ipynb").read_text(encoding="utf-8"),
    }
    found = rehearsal.rehearse(draft.save(tmp_path), days=1, end=LAST[-1], settings=SMALL, fresh=True)
    assert len(found.assessments[0].faults) == 1, str(found)
    assert "the module papermill is neither installed nor beside" in found.assessments[0].faults[0]
    assert (found.passes[0].weights > 0).any()  # all cells before it ran


@pytest.mark.skipif(not FOREIGN_IDS, reason="the real library with ids of the service: QNT_FOREIGN_IDS=1")
@pytest.mark.parametrize("table", [False, True])
def test_weights_under_the_services_ids_are_judged_right(table, tmp_path):
    """Without a table the notebook sees the service's ids, with one the names in it; the file has ids."""
    draft = Draft()
    names = [f"NAS:S{number:03}" for number in range(40)]
    if table:
        rows = [f"{foreign_id(name)},{name}" for name in names[:30]]  # it need not be complete
        draft.beside["id-translation.csv"] = "\n".join(["server_id,user_id", *rows]) + "\n"
    found = rehearsal.rehearse(draft.save(tmp_path), days=2, end=LAST[-1], settings=SMALL)
    assert found.passed, str(found)
    assert all(found_on_day.notes == [] for found_on_day in found.assessments)
    held = set(found.passes[-1].state.weights)
    assert held == {name for name, weight in _last_row(found).items() if weight}
    assert not table or held & set(names)
    assert table or not held & set(names)


def _last_row(found):
    row = found.passes[-1].weights.isel(time=-1)
    return dict(zip(row.asset.values.tolist(), row.values.tolist(), strict=True))
