"""Each fault that a pass can have has a sentence of its own, and a correct one has none."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.notebook_strategy import CodeCell
from lib.rehearsal import report_text
from lib.rehearsal.assessment import MAX_MEMORY, assess
from lib.rehearsal.passes import PassResult
from lib.rehearsal.submission import CellRun, Execution, read_submission
from lib.state.positions import State
from tests.markets import random_market
from tests.rehearsal.public_notebooks import WRITE, save

RULES = COMPETITIONS["stocks_nasdaq100"]
DAYS = np.array(["2024-12-26", "2024-12-27", "2024-12-30"], "M8[D]")
HELD = [{"NAS:000": 0.1, "NAS:001": 0.05}, {"NAS:000": 0.08, "NAS:002": 0.1}, {"NAS:002": 0.06}]
RUN = Execution(seconds=4, memory=200 << 20, cells=(CellRun(0, 0.5), CellRun(1, 0.01)))


@pytest.fixture
def data() -> xr.DataArray:
    market = random_market(0, days=20).ffill("time").bfill("time").fillna(1)
    market.loc[{"field": "is_liquid"}] = 1
    return market


def row(day, held) -> xr.DataArray:
    coords = {"time": [day.astype("M8[ns]")], "asset": [f"NAS:00{k}" for k in range(6)]}
    values = [[held.get(asset, 0.0) for asset in coords["asset"]]]
    return xr.DataArray(values, coords, ("time", "asset"))


@pytest.fixture
def passes() -> list[PassResult]:
    """Three days in order, as a correct strategy leaves them."""
    before: dict[str, float] = {}
    done = []
    for day, held in zip(DAYS, HELD, strict=True):
        done.append(PassResult(day, RUN, weights=row(day, held), state=State(day, held, before, {})))
        before = held
    return done


def faults(passes, data, **options):
    return [found_on_day.faults for found_on_day in assess(passes, data, RULES, **options)]


def test_a_correct_submission_has_no_fault(passes, data):
    assessments = assess(passes, data, RULES)
    assert assessments == [([], [])] * 3
    text = report_text(
        passes, assessments, RULES, [CodeCell(1, "# title\nimport numpy"), CodeCell(2, "x = 1")], ["a note"]
    )
    assert text.splitlines() == [
        "2024-12-26  ok  4.0 s, 200 MiB, 2 positions, 15.0% of the capital",
        "2024-12-27  ok  4.0 s, 200 MiB, 2 positions, 18.0% of the capital",
        "2024-12-30  ok  4.0 s, 200 MiB, 1 position, 6.0% of the capital",
        "Seconds of a pass:",
        "    0.50 s  cell 1 (# title)",
        "    0.01 s  1 other cells",
        "    3.49 s  starting Jupyter and making the page",
        "Note: a note",
        "A submission of about 4,800 passes would take 5.3 hours here, at 4.0 s a pass "
        "(allowed: 30 minutes a pass, 8 GiB).",
        "PASSED: weights on each of 3 days, liquid and within the limits.",
    ]


def test_the_first_pass_may_begin_with_positions_of_an_earlier_run(passes, data):
    passes[0] = dataclasses.replace(passes[0], state=State(DAYS[0], HELD[0], {"NAS:005": 0.1}, {}))
    assert faults(passes, data) == [[], [], []]


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
    "more carried in than was left": (
        {"state": State(DAYS[1], HELD[1], HELD[0] | {"NAS:003": 0.05}, {})},
        "the state was reset: the pass began with 3 positions, 20.0%",
    ),
    "state not written": (
        {"state": State(DAYS[0], HELD[0], {}, {})},
        "the state was not carried on: it is still of 2024-12-26",
    ),
    "unreadable state": ({"state": None, "state_problem": "it is empty"}, "cannot be read: it is empty"),
    "missed day": (
        {"weights": row(DAYS[0], HELD[0])},
        "the day is missed: the weights written are of 2024-12-26",
    ),
    "no time": ({"weights": row(DAYS[1], HELD[1])[0]}, "have the dimensions asset, not time, asset"),
    "no weights": ({"weights": None}, "no weights were written"),
    "unreadable weights": (
        {"weights": None, "weights_problem": "not gzipped"},
        "the file of weights cannot be read: not gzipped",
    ),
    "all zero": ({"weights": row(DAYS[1], {})}, "all 0, though the state holds 2 positions that can be"),
    "over the limit": (
        {"weights": row(DAYS[1], {"NAS:003": 0.2})},
        "positions over the limit of 0.1: NAS:003 0.200 on 2024-12-27",
    ),
    "short over the limit": ({"weights": row(DAYS[1], {"NAS:003": -0.2})}, "NAS:003 -0.200"),
    "too much": (
        {"weights": row(DAYS[1], {f"NAS:00{k}": 0.4 for k in range(3)})},
        "add up to 1.200, more than the whole capital",
    ),
    "not finite": (
        {"weights": row(DAYS[1], {"NAS:003": np.nan})},
        "a weight is not a finite number: NAS:003 nan on 2024-12-27",
    ),
    "unknown asset": (
        {"weights": row(DAYS[1], {"NAS:000": 0.1}).assign_coords(asset=[f"NAS:X{k}" for k in range(6)])},
        "unknown assets: NAS:X0 have no data",
    ),
    "unknown day": (
        {"weights": xr.concat([row(DAYS[1] + 1, HELD[1]), row(DAYS[1], HELD[1])], "time")},
        "days that are not in the pass's data: 2024-12-28",
    ),
    "the day after": (  # a trading day, but one that the pass cannot know
        {"weights": xr.concat([row(DAYS[1], HELD[1]), row(DAYS[2], HELD[1])], "time")},
        "days that are not in the pass's data: 2024-12-30",
    ),
    "missed before": (
        {"weights": xr.concat([row(DAYS[0] - 1, HELD[1]), row(DAYS[1], HELD[1])], "time")},
        "days are missed inside the weights: 2024-12-26",
    ),
    "a day twice": (
        {"weights": xr.concat([row(DAYS[1], HELD[1])] * 2, "time")},
        "day 2024-12-27 stands in the weights more than once",
    ),
    "crash": (
        {"run": Execution(exit_code=1, last_lines="ZeroDivisionError: planted"), "weights": None},
        "ZeroDivisionError: planted",
    ),
    "slow": ({"run": Execution(exit_code=-9, timed_out=True)}, "the pass took more than 30 minutes"),
    "large": (
        {"run": Execution(memory=MAX_MEMORY + (1 << 30))},
        "the pass took 9.0 GiB of memory; the platform has 8",
    ),
    "an end of its own": ({"saw_last_day": False}, "it did not load data up to the last day"),
    "random": ({"differences": ("other weights",)}, "run a second time, the pass left other weights"),
}


@pytest.mark.parametrize("name", ON_DAY_2)
def test_a_fault_has_its_sentence(name, passes, data):
    change, sentence = ON_DAY_2[name]
    passes[1] = dataclasses.replace(passes[1], **change)
    assessments = assess(passes, data, RULES)
    assert assessments[0].faults == []
    assert sentence in assessments[1].faults[-1]
    text = report_text(passes, assessments, RULES)
    assert "2024-12-27  FAILED" in text
    assert sentence in text
    assert text.splitlines()[-1].startswith("FAILED on ")


@pytest.mark.parametrize(("field", "value"), [("is_liquid", 0), ("is_liquid", np.nan), ("close", np.nan)])
def test_an_illiquid_position_is_a_fault(field, value, passes, data):
    data.loc[{"field": field, "time": "2024-12-27", "asset": "NAS:002"}] = value
    assert faults(passes, data) == [[], ["illiquid positions: NAS:002 0.100 on 2024-12-27"], []]


def test_weights_of_0_are_right_where_nothing_in_the_state_can_be_traded(passes, data):
    data.loc[{"field": "is_liquid", "time": "2024-12-27", "asset": list(HELD[1])}] = 0
    passes[1] = dataclasses.replace(passes[1], weights=row(DAYS[1], {}))
    assert assess(passes, data, RULES)[1] == ([], ["no position on this day"])


def test_no_position_on_any_day_is_a_fault(passes, data):
    flat = [
        dataclasses.replace(done, weights=row(done.day, {}), state=State(done.day, {}, {}, {}))
        for done in passes
    ]
    assert all("no position is written on any day" in found[0] for found in faults(flat, data))


def test_other_weights_than_those_of_the_state_are_worth_a_note(passes, data):
    passes[1] = dataclasses.replace(passes[1], weights=row(DAYS[1], HELD[1]) / 2)
    wrong, notes = assess(passes, data, RULES)[1]
    assert wrong == []
    assert notes == [
        "the weights written differ from those of the state, with which the next day continues: "
        "NAS:000, NAS:002"
    ]


def test_a_short_position_is_a_fault_where_the_competition_is_long_only(passes, data):
    passes[1] = dataclasses.replace(passes[1], weights=-row(DAYS[1], HELD[1]))
    assert faults(passes, data)[1] == []
    found = assess(passes, data, RULES._replace(long_only=True))[1].faults
    assert "short positions, in a long-only competition: NAS:000 -0.080" in found[0]


def test_without_a_chain_the_state_is_no_fault(passes, data):
    passes[1] = dataclasses.replace(passes[1], state=None)
    assert faults(passes, data, chained=False) == [[], [], []]


@pytest.mark.parametrize("carried_in", [{}, {"days": 1}], ids=["reset", "carried on"])
def test_the_memory_of_the_state_must_be_carried_on(carried_in, passes, data):
    for k, memory in [(0, {}), (1, carried_in)]:
        state = dataclasses.replace(passes[k].state, memory={"days": k + 1}, memory_carried_in=memory)
        passes[k] = dataclasses.replace(passes[k], state=state)
    passes.pop()
    found = faults(passes, data)[1]
    assert ("the memory of the state was reset" in " ".join(found)) == (carried_in == {})


NO_STATE = "no state was written: every day starts without one"
OTHER = "another kind of state is kept"
OPTIONAL_STATE = {
    "none": ({}, NO_STATE),
    "another kind": ({"other_state": "checksum"}, OTHER),
    "not a pickle": ({"state_problem": "not a gzip file"}, "the state file holds no complete pickle"),
    "a random one": ({"other_state": "1", "other_differences": ("other bytes",)}, "left other bytes"),
}


@pytest.mark.parametrize("name", OPTIONAL_STATE)
def test_a_notebook_without_a_state_of_this_project_has_a_note_and_no_fault(name, passes, data, tmp_path):
    change, sentence = OPTIONAL_STATE[name]
    submission = read_submission(save([WRITE], tmp_path / "strategy.ipynb"))
    passes = [dataclasses.replace(done, state=None, **change) for done in passes]
    assessments = assess(passes, data, RULES, submission)
    assert [found.faults for found in assessments] == [[], [], []]
    assert all(sentence in " ".join(found.notes) for found in assessments)
    assert report_text(passes, assessments, RULES).count(sentence) == 1  # once, not on every day


def test_the_forecast_counts_complete_passes_only(passes, data):
    crashed = [dataclasses.replace(done, run=Execution(exit_code=1, seconds=90)) for done in passes]
    mixed = [*crashed[:2], passes[2]]
    assert "at 4.0 s a pass" in report_text(mixed, assess(mixed, data, RULES), RULES)
    text = report_text(crashed, assess(crashed, data, RULES), RULES)
    assert "hours" not in text
    assert "cannot be told" in text


def test_what_a_pass_leaves_behind_is_worth_a_note(passes, data):
    run = dataclasses.replace(RUN, left_running=("python helper.py",))
    passes[1] = dataclasses.replace(passes[1], run=run, changed_files=("held.json",))
    found = assess(passes, data, RULES)[1]
    assert found.faults == []
    assert all(name in note for name, note in zip(["helper.py", "held.json"], found.notes, strict=True))


def test_control_characters_are_escaped_in_the_report(passes, data):
    passes[1] = dataclasses.replace(passes[1], weights_problem="\x1b[31mred\x1b[0m \x1b]0;title\x07")
    text = report_text(passes, assess(passes, data, RULES), RULES)
    assert r"red \x1b]0;title\x07" in text
    assert text.replace("\n", "").isprintable()


def test_after_a_crash_the_positions_of_the_day_before_it_are_carried(passes, data):
    """The file still holds the older state, and the next pass must begin with that."""
    passes[1] = dataclasses.replace(passes[1], run=Execution(exit_code=1), state=passes[0].state)
    passes[2] = dataclasses.replace(passes[2], state=State(DAYS[2], HELD[2], HELD[0], {}))
    assert [len(found) for found in faults(passes, data)] == [0, 1, 0]


def test_memory_may_be_unknown(passes, data):
    passes = [dataclasses.replace(done, run=Execution(seconds=1)) for done in passes]
    assert "MiB" not in report_text(passes, assess(passes, data, RULES), RULES)
