"""The stand-in equals the real library on odd markets; where that crashes, it gives a sentence."""

import json

import numpy as np
import pytest

from tests import odd_markets
from tests.conftest import REAL
from tests.switches import ALL, LONG, long

# What only Python would say: here the real library stumbled, and a sentence has to stand in its place.
STUMBLES = {"AttributeError", "IndexError", "KeyError", "TypeError", "UnboundLocalError", "ValueError"}
STUMBLED = ("unsupported operand", "index 0 is out of bounds", "zero-size array", "'NoneType' object")
BACKTESTS = {"each_day", "batch", "plain"}
SLOW = ("fields_missing", "liquid_without_price", "rarely_liquid")  # backtests are like those of "holes"
ORDINARY = ("holes",)


@pytest.fixture(scope="module")
def stored():
    with np.load(odd_markets.PATH) as file:
        return dict(file)


@pytest.mark.parametrize("name", odd_markets.NAMES)
def test_market_is_the_one_that_was_asked_about(name, stored):
    np.testing.assert_array_equal(odd_markets.make(name).values, stored[f"{name}/market"])


@long
@pytest.mark.parametrize("name", odd_markets.NAMES if ALL else [*ORDINARY, *SLOW[:1]] if LONG else ORDINARY)
def test_answers(name, stored, use_market):
    use_market(odd_markets.make(name))
    wanted = json.loads(stored[f"{name}/texts"].item())
    backtests = LONG or name not in SLOW
    found = odd_markets.answers(backtests)
    assert found.keys() == wanted.keys() - (set() if backtests else BACKTESTS)
    for question, answer in found.items():
        _compare(answer, wanted[question], stored.get(f"{name}/{question}"), f"{name}: {question}")


def _compare(found, wanted, values, where):
    assert json.loads(json.dumps(found["calls"])) == wanted["calls"], where
    assert ("raised" in found) == ("raised" in wanted), f"{where}: {found} instead of {wanted}"
    if "raised" in wanted:
        assert set(wanted["raised"][:1]) <= set(found["raised"]) | STUMBLES, where
        assert REAL or _is_sentence(found["message"]), f"{where}: {found['message']}"
        return
    assert found["out"] == wanted["out"], where
    said, stored = ([line for line in x["err"] if "NOTICE" not in line] for x in (found, wanted))
    assert len(said) == len(stored), where  # the stand-in takes a default path without a notice
    for line, wanted_line in zip(said, stored, strict=True):
        if not REAL and any(words in wanted_line for words in STUMBLED):
            assert _is_sentence(line), f"{where}: {line}"
        else:
            assert line == wanted_line, where
    result, states = found["result"] if isinstance(found["result"], tuple) else (found["result"], None)
    assert states == wanted["states"], where
    assert (result is None) == (values is None), where
    if values is not None:
        assert {dim: odd_markets.labels(result, dim) for dim in result.dims} == wanted["dims"], where
        np.testing.assert_allclose(result.values, values, rtol=0, atol=1e-10, err_msg=where)


def _is_sentence(text):
    return len(text.split()) >= 6 and not any(words in text for words in STUMBLED)
