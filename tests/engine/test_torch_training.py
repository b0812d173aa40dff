import functools
import pickle
import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from lib import Strategy
from lib.engine import torch_training
from lib.engine.inputs import TrainingSet, training_set_of
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


class Scaled(torch.nn.Module):
    """A module of one number, which can look across days or assets, and fail on some inputs."""

    def __init__(self, n_features, strategy, days=False, assets=False, fails=None, drop=0.0, trains=True):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.full((1,), 0.1), requires_grad=trains)
        self.days, self.assets, self.fails, self.drop, self.seen = days, assets, fails, drop, []

    def forward(self, x):
        self.seen.append((tuple(x.shape), self.training))
        if self.fails == "together" and type(self.factor) is torch.Tensor:
            raise RuntimeError("\n no batches here: " + "x" * 200 + "\nmore")
        if self.fails == "nan":
            return x[..., 0] * np.nan
        if self.fails == "pair" and len(x) == 2:
            raise ValueError
        output = torch.nn.functional.dropout(x[..., 0], self.drop, self.training) * self.factor
        if self.days == "yesterday":
            output = output + torch.nn.functional.pad(output[:, :-1], (1, 0))
        elif self.days:
            output = output.cumsum(dim=1)
        return output - output.mean(dim=0) if self.assets else output


def of(days=False, assets=False, fails=None, drop=0.0, trains=True, **options):
    """Return a strategy whose model is such a module."""
    own = {"days": days, "assets": assets, "fails": fails, "drop": drop, "trains": trains}
    return Strategy(model=functools.partial(Scaled, **own), **options)


def sequences(*days):
    """Return for each asset a sequence of so many days."""
    made = {}
    for k, number in enumerate(days):
        x = np.linspace(0.5, 2 + k, number, dtype=np.float32)[:, None]
        made["ABCD"[k]] = x, (np.arange(number) % 2).astype(np.float32)
    return made


@pytest.fixture
def said(monkeypatch, capsys):
    monkeypatch.setattr(torch_training, "_reported", set())
    return lambda: capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "days", "sentence"),
    [
        ({}, (6, 6), ""),
        ({"days": True}, (6, 6), "depends on earlier days"),
        ({"days": True, "trains": False}, (6, 6), "depends on earlier days"),
        ({"days": True}, (2, 2), "depends on earlier days"),
        ({"days": "yesterday"}, (6, 6), "depends on earlier days"),
        ({"days": True, "whole_sequence": True}, (6, 6), ""),
        ({"days": True}, (1, 1), ""),
        ({"assets": True, "whole_sequence": True}, (6, 6), "depends on other assets"),
        ({"assets": True, "whole_sequence": True}, (6, 5), "depends on other assets"),
        ({"assets": True, "whole_sequence": True}, (1, 6), "depends on other assets"),
        ({"assets": True, "whole_sequence": True}, (6,), ""),
        ({"assets": True, "fails": "pair", "whole_sequence": True}, (6, 6), ""),
        ({"fails": "nan"}, (6, 6), ""),
    ],
)
def test_what_a_prediction_does_not_show_a_model_is_reported_once(options, days, sentence, said):
    examples, strategy = sequences(*days), of(**options)
    for _ in range(2):
        torch_training._check_inputs(("A", (strategy.model(1, strategy), ())), examples, strategy)
    found = said()
    assert sentence in found
    assert found.count("\n") == bool(sentence)
    if "days" in options:  # the first asset of a training is checked
        torch_training._reported.clear()
        torch_training.fit(examples, strategy)
        assert said() == found


def test_a_model_with_a_window_is_shown_all_of_it(said):
    strategy = of(days=True, window=3)
    torch_training._check_inputs(("A", (strategy.model(1, strategy), ())), sequences(6, 6), strategy)
    assert said() == ""


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_a_model_that_cannot_be_batched_is_trained_alone_and_the_cause_is_named(drop, said):
    examples = sequences(6, 4)
    found = torch_training.fit(examples, of(fails="together", drop=drop))
    line = said()
    assert line.count("\n") == 1
    cause = "no batches here: " + "x" * 200
    assert line.endswith(f"is trained asset by asset, since torch cannot batch it: {cause[:100]}\n")
    expected = torch_training.fit(examples, of(drop=drop))
    for asset, (x, y) in examples.items():
        for model, losses, output in (found[asset], expected[asset]):
            assert not model.training
            assert np.allclose(output, torch_training.output_of(model, x))
            assert losses[0] != pytest.approx(np.mean((0.1 * x[:, 0] - y) ** 2)) or not drop
        assert np.allclose(found[asset][1], expected[asset][1], rtol=1e-4, atol=1e-6)
        assert np.allclose(found[asset][2], expected[asset][2], rtol=1e-4, atol=1e-5)


def factor_by_torch(x, y, steps):
    """Return the number that torch's optimiser finds, and the losses."""
    factor = torch.full((1,), 0.1, requires_grad=True)
    optimiser, losses = torch.optim.LBFGS([factor], lr=0.3), []

    def closure():
        optimiser.zero_grad()
        loss = ((torch.from_numpy(x[:, 0]) * factor - torch.from_numpy(y)) ** 2).mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimiser.step(closure)
    return factor.item(), losses


@pytest.mark.parametrize("together", [True, False])
def test_a_training_equals_torchs_optimiser(together):
    examples = sequences(6, 6, 4)
    strategy = of(fails=None if together else "together", epochs=2, learning_rate=0.3)
    found = torch_training.fit(examples, strategy)
    assert set(found) == set("ABC")
    for asset, (x, y) in examples.items():
        factor, losses = factor_by_torch(x, y, 2)
        model, ours, output = found[asset]
        assert model.factor.item() == pytest.approx(factor, rel=1e-4)
        assert np.allclose(ours[:4], losses[:4], rtol=1e-4)
        assert np.allclose(output, x[:, 0] * factor, rtol=1e-4)


@pytest.mark.parametrize("scope", ["asset", "pooled"])
@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("window", [0, 1])
def test_trainings_with_options_by_asset_or_for_all(scope, trains, window):
    examples = sequences(6, 6, 6)
    x, y = (np.stack([pair[part] for pair in examples.values()]) for part in (0, 1))
    known = np.ones((3, 6), bool)
    known[1] = known[2, 0] = False
    training_set = TrainingSet((None, None), list("ABC"), x, y, known, 0, [])
    strategy = of(scope=scope, window=window, optimiser="Adam", epochs=3, learning_rate=0.3, trains=trains)
    found = torch_training.fit_panel(training_set, strategy)
    if not trains:
        assert list(found) == ["A", "B", "C"]
        assert all(losses == validation == () for _, losses, validation in found.values())
    else:
        assert list(found) == (["A", "C"] if scope == "asset" else ["A", "B", "C"])
        assert all(len(losses) == 3 for _, losses, _ in found.values())
    shared = not trains or scope == "pooled"
    assert len({id(model) for model, *_ in found.values()}) == (1 if shared else 2)
    assert not any(model.training for model, *_ in found.values())
    if trains and scope == "asset":
        expected = np.mean((0.1 * x[2, 1:, 0] - y[2, 1:]) ** 2)
        assert found["C"][1][0] == pytest.approx(expected, rel=1e-5)
        assert found["C"][0].seen[0][0] == ((5, 1, 1) if window else (1, 5, 1))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"days": True}, "depends on earlier days"),
        ({"assets": True, "window": 1}, "depends on other assets"),
        ({"window": 1}, ""),
    ],
)
def test_a_model_trained_with_options_is_checked_on_assets_with_known_days(options, sentence, said):
    examples = sequences(6, 6, 6)
    x, y = (np.stack([pair[part] for pair in examples.values()]) for part in (0, 1))
    known = np.ones((3, 6), bool)
    known[0] = known[1, 2:] = False
    training_set = TrainingSet((None, None), list("ABC"), x, y, known, 0, [])
    torch_training.fit_panel(training_set, of(optimiser="Adam", epochs=1, **options))
    found = said()
    assert sentence in found
    assert found.count("\n") == bool(sentence)


def test_a_rule_in_torch_is_one_copy_for_each_asset():
    examples = sequences(6, 4)
    found = torch_training.fit(examples, of(trains=False))
    assert found["A"][0] is not found["B"][0]
    for asset, (x, _) in examples.items():
        assert found[asset][1] == ()
        assert np.allclose(found[asset][2], 0.1 * x[:, 0])


def test_threads_of_torch_are_restored_after_an_error():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for error in (None, ZeroDivisionError):
            try:
                with torch_training.one_torch_thread():
                    assert torch.get_num_threads() == 1
                    if error:
                        raise error
            except ZeroDivisionError:
                pass
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_buffers_of_inner_modules_are_set_in_a_copy():
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1)).train()
    row = np.arange(4, dtype=np.float32)
    copied = torch_training._with(model, row, {"1.running_mean": np.array([7.0], np.float32)})
    assert copied[1].running_mean.item() == 7
    assert model[1].running_mean.item() == 0
    assert torch.nn.utils.parameters_to_vector(copied.parameters()).tolist() == [0, 1, 2, 3]
    assert not copied.training
    assert model.training
    row[:] = -1
    assert copied[0].weight.item() == 0
