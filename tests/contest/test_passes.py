"""The pass of a strategy with its own methods, made of its training and its prediction."""

from itertools import count
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
import xarray as xr

from lib import Strategy
from lib.contest import passes
from lib.contest.all_days import pass_identity
from lib.contest.passes import predict_trained
from lib.state import State
from tests.contest.strategies import TINY
from tests.markets import random_market

MARKET = random_market(11, days=60, assets=12)


def test_a_prediction_completes_the_pass_of_its_training():
    """Seconds add up, the longest load counts, and weights are scaled as in a file, short ones too."""

    def predict(models, data, state):
        row = (data.sel(field="is_liquid") > 0).isel(time=[-1]).astype(float)
        return row * np.where(np.arange(row.sizes["asset"]) % 2, -1.0, 1.0), state

    strategy = Strategy(**TINY).with_functions(predict=predict)
    trained = [("2024-12-30", cloudpickle.dumps(None), 500.0, 77)]
    ((entry, _),) = predict_trained(strategy, MARKET, trained, None)
    assert 500 < entry.seconds < 600
    assert entry.widest == 77
    weights = np.array(list(entry.weights.values()))
    assert np.abs(weights).sum() == pytest.approx(1.0)
    assert (weights < 0).any()
    assert (weights > 0).any()


def test_days_trained_together_share_the_seconds(monkeypatch):
    clock = SimpleNamespace(perf_counter=count(step=12.0).__next__)
    monkeypatch.setattr(passes, "time", clock)
    strategy, days = Strategy(**TINY, model="constant"), MARKET.time.values[-3:].astype("M8[D]")
    assert [entry.seconds for entry in passes._outputs(strategy, MARKET, list(days))] == [4.0] * 3


def test_functions_that_load_data_see_no_later_day(use_market):
    use_market(MARKET)
    seen = []

    def loads(data, strategy):
        seen.append(strategy.load_data(30).time.values[-1])
        return data.sel(field="close")

    strategy, days = Strategy(**TINY | {"features": [loads]}), MARKET.time.values[-3:]
    found = passes._outputs(strategy, MARKET, list(days.astype("M8[D]")))
    assert seen == [*days, *days]
    assert [entry.widest for entry in found] == [30] * 3
    none = passes._outputs(Strategy(**TINY, model="constant"), MARKET, list(days.astype("M8[D]")))
    assert [entry.widest for entry in none] == [0] * 3


def printing(data, strategy):
    """A feature that prints."""
    print("a line of the user's")
    return data.sel(field="close")


@pytest.mark.parametrize("compute", [passes.compute_outputs, passes.train_days])
def test_a_worker_is_silent_and_has_the_code_of_its_caller(compute, capsys):
    strategy, days = Strategy(**TINY | {"features": [printing]}), [np.datetime64("2024-12-30")]
    identity = pass_identity(strategy)
    assert len(compute(strategy, MARKET, days, identity, {})) == 1
    assert capsys.readouterr() == ("", "")
    other = identity._replace(content=identity.content | {"code": "another"})
    with pytest.raises(ValueError, match="another version of the code"):
        compute(strategy, MARKET, days, other, {})


@pytest.mark.parametrize(("has_model", "rest"), [(True, 0.0), (False, 0.25), (None, 0.25)])
def test_an_asset_with_a_model_but_without_data_is_sold(has_model, rest):
    """Its position is closed, as published. Without a model, a position halves each day."""
    market = MARKET.copy(deep=True)
    asset = str(market.asset.values[0])
    days = market.time.values[-3:]
    market.loc[{"field": "is_liquid", "time": days, "asset": asset}] = [1.0, np.nan, 1.0]
    models = {True: [asset], False: [], None: None}[has_model]
    entries = [passes.Pass(str(day)[:10], {}, models, {}, 0.1) for day in days]
    entries[0] = entries[0]._replace(outputs={asset: 1.0})
    strategy = Strategy(**TINY, max_weight=1.0, min_weight=0.0)
    weights = passes.follow(strategy, market, entries).sel(asset=asset).values
    assert weights.tolist() == [1.0, 0.0, rest]


def day_of(values, day="2024-12-30", time=True):
    """Return weights of the first assets of the market."""
    assets = MARKET.asset.values[: len(values)]
    row = xr.DataArray(np.array([values]), {"time": [np.datetime64(day, "ns")], "asset": assets})
    return row if time else row.isel(time=0)


@pytest.mark.parametrize("time", [True, False])
def test_weights_are_kept_as_they_are_written_to_a_file(time):
    """Finite, without zeros, and scaled down to a sum of 1 where it is more."""
    names = MARKET.asset.values.tolist()

    def row(*values):
        return passes._row(day_of(values, time=time), np.datetime64("2024-12-30"), MARKET)

    assert row(np.nan, np.inf, -np.inf, 0.0, 0.25, -0.5) == {names[4]: 0.25, names[5]: -0.5}
    assert row(1.0, -0.25) == {names[0]: 0.8, names[1]: -0.2}
    with pytest.raises(
        ValueError, match="weights of 2024-12-29 for 2024-12-30: return those of the last day"
    ):
        passes._row(day_of([0.5], "2024-12-29"), np.datetime64("2024-12-30"), MARKET)
    unknown = day_of([0.1, 0.0, 0.1]).assign_coords(asset=["Z", "A", "B"])
    with pytest.raises(ValueError, match="weights of B, which is not in the competition's data"):
        passes._row(unknown, np.datetime64("2024-12-30"), MARKET)


class Wide(Strategy):
    """A strategy whose methods load longer periods than its windows."""

    def train_model(self, data):
        self.load_data(30)
        self.load_data(25)
        models = super().train_model(data)
        models.dropped["NAS:X"] = "too few days"
        return models

    def predict(self, models, data, state):
        self.load_data(self.top_assets)
        return super().predict(models, data, state)


@pytest.mark.parametrize(("size", "widest"), [(3, 30), (45, 45)])
def test_a_pass_of_ones_own_methods_has_models_and_the_longest_load(size, widest, use_market):
    use_market(MARKET)
    strategy = Wide(**{**TINY, "top_assets": size}, model="constant")
    day = np.datetime64("2024-12-30")
    (trained,) = passes.train_days(strategy, MARKET, [day], pass_identity(strategy), {})
    assert (trained[0], trained[3]) == ("2024-12-30", 30)
    assert trained[2] >= 0
    ((entry, state),) = predict_trained(strategy, MARKET, [trained], None)
    models = cloudpickle.loads(trained[1])
    assert (entry.day, entry.models, entry.dropped) == ("2024-12-30", list(models), models.dropped)
    assert "NAS:X" in entry.dropped
    assert entry.widest == widest
    assert entry.weights
    assert set(entry.weights) <= set(entry.models)
    assert isinstance(state, State)


def test_a_training_that_loads_nothing_has_no_widest_period():
    strategy = Strategy(**TINY).with_functions(train_model=lambda data: {"mean": 1.0})
    (trained,) = passes.train_days(
        strategy, MARKET, [np.datetime64("2024-12-30")], pass_identity(strategy), {}
    )
    assert (cloudpickle.loads(trained[1]), trained[3]) == ({"mean": 1.0}, 0)
    nothing = strategy.with_functions(predict=lambda models, data, state: (data.isel(field=0) * 0, state))
    ((entry, _),) = predict_trained(nothing, MARKET, [trained], None)
    assert (entry.widest, entry.weights) == (0, {})


def test_the_days_of_a_worker_are_trained_in_lots(monkeypatch):
    strategy, days = Strategy(**TINY, model="constant"), list(MARKET.time.values[-5:].astype("M8[D]"))
    identity, lots, outputs = pass_identity(strategy), [], passes._outputs

    def counted(*given):
        lots.append(len(given[2]))
        return outputs(*given)

    monkeypatch.setattr(passes, "_outputs", counted)
    monkeypatch.setattr(passes, "DAYS_TOGETHER", 2)
    found = passes.compute_outputs(strategy, MARKET, iter(days), identity, {})
    assert [entry["day"] for entry in found] == [str(day) for day in days]
    assert lots == [2, 2, 1]
    assert passes.follow(strategy, MARKET, [passes.Pass(**entry) for entry in found]).sizes["time"] == 5
