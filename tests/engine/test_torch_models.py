"""Training all assets together equals one `torch.optim.LBFGS` per asset, for modules of every kind."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lib import Strategy
from lib.engine import recurrent, torch_training
from lib.engine.inputs import set_of_assets
from lib.engine.torch_models import Batch, NotBatchableError
from tests.switches import ALL, LONG, long
from tests.vectors import vector


class Recurrent(nn.Module):
    def __init__(self, n_features, strategy, kind="GRU", layers=1, dropout=0.0, first=True, bias=True):
        super().__init__()
        self.first = first
        self.layer = getattr(nn, kind)(
            n_features, strategy.hidden_size, layers, batch_first=first, dropout=dropout, bias=bias
        )
        self.linear = nn.Linear(strategy.hidden_size, 1)

    def forward(self, x):
        h = self.layer(x)[0] if self.first else self.layer(x.transpose(0, 1))[0].transpose(0, 1)
        return self.linear(h).squeeze(-1)


class Relu(Recurrent):
    def __init__(self, n_features, strategy):
        super().__init__(n_features, strategy)
        self.layer = nn.RNN(n_features, strategy.hidden_size, batch_first=True, nonlinearity="relu")


class Mlp(nn.Module):
    def __init__(self, n_features, strategy, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 8), nn.Tanh(), nn.Dropout(dropout), nn.LayerNorm(8), nn.Linear(8, 1)
        )

    def forward(self, x):
        return self.layers(x).squeeze(-1)


class Convolution(nn.Module):
    def __init__(self, n_features, strategy, width=4):
        super().__init__()
        self.width = width
        self.convolution = nn.Conv1d(n_features, 8, width)
        self.linear = nn.Linear(8, 1)

    def forward(self, x):
        past = nn.functional.pad(x.transpose(1, 2), (self.width - 1, 0))
        return self.linear(torch.relu(self.convolution(past)).transpose(1, 2)).squeeze(-1)


class Attention(nn.Module):
    """Attention over the past: each day looks at itself and the days before it."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(n_features, 4) for _ in range(3))
        self.linear = nn.Linear(4, 1)

    def forward(self, x):
        h = nn.functional.scaled_dot_product_attention(
            self.query(x), self.key(x), self.value(x), is_causal=True
        )
        return self.linear(h).squeeze(-1)


class LastState(nn.Module):
    """The last state of a recurrent layer beside its output, with a frozen parameter and a buffer."""

    def __init__(self, n_features, strategy, kind="GRU"):
        super().__init__()
        self.layer = getattr(nn, kind)(n_features, 4, 2, batch_first=True)
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x):
        h, state = self.layer(x)
        last = state[0][-1] if isinstance(state, tuple) else state[-1]
        return (h * self.frozen).sum(dim=2) * self.scale + last.mean() * 0


MODULES = {
    **{
        f"{kind}, {n} layers": partial(Recurrent, kind=kind, layers=n)
        for kind in ("LSTM", "GRU", "RNN")
        for n in (1, 2, 3)
    },
    "GRU without biases": partial(Recurrent, bias=False),
    "LSTM without biases": partial(Recurrent, kind="LSTM", bias=False),
    "RNN with relu": Relu,
    "time first": partial(Recurrent, first=False),
    "LSTM with dropout": partial(Recurrent, kind="LSTM", layers=2, dropout=0.3),
    "GRU with dropout": partial(Recurrent, layers=2, dropout=0.3),
    "MLP": Mlp,
    "MLP with dropout": partial(Mlp, dropout=0.3),
    "convolution": Convolution,
    "attention": Attention,
    "last state of a GRU": LastState,
    "last state of an LSTM": partial(LastState, kind="LSTM"),
}
ORDINARY = [
    "LSTM, 2 layers",
    "GRU, 1 layers",
    "attention",
]


def examples(assets=3, days=71):
    """Sequences of two lengths, and one whose target is constant, so that it stops early."""
    data = vector("loaded").isel(time=slice(-days, None)).sel(asset=vector("train_features").asset[:assets])
    made = set_of_assets(data, Strategy(features=["trend", "trend"]), data.asset.values.tolist()).examples
    last = data.asset.values[-1]
    made[last] = made[last][0][5:], made[last][1][5:]
    made["flat"] = np.zeros((days, 2), np.float32), np.zeros(days, np.float32)
    return made


def strategy(model, **options):
    return Strategy(model=model, hidden_size=5, features=["trend", "trend"], **options)


def alone(given, of):
    return {asset: torch_training._fit_alone(x, y, of) for asset, (x, y) in given.items()}


def nudged(of):
    """The untrained model with every parameter larger by one unit in the last place."""
    model = UNTRAINED(of)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 + 2.0**-23
    return model


UNTRAINED = torch_training._new_model


def compare(name, seed, epochs, monkeypatch):
    """Compare within 1e-5, or 30 times the effect of one unit in the last place.

    Where that unit changes an output by more than 1e-4, the training amplifies rounding more than a thousand
    times, or diverges: no two implementations agree to the end, and the first losses are held, to 1e-5.
    """
    given = examples(*((3, 40) if ALL else (2, 30)))
    of = strategy(MODULES[name], seed=seed, epochs=epochs)
    together = torch_training.fit(given, of)
    expected = alone(given, of)
    monkeypatch.setattr(torch_training, "_new_model", nudged)
    other = alone(given, of)
    monkeypatch.undo()
    assert set(together) == set(given)
    for asset, (x, _) in given.items():
        _, losses, output = expected[asset]
        drift = np.abs(other[asset][2] - output).max()
        model, our_losses, our_output = together[asset]
        if drift < 1e-5:
            assert len(our_losses) == len(losses)
        assert np.allclose(our_losses[:4], losses[:4], rtol=1e-5, atol=1e-5)
        if drift < 1e-4:
            assert np.allclose(our_output, output, rtol=1e-5, atol=max(1e-5, 30 * drift))
        again = torch_training.output_of(model, x)
        assert np.allclose(again, our_output, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", MODULES if ALL else list(MODULES)[1::2] if LONG else ORDINARY)
def test_together_equals_one_optimiser_per_asset(name, capfd, monkeypatch):
    for seed, epochs in [(0, 1), (2, 2), (3, 3)] if ALL else [(2, 2)] if LONG else [(1, 1)]:
        compare(name, seed, epochs, monkeypatch)
    assert "asset by asset" not in capfd.readouterr().err


def test_states_that_overflow_end_in_values_and_in_no_warning():
    """Those of a relu are not bounded, and a training that diverges is recognised by its loss."""
    weight = np.full((1, 1, 1), 1e9, np.float32)
    h = recurrent.rnn(np.ones((1, 9, 1), np.float32), weight, weight, np.zeros((1, 1), np.float32), relu=True)
    assert h[1] == 1e9
    assert h[-1] == np.inf
    fitted = torch_training.fit(examples(2, 40), strategy(Relu, learning_rate=10, epochs=9))
    assert not np.isfinite([losses[-1] for _, losses, _ in fitted.values()]).all()


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        pytest.param("LSTM with dropout", 5, marks=long),
        pytest.param("GRU, 1 layers", 5, marks=long),
        pytest.param("GRU, 1 layers", 34, marks=long),
        pytest.param("RNN, 1 layers", 1, marks=long),
        ("MLP", 5),
    ],
)
def test_the_bits_do_not_depend_on_threads_or_neighbours(name, hidden):
    of = replace(strategy(MODULES[name]), hidden_size=hidden)
    given, threads = examples(assets=5, days=40), torch.get_num_threads()
    pair = list(given.items())[1:3]
    answers = []
    try:
        for count, chosen in ((1, given), (2, given), (1, dict(pair)), (1, dict(pair[:1]))):
            torch.set_num_threads(count)
            answers.append({k: fitted[2].tobytes() for k, fitted in torch_training.fit(chosen, of).items()})
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert answers[0] == answers[1]
    assert answers[2].items() <= answers[0].items()
    assert answers[3].items() <= answers[0].items()


class Branching(Mlp):
    """Its path depends on the data, which cannot be batched."""

    def forward(self, x):
        return super().forward(x if float(x.detach().abs().sum()) > 1 else x + 1)


class Started(Recurrent):
    def forward(self, x):
        state = torch.zeros(1, 1, self.layer.hidden_size)
        return self.linear(self.layer(x, state)[0]).squeeze(-1)


class Cell(Recurrent):
    def forward(self, x):
        h, (_, c) = self.layer(x)
        return self.linear(h + c[-1][:, None] * 0).squeeze(-1)


@pytest.mark.parametrize("model", [Branching, pytest.param(Started, marks=long), partial(Cell, kind="LSTM")])
def test_what_cannot_be_batched_is_trained_one_by_one_with_a_line(model, capfd):
    torch_training._reported.clear()
    given, of = examples(assets=2, days=40), strategy(model)
    fitted = torch_training.fit(given, of)
    printed = capfd.readouterr().err
    assert printed.count("is trained asset by asset, since torch cannot batch it") == 1
    for asset, (x, y) in given.items():
        assert np.array_equal(fitted[asset][2], torch_training._fit_alone(x, y, of)[2])


def test_layers_that_cannot_be_written_out_are_refused():
    with pytest.raises(NotBatchableError, match="bidirectional"):
        Batch(nn.GRU(1, 2, bidirectional=True))
    with pytest.raises(NotBatchableError, match="bidirectional or projected"):
        Batch(nn.LSTM(1, 4, proj_size=2))
    with pytest.raises(NotBatchableError, match="not float32"):
        Batch(nn.Linear(1, 1).double())


def test_a_model_of_the_wrong_shape_is_refused():
    class Wide(Mlp):
        def forward(self, x):
            return self.layers(x)

    with pytest.raises(
        ValueError, match=r"must return one number per day, shape .*1, 71\), not .*1, 71, 1\)"
    ):
        torch_training.fit(examples(), strategy(Wide))
