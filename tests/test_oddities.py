"""Each oddity of the published strategy has an option, which changes nothing by default."""

import numpy as np
import pytest

from lib.compare.variants import ODDITIES
from lib.engine.inputs import get_target_classes, model_inputs, select_assets
from lib.engine.prediction import model_outputs, predict
from lib.engine.training import train_model
from lib.indicators import lwma, roc
from lib.strategy import Strategy
from tests.labelled import get_features
from tests.vectors import vector

SMALL = {"hidden_size": 4, "top_assets": 4}
PUBLISHED = Strategy(**SMALL)


@pytest.fixture(scope="module")
def data():
    return vector("loaded").isel(time=slice(-71, None))


@pytest.fixture(scope="module")
def models(data):
    return train_model(data, PUBLISHED)


def test_all_are_off_by_default():
    plain = Strategy().as_dict()
    assert ODDITIES[0] == {}
    assert all(plain[name] not in (value, True) for one in ODDITIES for name, value in one.items())
    for one in ODDITIES[1:]:
        off = {name: "next_open_up" if name == "target" else False for name in one}
        assert Strategy(**off) == Strategy()


def test_each_alone_and_all_together_are_compared():
    *alone, together = ODDITIES[1:]
    assert [len(one) for one in alone] == [1, 1, 1, 1]
    assert together == {name: value for one in alone for name, value in one.items()}
    assert {*together} == {"leave_out_unknown", "whole_sequence", "log_price", "target"}


def parts(data, strategy):
    """The examples of a training, with NaN as a number, so that they can be compared."""
    return {
        "assets": select_assets(data, strategy),
        "features": get_features(data, strategy).values.tolist(),
        "target": np.nan_to_num(get_target_classes(data, strategy).values, nan=-1.0).tolist(),
    }


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        ({"leave_out_unknown": True}, {"target"}),
        ({"whole_sequence": True}, set()),
        ({"log_price": True}, {"features"}),
        ({"target": "tradable_open_up"}, {"target"}),
        ({"hidden_size": 5}, set()),
        ({"top_assets": 3, "lwma_period": 5}, {"assets", "features"}),  # the check itself sees changes
    ],
)
def test_an_option_changes_its_own_part_of_the_training_data(option, changed, data):
    before, after = parts(data, PUBLISHED), parts(data, Strategy(**{**SMALL, **option}))
    assert {name for name in before if before[name] != after[name]} == changed


def test_leave_out_unknown_trains_without_the_last_day_only(data, models):
    published = get_target_classes(data, PUBLISHED)
    left = get_target_classes(data, Strategy(**SMALL, leave_out_unknown=True))
    traded = np.isfinite(data.sel(field="open").values).all(axis=0)
    assert np.isnan(left.values[-1]).all()
    assert (published.values[-1] == 0).all()
    np.testing.assert_array_equal(left.values[:-1, traded], published.values[:-1, traded])
    trained = train_model(data, Strategy(**SMALL, leave_out_unknown=True))
    assert list(trained) == list(models)
    for asset in models:
        assert trained.fits[asset].days == models.fits[asset].days - 1 == data.sizes["time"] - 1


def test_the_tradable_target_is_the_published_one_a_day_on(data):
    unknown = {"leave_out_unknown": True}
    published = get_target_classes(data, Strategy(**unknown)).values
    tradable = get_target_classes(data, Strategy(**unknown, target="tradable_open_up")).values
    traded = np.isfinite(data.sel(field="open").values).all(axis=0)
    np.testing.assert_array_equal(tradable[:-1, traded], published[1:, traded])
    assert np.isnan(tradable[-2:]).all()


def test_log_price_takes_the_logarithm_before_the_average(data):
    whole = data.isel(asset=np.flatnonzero(np.isfinite(data.sel(field="close").values).all(axis=0)))
    close = whole.sel(field="close").values
    logged = get_features(whole, Strategy(log_price=True)).values[0]
    expected = roc(lwma(np.log(close), 10), 1)
    known = np.isfinite(expected)
    assert known.any()
    np.testing.assert_array_equal(logged[known], expected[known])


def test_whole_sequence_changes_the_prediction_and_not_the_training(data, models):
    strategy = Strategy(**SMALL, whole_sequence=True)
    trained = train_model(data, strategy)
    assert trained.fits == models.fits
    x, _ = model_inputs(data, PUBLISHED)
    asset = next(iter(models))
    k = data.get_index("asset").get_loc(asset)
    last_day = float(model_outputs(models, {asset: x[k, -1:]})[asset][-1])
    whole = float(model_outputs(models, {asset: x[k]})[asset][-1])
    assert abs(whole - last_day) > 1e-6
    open_limits = {**SMALL, "max_weight": 1.0}  # so that no weight is cut
    for answer, option in ((last_day, False), (whole, True)):
        weights, _ = predict(models, data, None, Strategy(**open_limits, whole_sequence=option))
        total = sum(float(model_outputs(models, {a: _seen(x, data, a, option)})[a][-1]) for a in models)
        assert float(weights.sel(asset=asset)[0]) == pytest.approx(answer / max(total, 1.0), abs=1e-6)


def _seen(x, data, asset, whole):
    k = data.get_index("asset").get_loc(asset)
    return x[k] if whole else x[k, -1:]
