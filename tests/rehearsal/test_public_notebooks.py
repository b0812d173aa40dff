"""Notebooks of other projects, with or without a state, pass the rehearsal as they pass the platform."""

import pytest

from lib import rehearsal
from lib.rehearsal import execution
from tests.rehearsal.notebooks import RUN_CELLS
from tests.rehearsal.public_notebooks import PUBLIC, save
from tests.switches import LONG

LAST = "2024-12-30"
SAMPLE = ("qnt.ta only", "days held in a state of its own")  # one without, one with a state
WITH_STATE = {"a state in a dict", "backtest_ml with retraining", "days held in a state of its own"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    def rehearse(cells: list[str], days: int = 2, jupyter: bool = False) -> rehearsal.Rehearsal:
        if not jupyter:
            monkeypatch.setattr(execution, "command", lambda python, results: [python, "-c", RUN_CELLS])
        (tmp_path / "home").mkdir(exist_ok=True)
        return rehearsal.rehearse(save(cells, tmp_path / "home" / "strategy.ipynb"), days=days, end=LAST)

    return rehearse


@pytest.mark.parametrize("kind", PUBLIC if LONG else SAMPLE)
def test_a_public_kind_of_notebook_passes(kind, run):
    found = run(PUBLIC[kind], jupyter=LONG and kind == "qnt.ta only")
    assert found.passed, str(found)
    notes = " ".join(note for found_on_day in found.assessments for note in found_on_day.notes)
    assert ("another kind of state" in notes) == (kind in WITH_STATE), notes
    assert ("no state was written" in notes) != (kind in WITH_STATE), notes
