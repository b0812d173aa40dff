"""Checks of dates, weights and parameters: what is taken, and what is refused by name."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.state.positions import StateError, day_of, parameters_of, weights_of
from tests.switches import ALL, LONG

UNTIMED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=300 if ALL else 100 if LONG else 40,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "date",
    [
        "2024-01-02",
        np.datetime64("2024-01-02T15:30", "ns"),
        pd.Timestamp("2024-01-02 09:00"),
        datetime.date(2024, 1, 2),
        datetime.datetime(2024, 1, 2, 23),
    ],
)
def test_every_form_of_a_date_is_its_day(date):
    assert day_of(date) == np.datetime64("2024-01-02")
    assert day_of(date).dtype == "M8[D]"


@pytest.mark.parametrize(
    "date",
    [
        "NaT",
        None,
        "someday",
        "2024-13-01",
        20240102,
        1.5,
        "1815-06-18",
        "9999-01-01",
        [],
        b"x",
        2**70,
        pd.NaT,
    ],
)
def test_no_date_is_refused(date):
    with pytest.raises(StateError, match="date"):
        day_of(date)


def test_weights_are_sorted_plain_without_zeros_and_read_only():
    given = {
        np.str_("NAS:B"): np.float64(0.25),
        "NAS:A": -0.5,
        "NAS:C": 0,
        "NAS:D": -0.0,
        "NAS:E": np.float32(0.125),
    }
    row = weights_of(given, "weights")
    assert list(row.items()) == [("NAS:A", -0.5), ("NAS:B", 0.25), ("NAS:E", 0.125)]
    assert {type(value) for pair in row.items() for value in pair} == {str, float}
    with pytest.raises(TypeError):
        row["NAS:A"] = 1.0
    given["NAS:A"] = 0.9
    assert row["NAS:A"] == -0.5


def test_a_row_may_hold_the_whole_capital_and_what_rounding_adds():
    assert len(weights_of({f"A{n}": 0.1 for n in range(10)}, "weights")) == 10
    for weight in 1 + 1e-9, -1 - 1e-9:
        assert weights_of({"A": weight}, "weights")
    assert weights_of({}, "weights") == {}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"A": float("nan")}, "nan for A, which is not between -1 and 1"),
        ({"A": float("-inf")}, "-inf for A"),
        ({"A": -3e300}, "-3e.300 for A"),
        ({"A": 10**400}, "not between"),
        ({"A": np.int64(-(2**63))}, "not between"),
        ({"A": 1.01}, "1.01 for A"),
        ({"A": "0.1"}, "'0.1' for A, which is not a number"),
        ({"A": "x" * 9999}, "'x{59} for A, which is not a number"),
        ({"A": True}, "True for A, which is not a number"),
        ({"A": None}, "not a number"),
        ({"A": [0.1]}, "type list for A, which is not a number"),
        ({"A": 0.6, "B": -0.6}, "add up to 1.2000, more than the whole capital"),
        ({"": 0.1}, "not a name"),
        ({7: 0.1}, "not a name"),
        ({("A",): 0.1}, "not a name"),
        ({"A\x1b[2J": 0.1}, r"'A\\x1b\[2J', which is not a name"),
        ({"A\ud800": 0.1}, "not a name"),
        ([("A", 0.1)], "not a mapping"),
        (None, "not a mapping"),
    ],
)
def test_what_can_be_no_positions_is_refused(row, says):
    with pytest.raises(StateError, match=f"the weights before .*{says}"):
        weights_of(row, "weights before")


def test_parameters_are_plain_copies_in_order():
    given = {"b": (1, 2.5, [None]), "a": np.int64(3), "c": {"y": np.bool_(True), "x": np.str_("text")}}
    kept = parameters_of(given)
    assert kept == {"a": 3, "b": [1, 2.5, [None]], "c": {"x": "text", "y": True}}
    assert list(kept) == ["a", "b", "c"]
    assert type(kept["a"]) is int
    assert type(kept["c"]["x"]) is str
    given["b"][2].append(1)
    assert kept["b"] == [1, 2.5, [None]]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**63,
        -(2**63),
        -(2**64),
        {1},
        b"x",
        object(),
        np.zeros(2),
        np.datetime64("2024-01-02"),
        np.longdouble(1),
        {1: 2},
        {"a\n": 1},
        1j,
        [[[[[[[[[1]]]]]]]]],
        {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}},
    ],
)
def test_parameters_that_are_not_plain_are_refused_by_name(value):
    with pytest.raises(StateError, match=r"parameter odd_one .*plain data"):
        parameters_of({"fine": 1, "odd_one": value})


def test_parameters_without_names_are_refused():
    with pytest.raises(StateError, match="not a mapping"):
        parameters_of(["lookback_period"])


@pytest.mark.parametrize("check", [day_of, parameters_of, lambda value: weights_of(value, "weights")])
@UNTIMED
@given(value=ANYTHING)
def test_anything_is_taken_or_refused_with_a_sentence(check, value):
    try:
        check(value)
    except StateError as error:
        assert len(str(error)) < 300, "a sentence, not a dump"  # noqa: PT017
