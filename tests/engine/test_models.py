import copy
import pickle

import numpy as np
import pytest
import torch

from lib import Strategy
from lib.engine import lstm
from lib.engine.learners import Constant
from lib.engine.models import Fit, ModelsWarning, TrainedModels, _load_models
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


def models_of(strategy=SMALL, **made):
    models = TrainedModels(strategy, ("a", "b"), 2.0)
    for asset, model in made.items():
        models.add(asset, model, asset.lower())
    return models


def row(seed):
    return np.random.default_rng(seed).normal(0, 0.5, lstm.number_of_parameters(1, 5)).astype("f4")


def test_features_are_scaled_as_in_training():
    x = np.arange(12, dtype=float).reshape(3, 2, 2)
    models = models_of()
    assert models.scaled("ABC", x) is x
    models.scales = {"A": (np.array([1.0, 2.0]), np.array([2.0, 4.0])), "C": (np.zeros(2), np.full(2, 0.5))}
    found = models.scaled("ABC", x)
    assert found.tolist() == [[[-0.5, -0.25], [0.5, 0.25]], x[1].tolist(), (x[2] * 2).tolist()]
    assert models.scaled("CA", x[:2])[1].tolist() == [[1.5, 0.75], [2.5, 1.25]]
    models.scales, models.shared_scale = {}, (np.full(2, 2.0), np.full(2, 4.0))
    assert np.array_equal(models.scaled("ABC", x), (x - 2) / 4)
    assert x[0, 0, 0] == 0


def test_models_in_the_fast_form_are_computed_together_and_others_left_to_torch():
    module = torch.nn.Linear(1, 1)
    models = models_of(A=row(1), B=Constant(), C=module, D=row(2), E=row(3))
    x = np.random.default_rng(4).normal(size=(5, 6, 1)).astype("f4")
    inputs = {asset: x[k, : 4 if asset == "D" else 6] for k, asset in enumerate("ABCDE")}
    found = models.fast_outputs(inputs)
    assert set(found) == set("ABDE")
    assert found["B"].tolist() == [0.5] * 6
    for seed, asset in ((1, "A"), (2, "D"), (3, "E")):
        assert np.array_equal(found[asset], lstm.outputs(row(seed)[None], inputs[asset][None], 5)[0])
    assert set(models.fast_outputs({"E": x[0]})) == {"E"}
    assert models.row("B") is models.row("C") is None
    assert models.own_form("C") is module
    assert isinstance(models.own_form("A"), np.ndarray)


def test_a_module_is_made_once_and_takes_the_place_of_its_parameters_once_it_is_changed():
    models = models_of(A=row(1), B=row(2))
    module = models["A"]
    assert models["A"] is module
    assert not module.training
    assert np.array_equal(models.row("A"), row(1))
    with torch.no_grad():
        next(module.parameters()).add_(1.0)
    assert models.row("A") is None
    assert models.own_form("A") is models["A"] is module
    assert models._modules == {}
    assert np.array_equal(models.row("B"), row(2))
    assert [list(models), len(models), "B" in models, "C" in models] == [["A", "B"], 2, True, False]
    assert models.fits == {"A": "a", "B": "b"}


def test_one_model_of_all_assets_is_shared_by_a_pooled_strategy_alone():
    pooled = Strategy(scope="pooled", top_assets=3)
    assert models_of(pooled, A=1, B=2).shared == 1
    assert models_of(pooled).shared is None
    assert models_of(SMALL, A=1, B=2).shared is None


def test_models_stored_before_features_were_scaled_can_be_read():
    models = models_of(A=row(1))
    older = {
        name: value
        for name, value in vars(models).items()
        if name not in ("_modules", "scales", "shared_scale")
    }
    read = _load_models(pickle.dumps(older))
    assert (read._modules, read.scales, read.shared_scale) == ({}, {}, None)
    assert np.array_equal(read.row("A"), row(1))
    scaled = models_of(A=row(1))
    scaled.scales, scaled.shared_scale, scaled.dropped = {"A": (1.0, 2.0)}, (3.0, 4.0), {"B": "no day"}
    read = pickle.loads(pickle.dumps(scaled))
    assert (read.scales, read.shared_scale, read.dropped) == (
        scaled.scales,
        scaled.shared_scale,
        scaled.dropped,
    )
    assert (read.window, read.seconds, read.fits) == (("a", "b"), 2.0, {"A": "a"})


def test_modules_that_were_only_read_are_not_stored():
    models = models_of(A=row(1))
    before = pickle.dumps(models)
    assert models["A"] is not None
    assert pickle.dumps(models) == before
    assert list(models._modules) == ["A"]


class Unstorable:
    def __reduce__(self):
        raise ValueError("\nno file holds " + "x" * 200 + "\nmore")


def test_the_cause_of_models_that_cannot_be_stored_is_one_line():
    cause = ("no file holds " + "x" * 200)[:100]
    with pytest.warns(ModelsWarning) as found:
        stored = pickle.dumps(models_of(A=Unstorable()))
    assert (
        str(found[0].message)
        == f"The trained models cannot be stored: {cause}. The weights are not affected."
    )
    with pytest.raises(TypeError) as error:
        pickle.loads(stored)["A"]
    assert (
        str(error.value)
        == f"There are no models: the trained models cannot be stored: {cause}. Train them again."
    )


def test_a_fit_has_no_losses_in_validation_by_default():
    assert Fit((1.0,), 0.5, 0.6, 0.7, 8).validation_losses == ()
