"""A state is plain, compares by value, and knows what each day is blended with."""

import copy
import dataclasses
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

from lib.state.positions import VERSION, State, StateError, StateWarning, restore

DAY = np.datetime64("2024-12-27")
PARAMETERS = {
    "competition_type": "stocks_nasdaq100",
    "top_assets": 12,
    "learning_rate": 0.08,
    "features": ("trend",),
}


@pytest.fixture
def state():
    return State(DAY, {"NAS:MSFT": 0.1, "NAS:AAPL": -0.05, "NAS:GONE": 0.0}, {"NAS:AAPL": 0.02}, PARAMETERS)


@pytest.fixture
def record(state):
    return state.__reduce__()[1][0]


def test_a_later_day_gets_the_weights_however_long_after(state):
    for date in "2024-12-28", "2024-12-30", pd.Timestamp("2025-11-03"):
        assert state.carried_into(date, PARAMETERS) == {"NAS:AAPL": -0.05, "NAS:MSFT": 0.1}


def test_the_same_day_gets_what_it_got_the_first_time(state):
    assert state.carried_into(DAY.astype("M8[ns]"), PARAMETERS) == {"NAS:AAPL": 0.02}


def test_a_state_of_the_future_is_set_aside_and_both_dates_are_named(state):
    with pytest.warns(
        StateWarning, match="dated 2024-12-27, after the data, which end on 2024-12-26.*not used"
    ):
        assert state.carried_into("2024-12-26", PARAMETERS) == {}


def test_no_other_day_warns(state):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state.carried_into(DAY, PARAMETERS)
        state.carried_into(DAY + 1, PARAMETERS)


def test_other_parameters_are_named_with_both_values(state):
    now = {**PARAMETERS, "top_assets": 14, "seed": 42}
    del now["learning_rate"]
    with pytest.raises(StateError) as caught:
        state.carried_into(DAY + 1, now)
    assert str(caught.value) == (
        "The state of 2024-12-27 was made with other parameters: learning_rate was 0.08, is not set; seed "
        "was not set, is 42; top_assets was 12, is 14. Set them back, or move the state file away "
        "(OUT_STATE_PATH; by default state.out.pickle.gz) to start afresh."
    )


def test_a_parameter_from_after_the_state_counts_as_its_default(state):
    """A state that was written before `sizing` existed goes on, unless the sizing is another one now."""
    defaults = {**PARAMETERS, "top_assets": 3, "sizing": "as_output"}
    now = {**PARAMETERS, "sizing": "as_output"}
    assert state.carried_into(DAY + 1, now, defaults) == state.weights
    with pytest.raises(StateError, match="sizing was 'as_output', is 'ranked'"):
        state.carried_into(DAY + 1, {**now, "sizing": "ranked"}, defaults)
    with pytest.raises(StateError, match="top_assets was 12, is 3"):  # what it does know is not replaced
        state.carried_into(DAY + 1, {**now, "top_assets": 3}, defaults)


def test_another_universe_has_a_sentence_of_its_own(state):
    with pytest.raises(
        StateError, match=r"universe 'stocks_nasdaq100', .* trades 'stocks_s&p500'\. Set comp"
    ):
        state.carried_into(DAY + 1, {**PARAMETERS, "competition_type": "stocks_s&p500", "top_assets": 14})


def test_the_same_parameters_in_another_order_or_form_are_the_same(state):
    now = dict(reversed(PARAMETERS.items())) | {"features": ["trend"], "top_assets": np.int64(12)}
    assert state.carried_into(DAY + 1, now) == state.weights


def test_a_person_can_read_it(state):
    assert repr(state) == "State of 2024-12-27: 2 positions, 15.0% of the capital: 10.0% long, 5.0% short"
    assert str(state) == repr(state) + "\n  NAS:AAPL  -0.0500\n  NAS:MSFT   0.1000"
    assert str(State(DAY, {}, {}, {})) == "State of 2024-12-27: 0 positions, 0.0% of the capital"


def test_it_cannot_be_changed(state):
    with pytest.raises(AttributeError):
        state.date = DAY
    for field in state.weights, state.carried_in, state.parameters:
        with pytest.raises(TypeError):
            field["NAS:AAPL"] = 1.0


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_copies_are_equal_and_others_are_not(state, protocol):
    assert pickle.loads(pickle.dumps(state, protocol)) == state
    assert copy.deepcopy(state) == copy.copy(state) == state
    for change in ({"date": DAY + 1}, {"weights": {}}, {"carried_in": {}}, {"parameters": {}}):
        values = {
            "date": DAY,
            "weights": state.weights,
            "carried_in": state.carried_in,
            "parameters": PARAMETERS,
        }
        assert State(**values) == state
        assert State(**{**values, **change}) != state


def test_its_record_is_plain_and_versioned(record):
    assert record == {
        "version": 1,
        "date": "2024-12-27",
        "weights": {"NAS:AAPL": -0.05, "NAS:MSFT": 0.1},
        "before": {"NAS:AAPL": 0.02},
        "fingerprint": {**PARAMETERS, "features": ["trend"]},
    }
    assert {type(part) for part in record.values()} == {int, str, dict}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": VERSION + 1}, "newer version.*record 4, this one reads up to 3.*Update the project"),
        ({"version": 0}, "no version"),
        ({"version": True}, "no version"),
        ({"version": "1"}, "no version"),
        ({"version": 2**600}, "newer version"),
        ({"version": 2**2000}, "newer version"),
        ({"more": 1}, "missing or unknown 'more'"),
        ({"date": 20000}, "20000 is not a date"),
        ({"date": None}, "date NaT is not"),
        ({"date": "today"}, "'today' is not a date"),
        ({"date": "2024-12"}, "'2024-12' is not a date"),
        ({"date": "yesterday"}, "not a date"),
        ({"date": "NaT"}, "NaT"),
        ({"date": "9999-01-01"}, "9999-01-01 is not between"),
        ({"weights": {"A": float("nan")}}, "the weights say nan for A"),
        ({"weights": [0.1]}, "the weights are not a mapping"),
        ({"before": {"A": 7.0}}, "the weights carried in say 7.0 for A"),
        ({"fingerprint": {"a": b""}}, "parameter a "),
        ({"fingerprint": None}, "not a mapping"),
    ],
)
def test_a_damaged_record_is_refused(record, change, says):
    with pytest.raises(StateError, match=says):
        restore({**record, **change})


def test_a_record_without_a_field_is_refused(record):
    for field in record:
        with pytest.raises(StateError, match="damaged"):
            restore({key: value for key, value in record.items() if key != field})
    with pytest.raises(StateError, match="no version"):
        restore(None)


MEMORY = {"entry": {"NAS:AAPL": 101.5}, "days": [1, 2], "name": "x", "table": np.arange(6.0).reshape(2, 3)}


def test_the_memory_is_kept_in_the_file_and_carried_on(tmp_path, state, capsys):
    from lib.state import state_read, state_write

    kept = state.with_memory(MEMORY)
    state_write(kept, tmp_path / "state")
    found = state_read(tmp_path / "state")
    assert found == kept != state
    assert found.memory["days"] == [1, 2]
    assert np.array_equal(found.memory["table"], MEMORY["table"])
    assert found.memory_carried_into(DAY + 1) == found.memory
    assert found.memory_carried_into(DAY) == found.memory_carried_in == {}
    assert found.memory_carried_into(DAY - 1) == {}
    with pytest.raises(ValueError, match="read-only"):
        found.memory["table"][0, 0] = 5
    with pytest.raises(TypeError):
        found.memory["new"] = 1


@pytest.mark.parametrize(
    "value",
    [
        object(),
        float("nan"),
        {1: 2},
        np.array([object()]),
        {"numpy.ndarray": 3},
        {"deep": [[[[[[[[[[1]]]]]]]]]]},
    ],
    ids=["object", "nan", "key", "objects", "reserved", "deep"],
)
def test_a_memory_holds_plain_values_only(state, value):
    with pytest.raises(StateError, match=r"the memory .* cannot be kept as plain data"):
        state.with_memory({"mine": value})


def test_a_damaged_array_in_a_memory_is_refused(state):
    record = state.with_memory(MEMORY).__reduce__()[1][0]
    for damage in (["<f8", [2, 3], b"123"], ["|O8", [1], b"12345678"], ["<f8", [2, 3]]):
        with pytest.raises(StateError, match="array in its memory"):
            restore({**record, "memory": {"table": {"numpy.ndarray": damage}}})


def test_the_days_since_the_rebalance_are_kept_and_older_records_have_none(tmp_path, state, record):
    from lib.state import state_read, state_write

    waiting = dataclasses.replace(state, days_since_rebalance=3)
    for each, version in ((waiting, 3), (waiting.with_memory(MEMORY), 3), (state.with_memory(MEMORY), 2)):
        state_write(each, tmp_path / "state")
        assert state_read(tmp_path / "state") == each
        assert each.__reduce__()[1][0]["version"] == version
    assert waiting != state
    assert restore(record).days_since_rebalance == 0
    written = waiting.__reduce__()[1][0]
    for wrong in (-1, 1.5, True, None, 2**40, "3"):
        with pytest.raises(StateError, match=r"days since the rebalance are .*, not a whole number"):
            restore({**written, "days_since_rebalance": wrong})
