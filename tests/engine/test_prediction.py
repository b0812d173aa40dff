import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import Strategy
from lib.engine import prediction
from lib.engine.learners import Constant, Rule
from lib.engine.prediction import blend, predict
from lib.state import State, StateError, StateWarning
from tests.labelled import weights_in
from tests.switches import LONG
from tests.vectors import vector

SMALL = Strategy(top_assets=4, hidden_size=5)


def window(days=107, end=None):
    data = vector("loaded")
    return data.isel(time=slice((end or data.sizes["time"]) - days, end))


class Says:
    """TrainedModels that answer a fixed number."""

    def __init__(self, number):
        self.number = number

    def __call__(self, x):
        return x[..., 0] * 0 + self.number


def says(**numbers):
    return {f"NAS:{asset}": Says(number) for asset, number in numbers.items()}


def market(liquid, price=10.0, days=20):
    """Constant prices; `liquid` by asset on the last day."""
    assets = [f"NAS:{asset}" for asset in liquid]
    data = (
        vector("loaded").isel(time=slice(-days, None), asset=slice(len(assets))).assign_coords(asset=assets)
    )
    data = xr.full_like(data, price)
    data.loc[dict(field="is_liquid")] = list(liquid.values())
    return data


def held(state):
    return {asset.removeprefix("NAS:"): round(weight, 6) for asset, weight in state.weights.items()}


def check_single_passes(market, expected):
    """One pass a day, each with what the loader would load: assets liquid at least once in the window."""

    def load(day, period):
        data = market.sel(time=slice(day - np.timedelta64(period, "D"), day))
        return data.isel(asset=np.flatnonzero((data.sel(field="is_liquid") > 0).any("time")))

    strategy, state = Strategy(), None
    for day in expected.time.values[: None if LONG else 12]:
        models = strategy.train_model(load(day, strategy.train_period))
        _, state = strategy.predict(models, load(day, strategy.lookback_period), state)
        kept = weights_in(state, expected.asset)
        assert np.abs(kept - expected.sel(time=day).fillna(0).values).max() < 1e-5


def test_the_weights_have_every_asset_in_the_order_of_the_data():
    data = window().isel(asset=slice(None, None, -1))
    weights, _ = predict(SMALL.train_model(window(71)), data, None, SMALL)
    assert weights.dims == ("time", "asset")
    assert weights.asset.values.tolist() == data.asset.values.tolist()
    assert (weights > 0).sum() == 4
    assert "field" not in weights.coords


def test_blend_by_hand():
    new = np.array([0.4, 0.008, 0.002, 0.0, 0.3, -0.2, np.nan])
    old = np.array([0.2, 0.000, 0.009, 0.1, 0.0, 0.0, 0.1])
    #                mean    new    mean  mean  new  short  not known
    before_scaling = np.array([0.3, 0.008, 0.0055, 0.05, 0.3, 0.0, 0.0])
    assert np.allclose(blend(new, old, 0.005, 1.0), before_scaling)
    assert np.allclose(blend(new * 4, old, 0.005, 1.0).sum(), 1.0)
    assert blend(new, old, 0.005, 0.1).max() == 0.1


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.floats(), st.floats(0, 0.1)), min_size=1, max_size=30),
    st.floats(0, 0.04),
    st.floats(0.05, 1),
)
def test_blended_weights_are_valid_whatever_was_predicted(pairs, min_weight, max_weight):
    new, old = np.array(pairs).T
    with np.errstate(over="ignore"):
        weights = blend(new, old, min_weight, max_weight)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert weights.max() <= max_weight
    assert weights.sum() <= 1 + 1e-9


def test_an_asset_no_longer_liquid_is_not_handed_out_but_carried_on():
    _, state = predict(says(A=0.08, B=0.04), market({"A": 1, "B": 1}), None, SMALL)
    data = market({"A": 0, "B": 1})
    data["time"] = data.time + np.timedelta64(1, "D")
    weights, state = predict(says(A=0.08, B=0.04), data, state, SMALL)
    assert weights.values.round(6).tolist() == [[0, 0.04]]
    assert held(state) == {"A": 0.04, "B": 0.04}


@pytest.mark.parametrize("price", [np.nan, 0.0, -1.0, np.inf])
def test_an_asset_without_a_price_is_not_handed_out(price):
    data = market({"A": 1, "B": 1})
    data.loc[dict(field="close", asset="NAS:A", time=data.time[-1])] = price
    weights, _ = predict(says(A=0.08, B=0.04), data, None, SMALL)
    assert weights.values[0, 0] == 0
    assert np.isfinite(weights).all()


def test_an_asset_without_data_that_day_is_not_held():
    _, state = predict(says(A=0.08), market({"A": 1, "B": 1}), None, SMALL)
    data = market({"A": np.nan, "B": 1})
    data["time"] = data.time + np.timedelta64(1, "D")
    weights, state = predict(says(A=0.08), data, state, SMALL)
    assert not weights.any()
    assert held(state) == {}


def test_an_asset_that_left_the_data_fades_as_published():
    _, state = predict(says(A=0.096, B=0.04), market({"A": 1, "B": 1}), None, SMALL)
    for day, left in ((1, 0.048), (2, 0.024), (3, 0.012), (4, 0.006), (5, None)):
        data = market({"B": 1})
        data["time"] = data.time + np.timedelta64(day, "D")
        weights, state = predict(says(A=0.096, B=0.04), data, state, SMALL)
        assert weights.asset.values.tolist() == ["NAS:B"]
        assert held(state).get("A") == left


def test_running_a_day_again_changes_nothing():
    models = SMALL.train_model(window(71, 700))
    state = None
    for end in (700, 701, 702):
        before = state
        weights, state = predict(models, window(107, end), before, SMALL)
        again, state_again = predict(models, window(107, end), state, SMALL)
        assert np.array_equal(again, weights)
        assert state_again == state
    assert before != state


def test_a_state_from_after_the_data_is_set_aside():
    models = SMALL.train_model(window(71, 700))
    fresh = predict(models, window(107, 700), None, SMALL)
    _, later = predict(models, window(107, 705), None, SMALL)
    with pytest.warns(
        StateWarning, match=r"dated 2024-\d\d-\d\d, after the data, which end on 2024-\d\d-\d\d"
    ):
        weights, state = predict(models, window(107, 700), later, SMALL)
    assert np.array_equal(weights, fresh[0])
    assert state == fresh[1]


def test_a_gap_of_days_is_carried_over():
    uncut = Strategy(top_assets=4, hidden_size=5, max_weight=1.0)
    models = uncut.train_model(window(71, 700))
    _, state = predict(models, window(107, 700), None, uncut)
    with pytest.warns(StateWarning, match="19 trading days lie between it and"):
        weights, later = predict(models, window(107, 720), state, uncut)
    assert dict(later.carried_in) == dict(state.weights)
    assert not np.allclose(weights, predict(models, window(107, 720), None, uncut)[0])


@pytest.mark.parametrize("missed", [0, 1])
def test_a_single_missed_day_is_warned_of(missed):
    state = State(window().time.values[-2 - missed].astype("M8[D]"), {"NAS:S000": 0.1}, {}, SMALL.as_dict())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        predict({}, window(), state, SMALL)
    assert [warning.category for warning in caught] == [StateWarning] * missed


def test_a_state_of_other_parameters_is_refused():
    models = SMALL.train_model(window(71))
    _, state = predict(models, window(), None, SMALL)
    with pytest.raises(StateError, match="top_assets was 4, is 5"):
        predict(models, window(), state, Strategy(top_assets=5, hidden_size=5))


@pytest.mark.parametrize("state", [{"previous_weights": 1}, (1, 2, 3), "state"])
def test_a_state_of_another_kind_is_refused(state):
    with pytest.raises(
        TypeError, match="predict takes the state that it returned the day before, or None, not"
    ):
        predict({}, window(), state, SMALL)


def test_without_models_positions_fade():
    state = State(
        date=datetime.date(2020, 1, 1), weights={"NAS:S000": 0.1}, carried_in={}, parameters=SMALL.as_dict()
    )
    with pytest.warns(StateWarning, match="trading days lie between"):
        assert held(predict({}, window(), state, SMALL)[1]) == {"S000": 0.05}
    assert not predict({}, window(), None, SMALL)[0].any()


def test_models_of_assets_that_are_not_there_are_not_asked():
    assert not predict(says(NONE=0.5), window(), None, SMALL)[0].any()


def test_an_asset_without_features_gets_nothing(monkeypatch):
    def gone_today(data, strategy):
        values = data.sel(field="close").copy()
        values[-1, 0] = np.nan
        return values

    strategy = Strategy(top_assets=4, hidden_size=5, features=[gone_today])
    weights, _ = predict(says(A=0.08, B=0.04), market({"A": 1, "B": 1}), None, strategy)
    assert weights.values.round(6).tolist() == [[0, 0.04]]


def test_a_number_that_is_none_is_no_position():
    weights, state = predict(says(A=np.nan, B=np.inf, C=0.04), market({"A": 1, "B": 1, "C": 1}), None, SMALL)
    assert weights.values.round(6).tolist() == [[0, 0, 0.04]]
    assert held(state) == {"C": 0.04}


class Remembers:
    """Answers how many days it has seen, in thousandths."""

    def __call__(self, x):
        return (x[..., 0] * 0 + 0.01).cumsum(dim=1)


def test_the_whole_sequence_on_request():
    models, data = {"NAS:A": Remembers()}, market({"A": 1}, days=8)
    day_only, whole = (
        predict(models, data, None, Strategy(whole_sequence=whole))[0].item() for whole in (False, True)
    )
    assert (round(day_only, 6), round(whole, 6)) == (0.01, 0.08)


def test_a_strategy_uses_its_memory_on_request():
    forgets, remembers = (
        Strategy(top_assets=4, max_weight=1.0, whole_sequence=whole) for whole in (False, True)
    )
    models = forgets.train_model(window(71))
    weights = [predict(models, window(), None, strategy)[0] for strategy in (forgets, remembers)]
    assert not np.allclose(*weights)


def test_data_stay_as_they_are():
    data, models = window(), SMALL.train_model(window(71))
    before = data.copy(deep=True)
    predict(models, data, None, SMALL)
    xr.testing.assert_identical(data, before)


def test_a_weight_of_exactly_the_minimum_is_kept():
    assert blend(np.array([0.25, 0.2499]), np.zeros(2), 0.25, 1.0).tolist() == [0.25, 0.0]
    assert blend(np.array([0.25, 0.5]), np.array([0.25, 0.0]), 0.25, 0.3).tolist() == [0.25, 0.3]


def test_days_without_features_are_left_out_of_the_whole_sequence():
    def warming_up(data, strategy):
        values = data.sel(field="close").copy()
        values[:3] = np.nan
        return values

    strategy = Strategy(whole_sequence=True, features=[warming_up])
    weights, _ = predict({"NAS:A": Remembers()}, market({"A": 1}, days=8), None, strategy)
    assert weights.item() == pytest.approx(0.05)


def test_raw_weights_by_hand():
    """Only finite outputs of liquid assets are sized; NaN closes a position, 0 lets it fade."""
    seen = []

    def doubled(outputs, strategy):
        seen.append(outputs.tolist())
        return outputs * 2 + 1

    liquid = np.array([1, 0, 1, np.nan, np.nan, 1, 1, 2])
    outputs = {"A": 0.3, "B": 0.2, "C": np.nan, "D": 0.4, "F": -np.inf, "H": 0.0, "Z": 1.0}
    arguments = (list("ABCDEFGH"), liquid, ["A", "B", "C", "D", "G"], Strategy(sizing=doubled), None)
    found = prediction.raw_weights(outputs, *arguments)
    assert np.array_equal(found, [1.6, 0, np.nan, np.nan, 0, -np.inf, 0, 1], equal_nan=True)
    assert seen == [[0.3, 0.0]]
    nothing = prediction.raw_weights({}, *arguments)
    assert np.array_equal(nothing, [0, 0, 0, np.nan, 0, 0, 0, 0], equal_nan=True)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("raw", "got"),
    [
        (np.ones(3), r"float64 with shape \(3,\)"),
        (np.ones((2, 1)), r"float64 with shape \(2, 1\)"),
        (np.array(["1", "2"]), r"<U1 with shape \(2,\)"),
        (np.ones(2, complex), r"complex128 with shape \(2,\)"),
        ([True, False], ""),
        ([3, -1], ""),
        (np.ones(2, "u1"), ""),
    ],
)
def test_a_sizing_returns_one_number_for_each_output(raw, got):
    def own(outputs, strategy):
        return raw

    arguments = ({"A": 0.5, "B": 0.5}, ["A", "B"], np.ones(2), ["A", "B"], Strategy(sizing=own), None)
    if got:
        with pytest.raises(
            ValueError,
            match=f"own must return one number for each of the 2 outputs given, not an array of {got}",
        ):
            prediction.raw_weights(*arguments)
    else:
        assert prediction.raw_weights(*arguments).tolist() == [float(number) for number in raw]


@pytest.mark.parametrize(
    ("date", "waited", "interval", "expected"),
    [
        (None, 0, 5, 0),
        (4, 0, 1, 0),
        (4, 0, 2, 1),
        (5, 0, 1, 0),
        (4, 2, 5, 3),  # of 6 days 0 to 5
        (4, 3, 5, 4),
        (4, 4, 5, 0),
        (4, 9, 5, 0),
        (2, 1, 5, 4),
        (2, 2, 5, 0),
        (5, 2, 5, 2),  # the same day again
        (5, 0, 5, 0),
        (5, 7, 5, 7),
        (5, 7, 1, 0),  # with an interval of its own until then
        (6, 2, 5, 0),  # after the data
        (-3, 0, 9, 6),  # before them
    ],
)
def test_a_rebalance_comes_when_its_interval_has_passed(date, waited, interval, expected):
    days = pd.date_range("2024-01-01", periods=6)
    state = None
    if date is not None:
        day = days[0] + pd.Timedelta(date, "D")
        state = State(day.to_datetime64(), {}, {}, SMALL.as_dict(), days_since_rebalance=waited)
    assert prediction._days_since_rebalance(state, days, interval) == expected


def test_the_state_of_a_day_by_hand():
    """The asset that left the data is carried on, but not handed out; so is one that is not liquid."""
    data = market({"A": 1, "B": 0, "C": 1})
    days = data.time.values.astype("M8[D]")
    carried = {"NAS:A": 0.02, "NAS:B": 0.04, "NAS:X": 0.08, "NAS:Y": 0.004}
    state = State(days[-2], carried, {"NAS:A": 0.5}, SMALL.as_dict(), {"entry": 3}, {"entry": 2})
    weights, after = predict(says(A=0.04, B=0.3, C=0.06), data, state, SMALL)
    expected = {"NAS:A": 0.03, "NAS:B": 0.02, "NAS:C": 0.06, "NAS:X": 0.04}
    assert dict(after.weights) == pytest.approx(expected)
    assert dict(after.carried_in) == carried
    assert dict(after.memory) == dict(after.memory_carried_in) == {"entry": 3}
    assert after.date == days[-1]
    assert after.parameters == SMALL.as_dict()
    assert weights.values.tolist() == [[pytest.approx(0.03), 0, pytest.approx(0.06)]]
    assert weights.dims == ("time", "asset")
    assert weights.time.values.astype("M8[D]").tolist() == days[-1:].tolist()
    assert set(weights.coords) == {"time", "asset"}


@pytest.mark.parametrize("changes", [{"min_change": 0.01}, {"rebalance_interval": 2}])
def test_what_cannot_be_traded_is_closed_in_the_state_where_positions_stay_as_they_are(changes):
    strategy = Strategy(top_assets=4, hidden_size=5, **changes)
    data = market({"A": 1, "B": 0})
    day = data.time.values[-2].astype("M8[D]")
    state = State(day, {"NAS:A": 0.05, "NAS:B": 0.05, "NAS:X": 0.05}, {}, strategy.as_dict())
    _, after = predict(says(A=0.05, B=0.05), data, state, strategy)
    assert held(after) == {"A": 0.05}


def test_a_state_from_before_a_parameter_existed_counts_with_its_default():
    known = {name: value for name, value in SMALL.as_dict().items() if name != "blend"}
    state = State(window().time.values[-2].astype("M8[D]"), {"NAS:S000": 0.1}, {}, known)
    _, after = predict({}, window(), state, SMALL)
    assert held(after) == {"S000": 0.05}
    with pytest.raises(StateError, match="blend was 'mean', is 'none'"):
        predict({}, window(), state, Strategy(top_assets=4, hidden_size=5, blend="none"))


def test_the_warning_of_missed_days_names_both_days():
    days = window().time.values.astype("M8[D]")
    state = State(days[-4], {"NAS:S000": 0.1}, {}, SMALL.as_dict())
    with pytest.warns(
        StateWarning, match=f"is of {days[-4]}: 2 trading days lie between it and {days[-1]}. Its positions"
    ):
        predict({}, window(), state, SMALL)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"A": 1, "C": 1, "D": 1}),
        ({"whole_sequence": True}, {"A": 4, "C": 3, "D": 6}),  # of the days that are known
        ({"window": 2}, {"A": 2, "D": 2}),
        ({"window": 6}, {"D": 6}),
        ({"scope": "pooled"}, {"A": 1, "C": 1, "D": 1}),
        ({"scope": "pooled", "whole_sequence": True}, {"A": 6, "C": 6, "D": 6}),
    ],
    ids=str,
)
def test_a_model_sees_the_days_that_its_strategy_says(options, expected):
    """B has no value on the last day, C none on the day before, and A begins late."""

    def gappy(data, strategy):
        values = data.sel(field="close").copy()
        values[:2, 0] = values[-1, 1] = values[[1, 3, 4], 2] = np.nan
        return values

    data = market(dict.fromkeys("ABCD", 1), days=6)
    models = {asset: Rule(lambda x: np.full(x.shape[:2], x.shape[1])) for asset in data.asset.values.tolist()}
    strategy = Strategy(features=[gappy], **options)
    found = prediction.last_outputs(models, data, strategy)
    assert found == {f"NAS:{asset}": days for asset, days in expected.items()}
    assert prediction.last_outputs({}, data, strategy) == {}


@pytest.mark.parametrize("scope", ["asset", "pooled"])
def test_the_assets_to_predict_by_hand(scope):
    data = market(dict.fromkeys("ABCD", 1), days=6)
    names = data.asset.values.tolist()
    models = says(D=0.5, Z=0.5, B=0.5)
    strategy = Strategy(
        selection=lambda data, strategy: np.array([True, False, False, True]),
        scope=scope,
        window=1,
        model=Constant,
    )
    assert prediction._predicted(models, data, strategy) == [names[3], names[1]]
    daily = Strategy(
        selection=strategy.selection, scope=scope, window=1, model=Constant, select_each_day=True
    )
    assert prediction._predicted(models, data, daily) == (
        [names[0], names[3]] if scope == "pooled" else [names[3]]
    )
    assert prediction._predicted({}, data, daily) == []


class Sums(torch.nn.Module):
    """A module that adds up what it has seen."""

    def forward(self, x):
        return x[..., 0].cumsum(dim=1)


class Adds:
    """An estimator that adds up its row."""

    def fit(self, x, y):
        pass

    def predict(self, x):
        return x.sum(axis=1)


def sums(x):
    return np.nancumsum(x[..., 0], axis=1)


X = np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4, 1)
KNOWN = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [0, 1, 1, 1]], bool)


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        (Rule(sums), {}, [[1, 3, None, 7], None, [None, 10, 21, 33]]),
        (Sums(), {}, [[1, 3, None, 7], None, [None, 10, 21, 33]]),
        (Constant(), {}, [[0.5, 0.5, None, 0.5], None, [None, 0.5, 0.5, 0.5]]),
        (Adds(), {}, [[1, 2, None, 4], None, [None, 10, 11, 12]]),
        (Rule(sums), {"window": 2}, [[None, 3, None, None], None, [None, None, 21, 23]]),
        (Sums(), {"window": 2}, [[None, 3, None, None], None, [None, None, 21, 23]]),
        (Adds(), {"window": 2}, [[None, 3, None, None], None, [None, None, 21, 23]]),
        (Rule(sums), {"scope": "pooled"}, [[1, 3, None, 7], [5, 11, 18, 26], [None, 10, 21, 33]]),
        (Sums(), {"scope": "pooled"}, [[1, 3, None, 7], [5, 11, 18, 26], [None, 10, 21, 33]]),
        (Adds(), {"scope": "pooled"}, [[1, 2, None, 4], [5, 6, 7, 8], [None, 10, 11, 12]]),
        (
            Adds(),
            {"scope": "pooled", "window": 2},
            [[None, 3, None, None], [None, 11, 13, 15], [None, None, 21, 23]],
        ),
        (
            Rule(sums),
            {"scope": "pooled", "window": 2},
            [[None, 3, None, None], [None, 11, 13, 15], [None, None, 21, 23]],
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict | list) else str(value)[:40],
)
def test_outputs_of_every_kind_of_model_by_hand(model, options, expected):
    """B has no model of its own; a model without a window sees the known days as one sequence."""
    strategy = Strategy(model=Sums, **options)
    values, there = prediction.panel_outputs({"A": model, "C": model}, list("ABC"), X, KNOWN, strategy)
    expected = np.array([[None] * 4 if row is None else row for row in expected], float)
    assert np.array_equal(there, np.isfinite(expected))
    assert np.array_equal(values[there], expected[there])
    if not options:
        assert np.isnan(values[~there]).all()
    nothing = prediction.panel_outputs({"A": model, "C": model}, list("ABC"), X, KNOWN & False, strategy)
    assert not nothing[1].any()


def test_a_rule_of_one_asset_sees_no_other():
    seen = []

    def noted(x):
        seen.append(x[:, -1, 0].tolist())
        return x[..., 0]

    models = {"A": Rule(noted), "C": Rule(noted)}
    prediction.panel_outputs(models, list("ABC"), X, KNOWN | True, Strategy(model=Sums, window=4))
    assert seen == [[4], [12]]


def test_models_of_several_kinds_are_each_asked_in_their_way():
    models = {"A": Rule(sums), "B": Constant(), "C": Sums()}
    found = prediction.model_outputs(models, {asset: X[k] for k, asset in enumerate("ABC")})
    assert {asset: row.tolist() for asset, row in found.items()} == {
        "A": [1, 3, 6, 10],
        "B": [0.5] * 4,
        "C": [9, 19, 30, 42],
    }
    assert list(prediction.model_outputs(models, {"B": X[1]})) == ["B"]


@pytest.mark.parametrize(
    ("model", "kind"), [(Rule(sums), "rule"), (Constant(), "rule"), (Adds(), "estimator"), (Sums(), "torch")]
)
def test_the_kind_of_models_of_ones_own_is_that_of_the_first(model, kind):
    assert prediction._kind({"A": model}, SMALL) == kind
    assert prediction._kind({}, SMALL) == "torch"


@pytest.mark.parametrize(
    ("loss", "kind", "turned"), [("bce", "torch", True), ("mse", "torch", False), ("bce", "rule", False)]
)
def test_a_logit_of_any_size_becomes_a_probability(loss, kind, turned):
    logits = np.array([-1e4, -np.log(3), 0, np.log(3), 1e4])
    found = prediction._as_probabilities(logits, kind, Strategy(loss=loss))
    assert found == pytest.approx([0, 0.25, 0.5, 0.75, 1] if turned else logits)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.05, 0.0, 0.025, 0.06]),
        ({"blend": "none"}, [0.06, 0.0, 0.0, 0.06]),
        ({"sizing": "signed"}, [0.05, -0.08, 0.025, 0.06]),
        ({"min_weight": 0.03}, [0.05, 0.0, 0.0, 0.06]),
        ({"max_weight": 0.04}, [0.04, 0.0, 0.025, 0.04]),
        ({"min_change": 0.02}, [0.04, 0.0, 0.05, 0.06]),
    ],
    ids=str,
)
def test_positions_follow_their_options(options, expected):
    new, old = np.array([0.06, -0.08, 1e-9, 0.06]), np.array([0.04, 0.0, 0.05, 0.0])
    if options.get("min_change"):
        new[2] = 0.02  # still wanted
    found = prediction._positions(new, old, Strategy(**options))
    assert found == pytest.approx(expected, abs=1e-8)
