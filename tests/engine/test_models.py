import copy
import pickle

import numpy as np
import pytest
import torch

from lib import Strategy
from lib.engine.models import TrainedModels
from lib.engine.training import train_model
from tests.trained import SMALL, daily, outputs, use_torch, window


def test_a_model_is_a_module_when_asked_for_one():
    models = train_model(window(40), SMALL)
    before = outputs(models, window(40), SMALL)
    modules = [models[asset] for asset in models]
    assert all(isinstance(module, torch.nn.Module) for module in modules)
    assert models.row(next(iter(models))) is None
    assert np.abs(outputs(models, window(40), SMALL) - before).max() < 1e-6


@pytest.mark.parametrize("in_torch", [False, True])
@pytest.mark.parametrize("carry", [copy.deepcopy, lambda models: pickle.loads(pickle.dumps(models))])
def test_models_pickle(in_torch, carry, monkeypatch):
    if in_torch:
        use_torch(monkeypatch)
    models = train_model(window(40), SMALL)
    carried = carry(models)
    assert np.array_equal(outputs(carried, window(40), SMALL), outputs(models, window(40), SMALL))
    assert (carried.fits, carried.window, carried.seconds) == (models.fits, models.window, models.seconds)


def test_models_of_a_lambda_pickle_too():
    """At the end of a backtest all models are pickled: a day's work must not end in a PicklingError."""
    lost = Strategy(top_assets=3, hidden_size=5, features=[lambda data, strategy: daily(data, strategy)])
    models = train_model(window(40), lost)
    carried = pickle.loads(pickle.dumps(models))
    assert np.array_equal(outputs(carried, window(40), lost), outputs(models, window(40), lost))
    assert carried.strategy == Strategy(top_assets=3, hidden_size=5)
    kept = Strategy(top_assets=3, hidden_size=5, features=[daily])
    assert pickle.loads(pickle.dumps(train_model(window(40), kept))).strategy == kept


def test_a_mapping_of_modules_of_your_own_can_be_asked():
    models = train_model(window(40), SMALL)
    plain = {asset: models[asset] for asset in models}
    assert not isinstance(plain, TrainedModels)
    assert np.array_equal(outputs(plain, window(40), SMALL), outputs(models, window(40), SMALL))
