import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import Strategy, lookahead
from lib.engine.prediction import raw_weights
from lib.sizing import above_half, as_output, ranked, sees_window, sizing
from tests.markets import random_market, window
from tests.switches import long, longest
from tests.vectors import vector

SMALL = {"top_assets": 4, "hidden_size": 3, "lookback_period": 50, "train_period": 50, "lwma_period": 4}
LIQUID = np.array([1.0, 1.0, 0.0, 1.0, np.nan])
ASSETS = ["A", "B", "C", "D", "E"]


def own(outputs, strategy):
    return outputs**2


def test_the_published_sizing_returns_the_outputs() -> None:
    outputs = np.array([0.4, 0.6])
    assert as_output(outputs, Strategy()) is outputs


def test_above_half_by_hand() -> None:
    assert above_half(np.array([0.4, 0.6, 0.8]), Strategy()).tolist() == pytest.approx([0, 0.25, 0.75])
    assert above_half(np.array([0.4, 0.5]), Strategy()).tolist() == [0, 0]


def test_ranked_by_hand() -> None:
    assert ranked(np.array([0.7, -1, 0.9]), Strategy()).tolist() == pytest.approx([2 / 6, 1 / 6, 3 / 6])
    assert ranked(np.array([0.5, 0.5]), Strategy()).tolist() == [0.5, 0.5]  # ties share a rank


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=20))
def test_sizings_keep_the_order_and_sum_to_at_most_one(values: list[float]) -> None:
    outputs = np.array(values)
    for function in (above_half, ranked):
        shares = function(outputs, Strategy())
        assert (shares >= 0).all()
        assert shares.sum() <= 1 + 1e-9
        assert (np.diff(shares[np.argsort(outputs)]) >= 0).all()


def test_only_outputs_of_liquid_assets_are_sized() -> None:
    seen = []

    def noted(outputs, strategy):
        seen.append(outputs.tolist())
        return outputs * 2

    outputs = {"A": 0.5, "B": np.nan, "C": 0.6, "E": 0.7}
    raw = raw_weights(outputs, ASSETS, LIQUID, {"A", "B", "C", "D", "E"}, Strategy(sizing=noted), None)
    assert seen == [[0.5]]
    np.testing.assert_array_equal(raw, [1.0, np.nan, 0, 0, np.nan])


class Unhashable:
    """A sizing with settings that compare by value."""

    def __eq__(self, other):
        return isinstance(other, Unhashable)

    def __call__(self, outputs, data, strategy):
        return outputs


def test_a_sizing_takes_data_by_its_arguments() -> None:
    assert sees_window(Unhashable())
    assert sees_window(lambda outputs, data, strategy, days=3: outputs)
    assert not sees_window(lambda outputs, strategy, power=2: outputs)
    assert not sees_window(np.sign)
    with pytest.raises(TypeError, match="must take"):
        sees_window(lambda outputs: outputs)


@pytest.mark.parametrize("answer", [0.5, [0.5], np.zeros((2, 1)), ["a", "b"]])
def test_a_sizing_that_returns_something_else_is_refused(answer) -> None:
    strategy = Strategy(sizing=lambda outputs, strategy: answer)
    with pytest.raises(ValueError, match="sizing <lambda> must return one number for each of the 2 outputs"):
        raw_weights({"A": 0.5, "B": 0.5}, ASSETS, LIQUID, set(), strategy, None)


@pytest.mark.parametrize(
    ("value", "text"), [(ranked, "ranked"), ("ranked", "ranked"), (own, f"{__name__}.own")]
)
def test_a_sizing_is_named_in_the_record_of_the_strategy(value, text) -> None:
    assert Strategy(sizing=value).as_dict()["sizing"] == text


def test_a_misspelt_sizing() -> None:
    with pytest.raises(ValueError, match=r"sizing is 'rank': did you mean 'ranked'\?"):
        Strategy(sizing="rank")


def test_the_default_is_the_published_sizing_bit_by_bit() -> None:
    """The weights are those of the formula before there was a sizing: the output times is_liquid."""
    market = vector("loaded").isel(time=slice(-110, None))
    strategy = Strategy(top_assets=5, hidden_size=3)
    models = strategy.train_model(market)
    plain = Strategy(top_assets=5, hidden_size=3, sizing=lambda outputs, strategy: outputs)
    weights, state = strategy.predict(models, market, None)
    assert weights.equals(plain.predict(models, market, None)[0])
    assert state.parameters["sizing"] == "as_output"


@long
@pytest.mark.parametrize("name", [own, *(pytest.param(name, marks=longest) for name in sizing)])
def test_every_sizing_looks_at_no_later_day_and_repeats_itself(name) -> None:
    """The look-ahead check finds nothing, and a day that is run again has the same weights and state."""
    market = random_market(3, days=90)
    strategy = Strategy(**SMALL, sizing=name)
    report = lookahead.check(strategy, market, days=2)
    assert not report.leaks, str(report)
    state = None
    for row in (-4, -3, -2):
        past = window(market, row, 50)
        models = strategy.train_model(past)
        weights, after = strategy.predict(models, past, state)
        again, same = strategy.predict(models, past, after)
        assert weights.equals(again)
        assert same == after
        state = after
