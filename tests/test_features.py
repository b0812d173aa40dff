import functools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import Strategy
from lib.common.registry import whole_universe
from lib.engine.inputs import feature_values, get_target_classes, set_of_assets
from tests import reference
from tests.labelled import get_features
from tests.switches import LONG
from tests.vectors import vector


def window(days=71):
    return vector("loaded").isel(time=slice(-days, None)).sel(asset=vector("train_features").asset.values)


def test_the_vectors():
    assert np.abs(get_features(window(), Strategy()) - vector("train_features")).max() < 1e-10
    assert (get_target_classes(window(), Strategy()) == vector("train_target")).all()


def test_the_layout():
    assert get_features(window(), Strategy()).dims == ("feature", "time", "asset")
    assert get_target_classes(window(), Strategy()).dims == ("time", "asset")


@settings(max_examples=60 if LONG else 15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), days=st.integers(1, 60), holes=st.floats(0, 1))
def test_they_are_the_published_ones_on_markets_full_of_holes(seed, days, holes):
    random = np.random.default_rng(seed)
    data = vector("loaded").isel(time=slice(-days, None), asset=slice(5)).copy(deep=True)
    data.values[:, random.random(data.shape[1:]) < holes] = np.nan
    assert np.allclose(
        get_features(data, Strategy()), reference.get_features(data), rtol=0, atol=1e-10, equal_nan=True
    )
    assert (get_target_classes(data, Strategy()) == reference.get_target_classes(data)).all()


def test_an_unknown_future_is_left_out_on_request():
    data, left_out = window(), Strategy(leave_out_unknown=True)
    known, published = get_target_classes(data, left_out), get_target_classes(data, Strategy())
    assert known[-1].isnull().all()
    assert (published[-1] == 0).all()
    assert (known == published).sum() == known.notnull().sum() == data.sel(field="open")[:-1].notnull().sum()


def test_the_tradable_target_is_the_published_one_a_day_later():
    both = [
        get_target_classes(window(), Strategy(target=t)).values for t in ("tradable_open_up", "next_open_up")
    ]
    assert np.array_equal(both[0][:-1], both[1][1:])
    assert (both[0][-1] == 0).all()


def test_the_logarithm_of_the_price():
    data, logarithm = window(), window()
    logarithm.loc[dict(field="close")] = np.log(logarithm.sel(field="close"))
    assert np.allclose(
        get_features(data, Strategy(log_price=True)), get_features(logarithm, Strategy()), atol=1e-12
    )


def ratio(data, strategy):
    return data.sel(field="close") / data.sel(field="open")


def test_features_of_your_own_stand_beside_the_published():
    features = get_features(window(), Strategy(features=["trend", ratio]))
    assert features.feature.values.tolist() == ["trend", "ratio"]
    assert np.array_equal(features[1], ratio(window(), None), equal_nan=True)


def test_a_feature_may_answer_in_another_order_of_dims():
    turned = Strategy(features=[lambda data, strategy: ratio(data, strategy).transpose("asset", "time")])
    assert np.array_equal(get_features(window(), turned)[0], ratio(window(), None), equal_nan=True)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda data, strategy: data, "must return an array with dims time and asset, not"),
        (lambda data, strategy: 3.0, "must return an array with dims time and asset, not float"),
        (lambda data, strategy: ratio(data, strategy)[1:], "returns other days or assets"),
        (lambda data, strategy: ratio(data, strategy)[:, ::-1], "returns other days or assets"),
        (lambda data, strategy: np.ones((3, 4)), r"returns an array \(3, 4\) for \(71, 12\) days and assets"),
    ],
)
def test_a_feature_that_answers_something_else_is_refused(answer, sentence):
    with pytest.raises(ValueError, match=f"feature <lambda> {sentence}"):
        get_features(window(), Strategy(features=[answer]))
    with pytest.raises(ValueError, match=f"target <lambda> {sentence}"):
        get_target_classes(window(), Strategy(target=answer))


def test_data_stay_as_they_are():
    data = window()
    before = data.copy(deep=True)
    get_features(data, Strategy()), get_target_classes(data, Strategy())
    xr.testing.assert_identical(data, before)


def test_an_open_that_stays_is_no_rise():
    flat = window()
    flat.loc[dict(field="open")] = 5.0
    for name in ("next_open_up", "tradable_open_up"):
        known = get_target_classes(flat, Strategy(target=name, leave_out_unknown=True))
        assert (known.dropna("time") == 0).all()
        assert known.notnull().any()


class Ratio:
    def __init__(self, power):
        self.power = power

    def __call__(self, data, strategy):
        return ratio(data, strategy) ** self.power


def power(data, strategy, power=1):
    return ratio(data, strategy) ** power


def test_partial_functions_and_objects_are_features_targets_and_selections():
    features = [functools.partial(power, power=2), Ratio(2), "trend"]
    strategy = Strategy(features=features, target=Ratio(50), hidden_size=3, top_assets=2)
    named = get_features(window(), strategy)
    assert named.feature.values.tolist() == ["power(power=2)", "Ratio", "trend"]
    assert np.array_equal(named[0], ratio(window(), None) ** 2, equal_nan=True)
    assert np.array_equal(named[0], named[1], equal_nan=True)
    assert len(strategy.train_model(window())) == 2
    assert strategy.as_dict()["features"] == [f"{__name__}.power(power=2)", f"{__name__}.Ratio", "trend"]
    with pytest.raises(ValueError, match="feature Ratio must return an array"):
        get_features(window(), Strategy(features=[Broken()]))


class Broken(Ratio):
    __qualname__ = __name__ = "Ratio"

    def __init__(self):
        self.power = 1

    def __call__(self, data, strategy):
        return 3.0


READY = ["momentum", "volatility", "rsi", "atr_percent", "ema_ratio", "volume_ratio", "gap", "market", "rank"]


@pytest.mark.parametrize("name", READY)
def test_a_ready_feature_is_finite_of_order_one_and_knows_no_later_day(name):
    data, strategy = vector("loaded").isel(time=slice(-150, None)), Strategy(features=[name])
    values = get_features(data, strategy)[0]
    traded = (data.sel(field="is_liquid") > 0).transpose("time", "asset").values
    known = values.values[40:][traded[40:]]
    assert np.isfinite(known).mean() > 0.95
    assert 0.1 < np.nanstd(known) < 10
    earlier = get_features(data.isel(time=slice(-20)), strategy)[0]
    assert np.allclose(values[:-20], earlier, rtol=1e-9, atol=1e-12, equal_nan=True)


def test_ready_features_take_parameters_by_name():
    data = window()
    for name in ("momentum", "volatility", "rsi", "atr_percent", "ema_ratio", "volume_ratio"):
        short = get_features(data, Strategy(features=[f"{name}(periods=5)"]))[0]
        assert not np.array_equal(short, get_features(data, Strategy(features=[name]))[0], equal_nan=True)
    with pytest.raises(ValueError, match="did you mean 'periods'"):
        Strategy(features=["rsi(period=5)"])


def test_market_and_rank_are_of_the_whole_universe_in_training_and_prediction_alike():
    """Selected assets get what the whole index gives them; assets that are not liquid change nothing."""
    data, strategy = vector("loaded").isel(time=slice(-107, None)), Strategy(features=["market", "rank"])
    chosen = vector("train_features").asset.values.tolist()
    values = feature_values(data, strategy, chosen)
    of_all = get_features(data, strategy).sel(asset=chosen)
    assert np.array_equal(values, of_all, equal_nan=True)
    alone = get_features(data.sel(asset=chosen), strategy)
    assert not np.allclose(values[0], alone[0], equal_nan=True)
    liquid = data.sel(field="is_liquid")[-1] > 0
    without = feature_values(data.isel(asset=np.flatnonzero(liquid)), strategy, chosen)
    assert np.allclose(values[:, -1], without[:, -1], rtol=1e-12)


def test_a_strategy_of_ready_features_trains_and_predicts():
    strategy = Strategy(features=["trend", *READY], hidden_size=4, top_assets=3)
    models = strategy.train_model(vector("loaded").isel(time=slice(-71, None)))
    weights, state = strategy.predict(models, vector("loaded").isel(time=slice(-107, None)), None)
    assert len(models) == 3
    assert float(weights.sum()) > 0
    assert state.parameters["features"] == ["trend", *READY]


def above_the_mean(data, strategy):
    """A target that depends on which assets it is given."""
    close = data.sel(field="close")
    return (close > close.mean("asset")).astype(float)


@whole_universe
def above_the_mean_of_all(data, strategy):
    return above_the_mean(data, strategy)


@pytest.mark.parametrize(("target", "given"), [(above_the_mean_of_all, "all"), (above_the_mean, "selected")])
def test_a_target_of_the_whole_universe_takes_all_assets(target, given):
    data, chosen = (
        vector("loaded").isel(time=slice(-40, None)),
        vector("train_features").asset.values.tolist(),
    )
    examples = set_of_assets(data, Strategy(target=target), chosen).examples
    seen = data if given == "all" else data.sel(asset=chosen)
    expected = above_the_mean(seen, None).sel(asset=chosen).values.T
    assert np.array_equal([examples[asset][1] for asset in chosen], expected)
    assert (
        not np.array_equal(above_the_mean(data.sel(asset=chosen), None).values.T, expected) or given != "all"
    )
