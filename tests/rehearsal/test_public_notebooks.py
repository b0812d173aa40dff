"""Notebooks of other projects, with or without a state, pass the rehearsal as they pass the platform."""

import pytest

from lib import rehearsal
from lib.rehearsal import submission
from tests.conftest import REAL
from tests.rehearsal.notebooks import RUN_CELLS
from tests.rehearsal.public_notebooks import LIQUID, LOAD, PUBLIC, WRITE, save
from tests.switches import ALL, long, longest

LAST = "2024-12-30"
SAMPLE = ("days held in a state of its own",)
WITH_STATE = {"a state in a dict", "backtest_ml with retraining", "days held in a state of its own"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    def rehearse(cells: list[str], days: int = 2, jupyter: bool = False) -> rehearsal.Rehearsal:
        if not jupyter:
            monkeypatch.setattr(submission, "command", lambda python, results: [python, "-c", RUN_CELLS])
        (tmp_path / "home").mkdir(exist_ok=True)
        return rehearsal.rehearse(save(cells, tmp_path / "home" / "strategy.ipynb"), days=days, end=LAST)

    return rehearse


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=long if kind in SAMPLE else longest) for kind in PUBLIC]
)
def test_a_public_kind_of_notebook_passes(kind, run):
    found = run(PUBLIC[kind], jupyter=ALL and kind == "qnt.ta only")
    assert found.passed, str(found)
    notes = " ".join(note for found_on_day in found.assessments for note in found_on_day.notes)
    assert ("another kind of state" in notes) == (kind in WITH_STATE), notes
    assert ("no state was written" in notes) != (kind in WITH_STATE), notes


TAIL = "weights = (liquid * 0.01).isel(time=slice(-1, None))"
# by kind the cells, whether they pass, and a part of the fault or note
REASONS = {
    "a part that the stand-in lacks": (["import qnt.exits"], REAL, "whether the pass would work there"),
    "an end of its own": (
        [LOAD.replace("tail=200", "tail=200, max_date='2024-12-30'"), LIQUID, TAIL, WRITE],
        False,
        "leave max_date out",
    ),
    "a row without the dimension time": (
        [LOAD, LIQUID, "weights = (liquid * 0.01).isel(time=-1)", WRITE],
        False,
        "not time, asset",
    ),
    "a memory in a file of its own": (
        [LOAD, LIQUID, TAIL, "open('held.json', 'a').write('x')", WRITE],
        True,
        "files in its folder, which the next day does not see: held.json",
    ),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=(long, longest)[k % 2]) for k, kind in enumerate(REASONS)]
)
def test_a_notebook_passes_or_fails_for_the_right_reason(kind, run):
    cells, passes, sentence = REASONS[kind]
    if kind == "a part that the stand-in lacks" and REAL:
        pytest.skip("the real library has it")
    found = run(cells, days=1, jupyter=kind == "a part that the stand-in lacks")
    assert found.passed == passes, str(found)
    assert sentence in str(found)
    assert "init.ipynb" not in str(found)  # there is nothing to install
