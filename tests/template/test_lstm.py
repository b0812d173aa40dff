import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import Strategy
from lib.engine import lstm
from lib.engine.lstm import from_torch, to_torch
from lib.engine.torch_training import new_model
from lib.model import LSTM


def case(seed, assets, days, n_features, hidden):
    random = np.random.default_rng(seed)
    model = LSTM(n_features, Strategy(hidden_size=hidden))
    size = sum(p.numel() for p in model.parameters())
    rows = random.normal(0, 0.3, (assets, size)).astype(np.float32)
    x = random.normal(0, 1, (assets, days, n_features)).astype(np.float32)
    y = (random.random((assets, days)) > 0.5).astype(np.float32)
    return model, rows, x, y


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    assets=st.integers(1, 4),
    days=st.integers(1, 12),
    n_features=st.integers(1, 3),
    hidden=st.integers(1, 9),
)
def test_output_loss_and_gradient_are_those_of_the_model_in_torch(seed, assets, days, n_features, hidden):
    model, rows, x, y = case(seed, assets, days, n_features, hidden)
    own = np.stack([from_torch(row, n_features, hidden) for row in rows])
    loss, gradient = lstm.loss_and_gradient(own, x, y, hidden)
    output = lstm.outputs(own, x, hidden)
    for k, row in enumerate(rows):
        torch.nn.utils.vector_to_parameters(torch.from_numpy(row), model.parameters())
        model.zero_grad()
        expected = model(torch.from_numpy(x[k : k + 1]))
        expected_loss = torch.nn.functional.mse_loss(expected, torch.from_numpy(y[k : k + 1]))
        expected_loss.backward()
        expected_gradient = torch.cat([p.grad.flatten() for p in model.parameters()]).numpy()
        assert np.allclose(output[k], expected.detach().numpy()[0], atol=2e-6)
        assert np.allclose(loss[k], expected_loss.item(), atol=2e-6)
        assert np.allclose(to_torch(gradient[k], n_features, hidden), expected_gradient, atol=5e-6)


def test_an_asset_does_not_know_its_neighbours():
    _, rows, x, y = case(1, 5, 20, 1, 34)
    loss, gradient = lstm.loss_and_gradient(rows, x, y, 34)
    alone = lstm.loss_and_gradient(rows[2:3], x[2:3], y[2:3], 34)
    assert np.array_equal(loss[2:3], alone[0])
    assert np.array_equal(gradient[2:3], alone[1])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n_features=st.integers(1, 5), hidden=st.integers(1, 80))
def test_initial_parameters_are_those_that_torch_draws(seed, n_features, hidden):
    model = new_model(Strategy(seed=seed, hidden_size=hidden, features=["trend"] * n_features))
    drawn = torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()
    assert np.allclose(lstm.initial_parameters(n_features, hidden, seed), drawn, rtol=0, atol=6e-8)


@pytest.mark.parametrize(("n_features", "hidden"), [(1, 34), (4, 1), (4, 16), (3, 7)])
def test_there_and_back(n_features, hidden):
    row = lstm.initial_parameters(n_features, hidden, 3)
    own = lstm.from_torch(row, n_features, hidden)
    assert not np.array_equal(own, row)
    assert np.array_equal(lstm.to_torch(own, n_features, hidden), row)


def test_pieces_are_views():
    rows = np.zeros((2, sum(int(np.prod(shape)) for shape in lstm.shapes(2, 3))), np.float32)
    for number, piece in enumerate(lstm.split(rows, lstm.shapes(2, 3)), 1):
        piece[:] = number  # so that a gradient written to a piece is in its row
    assert np.bincount(rows[0].astype(int)).tolist() == [
        0,
        *(int(np.prod(shape)) for shape in lstm.shapes(2, 3)),
    ]
