"""Methods of one's own are checked: their models and state may be anything."""

import numpy as np
import pytest
import qnt.data as qndata
import xarray as xr

from lib.common.market_data import field
from lib.lookahead import check
from lib.strategy import Strategy
from tests.lookahead.corpus import Loads
from tests.lookahead.planted import SMALL, kinds, small, whole_market

MARKET = whole_market(4)


def weights_of(raw, data):
    coords = {"time": data.time[-1:], "asset": data.asset}
    return xr.DataArray(np.asarray(raw, float)[None], coords, ("time", "asset"))


class Slopes:
    """Models of an own kind, which also hold the time of their training."""

    def __init__(self, data, seconds):
        self.slopes = np.nanmean(np.diff(np.log(field(data, "close")), axis=0), axis=0)
        self.seconds = seconds


def own(train_model=None, predict=None, **parameters):
    def train(data):
        return Slopes(data, 0.0)

    def follow(models, data, state):
        return weights_of(np.maximum(models.slopes, 0), data), (state or 0) + 1

    functions = {"train_model": train_model or train, "predict": predict or follow}
    return small(**parameters).with_functions(**functions)


@pytest.mark.usefixtures("in_one_process")
def test_only_the_stages_that_a_strategy_has_are_tried():
    assert check(own(), MARKET, days=1).stages == ("training", "prediction")
    assert check(own(features=["rsi"]), MARKET, days=1).stages[0] == "feature rsi"
    only_predict = small().with_functions(predict=lambda models, data: weights_of(np.ones(6) / 6, data))
    assert "selection" in check(only_predict, MARKET, days=1).stages


def test_models_and_a_state_of_any_kind_are_no_finding():
    report = check(own(), MARKET, days=2)
    assert report.findings == ()
    assert "Not tried: numbers, names and models" in str(report)


@pytest.mark.usefixtures("in_one_process")
def test_the_time_of_a_training_is_no_finding():
    clock = iter(range(1000))
    assert check(own(lambda data: Slopes(data, float(next(clock)))), MARKET, days=1).findings == ()


@pytest.mark.usefixtures("in_one_process")
def test_a_training_by_chance_is_named_where_predictions_show_it():
    def train_model(data):
        models = Slopes(data, 0.0)
        models.slopes = models.slopes + np.random.default_rng().normal(size=models.slopes.shape)
        return models

    assert kinds(check(own(train_model), MARKET, days=1)) == {"training": "random", "prediction": "random"}


def test_a_state_that_outlives_its_chain_is_a_leak():
    seen = []

    def predict(models, data, state):
        seen.append(field(data, "close").max(axis=0))
        return weights_of(seen[0] / seen[0].sum(), data), state

    assert kinds(check(own(predict=predict), MARKET, days=1)) == {"prediction": "memory"}


@pytest.mark.usefixtures("in_one_process")
def test_a_method_that_fails_says_on_which_day():
    def predict(models, data, state):
        raise ZeroDivisionError("never worked")

    with pytest.raises(ZeroDivisionError) as error:
        check(own(predict=predict), MARKET, days=1)
    assert "The prediction fails on 20" in error.value.__notes__[0]


class Unbounded(Strategy):
    """A load_data without the limits of the project's."""

    def load_data(self, period):
        return qndata.stocks.load_ndx_data(tail=period)


@pytest.mark.usefixtures("in_one_process")
def test_an_own_load_data_is_a_stage(use_market):
    use_market(MARKET.copy(deep=True))
    assert check(Unbounded(**SMALL), MARKET, days=1).stages[0] == "load_data"
    assert check(Unbounded(**SMALL), MARKET, days=1).findings == ()

    class Scaled(Loads):
        change = staticmethod(lambda data: data / data.max("time"))

    assert kinds(check(Scaled(**SMALL), MARKET, days=3)) == {"load_data": "future"}
