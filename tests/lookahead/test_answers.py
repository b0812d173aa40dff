"""Two answers are the same up to rounding, which follows the spread of what was asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.lookahead.questions import Difference, answer_to, difference

RNG = np.random.default_rng(0)
WALK = 50 + np.cumsum(RNG.normal(size=(2, 60, 3)), axis=1)


def changed(answer, day, asset, by):
    answer = answer.copy()
    answer[:, day, asset] += by
    return answer


def test_the_same_answer_is_no_difference():
    gaps = np.where(RNG.random(WALK.shape) < 0.2, np.nan, WALK)
    gaps[0, 3, 1] = np.inf
    assert difference(gaps, gaps.copy()) is None


@given(
    scale=st.floats(1e-12, 1e12),
    level=st.floats(-1e3, 1e3),
    day=st.integers(0, 59),
    asset=st.integers(0, 2),
)
def test_rounding_is_relative_to_the_spread_and_a_leak_is_above_it(scale, level, day, asset):
    answer = (WALK + level) * scale
    spread = answer.std(axis=(0, 1))[asset]
    assert difference(answer, changed(answer, day, asset, 1e-8 * spread)) is None
    found = difference(answer, changed(answer, day, asset, 1e-4 * spread))
    assert found is not None
    assert (found.days_before, found.asset) == (59 - day, asset)
    assert found.size == pytest.approx(1e-4 * spread, rel=1e-2)


def test_an_asset_that_hardly_moves_is_compared_with_the_largest():
    answer = WALK.copy()
    answer[..., 1] = 0
    assert difference(answer, changed(answer, 5, 1, 1e-15)) is None
    assert difference(answer, changed(answer, 5, 1, 1e-9)) is not None


def test_numbers_of_single_precision_are_rounded_as_such():
    answer = WALK.astype(np.float32).astype(float)
    assert difference(answer, answer * (1 + 2e-7)) is None
    assert difference(WALK, WALK * (1 + 2e-7)) is not None
    assert difference(answer, answer * (1 + 1e-4)) is not None


def test_a_value_that_appears_is_an_infinite_difference():
    gap = WALK.copy()
    gap[1, 58, 2] = np.nan
    assert difference(gap, WALK) == difference(WALK, gap) == Difference(1, 2, np.inf)


def test_the_size_is_that_of_the_largest_difference_and_not_of_rounding():
    answer = changed(changed(WALK, 7, 0, 0.5), 9, 2, -2.0) * (1 + 1e-15)
    found = difference(WALK, answer)
    assert found is not None
    assert (found.days_before, found.asset) == (59 - 7, 0)
    assert found.size == pytest.approx(2)
    gap = WALK * (1 + 1e-15)
    gap[1, 58, 2] = np.nan
    assert difference(WALK, gap) == Difference(1, 2, np.inf)


def test_a_difference_on_all_days_is_one_of_the_whole_window():
    whole, end = WALK / WALK[:, -1:], changed(WALK, slice(50, 60), 1, 1.0)
    assert difference(WALK, whole).whole_window
    assert not difference(WALK, end).whole_window
    assert not difference(WALK, np.where(np.arange(3) < 1, whole, end)).whole_window


def test_models_of_another_kind_are_compared_by_their_numbers():
    models = [np.array([1e9, 2.0]), np.array([[0.001]])]
    assert difference(models, [models[0] * (1 + 1e-12), models[1]]) is None
    found = difference(models, [models[0], models[1] * 1.01])
    assert found is not None
    assert (found.asset, found.size) == (-1, pytest.approx(1e-5))
    gone = [models[0], models[1] * np.nan]
    assert difference(models, gone) == difference(gone, models) == Difference(0, -1, np.inf)
    assert difference(models, models[:1]) == Difference(0, -1, np.inf)
    assert difference(models, WALK) == Difference(0, -1, np.inf)


def test_an_error_is_an_answer():
    def broken():
        raise KeyError("2053")

    error = answer_to(broken)
    assert error == "KeyError: '2053'"
    assert difference(error, error) is None
    assert difference(WALK, error) == difference(error, WALK) == Difference(0, 0, np.inf, error)
    assert difference(error, "ValueError: 1") == Difference(0, 0, np.inf, "ValueError: 1")


def test_an_error_that_is_the_user_s_to_stop_with_is_none():
    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_to(stopped)
