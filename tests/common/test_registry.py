import functools
import importlib
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from lib import Strategy
from lib.common.errors import suggest
from lib.common.registry import (
    Choices,
    canonical,
    changed_files,
    find,
    full_name_of,
    name_of,
    original,
    registered_source,
)

feature = Choices("feature")


@feature
def rsi(data, strategy, periods=14, smooth=False):
    return data, strategy, periods, smooth


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, data, strategy):
        return data * self.factor


def test_only_the_registrys_wrapper_is_taken_off():
    def rule(x):
        return x

    @functools.wraps(rule)
    def decorated(x):
        return rule(x)

    registry = Choices("model")
    assert original(registry(decorated)) is decorated
    for other in (decorated, Scaled, Scaled(2), np.maximum, len, functools.partial(rule, 3)):
        assert original(other) is other


def test_a_name_a_call_as_text_and_a_call_in_python_are_the_same_choice():
    for choice in (
        "rsi(periods=21)",
        "rsi( periods = 21 )",
        rsi(periods=21),
        functools.partial(rsi, periods=21),
    ):
        assert find("feature", choice, feature)(1, 2) == (1, 2, 21, False)
        assert canonical(choice, feature) == "rsi(periods=21)"
    assert find("feature", "rsi", feature)(1, 2) == rsi(1, 2) == (1, 2, 14, False)
    assert canonical(rsi, feature) == canonical("rsi", feature) == "rsi"
    assert canonical("rsi(smooth=True, periods=3)", feature) == "rsi(periods=3, smooth=True)"


def test_parameters_are_set_one_after_the_other():
    assert rsi(periods=21)(smooth=True)(1, 2) == (1, 2, 21, True)
    assert rsi(periods=21)(data=1, strategy=2) == rsi(data=1, strategy=2, periods=21) == (1, 2, 21, False)


@pytest.mark.parametrize("choice", ["rsi(period=21)", functools.partial(rsi, period=21)])
def test_a_misspelt_parameter_is_refused_with_the_nearest(choice):
    with pytest.raises(
        ValueError, match=r"feature rsi.* has no parameter 'period': did you mean 'periods'\?"
    ):
        find("feature", choice, feature)
    with pytest.raises(ValueError, match="has no parameter 'period'"):
        rsi(period=21)


@pytest.mark.parametrize(
    "text", ["rsi(21)", "rsi(periods=", "rsi(periods=open('x'))", "rsi(**{})", "a.b(periods=2)", "(2)"]
)
def test_only_literals_by_name_can_be_parameters(text):
    with pytest.raises(ValueError, match=r"write parameters by name, such as|has no parameter|is '"):
        find("feature", text, feature)


def test_what_is_unknown_or_of_another_type_is_refused():
    with pytest.raises(ValueError, match=r"feature is 'rsy': did you mean 'rsi'\? It can be: rsi\."):
        find("feature", "rsy", feature)
    with pytest.raises(TypeError, match="feature takes a name or a function, not 3"):
        find("feature", 3, feature)
    assert suggest("xyz", ["rsi"]) == "It can be: rsi."


def test_names_of_all_kinds_of_callables():
    bound = functools.partial(Scaled(2), strategy=None)
    assert name_of(rsi) == "rsi"
    assert name_of(rsi(periods=2)) == "rsi(periods=2)"
    assert name_of(Scaled(2)) == "Scaled"
    assert name_of(Scaled) == "Scaled"
    assert name_of(bound) == "Scaled(strategy=None)"
    assert full_name_of(rsi) == f"{__name__}.rsi"
    assert full_name_of(Scaled(2)) == f"{__name__}.Scaled"
    assert full_name_of(functools.partial(functools.partial(rsi, periods=2), smooth=True)) == (
        f"{__name__}.rsi(periods=2, smooth=True)"
    )


def test_a_choice_survives_a_pickle():
    copy = pickle.loads(pickle.dumps([rsi, rsi(periods=3)]))
    assert copy[0] is rsi
    assert copy[1](1, 2) == (1, 2, 3, False)


def test_a_class_is_registered_as_it_is():
    known = Choices("model")
    assert known(Scaled) is Scaled is known["Scaled"]


@pytest.mark.parametrize(("name", "nearest"), [("RSI", "rsi"), ("Rsi(periods=3)", "rsi"), ("rsy", "rsi")])
def test_the_nearest_name_is_found_in_any_case(name, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'"):
        find("feature", name, feature)


def test_a_function_called_with_a_parameter_alone_is_refused_with_an_example():
    with pytest.raises(ValueError, match=r"write parameters by name, such as 'rsi\(periods=21\)'"):
        rsi(21)


SOURCE = """
from lib.common.registry import Choices

mine = Choices("feature")


@mine
def first(data, strategy):
    return 1
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's with a registry, which is imported already."""
    path = tmp_path / "mine_of_a_user.py"
    path.write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("mine_of_a_user")
    del sys.modules["mine_of_a_user"]


def test_a_file_that_changed_since_its_import_is_named(module):
    path = Path(module.__file__)
    choices = list(module.mine.values())
    assert changed_files(choices) == []
    os.utime(path, (0, 0))  # only touched
    assert changed_files([*choices, "trend", functools.partial(module.first), Scaled(2)]) == []
    path.write_text(SOURCE.replace("first", "second"), encoding="utf-8")
    assert changed_files(choices) == [str(path)]
    with pytest.raises(ValueError, match=r"mine_of_a_user\.py has changed since it was imported"):
        find("feature", "second", module.mine)
    assert registered_source(module.mine["first"]) == SOURCE
    assert list(importlib.reload(module).mine) == ["second"]
    assert changed_files(module.mine.values()) == []


def test_a_strategy_of_an_edited_file_says_so_once(module, capfd):
    Path(module.__file__).write_text(SOURCE.replace("1", "2"), encoding="utf-8")
    for _ in range(2):
        Strategy(features=["trend", module.first])
    assert capfd.readouterr().err.count("mine_of_a_user.py has changed since it was imported") == 1
