"""The pass of a strategy with its own methods, made of its training and its prediction."""

import cloudpickle
import numpy as np
import pytest

from lib import Strategy
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
