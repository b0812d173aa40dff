"""The fingerprint of a function changes with its code and with what it refers to, and with nothing else."""

import functools
import linecache

import numpy as np
import pandas as pd
import pytest

from lib.common.registry import Choices, whole_universe
from lib.runs.function_code import FunctionCode
from tests.compare.shared import Ratio, two_days
from tests.processes import run_python
from tests.switches import LONG


def fingerprint(function):
    return FunctionCode(function).fingerprint


def made(source, **others):
    """A function from source that only exists here, as in a notebook."""
    scope = {"__name__": "notebook", **others}
    exec(source, scope)
    return scope["feature"]


def lag(n):
    def feature(data, strategy):
        return data[n:]

    return feature


STATIC = (
    "class feature:\n    @staticmethod\n    def f(x): return x * 2\n    @property\n    def p(self): return 1"
)
SLOTS = """class feature:
    __slots__ = ("k",)
    def __init__(self, k): self.k = k
    def __call__(self, d, s): return d
"""
PLAIN = "def feature(data, strategy, days=3):\n    return data * 2"


def edited(number):
    """Two registered functions of one name, and what else may be wrong with a registry."""
    registry = Choices("feature")
    function = made(f"def feature(data, strategy): return {number}")
    return registry(function)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (made(PLAIN), made(PLAIN.replace("* 2", "* 3"))),
        (made(PLAIN), made(PLAIN.replace("days=3", "days=4"))),
        (made(PLAIN), made(PLAIN.replace("data * 2", "data.mean"))),
        (lag(1), lag(2)),
        (
            made("def feature(d, s):\n    return K * d", K=1),
            made("def feature(d, s):\n    return K * d", K=2),
        ),
        (
            made("def inner(x): return x\ndef feature(d, s): return inner(d)"),
            made("def inner(x): return -x\ndef feature(d, s): return inner(d)"),
        ),
        (
            made("def feature(d, s): return [K * x for x in d]", K=np.ones(2)),
            made("def feature(d, s): return [K * x for x in d]", K=np.zeros(2)),
        ),
        (
            made("class feature:\n    depth = 1\n    def f(self): return 1"),
            made("class feature:\n    depth = 1\n    def f(self): return 2"),
        ),
        (made("class feature:\n    depth = 1"), made("class feature:\n    depth = 2")),
        (
            made("def feature(d, s): return K", K=np.float64(1)),
            made("def feature(d, s): return K", K=np.float64(2)),
        ),
        (
            made("def feature(d, s): return K", K={"a", "b"}),
            made("def feature(d, s): return K", K={"a", "c"}),
        ),
        (
            made("def feature(d, s): return K", K=pd.Series([1, 2])),
            made("def feature(d, s): return K", K=pd.Series([1, 3])),
        ),
        (
            made("def feature(d, s): return K.days", K=Ratio(1)),
            made("def feature(d, s): return K.days", K=Ratio(2)),
        ),
        (made("def feature(d, s): return s - d"), made("def feature(d, s): return d - s")),
        (made(STATIC), made(STATIC.replace("x * 2", "x * 3"))),
        (made(SLOTS)(1), made(SLOTS)(2)),
        (functools.partial(two_days, power=1), functools.partial(two_days, power=2)),
        (functools.partial(two_days, 1), functools.partial(two_days, 2)),
        (functools.partial(lag(1)), functools.partial(lag(2))),
        (Ratio(1), Ratio(2)),
        (Ratio(1).__call__, Ratio(2).__call__),
        (Ratio([1]), Ratio([1, 1])),
        (edited(1), edited(2)),
        (whole_universe(made(PLAIN)), made(PLAIN)),
        (
            made("class A:\n    k = 1\nclass feature(A): pass"),
            made("class A:\n    k = 2\nclass feature(A): pass"),
        ),
    ],
)
def test_a_function_that_was_edited_is_another(first, second):
    assert fingerprint(first) == fingerprint(first)
    assert fingerprint(first) != fingerprint(second)


def test_a_function_that_was_not_edited_is_the_same():
    assert fingerprint(made(PLAIN)) == fingerprint(made(PLAIN))
    assert fingerprint(made(PLAIN, unused=1)) == fingerprint(made(PLAIN, unused=2))
    assert fingerprint(lag(1)) == fingerprint(lag(1))


def test_the_text_that_python_keeps_for_a_name_is_not_taken_for_the_source(monkeypatch):
    """Python 3.13 keeps the text of `python -c` under the name "<string>", which code from `exec` has too."""
    text = "import sys\n"
    monkeypatch.setitem(linecache.cache, "<string>", (len(text), None, [text], "<string>"))
    assert fingerprint(made(PLAIN)) != fingerprint(made(PLAIN.replace("* 2", "* 3")))


PRINT = """
from lib.runs.function_code import FunctionCode
scope = {"__name__": "notebook", "K": {"a", "b", "c", "d"}}
exec("def feature(d, s, n=3):\\n    return n if d in {'x', 'y', 'z', 'w'} else K", scope)
class A:
    def f(self): self.x, self.y, self.z = 1, 2, 3
    def __call__(self, d, s): return d
print(FunctionCode(scope["feature"]).fingerprint, FunctionCode(A()).fingerprint)
"""


def test_it_is_the_same_in_every_process():
    """The order of a set, and so that of a constant one, differs from process to process."""
    assert len({run_python(PRINT, PYTHONHASHSEED=seed)[0] for seed in ("123" if LONG else "12")}) == 1


def test_temporary_objects_do_not_hide_each_other():
    """Their ids may be equal, one having taken the place of the other."""
    values = [[k, k + 1] for k in range(200)]
    prints = {fingerprint(made("def feature(d, s, a=None): return a", K=0)) for _ in range(3)}
    assert len(prints) == 1
    assert len({fingerprint(functools.partial(two_days, *pair)) for pair in values}) == 200


def test_a_function_that_refers_to_itself():
    fact = "def feature(d, s): return feature(d, s)"
    assert fingerprint(made(fact)) == fingerprint(made(fact))
    loop = []
    loop.append(loop)
    assert fingerprint(functools.partial(two_days, loop)) != fingerprint(functools.partial(two_days, []))


@pytest.mark.parametrize(
    ("function", "modules"),
    [
        (two_days, {"tests.compare.shared"}),
        (functools.partial(two_days, power=2), {"tests.compare.shared"}),
        (Ratio(3), {"tests.compare.shared"}),
        (made("def feature(d, s): return f(d)", f=two_days), {"tests.compare.shared"}),
        (made("def feature(d, s): return np.abs(d)", np=np), {"numpy"}),
        (made("def feature(d, s):\n    import a.b\n    return a"), {"a.b"}),
        (made("def feature(d, s):\n    from a import b, c\n    return a"), {"a", "a.b", "a.c"}),
        (made("def feature(d, s):\n    def inner():\n        import a\n    return inner"), {"a"}),
    ],
)
def test_the_modules_that_it_refers_to_are_named(function, modules):
    assert FunctionCode(function).modules == modules
