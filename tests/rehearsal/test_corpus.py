"""The rehearsal names the fault of each spoilt notebook, that fault alone, and none of a correct one."""

import pytest
import xarray as xr

from lib import rehearsal
from lib.rehearsal import assessment, submission
from tests.rehearsal.notebooks import (
    CORRECT,
    FAULTS,
    JUPYTER,
    RUN_CELLS,
    SAMPLE,
    SMALL,
    WITH_HOLIDAYS,
    Case,
    Draft,
)
from tests.switches import ALL, LONG
from tests.vectors import CRYPTO as VECTORS

STOCKS, CRYPTO = "stocks_nasdaq100", "crypto_daily_long"


def names(cases):
    """Return the cases of a run: all start a Python or a kernel, so the switch adds some only."""
    return (
        list(cases)
        if ALL
        else [name for k, name in enumerate(cases) if name in SAMPLE or (LONG and k % 15 == 3)]
    )


def cases_of(corpus):
    """Return (name, competition) of each notebook; crypto stands behind the switch."""
    on_crypto = [(name, CRYPTO) for name in corpus if ALL or (LONG and name in SAMPLE)]
    on_crypto = [(name, kind) for name, kind in on_crypto if name not in WITH_HOLIDAYS]
    return [(name, STOCKS) for name in names(corpus)] + on_crypto


@pytest.fixture
def run(tmp_path, monkeypatch, use_market):
    def rehearse(name: str, kind: str) -> rehearsal.Rehearsal:
        if kind == CRYPTO:
            use_market(xr.load_dataarray(VECTORS / "market.nc", engine="h5netcdf"))
        case: Case = (FAULTS | CORRECT)[name]
        if name not in JUPYTER:
            monkeypatch.setattr(submission, "command", lambda python, results: [python, "-c", RUN_CELLS])
        draft = Draft()
        case.edit(draft)
        limits = dict(case.limits)
        if "MAX_MEMORY" in limits:
            monkeypatch.setattr(assessment, "MAX_MEMORY", limits.pop("MAX_MEMORY"))
        rules = {name: rule._replace(**limits) for name, rule in rehearsal.COMPETITIONS.items()}
        monkeypatch.setattr(rehearsal, "COMPETITIONS", rules)
        options = {"days": 1, "end": "2024-12-30", "settings": SMALL} | dict(case.options)
        options["settings"] = {**options["settings"], "competition_type": kind}
        return rehearsal.rehearse(draft.save(tmp_path), **options)

    return rehearse


@pytest.mark.parametrize(("name", "kind"), cases_of(FAULTS))
def test_a_fault_is_named(name, kind, run):
    found = run(name, kind)
    faults = [fault for found_on_day in found.assessments for fault in found_on_day.faults]
    assert [fault for fault in faults if FAULTS[name].sentence in fault], str(found)
    assert len(faults) == 1, str(found)
    assert not found.passed
    assert faults[0] in str(found)


@pytest.mark.parametrize(("name", "kind"), cases_of(CORRECT))
def test_a_correct_notebook_passes(name, kind, run):
    found = run(name, kind)
    assert found.passed, str(found)


def test_the_corpus_is_as_large_as_promised():
    assert len(FAULTS) >= 30
    assert len(CORRECT) >= 10
    assert {*FAULTS, *CORRECT} >= SAMPLE | JUPYTER
