"""Labels are short, and no two runs share one."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.compare.labels import NAMES, WIDTH, _abbreviated, label, short_labels, shown
from lib.compare.variants import ODDITIES, grid
from tests.compare.shared import Ratio, two_days


def test_a_full_label_names_all_that_is_set():
    assert label({"top_assets": 6, "features": ["trend", grid]}) == "top_assets=6 features=trend+grid"
    assert label({}) == "defaults"
    assert shown(0.5) == "0.5"
    assert shown([functools.partial(two_days, power=2), Ratio(3)]) == "two_days(power=2)+Ratio"


@pytest.mark.parametrize(
    ("variant", "short"),
    [
        ({"top_assets": 6, "hidden_size": 16}, "top_assets=6 hidden_size=16"),
        (ODDITIES[-1], "leave whole log target=tradable_open_up"),
        ({"features": ["trend", "a.b.c.of_mine(periods=0.5)"]}, "features=trend+of_mine(periods=0.5)"),
        ({"target": "a_package.a_module.f.<locals>.mine"}, "target=mine"),
        ({}, "defaults"),
    ],
)
def test_a_long_label_loses_what_is_not_needed_to_tell_it_from_others(variant, short):
    assert short_labels([variant], ["0" * 20]) == [short]


def test_what_all_share_is_left_out_of_long_labels_only():
    shared = {"hidden_size": 4, "train_period": 40, "lookback_period": 40}
    variants = [shared | {"top_assets": 6}, shared | {"top_assets": 3, "log_price": True}, shared]
    labels = ["top_assets=6", "top_assets=3 log_price=True", "otherwise defaults"]
    assert short_labels(variants, ["a" * 20, "b" * 20, "c" * 20]) == labels
    short = [{"seed": 1, "top_assets": 6}, {"seed": 1}]
    assert short_labels(short, ["a" * 20, "b" * 20]) == ["seed=1 top_assets=6", "seed=1"]


def test_abbreviated_names_stay_unique():
    assert len({_abbreviated(name) for name in NAMES}) == len(NAMES)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={name: st.sampled_from([1, True, "m.f", "m" * 50, ["trend", "n.f"]]) for name in NAMES},
        ),
        max_size=6,
    )
)
def test_labels_are_short_and_unique(variants):
    keys = [f"{k:04}{'0' * 16}" for k in range(len(variants))]
    labels = short_labels(variants, keys)
    assert len(set(labels)) == len(variants)
    assert all(0 < len(text) <= WIDTH for text in labels)
