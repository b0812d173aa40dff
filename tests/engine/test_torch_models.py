"""Training all assets together equals one `torch.optim.LBFGS` per asset, for modules of every kind."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lib import Strategy
from lib.engine import recurrent, torch_training
from lib.engine.inputs import set_of_assets
from lib.engine.torch_models import Batch, NotBatchableError, with_batchable_layers
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
ORDINARY = ["GRU, 1 layers", "attention"]  # single evaluations of the others are compared below


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


@pytest.mark.parametrize("name", MODULES if ALL else list(MODULES)[1::4] if LONG else ORDINARY)
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
    start, mixed = np.full((1, 1, 2), 1e30, np.float32), np.float32([[[1e30, 1e30], [-1e30, 1e30]]])
    h = recurrent.rnn(np.ones((1, 5, 1), np.float32), start, mixed, np.zeros((1, 2), np.float32), relu=True)
    assert np.isnan(h[2:, 0, 0]).all()  # the difference of two overflows
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
    for layer in (nn.Linear(1, 1).double(), nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).double())):
        with pytest.raises(NotBatchableError, match="not float32"):
            Batch(layer)


def test_a_model_of_the_wrong_shape_is_refused():
    class Wide(Mlp):
        def forward(self, x):
            return self.layers(x)

    with pytest.raises(
        ValueError, match=r"must return one number per day, shape .*1, 71\), not .*1, 71, 1\)"
    ):
        torch_training.fit(examples(), strategy(Wide))


# ---- layers and batches, compared with torch's own ----


def layer_of(kind, inputs=3, hidden=4, **options):
    if kind == "relu":
        kind, options = "RNN", options | {"nonlinearity": "relu"}
    return getattr(nn, kind)(inputs, hidden, **options)


def close(ours, theirs):
    """Return True if arrays agree to the rounding of float32."""
    return np.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "relu"])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_first": True},
        {"num_layers": 2},
        {"num_layers": 2, "dropout": 1.0},
        {"num_layers": 3, "batch_first": True, "bias": False},
    ],
    ids=str,
)
def test_a_layer_has_the_outputs_and_gradients_of_torchs(kind, options):
    """Its parameters are shared by all sequences; the last states count too."""
    torch.manual_seed(1)
    theirs = layer_of(kind, **options)
    ours = with_batchable_layers(copy.deepcopy(theirs))
    shape, days = ((2, 5, 3), 1) if options.get("batch_first") else ((5, 2, 3), 0)
    x, factors = torch.randn(shape), torch.randn((*shape[:2], 4))
    of_state = torch.randn((options.get("num_layers", 1), 2, 4))

    def run(layer):
        inputs = x.clone().requires_grad_()
        h, state = layer(inputs)
        last = state[0] if kind == "LSTM" else state
        ((h * factors).sum() + (last * of_state).sum()).backward()
        gradients = {name: parameter.grad for name, parameter in layer.named_parameters()}
        assert torch.equal(h.select(days, -1), last[-1])
        return {"h": h.detach(), "last": last.detach(), "x": inputs.grad} | gradients

    found, expected = run(ours), run(theirs)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape
        assert close(found[name], values), name


class PerFeature(Recurrent):
    """A recurrent layer over each feature by itself: several sequences per asset."""

    def __init__(self, n_features, strategy):
        super().__init__(1, strategy)

    def forward(self, x):
        return self.linear(self.layer(x[0].T[:, :, None])[0]).mean(dim=0).T


class Beside(Recurrent):
    """A recurrent layer whose input is a parameter, and one that training does not change."""

    def __init__(self, n_features, strategy):
        super().__init__(n_features, strategy)
        self.fixed = nn.LSTM(n_features, strategy.hidden_size, batch_first=True).requires_grad_(False)
        self.start = nn.Parameter(torch.ones(1, 3, n_features))
        self.layer.weight_hh_l0.requires_grad_(False)

    def forward(self, x):
        h = self.layer(x)[0] + self.fixed(x)[0] + self.fixed(self.start)[0][:, -1:]
        return self.linear(h).squeeze(-1)


BATCHED = {
    **{kind: partial(Recurrent, kind=kind, layers=2) for kind in ("LSTM", "GRU", "RNN")},
    "relu": Relu,
    "MLP": Mlp,
    "several sequences": PerFeature,
    "partly fixed": Beside,
    "last state": partial(LastState, kind="LSTM"),
}


@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize("name", BATCHED)
def test_a_batch_has_the_outputs_losses_and_gradients_of_each_model_alone(name, assets):
    torch.manual_seed(2)
    model = BATCHED[name](2, Strategy(hidden_size=3))
    random = np.random.default_rng(3)
    x, y = random.normal(size=(assets, 6, 2)).astype("f4"), random.normal(size=(assets, 6)).astype("f4")
    batch = Batch(model)
    rows = batch.row + random.normal(0, 0.3, (assets, len(batch.row))).astype("f4")
    outputs, (losses, gradients) = batch.outputs(rows, x), batch.loss_and_gradient(rows, x, y)
    assert (outputs.shape, losses.shape, gradients.shape) == ((assets, 6), (assets,), rows.shape)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert torch.equal(torch.from_numpy(batch.row), nn.utils.parameters_to_vector(parameters))
    for k in range(assets):
        nn.utils.vector_to_parameters(torch.from_numpy(rows[k].copy()), parameters)
        model.zero_grad()
        output = model(torch.from_numpy(x[k : k + 1]))
        loss = nn.functional.mse_loss(output, torch.from_numpy(y[k : k + 1]))
        loss.backward()
        assert close(outputs[k], output.detach()[0])
        assert close(losses[k], loss.detach())
        assert close(gradients[k], torch.cat([parameter.grad.flatten() for parameter in parameters]))


@pytest.mark.parametrize("model", [Mlp, partial(Recurrent, layers=2)])
def test_dropout_draws_for_every_asset_what_one_alone_draws(model):
    of = model(2, Strategy(hidden_size=4), dropout=0.5)
    batch, x = Batch(of), np.ones((3, 5, 2), np.float32)
    rows, y = np.repeat(batch.row[None], 3, axis=0), np.zeros((3, 5), np.float32)
    batch.outputs(rows, x)  # in evaluation
    torch.manual_seed(4)
    losses, gradients = batch.loss_and_gradient(rows, x, y)
    torch.manual_seed(4)
    alone, gradient = batch.loss_and_gradient(rows[:1], x[:1], y[:1])
    assert losses.tolist() == alone.tolist() * 3
    assert (gradients == gradient).all()
    outputs = batch.outputs(rows, x)
    assert np.array_equal(outputs, batch.outputs(rows, x))
    assert close(outputs[0], of.eval()(torch.from_numpy(x[:1])).detach()[0])
    assert losses[0] != pytest.approx(np.mean(outputs[0] ** 2), rel=1e-3)


def test_what_a_batch_cannot_do_is_refused():
    class Own(nn.GRU):
        pass

    x = torch.zeros(2, 3, 1)
    for layer in (nn.GRU(1, 2), nn.LSTM(1, 2)):
        layer = with_batchable_layers(layer)
        with pytest.raises(NotBatchableError, match="an initial state, or input without a batch"):
            layer(x, torch.zeros(1, 3, 2))
        with pytest.raises(NotBatchableError, match="an initial state, or input without a batch"):
            layer(x[0])
    with pytest.raises(NotBatchableError, match="it uses the last cell state of an LSTM"):
        with_batchable_layers(nn.LSTM(1, 2))(x)[1][1].shape  # noqa: B018
    with pytest.raises(NotBatchableError, match="it derives Own from a recurrent layer"):
        with_batchable_layers(nn.Sequential(nn.Linear(1, 1), Own(1, 2)))


@pytest.mark.parametrize("gates", [1, -1])
def test_gates_that_saturate_end_in_values_and_in_no_warning(gates):
    x = np.array([[[gates * 1e9]], [[0.5]]], np.float32)
    w_ih, w_hh = np.ones((2, 1, 4), np.float32), np.zeros((2, 1, 4), np.float32)
    h, *_ = recurrent.lstm(x, w_ih, w_hh, np.zeros((2, 4), np.float32))
    half = 1 / (1 + np.exp(-0.5))
    assert h[0].tolist() == [[0], [0]]
    assert h[1, :, 0] == pytest.approx([np.tanh(1) if gates > 0 else 0, half * np.tanh(half * np.tanh(0.5))])
    h, *_ = recurrent.gru(
        x, w_ih[..., :3], w_hh[..., :3], *np.zeros((2, 2, 3), np.float32)[:1], np.zeros((2, 1))
    )
    assert h[0].tolist() == [[0], [0]]
    assert h[1, :, 0] == pytest.approx([0 if gates > 0 else -1, (1 - half) * np.tanh(0.5)])
