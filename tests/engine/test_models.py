import copy
import pickle

import numpy as np
import pytest
import torch

from lib import Strategy
from lib.engine.models import ModelsWarning, TrainedModels
from lib.engine.training import train_model
from tests.trained import SMALL, daily, outputs, use_torch, window


def test_a_model_is_a_module_when_asked_for_one():
    models = train_model(window(40), SMALL)
    before = outputs(models, window(40), SMALL)
    assert not models._modules  # a prediction makes none
    modules = {asset: models[asset] for asset in models}
    assert all(isinstance(module, torch.nn.Module) for module in modules.values())
    assert np.abs(outputs(modules, window(40), SMALL) - before).max() < 1e-6


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
    assert carried.strategy.features[0](window(40), lost).equals(daily(window(40), lost))
    kept = Strategy(top_assets=3, hidden_size=5, features=[daily])
    assert pickle.loads(pickle.dumps(train_model(window(40), kept))).strategy == kept


def test_a_mapping_of_modules_of_your_own_can_be_asked():
    models = train_model(window(40), SMALL)
    plain = {asset: models[asset] for asset in models}
    assert not isinstance(plain, TrainedModels)
    assert np.allclose(outputs(plain, window(40), SMALL), outputs(models, window(40), SMALL), atol=1e-6)


@pytest.mark.parametrize("stored", [False, True])
def test_reading_a_model_changes_no_prediction_but_changing_it_does(stored):
    models = train_model(window(40), SMALL)
    before = outputs(models, window(40), SMALL)
    modules = dict(models)
    if stored:
        models = pickle.loads(pickle.dumps(models))
    assert outputs(models, window(40), SMALL).tobytes() == before.tobytes()
    first = next(iter(modules))
    with torch.no_grad():
        models[first].linear.bias += 0.5
    if stored:
        models = pickle.loads(pickle.dumps(models))
    found = outputs(models, window(40), SMALL)
    assert np.allclose(found[0], before[0] + 0.5, atol=1e-5)
    assert np.array_equal(found[1:], before[1:])


class Locked(torch.nn.Module):
    """A model with an attribute that no pickle holds."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.linear = torch.nn.Linear(n_features, 1)
        self.file = open(__file__, "rb")  # noqa: SIM115

    def forward(self, x):
        return self.linear(x).squeeze(-1)

    def __deepcopy__(self, memo):
        return self


def test_models_that_cannot_be_stored_do_not_end_a_backtest_and_say_so_when_used():
    models = TrainedModels(SMALL, ("a", "b"))
    models.add("A", Locked(1, SMALL), None)
    with pytest.warns(ModelsWarning, match=r"The trained models cannot be stored: .*BufferedReader"):
        stored = pickle.dumps(models)
    lost = pickle.loads(pickle.dumps(pickle.loads(stored)))
    for use in (len, list, lambda models: models["A"], lambda models: SMALL.predict(models, window(), None)):
        with pytest.raises(TypeError, match=r"There are no models: the trained .* Train them again"):
            use(lost)
    models["A"].file.close()


def test_models_of_several_features_are_modules_after_pickling_too():
    strategy = Strategy(top_assets=3, hidden_size=5, features=["trend", daily])
    models = train_model(window(40), strategy)
    expected = outputs(models, window(40), strategy)
    carried = pickle.loads(pickle.dumps(models))
    modules = dict(carried)
    assert np.allclose(outputs(modules, window(40), strategy), expected, atol=1e-6)
    assert outputs(carried, window(40), strategy).tobytes() == expected.tobytes()
