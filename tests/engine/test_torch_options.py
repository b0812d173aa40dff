"""Training with options equals a plain loop in torch."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lib import Strategy
from lib.engine import torch_options, torch_training
from lib.engine.inputs import training_set_of
from lib.engine.prediction import last_outputs, panel_outputs
from tests.trained import window

DAYS = 80


class MLP(nn.Module):
    def __init__(self, n_features, strategy):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_features, 6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x):
        return self.layers(x).squeeze(-1)


class Recurrent(nn.Module):
    def __init__(self, n_features, strategy):
        super().__init__()
        self.layer = nn.LSTM(n_features, 4, batch_first=True)
        self.linear = nn.Linear(4, 1)

    def forward(self, x):
        return self.linear(self.layer(x)[0]).squeeze(-1)


class Attention(nn.Module):
    """Attention across the assets of a day, without those that have no data."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.enter = nn.Linear(n_features, 4)
        self.attention = nn.MultiheadAttention(4, 1, batch_first=True)
        self.leave = nn.Linear(4, 1)

    def forward(self, x, known):
        hidden = self.enter(x).transpose(0, 1)  # (time, asset, 4)
        mask = torch.zeros(known.T.shape).masked_fill(~known.T, -1e9)
        mixed, _ = self.attention(hidden, hidden, hidden, key_padding_mask=mask, need_weights=False)
        return self.leave(hidden + mixed).squeeze(-1).T


class Normalised(MLP):
    def __init__(self, n_features, strategy):
        super().__init__(n_features, strategy)
        self.normal = nn.BatchNorm1d(n_features)

    def forward(self, x):
        return super().forward(self.normal(x.transpose(1, 2)).transpose(1, 2))


def first_four(data, strategy):
    return np.arange(data.sizes["asset"]) < 4


def strategy(**changes):
    base = {"features": ["trend", "momentum(periods=5)"], "selection": first_four, "scope": "pooled"}
    base["model"] = MLP
    return Strategy(**base | {"train_period": 130, "lookback_period": 100, "learning_rate": 0.05} | changes)


def holes(data):
    """Leave out the history of the first selected asset's first half, and some days of another."""
    data = data.copy(deep=True)
    assets = training_set_of(data, strategy()).assets
    data.loc[{"asset": assets[0], "time": data.time[: DAYS // 2]}] = np.nan
    data.loc[{"asset": assets[1], "time": data.time[50:53]}] = np.nan
    return data


@pytest.fixture(scope="module")
def data():
    return window(DAYS)


def plain_loop(chosen, data):
    """Train on days one by one, as the description says."""
    training_set = training_set_of(data, chosen)
    x = torch.from_numpy(np.where(training_set.known[..., None], training_set.x, 0))
    y, known = torch.from_numpy(training_set.y), torch.from_numpy(training_set.known)
    torch.manual_seed(chosen.seed)
    model = chosen.model(x.shape[2], chosen).train()
    days = [day for day in range(max(chosen.window, 1) - 1, x.shape[1]) if known[:, day].any()]

    def loss(of_days):
        outputs, targets = [], []
        whole = model(x) if not chosen.window else None
        for day in of_days:
            if chosen.window:
                part = slice(day - chosen.window + 1, day + 1)
                takes = (x[:, part], known[:, part])[: 2 if isinstance(model, Attention) else 1]
                output = model(*takes)[:, -1]
            else:
                output = whole[:, day]
            outputs.append(output[known[:, day]])
            targets.append(y[known[:, day], day])
        return nn.functional.mse_loss(torch.cat(outputs), torch.cat(targets))

    if chosen.optimiser == "LBFGS":
        optimiser = torch.optim.LBFGS(model.parameters(), lr=chosen.learning_rate)

        def closure():
            optimiser.zero_grad()
            value = loss(days)
            value.backward()
            return value

        for _ in range(chosen.epochs):
            optimiser.step(closure)
    else:
        optimiser = torch.optim.Adam(model.parameters(), lr=chosen.learning_rate)
        for _ in range(chosen.epochs):
            order = [days[k] for k in torch.randperm(len(days))] if chosen.batch_size else days
            size = chosen.batch_size or len(order)
            for first in range(0, len(order), size):
                optimiser.zero_grad()
                loss(order[first : first + size]).backward()
                optimiser.step()
    return model.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window": 1, "optimiser": "Adam", "batch_size": 16, "epochs": 3},
        {"window": 4, "model": Recurrent, "optimiser": "Adam", "batch_size": 32, "epochs": 2},
        {"window": 3, "model": Attention, "optimiser": "Adam", "epochs": 2},
        {"model": Recurrent, "optimiser": "Adam", "epochs": 3},
    ],
    ids=["L-BFGS", "batches of days", "windows", "attention across assets", "sequence with Adam"],
)
def test_a_pooled_module_equals_a_plain_loop(data, changes):
    """Unequal histories are masked.

    The bias of attention's keys is free, so that outputs are compared. Float32 sums in another order, over
    some steps: 1e-5.
    """
    chosen, data = strategy(**changes), holes(data)
    models = chosen.train_model(data)
    training_set = training_set_of(data, chosen)
    arguments = (training_set.x, training_set.known, chosen)
    wanted, there = torch_options.module_outputs(plain_loop(chosen, data), *arguments)
    got, same = torch_options.module_outputs(models.shared, *arguments)
    assert np.array_equal(there, same)
    np.testing.assert_allclose(got[there], wanted[there], rtol=1e-5, atol=1e-5)
    assert len(models) == 4
    assert len({fit.days for fit in models.fits.values()}) > 1


@pytest.mark.parametrize("model", [MLP, Recurrent, Attention])
def test_windows_have_the_same_outputs_together_and_one_by_one(data, model, monkeypatch):
    chosen = strategy(model=model, window=4)
    models = chosen.train_model(holes(data))
    training_set = training_set_of(holes(data), chosen)
    arguments = (models, training_set.assets, training_set.x, training_set.known, chosen)
    together, there = panel_outputs(*arguments)
    monkeypatch.setattr(torch_options._Outputs, "_together", lambda *_: (_ for _ in ()).throw(RuntimeError))
    alone, _ = panel_outputs(*arguments)
    np.testing.assert_allclose(together[there], alone[there], rtol=1e-5, atol=1e-6)


def test_the_same_again_whatever_torch_was_asked_before(data):
    class Dropped(MLP):
        def forward(self, x):
            return super().forward(nn.functional.dropout(x, 0.3, self.training))

    chosen = strategy(model=Dropped, window=2, optimiser="Adam", batch_size=8, epochs=2)
    first = last_outputs(chosen.train_model(data), data, chosen)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert last_outputs(chosen.train_model(data), data, chosen) == first
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("scope", ["asset", "pooled"])
def test_batch_normalisation_keeps_what_it_learned(data, scope):
    chosen = strategy(model=Normalised, scope=scope, window=2, optimiser="Adam", batch_size=8, epochs=2)
    models = chosen.train_model(data)
    module = next(iter(models.values()))
    assert not module.training
    assert (module.normal.running_mean != 0).all()
    fit = next(iter(models.fits.values()))
    assert fit.loss_after < 2 * fit.losses[-1]


def test_the_loss_of_an_epoch_is_the_mean_of_its_days():
    """A small last batch counts with its days; here the loss of a batch is their number."""
    model, losses = nn.Linear(1, 1), []
    outputs = SimpleNamespace(model=model, loss=lambda days: 0 * model.weight.sum() + len(days))
    chosen = strategy(window=1, optimiser="Adam", batch_size=2, epochs=2)
    list(torch_options._epochs(outputs, np.arange(5), losses, chosen))
    assert losses == pytest.approx([(2 * 2 + 2 * 2 + 1 * 1) / 5] * 2)


def test_early_stopping_keeps_the_best_epoch(data):
    changes = {"window": 1, "optimiser": "Adam", "epochs": 40, "learning_rate": 0.5, "validation": 0.25}
    models = strategy(**changes, patience=4).train_model(data)
    curve = next(iter(models.fits.values())).validation_losses
    best = int(np.argmin(curve))
    assert len(curve) == best + 1 + 4 < 40
    chosen = strategy(**changes | {"epochs": best + 1})
    for got, wanted in zip(
        models.shared.parameters(), chosen.train_model(data).shared.parameters(), strict=True
    ):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("horizon", [0, 1, 5])
def test_no_target_of_a_training_day_reaches_into_the_validation(horizon):
    days = np.ones(100, bool)
    before, last = torch_options._split(days, horizon, strategy(validation=0.2))
    assert last[-1] == 99 - horizon
    assert len(last) == np.ceil(0.2 * (100 - horizon))
    assert before[-1] + max(horizon, 1) < last[0]
    assert before[0] == 0


def test_the_horizon_is_that_of_most_targets():
    """An asset without a target, or with fewer than the others, does not change the gap to the validation."""

    def two_days_ahead(data, strategy):
        values = np.zeros(data.shape[1:])
        values[-2:] = values[-7:, 0] = values[:, 1] = np.nan
        return values

    assert training_set_of(window(40), strategy(target=two_days_ahead)).horizon == 2


def test_a_logit_becomes_a_probability(data):
    chosen = strategy(loss="bce", window=1)
    models = chosen.train_model(data)
    outputs = np.array(list(last_outputs(models, data, chosen).values()))
    assert ((outputs > 0) & (outputs < 1)).all()
    training_set = training_set_of(data, chosen)
    with torch.no_grad():
        logits = models.shared(torch.from_numpy(training_set.x[:, -1:]))[:, 0].numpy()
    np.testing.assert_allclose(outputs, 1 / (1 + np.exp(-logits)), rtol=1e-6)


def test_a_loss_of_ones_own(data):
    def absolute(output, target):
        return (output - target).abs().mean()

    models = strategy(loss=absolute, scope="asset", optimiser="Adam", epochs=5).train_model(data)
    for fit in models.fits.values():
        assert fit.losses[-1] < fit.losses[0]
    with pytest.raises(TypeError, match="loss <lambda> must return a scalar tensor"):
        strategy(loss=lambda output, target: output).train_model(data)


def test_a_model_that_looks_across_assets_is_told_of_scope(data, capsys):
    class Centred(MLP):
        def forward(self, x):
            return super().forward(x) - super().forward(x).mean(dim=0)

    torch_training._reported.clear()
    strategy(model=Centred, scope="asset").train_model(data)
    assert 'scope="pooled"' in capsys.readouterr().err
    strategy(model=MLP, scope="asset", seed=2).train_model(data)
    assert 'scope="pooled"' not in capsys.readouterr().err


def test_an_instance_of_a_module_is_refused():
    with pytest.raises(TypeError, match="give the class"):
        strategy(model=MLP(2, None))


def test_a_pooled_model_is_one_object_after_a_copy(data):
    chosen = strategy()
    models = copy.deepcopy(chosen.train_model(data))
    assert len({id(model) for model in models.values()}) == 1
