import datetime
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import Strategy
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
