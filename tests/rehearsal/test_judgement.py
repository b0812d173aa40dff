"""Each fault that a submission can have is said in a sentence of its own, and a sound one has none."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from lib.rehearsal.judgement import LARGEST, judge, report
from lib.rehearsal.one_pass import LONGEST, Pass
from lib.state.positions import State
from tests.markets import random_market

DAYS = np.array(["2024-12-26", "2024-12-27", "2024-12-30"], "M8[D]")
HELD = [{"NAS:000": 0.1, "NAS:001": 0.05}, {"NAS:000": 0.08, "NAS:002": 0.1}, {"NAS:002": 0.06}]


@pytest.fixture
def data() -> xr.DataArray:
    market = random_market(0, days=20).ffill("time").bfill("time").fillna(1)
    market.loc[{"field": "is_liquid"}] = 1
    return market


def row(day, held) -> xr.DataArray:
    coords = {"time": [day.astype("M8[ns]")], "asset": [f"NAS:00{k}" for k in range(6)]}
    values = [[held.get(asset, 0) for asset in coords["asset"]]]
    return xr.DataArray(values, coords, ("time", "asset"))


@pytest.fixture
def passes() -> list[Pass]:
    """Three days in order, as a sound strategy leaves them."""
    before: dict[str, float] = {}
    said = []
    for day, held in zip(DAYS, HELD, strict=True):
        state = State(day, held, before, {})
        said.append(Pass(day, seconds=4, memory=200 << 20, weights=row(day, held), state=state))
        before = held
    return said


def test_a_sound_submission_has_no_fault(passes, data):
    assert judge(passes, data) == [[], [], []]
    text = report(passes, judge(passes, data))
    assert text.splitlines()[0] == "2024-12-26  ok  4.0 s, 200 MiB, 2 positions, 15.0% of the capital"
    assert "A submission of about 5,000 passes would take 5.6 hours here" in text
    assert text.splitlines()[-1].startswith("PASSED: weights on each of 3 days")


def test_the_first_pass_may_begin_with_positions_of_an_earlier_run(passes, data):
    passes[0] = dataclasses.replace(passes[0], state=State(DAYS[0], HELD[0], {"NAS:005": 0.1}, {}))
    assert judge(passes, data) == [[], [], []]


ON_DAY_2 = {
    "state reset": (
        {"state": State(DAYS[1], HELD[1], {}, {})},
        "the state was reset: the pass began with 0 positions, 0.0% of the capital, though the one before "
        "left 2 positions, 15.0%",
    ),
    "another state": (
        {"state": State(DAYS[1], HELD[1], {"NAS:000": 0.05, "NAS:001": 0.05}, {})},
        "the state was reset: the pass began with 2 positions, 10.0%",
    ),
    "state not written": (
        {"state": State(DAYS[0], HELD[0], {}, {})},
        "the state was not carried on: it is still of 2024-12-26",
    ),
    "no state": ({"state": None}, "no state was written"),
    "unreadable state": ({"state": None, "state_problem": "it is empty"}, "cannot be read: it is empty"),
    "missed day": (
        {"weights": row(DAYS[0], HELD[0])},
        "the day is missed: the weights written are of 2024-12-26",
    ),
    "no day": ({"weights": row(DAYS[1], HELD[1])[0]}, "the day is missed: the weights written are of no day"),
    "no weights": ({"weights": None}, "no weights were written"),
    "over the limit": (
        {"weights": row(DAYS[1], {"NAS:003": 0.2})},
        "a position over the limit of 0.1: NAS:003 0.200",
    ),
    "short over the limit": ({"weights": row(DAYS[1], {"NAS:003": -0.2})}, "a position over the limit"),
    "too much": (
        {"weights": row(DAYS[1], {f"NAS:00{k}": 0.4 for k in range(3)})},
        "the weights add up to 1.200, more than the whole capital",
    ),
    "not finite": ({"weights": row(DAYS[1], {"NAS:003": np.nan})}, "not a finite number: NAS:003"),
    "unknown asset": (
        {"weights": row(DAYS[1], {"NAS:000": 0.1}).assign_coords(asset=[f"NAS:X{k}" for k in range(6)])},
        "an illiquid position: NAS:X0 cannot be traded on that day",
    ),
    "crash": (
        {"exit_code": 1, "error": "ZeroDivisionError: by hand", "weights": None},
        "the pass crashed (exit code 1): ZeroDivisionError: by hand",
    ),
    "slow": ({"seconds": LONGEST + 1.0}, "it took more than 30 minutes"),
    "large": ({"memory": LARGEST + (1 << 30)}, "it took 9.0 GiB of memory; the platform has 8"),
    "an end of its own": ({"saw_last_day": False}, "it did not load data up to the last day"),
}


@pytest.mark.parametrize("name", ON_DAY_2)
def test_a_fault_is_said(name, passes, data):
    change, sentence = ON_DAY_2[name]
    passes[1] = dataclasses.replace(passes[1], **change)
    first, second, _ = judge(passes, data)
    assert first == []
    assert sentence in second[-1]
    text = report(passes, judge(passes, data))
    assert "2024-12-27  FAILED" in text
    assert sentence in text
    assert text.splitlines()[-1].startswith("FAILED on ")


@pytest.mark.parametrize(("field", "value"), [("is_liquid", 0), ("is_liquid", np.nan), ("close", np.nan)])
def test_an_illiquid_position_is_said(field, value, passes, data):
    data.loc[{"field": field, "time": "2024-12-27", "asset": "NAS:002"}] = value
    assert judge(passes, data) == [[], ["an illiquid position: NAS:002 cannot be traded on that day"], []]


def test_after_a_crash_the_positions_of_the_day_before_it_are_carried(passes, data):
    """The file still holds the older state, and the next pass must begin with that."""
    passes[1] = dataclasses.replace(passes[1], exit_code=1, state=passes[0].state)
    passes[2] = dataclasses.replace(passes[2], state=State(DAYS[2], HELD[2], HELD[0], {}))
    assert [len(wrong) for wrong in judge(passes, data)] == [0, 1, 0]


def test_memory_may_be_unknown(passes, data):
    passes = [dataclasses.replace(one, memory=None) for one in passes]
    assert "MiB" not in report(passes, judge(passes, data))
