import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import Strategy, parameters
from lib.model import get_model


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n_features=st.integers(1, 5), hidden=st.integers(1, 80))
def test_initial_parameters_are_those_that_torch_draws(seed, n_features, hidden):
    model = get_model(Strategy(seed=seed, hidden_size=hidden, features=["trend"] * n_features))
    drawn = torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()
    assert np.allclose(parameters.initial_parameters(n_features, hidden, seed), drawn, rtol=0, atol=6e-8)


@pytest.mark.parametrize(("n_features", "hidden"), [(1, 34), (4, 1), (4, 16), (3, 7)])
def test_there_and_back(n_features, hidden):
    row = parameters.initial_parameters(n_features, hidden, 3)
    own = parameters.from_torch(row, n_features, hidden)
    assert not np.array_equal(own, row)
    assert np.array_equal(parameters.to_torch(own, n_features, hidden), row)


def test_pieces_are_views():
    rows = np.zeros((2, sum(int(np.prod(shape)) for shape in parameters.shapes(2, 3))), np.float32)
    for number, piece in enumerate(parameters.split(rows, parameters.shapes(2, 3)), 1):
        piece[:] = number  # so that a gradient written to a piece is in its row
    assert np.bincount(rows[0].astype(int)).tolist() == [
        0,
        *(int(np.prod(shape)) for shape in parameters.shapes(2, 3)),
    ]
