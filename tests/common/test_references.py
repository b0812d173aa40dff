"""References of functions and objects are found by following them."""

import functools
import json
import types
from dataclasses import dataclass

import numpy as np
import pytest

from lib import features
from lib.common.references import global_names, is_of_user, numbers_in, references_of_object

SHARED = {"a": 1}
OTHER = [2]


def outer(closed):
    def inner(x, default=3, *, keyword=4):
        return [SHARED for _ in x] + closed + default + keyword

    inner.attribute = 5
    return inner


def test_a_function_refers_to_globals_closure_defaults_and_attributes():
    found = dict(references_of_object(outer("closed")))
    assert found == {"closed": "closed", "default": 3, "keyword": 4, "attribute": 5, "SHARED": SHARED}


def test_code_inside_a_function_uses_globals_too():
    def holds(x):
        class Inside:
            value = OTHER

        return [SHARED for _ in x], Inside

    assert global_names(holds.__code__) >= {"SHARED", "OTHER"}


def test_a_variable_that_is_not_set_yet_is_left_out():
    def early():
        return late

    assert dict(references_of_object(early)) == {}
    late = 1
    assert dict(references_of_object(early)) == {"late": late}


def test_attributes_of_a_module_of_the_user_are_found(monkeypatch):
    module = types.ModuleType("of_mine")
    module.__file__, module.prices, module.unused = "/somewhere/of_mine.py", [1], [2]
    monkeypatch.setitem(globals(), "of_mine", module)
    assert dict(references_of_object(lambda: of_mine.prices)) == {"of_mine.prices": [1]}  # noqa: F821
    assert dict(references_of_object(lambda: json.dumps(SHARED))) == {"SHARED": SHARED}


@dataclass(slots=True)
class Slotted:
    first: int = 1


class Plain:
    shared = 1

    def __init__(self):
        self.own = 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Slotted(), {"first": 1}),
        (Plain(), {"own": 2}),
        (functools.partial(outer, closed=1), {"func": outer, "closed": 1}),
        ({"a": 1}, {"['a']": 1}),
        ([7], {"[0]": 7}),
        (iter([1]), None),
    ],
    ids=["slots", "object", "partial", "dict", "list", "iterator"],
)
def test_an_object_refers_to_its_attributes_and_items(value, expected):
    found = references_of_object(value)
    assert expected == (None if found is None else dict(found))


def test_code_of_the_user_is_told_from_installed_code():
    assert all(map(is_of_user, [outer, Plain, features, features.trend.__wrapped__]))
    assert not any(map(is_of_user, [np.mean, json.dumps, json, np, is_of_user, dataclass, int, len]))


def test_numbers_of_any_object_are_found_in_order():
    model = {
        "weights": np.array([1.0, 2.0]),
        "deep": Plain(),
        "text": "x",
        "day": np.datetime64("2024-01-01"),
    }
    model["self"] = model
    assert [item.tolist() for item in numbers_in(model)] == [[1.0, 2.0], [2.0]]
    assert numbers_in(None) == []
