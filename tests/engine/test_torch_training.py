import functools
import pickle
import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from lib import Strategy
from lib.engine import torch_training
from lib.engine.inputs import training_set_of
from lib.engine.torch_training import new_model, output_of
from lib.engine.training import train_model
from lib.model import LSTM
from tests.vectors import vector


def test_every_asset_starts_from_the_same_weights_and_the_callers_generators_stay():
    def draws():
        return random.random(), np.random.random(), torch.rand(1).item()

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draws()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    first, second = new_model(Strategy()), new_model(Strategy())
    train_model(vector("loaded").isel(time=slice(-30, None)), Strategy(top_assets=1, hidden_size=4))
    assert draws() == expected
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_another_seed_other_weights():
    assert not torch.equal(new_model(Strategy()).linear.weight, new_model(Strategy(seed=1)).linear.weight)


def test_its_input_follows_the_features():
    assert new_model(Strategy(features=["trend", "trend"])).lstm.input_size == 2


def test_a_model_of_your_own():
    class Mean(LSTM):
        def forward(self, x):
            return x.mean(dim=2)

    assert isinstance(new_model(Strategy(model=Mean)), Mean)


class Dropout(torch.nn.Module):
    def __init__(self, n_features, strategy):
        super().__init__()
        self.inner = torch.nn.Linear(n_features, 8)
        self.dropout = torch.nn.Dropout(0.5)
        self.outer = torch.nn.Linear(8, 1)

    def forward(self, x):
        return self.outer(self.dropout(torch.tanh(self.inner(x)))).squeeze(-1)


DROPOUT = Strategy(model=Dropout, top_assets=3)


def data(days=40):
    return vector("loaded").isel(time=slice(-days, None))


def parameters(models):
    return {a: torch.nn.utils.parameters_to_vector(m.parameters()).tolist() for a, m in models.items()}


def test_a_model_with_dropout_trains_alike_every_time_and_leaves_the_generators_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = train_model(data(), DROPOUT)
    assert torch.rand(1) == expected
    torch.manual_seed(4)
    second = train_model(data(), DROPOUT)
    assert parameters(first) == parameters(second)
    assert [fit.losses for fit in first.fits.values()] == [fit.losses for fit in second.fits.values()]
    assert parameters(first) != parameters(train_model(data(), Strategy(model=Dropout, top_assets=3, seed=1)))


def test_an_asset_with_dropout_does_not_know_its_neighbours():
    together = train_model(data(), DROPOUT)
    for asset in together:
        alone = train_model(data().sel(asset=[asset]), DROPOUT)
        assert parameters(alone)[asset] == parameters(together)[asset]


def test_dropout_works_in_training_and_not_in_prediction():
    """The losses of a training are not those of the same training without dropout; answers do not vary."""
    models = train_model(data(), DROPOUT)
    for asset, model in models.items():
        assert not model.training
        losses = models.fits[asset].losses
        assert max(abs(a - b) for a, b in pairwise(losses)) > 1e-3
        model.train()  # even where somebody turned it back
        x = np.ones((5, 1), np.float32)
        assert np.array_equal(output_of(model, x), output_of(model, x))


def test_a_pass_with_dropout_can_be_repeated():
    weights = [DROPOUT.predict(DROPOUT.train_model(data(71)), data(107), None)[0] for _ in range(2)]
    assert np.array_equal(*weights)
    assert float(weights[0].sum()) > 0


class Normalised(torch.nn.Module):
    """A network whose buffers follow the training data."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.inner = torch.nn.Linear(n_features, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.outer = torch.nn.Linear(4, 1)

    def forward(self, x):
        h = self.norm(self.inner(x).transpose(1, 2)).transpose(1, 2)
        return self.outer(torch.tanh(h)).squeeze(-1)


class Counting(Dropout):
    """A network with a buffer that it replaces instead of changing it."""

    def __init__(self, n_features, strategy):
        super().__init__(n_features, strategy)
        self.register_buffer("mean", torch.zeros(n_features), persistent=False)

    def forward(self, x):
        if self.training:
            self.mean = x.detach().mean(dim=(0, 1))
        return super().forward(x - self.mean)


@pytest.mark.parametrize(("model", "buffer"), [(Normalised, "norm.running_mean"), (Counting, "mean")])
def test_a_trained_model_keeps_its_buffers(model, buffer):
    """The stored model's outputs are those that the training reports."""
    strategy = Strategy(model=model, top_assets=2)
    training_set = training_set_of(data(), strategy)
    models = train_model(data(), strategy)
    kept = []
    for asset, trained in pickle.loads(pickle.dumps(models)).items():
        kept.append(trained.get_buffer(buffer).tolist())
        x, y = training_set.examples[asset]
        loss = np.mean((output_of(trained, x) - y) ** 2)
        assert loss == pytest.approx(models.fits[asset].loss_after, rel=1e-6)
    assert kept[0] != kept[1]
    assert np.any(kept)


class Rule(torch.nn.Module):
    """A rule without parameters."""

    def __init__(self, n_features, strategy):
        super().__init__()

    def forward(self, x):
        return (x[..., 0] > 0).float()


class Frozen(Rule):
    def __init__(self, n_features, strategy):
        super().__init__(n_features, strategy)
        self.threshold = torch.nn.Parameter(torch.zeros(1), requires_grad=False)


@pytest.mark.parametrize("model", [Rule, Frozen])
def test_a_rule_without_parameters_takes_no_step(model):
    strategy = Strategy(model=model, top_assets=3)
    models = train_model(data(), strategy)
    for asset, (x, y) in training_set_of(data(), strategy).examples.items():
        fit = models.fits[asset]
        assert fit.losses == ()
        assert fit.loss_after == pytest.approx(np.mean(((x[:, 0] > 0) - y) ** 2))
    weights, _ = strategy.predict(models, data(71), None)
    assert len(pickle.loads(pickle.dumps(models))) == 3
    assert float(weights.sum()) > 0


class Windowed(torch.nn.Module):
    """A convolution over three days; without padding in front it cannot see one day alone."""

    def __init__(self, n_features, strategy, pad=True):
        super().__init__()
        self.pad = pad
        self.convolution = torch.nn.Conv1d(n_features, 1, 3)

    def forward(self, x):
        past = torch.nn.functional.pad(x.transpose(1, 2), (2, 0)) if self.pad else x.transpose(1, 2)
        found = self.convolution(past).squeeze(1)
        return found if self.pad else torch.cat([found[:, :1], found[:, :1], found], dim=1)


@pytest.mark.parametrize(
    ("model", "whole", "reported"),
    [
        (Windowed, False, "depends on earlier days"),
        (Windowed, True, ""),
        (functools.partial(Windowed, pad=False), False, "fails on a single day"),
        (functools.partial(Windowed, pad=False), True, ""),
        (Dropout, False, ""),
        (Rule, False, ""),
    ],
)
def test_a_model_that_looks_at_a_window_needs_the_whole_sequence(model, whole, reported, capfd, monkeypatch):
    monkeypatch.setattr(torch_training, "_reported", set())
    strategy = Strategy(model=model, top_assets=2, whole_sequence=whole)
    if "fails" in reported:
        with pytest.raises(ValueError, match=f"{reported}.*set whole_sequence=True"):
            train_model(data(), strategy)
        return
    for _ in range(2):
        models = train_model(data(), strategy)
    printed = capfd.readouterr().err
    assert printed.count("whole_sequence=True") == bool(reported)
    assert reported in printed
    assert float(strategy.predict(models, data(), None)[0].sum()) > 0
