import numpy as np

from lib import Strategy
from lib.engine.training import train_model
from tests.trained import window


def test_many_assets_go_in_several_rounds(monkeypatch):
    models = train_model(window(40), Strategy(top_assets=9, hidden_size=5))
    monkeypatch.setattr("lib.engine.fast_training.TOGETHER", 2)
    others = train_model(window(40), Strategy(top_assets=9, hidden_size=5))
    assert list(models) == list(others)
    assert len(models) >= 8
    for asset in models:
        assert np.array_equal(models.row(asset), others.row(asset))
