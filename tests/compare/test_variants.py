"""Sets of parameters, from Python, from files and from the command line."""

import json

import pytest

from lib.compare.variants import (
    combine,
    grid,
    parse_choices,
    read_file,
    strategies,
)
from lib.strategy import Strategy


def test_a_grid_is_every_combination():
    assert grid({"a": [1, 2], "b": "xy"}) == [{"a": a, "b": b} for a in (1, 2) for b in "xy"]
    assert grid({}) == [{}]
    with pytest.raises(ValueError, match="b has no value to try"):
        grid({"a": [1], "b": []})


def test_lists_combine_and_do_not_overwrite_each_other():
    assert combine([{}, {"a": 1}], [{"b": 2}]) == [{"b": 2}, {"a": 1, "b": 2}]
    assert combine() == [{}]
    with pytest.raises(ValueError, match="a is set twice"):
        combine([{"a": 1}], [{"a": 1}])


def test_strategies_are_made_or_refused():
    assert strategies([{}, {"top_assets": 6}]) == [Strategy(), Strategy(top_assets=6)]
    with pytest.raises(TypeError, match=r"variant top_asset=6: .*did you mean 'top_assets'"):
        strategies([{}, {"top_asset": 6}])
    with pytest.raises(ValueError, match="variant epochs=0: epochs is 0"):
        strategies([{"epochs": 0}])
    with pytest.raises(TypeError, match="not 'top_assets'"):
        strategies({"top_assets": 6})  # a variant where a list of them is meant
    with pytest.raises(ValueError, match="nothing to compare"):
        strategies([])


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
    assert read_file(path) == [{"top_assets": 6}, {}]
    for wrong in ('{"top_assets": 6}', "[6]", "6"):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match="must hold a list of objects"):
            read_file(path)
    path.write_text("[{", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_file(path)
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_file(tmp_path / "none.json")
