"""The pass of a strategy with its own methods, made of its training and its prediction."""

from itertools import count
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest

from lib import Strategy
from lib.contest import passes
from lib.contest.passes import predict_trained
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
