"""Sets of parameters, from Python, from files and from the command line, and their labels."""

import functools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.compare.variants import (
    ODDITIES,
    WIDTH,
    _abbreviated,
    base_name,
    combine,
    grid,
    make_strategies,
    parse_choices,
    read_variants,
    short_labels,
    value_text,
    variant_label,
)
from lib.strategy import Strategy
from tests.compare.shared import Ratio, two_days
from tests.switches import LONG


def test_a_grid_is_every_combination():
    assert grid({"a": [1, 2], "b": "xy"}) == [{"a": a, "b": b} for a in (1, 2) for b in "xy"]
    assert grid({}) == [{}]
    with pytest.raises(ValueError, match="b has no value to try"):
        grid({"a": [1], "b": []})


def test_lists_combine_and_do_not_overwrite_each_other():
    assert combine([{}, {"a": 1}], [{"b": 2}]) == [{"b": 2}, {"a": 1, "b": 2}]
    assert combine() == [{}]
    with pytest.raises(ValueError, match=r"^a, c is set twice: keep one of them\.$"):
        combine([{"c": 1}], [{"a": 1, "b": 1}], [{"d": 1, "c": 1, "a": 1}])


def test_strategies_are_made_or_refused():
    assert make_strategies([{}, {"top_assets": 6}]) == [Strategy(), Strategy(top_assets=6)]
    with pytest.raises(TypeError, match=r"variant top_asset=6: .*did you mean 'top_assets'"):
        make_strategies([{}, {"top_asset": 6}])
    with pytest.raises(ValueError, match="variant epochs=0: epochs is 0"):
        make_strategies([{"epochs": 0}])
    with pytest.raises(TypeError, match="not 'top_assets'"):
        make_strategies({"top_assets": 6})  # a variant where a list of them is meant
    with pytest.raises(ValueError, match="nothing to compare"):
        make_strategies([])


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("a=6", [6]),
        ("a=6,12", [6, 12]),
        ("a=True,False", [True, False]),
        ("a=0.1", [0.1]),
        ("a=trend", ["trend"]),
        ("a=next_open_up,tradable_open_up", ["next_open_up", "tradable_open_up"]),
        ("a=LSTM,3", ["LSTM", 3]),
        ("a=stocks_s&p500", ["stocks_s&p500"]),
        ("a=['trend'],['trend','mine']", [["trend"], ["trend", "mine"]]),
        ("a=['trend']", [["trend"]]),
        ("a=b=c", ["b=c"]),
        ("a=rsi(periods=7, smooth=True)", ["rsi(periods=7, smooth=True)"]),
    ],
)
def test_words_of_the_command_line(word, values):
    assert parse_choices([word]) == {"a": values}


def test_wrong_words():
    with pytest.raises(ValueError, match="'a' must have the form NAME=VALUE"):
        parse_choices(["a"])
    with pytest.raises(ValueError, match="a is set twice"):
        parse_choices(["a=1", "a=2"])


def test_files(tmp_path):
    path = tmp_path / "sets.json"
    path.write_text(json.dumps([{"top_assets": 6}, {}]), encoding="utf-8")
    assert read_variants(path) == [{"top_assets": 6}, {}]
    for wrong in ('{"top_assets": 6}', "[{}, 6]", "6"):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match="must hold a list of objects"):
            read_variants(path)
    path.write_text("[{", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_variants(path)
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_variants(tmp_path / "none.json")


def test_a_full_label_names_all_that_is_set():
    assert variant_label({"top_assets": 6, "features": ["trend", grid]}) == "top_assets=6 features=trend+grid"
    assert variant_label({}) == "as published"
    assert value_text(0.5) == "0.5"
    assert value_text([functools.partial(two_days, power=2), Ratio(3)]) == "two_days(power=2)+Ratio"


@pytest.mark.parametrize(
    ("variant", "short"),
    [
        ({"top_assets": 6, "hidden_size": 16}, "top_assets=6 hidden_size=16"),
        (ODDITIES[-1], "leave whole log target=tradable_open_up"),
        ({"features": ["trend", "a.b.c.of_mine(periods=0.5)"]}, "features=trend+of_mine(periods=0.5)"),
        ({"target": "a_package.a_module.f.<locals>.mine"}, "target=mine"),
        ({}, "as published"),
        ({"target": "m" * 33}, f"target={'m' * 33}"),  # of 40 characters
        ({"target": "m" * 34}, f"target={'m' * 32}…"),
        ({"target": f"a.{'m' * 33}"}, f"target={'m' * 33}"),
        (
            {"learning_rate": 0.123456, "hidden_size": 100, "epochs": 9},
            "learning=0.123456 hidden=100 epochs=9",
        ),
        (
            {"features": ["a.bcdefghijklmnop", "c.qwertzuiopasdfgh", two_days], "seed": 3},
            "features=bcdefghijklmnop+qwertzuiopasdf…",
        ),
    ],
)
def test_a_long_label_loses_what_is_not_needed_to_tell_it_from_others(variant, short):
    assert short_labels([variant], ["0" * 20]) == [short]


def test_what_all_share_is_left_out_of_long_labels_only():
    shared = {"hidden_size": 4, "train_period": 40, "lookback_period": 40}
    variants = [shared | {"top_assets": 6}, shared | {"top_assets": 3, "log_price": True}, shared]
    labels = ["top_assets=6", "top_assets=3 log_price=True", "otherwise as published"]
    assert short_labels(variants, ["a" * 20, "b" * 20, "c" * 20]) == labels
    equal = short_labels([shared, shared], ["abcdef", "ghijkl"])
    assert equal == ["otherwise as published·abcd", "otherwise as published·ghij"]
    long = [{"target": "m" * 40, "seed": 1}] * 2 + [{"seed": 1}]
    assert short_labels(long, ["abcdef", "ghijkl", "m"]) == [
        *(f"target={'m' * 27}…·{key}" for key in ("abcd", "ghij")),
        "otherwise as published",
    ]
    short = [{"seed": 1, "top_assets": 6}, {"seed": 1}]
    assert short_labels(short, ["a" * 20, "b" * 20]) == ["seed=1 top_assets=6", "seed=1"]


def test_abbreviated_names_stay_unique():
    assert len({_abbreviated(name) for name in Strategy.defaults()}) == len(Strategy.defaults())
    names = ["top_assets", "min_weight", "min_change", "leave_out_unknown", "seed"]
    assert [_abbreviated(name) for name in names] == ["top", "min_weight", "min_change", "leave", "seed"]


@settings(max_examples=100 if LONG else 25)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                name: st.sampled_from([1, True, "m.f", "m" * 50, ["trend", "n.f"]])
                for name in Strategy.defaults()
            },
        ),
        max_size=6,
    )
)
def test_labels_are_short_and_unique(variants):
    keys = [f"{k:04}{'0' * 16}" for k in range(len(variants))]
    labels = short_labels(variants, keys)
    assert len(set(labels)) == len(variants)
    assert all(0 < len(text) <= WIDTH for text in labels)


def test_variants_change_a_base():
    base = Strategy(top_assets=6, hidden_size=4).with_functions(train_model=lambda data: data)
    first, second = make_strategies([{}, {"hidden_size": 8}], base)
    assert first == base
    assert (second.top_assets, second.hidden_size, type(second)) == (6, 8, type(base))
    with pytest.raises(TypeError, match=r"variant top_asset=6: .*did you mean 'top_assets'"):
        make_strategies([{"top_asset": 6}], base)
    with pytest.raises(TypeError, match="base is a Strategy"):
        make_strategies([{}], {"top_assets": 6})


def test_a_label_says_whose_values_are_unchanged():
    edited = Strategy(top_assets=6)
    assert base_name(None) == base_name(Strategy()) == "as published"
    assert base_name(edited, "as in the notebook") == "as in the notebook"
    assert base_name(Strategy().with_functions(train_model=lambda data: data)) == "as in base"
    assert variant_label({}, "as in the notebook") == "as in the notebook"
    assert short_labels([{}, {"seed": 1}], ["a", "b"], "as in base") == ["as in base", "seed=1"]
