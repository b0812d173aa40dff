"""Shuffled targets and parts of the market: what they change, and that they change nothing else."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.common.market_data import field
from lib.compare.draws import (
    BLOCK,
    SHORTEST,
    ShuffledTarget,
    block_order,
    check_numbers,
    drawn,
    in_half,
    loader,
    trained_on,
)
from lib.engine.inputs import get_target_classes
from lib.strategy import Strategy
from tests.markets import random_market

PLAIN = Strategy(leave_out_unknown=True, target="tradable_open_up")


@given(st.integers(0, 120), st.integers(0, 2**16))
def test_a_shuffle_keeps_every_day_and_the_days_of_a_block_together(days, seed):
    order = block_order(days, [seed])
    assert sorted(order.tolist()) == list(range(days))
    together = sum((b - a) % days == 1 for a, b in itertools.pairwise(order.tolist()))
    assert together >= days - 1 - days // BLOCK


def test_places_are_equally_likely():
    """Of 2,000 shuffles a day stands at each of 20 places 100 times, ± 10; 5 of those are 50."""
    places = np.array([np.argsort(block_order(20, [seed]))[[0, 13]] for seed in range(2000)])
    for place in places.T:
        counts = np.bincount(place, minlength=20)
        assert (abs(counts - 100) < 50).all()


def test_targets_keep_their_asset_and_what_is_unknown_its_place():
    data = random_market(4)
    before = get_target_classes(data, PLAIN).values
    shuffled = ShuffledTarget(PLAIN, 0)(data, PLAIN)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(before, axis=0))
    unknown = ~np.isfinite(before).any(axis=1)
    assert unknown[-2:].all()
    assert not np.isfinite(shuffled[unknown]).any()
    known = np.flatnonzero(~unknown)
    rows = {row.tobytes() for row in before[known]}
    assert {row.tobytes() for row in shuffled[known]} == rows  # the assets of a day stay together


def test_number_and_window_say_which_shuffle():
    data = random_market(5, days=80)

    def shuffled(number, market=data, **parameters):
        return ShuffledTarget(replace(PLAIN, **parameters), number)(market, PLAIN)

    np.testing.assert_array_equal(shuffled(1), shuffled(1, seed=7, hidden_size=3))
    assert not np.array_equal(shuffled(1), shuffled(2), equal_nan=True)
    order = block_order(40, [1, 5])
    assert not np.array_equal(order, block_order(40, [1, 6]))


def test_only_the_target_of_a_shuffled_strategy_is_another():
    trained = trained_on(PLAIN, {"shuffle": 3})
    assert replace(trained, target=PLAIN.target) == PLAIN
    assert trained_on(PLAIN, {}) is PLAIN
    assert trained_on(PLAIN, {"universe": 3}) is PLAIN


def test_a_target_of_the_user_s_own_is_shuffled():
    def mine(data, strategy):
        assert strategy.target is mine
        return np.arange(data.sizes["time"])[:, None] + field(data, "close") * 0

    data = random_market(4)
    found = ShuffledTarget(Strategy(target=mine), 0)(data, PLAIN)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(mine(data, Strategy(target=mine)), axis=0))


def test_a_half_is_drawn_by_name_alone():
    names = [f"NAS:{k:04}" for k in range(2000)]
    halves = [in_half(names, number) for number in range(4)]
    for half in halves:
        assert abs(half.mean() - 0.5) < 0.05  # 4.5 standard deviations
    assert abs((halves[0] & halves[1]).mean() - 0.25) < 0.05
    np.testing.assert_array_equal(in_half(names[::-1], 2), halves[2][::-1])
    assert in_half([], 1).shape == (0,)


def test_a_universe_loads_its_half_whatever_the_period(use_market):
    use_market(random_market(6, assets=12))
    whole, part = PLAIN.load_data(40), loader(PLAIN, {"universe": 1})(40)
    assert part.asset.values.tolist() == whole.asset.values[in_half(whole.asset.values, 1)].tolist()
    assert 0 < part.sizes["asset"] < whole.sizes["asset"]
    np.testing.assert_array_equal(part.values, whole.sel(asset=part.asset).values)
    assert loader(PLAIN, {"shuffle": 1}) == PLAIN.load_data


@given(st.integers(SHORTEST, 4000))
def test_a_window_is_half_of_the_days_and_lies_among_them(days):
    start = np.datetime64("2001-01-01")
    record = {"start": str(start), "end": str(start + (days - 1))}
    draws = drawn(record, 2, 8)
    assert draws[:2] == [{"shuffle": 0}, {"shuffle": 1}]
    for draw in draws[2:]:
        first, last = np.datetime64(draw["start"]), np.datetime64(draw["end"])
        assert start <= first <= last <= np.datetime64(record["end"])
        assert (last - first).astype(int) + 1 == days // 2
    assert len({draw["start"] for draw in draws[2:]}) > 3


def test_universes_of_a_short_backtest_are_refused():
    with pytest.raises(ValueError, match="from 60 calendar days or more, not from 5: start earlier"):
        drawn({"start": "2024-12-02", "end": "2024-12-06"}, 0, 1)
    assert drawn({"start": "2024-12-02", "end": "2024-12-06"}, 1, 0) == [{"shuffle": 0}]


@pytest.mark.parametrize("number", [-1, 1.5, True, "3"])
def test_a_number_that_is_none_is_refused(number):
    with pytest.raises(ValueError, match="must be a whole number from 0 on"):
        check_numbers(number, 0)
    with pytest.raises(ValueError, match="universes is"):
        check_numbers(0, number)
