"""Training with options equals a plain loop in torch."""

import copy
import warnings
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
    seen = []
    checked = torch_options._Outputs._checked
    monkeypatch.setattr(torch_options._Outputs, "_checked", lambda *of: seen.append(of) or checked(*of))
    together, there = panel_outputs(*arguments)
    assert not seen  # all days at once
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


@pytest.mark.parametrize(("size", "parts"), [(0, [7]), (3, [3, 3, 1]), (7, [7]), (9, [7])])
def test_days_are_shuffled_into_batches_by_torchs_random_numbers(size, parts):
    model, seen = nn.Linear(1, 1), []
    outputs = SimpleNamespace(
        model=model, loss=lambda days: (seen.append(days.tolist()), model.weight.sum())[1]
    )
    days = np.arange(20, 27)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        list(
            torch_options._epochs(
                outputs, days, [], strategy(window=1, optimiser="Adam", batch_size=size, epochs=2)
            )
        )
        torch.manual_seed(5)
        orders = [days[torch.randperm(7).numpy()].tolist() if size else days.tolist() for _ in range(2)]
    assert [len(part) for part in seen] == parts * 2
    assert np.concatenate(seen).tolist() == np.concatenate(orders).tolist()


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


class Sums(nn.Module):
    """A module that adds up what it sees, and keeps the shapes and whether it is in training."""

    def __init__(self, n_features=1, strategy=None):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, x):
        self.seen.append((tuple(x.shape), self.training))
        return x[..., 0].cumsum(dim=1) * self.factor


class KnownSums(Sums):
    def forward(self, x, known):
        return super().forward(x) + 100 * (~known).cumsum(dim=1)


X = np.arange(1.0, 13.0, dtype=np.float32).reshape(2, 6, 1)
Y = np.arange(12.0, dtype=np.float32).reshape(2, 6) / 12
KNOWN = np.array([[1, 1, 0, 1, 1, 1], [0, 1, 1, 1, 1, 0]], bool)


def outputs_of(model, **changes):
    of = strategy(model=type(model), **changes)
    return torch_options._Outputs(model, torch_options._examples(X, Y, KNOWN, of), of)


@pytest.mark.parametrize(
    ("scope", "window", "used"),
    [
        ("pooled", 0, KNOWN),
        ("asset", 0, KNOWN),
        ("pooled", 1, KNOWN),
        ("pooled", 3, [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 0]]),
        ("asset", 2, [[0, 1, 0, 0, 1, 1], [0, 0, 1, 1, 1, 0]]),
        ("asset", 3, [[0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 1, 0]]),
        ("asset", 6, np.zeros((2, 6))),
        ("asset", 7, np.zeros((2, 6))),
        ("pooled", 6, [[0, 0, 0, 0, 0, 1], [0] * 6]),
    ],
)
def test_examples_hold_zeros_in_place_of_what_is_not_known(scope, window, used):
    found = torch_options._examples(X, Y, KNOWN, strategy(scope=scope, window=window))
    used = np.array(used, bool)
    assert np.array_equal(found.x, np.where(KNOWN[..., None], X, 0))
    assert np.array_equal(found.known, KNOWN)
    assert np.array_equal(found.used, used.T)
    assert np.array_equal(found.y, np.where(used, Y, 0).T)
    assert (found.x.dtype, found.y.dtype) == (torch.float32, torch.float32)
    everywhere = torch_options._examples(X, Y, KNOWN | True, strategy(scope=scope, window=window))
    assert everywhere.used.sum() == 2 * (6 - max(window - 1, 0)) if window < 7 else not everywhere.used.any()


@pytest.mark.parametrize("model", [Sums, KnownSums])
@pytest.mark.parametrize("days", [[2], [2, 5], [3, 4, 5]])
def test_the_output_of_a_window_is_that_of_its_last_day(model, days):
    x = np.where(KNOWN[..., None], X, 0)[..., 0] + (100 * ~KNOWN if model is KnownSums else 0)
    expected = [x[:, day - 2 : day + 1].sum(axis=1) for day in days]
    of = outputs_of(model(), window=3)
    assert np.array_equal(of.of_windows(np.array(days)).detach(), expected)
    assert not of._one_by_one
    one = outputs_of(model(), window=3, scope="asset")
    assert np.array_equal(one.of_windows(np.array(days)).detach(), np.array(expected)[:, :1])
    assert one.model.seen == [((len(days), 3, 1), True)]


def test_a_sequence_ends_with_the_last_day_asked_for():
    of = outputs_of(Sums())
    found = of.of_sequence(4).detach()
    assert np.array_equal(found, np.where(KNOWN[..., None], X, 0)[:, :4, 0].cumsum(axis=1).T)
    of.loss(np.array([1, 3]))
    assert [shape for shape, _ in of.model.seen] == [(2, 4, 1), (2, 4, 1)]


@pytest.mark.parametrize("window", [0, 2])
@pytest.mark.parametrize("loss", ["mse", "bce", lambda output, target: (output - 2 * target).sum()])
def test_the_loss_is_that_of_known_days(window, loss):
    days = np.array([1, 2, 4])
    of = outputs_of(Sums(), window=window, loss=loss)
    x = np.where(KNOWN[..., None], X, 0)[..., 0]
    whole = x.cumsum(axis=1) if not window else x + np.concatenate([np.zeros((2, 1)), x[:, :-1]], axis=1)
    where = KNOWN[:, days]
    output, target = whole[:, days][where], Y[:, days][where]
    if loss == "mse":
        expected = np.mean((output - target) ** 2)
    elif loss == "bce":
        expected = np.mean(np.log1p(np.exp(-output)) + (1 - target) * output)
    else:
        expected = (output - 2 * target).sum()
    assert of.loss(days).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("returned", "got"),
    [(3.0, "not 3.0"), (torch.ones(2), r"not a tensor of shape \(2,\)"), (torch.ones(1), r"of shape \(1,\)")],
)
def test_a_loss_is_a_scalar(returned, got):
    of = outputs_of(Sums(), loss=lambda output, target: returned)
    with pytest.raises(
        TypeError, match=f"loss <lambda> must return a scalar tensor of output and target, .*{got}"
    ):
        of.loss(np.array([1, 2]))


class Dropped(Sums):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), 0.5, self.training)


def test_dropout_differs_between_days_in_training_alone():
    of = outputs_of(Dropped(), window=1)
    of.examples = of.examples._replace(x=torch.ones(2, 200, 1), known=torch.ones(2, 200, dtype=torch.bool))
    days = np.arange(200)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for model_in_training in (True, False, True):
            of.model.train(model_in_training)
            found = of.of_windows(days).detach()
            assert set(found.unique().tolist()) == ({0, 2} if model_in_training else {1})
            assert 0.3 < found[:, 0].bool().float().mean() < 0.7 or not model_in_training
    assert not of._one_by_one


def test_a_module_that_cannot_be_batched_is_tried_once(monkeypatch):
    tried = []

    def together(self, x, known):
        tried.append(len(x))
        raise TypeError

    monkeypatch.setattr(torch_options._Outputs, "_together", together)
    of = outputs_of(Sums(), window=3)
    for days in ([3], [3, 4], [2, 5, 4]):
        x = np.where(KNOWN[..., None], X, 0)[..., 0]
        expected = [x[:, day - 2 : day + 1].sum(axis=1) for day in days]
        assert np.array_equal(of.of_windows(np.array(days)).detach(), expected)
    assert tried == [2]


class Remembering(Sums):
    """A module with a buffer that it replaces."""

    def __init__(self, n_features=1, strategy=None):
        super().__init__()
        self.register_buffer("last", torch.zeros(1))

    def forward(self, x):
        self.last = x.detach().max()
        return super().forward(x)


def test_a_module_with_buffers_keeps_what_it_learned_in_windows():
    of = outputs_of(Remembering(), window=2)
    of.of_windows(np.array([2, 4]))
    assert of.model.last == np.where(KNOWN, X[..., 0], 0)[:, 3:5].max()


def test_only_torchs_remark_on_speed_is_hidden():
    class Remarking(Sums):
        def forward(self, x):
            warnings.warn("There is a performance drop because of an operator", stacklevel=1)
            warnings.warn("another", stacklevel=1)
            return super().forward(x)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs_of(Remarking(), window=2).of_windows(np.array([2, 4]))
    assert [str(warning.message) for warning in caught] == ["another"]


@pytest.mark.parametrize("together", [True, False])
def test_a_window_of_the_wrong_shape_is_refused(together):
    class Wide(Sums):
        def forward(self, x):
            return super().forward(x)[:, :1]

    of = outputs_of(Wide(), window=3)
    with pytest.raises(ValueError, match=r"one number per day, shape \(2, 3\), not \(2, 1\)"):
        of.of_windows(np.array([3, 4] if together else [3]))


@pytest.mark.parametrize("at_once", [1, 2, 3, 64])
@pytest.mark.parametrize("scope", ["asset", "pooled"])
def test_outputs_are_computed_some_days_at_once_in_evaluation(scope, at_once, monkeypatch):
    monkeypatch.setattr(torch_options, "DAYS_AT_ONCE", at_once)
    model = Sums().train()
    part = slice(0, 1) if scope == "asset" else slice(0, 2)
    of = strategy(model=Sums, window=2, scope=scope)
    values, there = torch_options.module_outputs(model, X[part], KNOWN[part], of)
    used = torch_options._examples(X[part], Y[part], KNOWN[part], of).used.numpy().T
    assert np.array_equal(there, used)
    x = np.where(KNOWN, X[..., 0], 0)[part]
    assert np.array_equal(values[:, 1:][used[:, 1:]], (x[:, 1:] + x[:, :-1])[used[:, 1:]])
    assert np.isnan(values[~used]).all()
    assert all(not training for _, training in model.seen)
    if scope == "asset":
        assert [shape[0] for shape, _ in model.seen] == [
            min(at_once, used.sum() - k) for k in range(0, used.sum(), at_once)
        ]
    nothing = torch_options.module_outputs(model, X[part], KNOWN[part] & False, of)
    assert np.isnan(nothing[0]).all()
    assert not nothing[1].any()


def test_outputs_of_a_sequence_are_those_of_known_days():
    values, there = torch_options.module_outputs(Sums(), X, KNOWN, strategy(model=Sums))
    x = np.where(KNOWN, X[..., 0], 0).cumsum(axis=1)
    assert np.array_equal(values, np.where(KNOWN, x, np.nan), equal_nan=True)
    assert np.array_equal(there, KNOWN)
    nothing = torch_options.module_outputs(Sums(), X, KNOWN & False, strategy(model=Sums))
    assert np.isnan(nothing[0]).all()


@pytest.mark.parametrize(
    ("days", "horizon", "share", "train", "last"),
    [
        ([1] * 10, 1, 0.2, range(6), [7, 8]),
        ([1] * 10, 0, 0.2, range(7), [8, 9]),
        ([1] * 10, 3, 0.3, range(1), [4, 5, 6]),
        ([1, 0, 1, 1, 0, 1, 1, 1, 0, 1], 2, 0.25, [0, 2, 3], [6, 7]),
        ([1] * 10, 1, 0.0, range(10), []),
        ([1] * 4, 1, 0.9, None, None),
        ([1] * 4, 4, 0.2, None, None),  # no target is known
        ([0] * 4, 0, 0.2, None, None),
    ],
)
def test_the_validation_has_the_last_days_with_a_gap_before(days, horizon, share, train, last):
    of = strategy(validation=share)
    if train is None:
        with pytest.raises(
            ValueError, match=rf"validation={share} leaves no day of the 4 in the training window to train"
        ):
            torch_options._split(np.array(days, bool), horizon, of)
        return
    found = torch_options._split(np.array(days, bool), horizon, of)
    assert [part.tolist() for part in found] == [list(train), list(last)]


@pytest.mark.parametrize(
    ("loss", "target", "refused"),
    [
        ("bce", [0, 1], False),
        ("bce", [-0.1, 1], True),
        ("bce", [0, 1.1], True),
        ("mse", [-1, 2], False),
        ("bce", [], False),
    ],
)
def test_binary_cross_entropy_takes_a_target_from_0_to_1(loss, target, refused):
    used = torch.ones(len(target), 1, dtype=torch.bool)
    given = torch_options._Examples(None, None, torch.tensor(target, dtype=torch.float32)[:, None], used)
    if not refused:
        torch_options._check_target(given, strategy(loss=loss))
        return
    values = f"from {target[0]:.3g} to {target[1]:.3g}"
    with pytest.raises(ValueError, match=f"takes a target from 0 to 1, and next_open_up has values {values}"):
        torch_options._check_target(given, strategy(loss=loss))


def fit_sums(**changes):
    of = {"model": Sums, "scope": "asset", "optimiser": "Adam", "epochs": 6, "learning_rate": 0.3}
    of = strategy(**of | {"validation": 0.4} | changes)
    x = np.ones((1, 12, 1), np.float32)
    x[:, 6:] = -1  # what helps in training harms in validation
    y = np.full((1, 12), 2.0, np.float32)
    return torch_options.fit_with_options(lambda strategy: Sums(), x, y, np.ones((1, 12), bool), 0, of)


def test_a_validation_is_computed_in_evaluation_and_a_step_in_training():
    model, losses, validation = fit_sums(window=1)
    assert [len(losses), len(validation)] == [6, 6]
    assert not model.training
    assert [training for _, training in model.seen] == [True, False] * 6
    assert losses[0] == pytest.approx(1.0)
    assert validation[0] == pytest.approx((2 + 1.3) ** 2, rel=1e-4)
    assert not fit_sums(window=1, validation=0)[2]


@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 2), (3, 4), (9, 6)])
def test_training_stops_after_its_patience_and_keeps_the_best_epoch(patience, epochs):
    """Here the first epoch is the best one."""
    model, losses, validation = fit_sums(window=1, patience=patience)
    assert len(losses) == len(validation) == epochs
    factor = model.factor.item()
    assert factor == pytest.approx(1.3, rel=1e-3) if patience else factor > 2


@pytest.mark.parametrize("optimiser", ["Adam", "LBFGS"])
def test_known_days_of_one_asset_follow_each_other(optimiser):
    """The sequence of one asset has no zeros in place of unknown days; that of a pooled model has."""
    given = (lambda strategy: Sums(), X[:1], Y[:1], KNOWN[:1], 0)
    for scope, days in (("asset", 5), ("pooled", 6)):
        model, losses, _ = torch_options.fit_with_options(
            *given, strategy(model=Sums, scope=scope, optimiser=optimiser, epochs=1)
        )
        assert {shape for shape, _ in model.seen} == {(1, days, 1)}
        sums = X[0, :, 0][KNOWN[0]].cumsum()
        assert losses[0] == pytest.approx(np.mean((sums - Y[0][KNOWN[0]]) ** 2), rel=1e-5)
