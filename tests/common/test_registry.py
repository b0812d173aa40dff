import functools
import pickle

import pytest

from lib.common.errors import suggest
from lib.common.registry import Choices, canonical, find, full_name_of, name_of

feature = Choices("feature")


@feature
def rsi(data, strategy, periods=14, smooth=False):
    return data, strategy, periods, smooth


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, data, strategy):
        return data * self.factor


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
