import random

import numpy as np
import torch

from lib import Strategy
from lib.engine.torch_training import new_model
from lib.engine.training import train_model
from lib.model import LSTM
from tests import reference
from tests.vectors import vector


def test_the_untrained_output_of_the_vectors():
    x = torch.from_numpy(vector("train_features").values.transpose(2, 1, 0).astype(np.float32))
    assert (
        np.abs(new_model(Strategy())(x).detach().numpy() - vector("train_untrained_output").values).max()
        < 1e-6
    )


def test_it_is_two_layers_of_cells():
    cells = reference.LSTM(1, 34)
    cells.load_state_dict(
        dict(zip(cells.state_dict(), new_model(Strategy()).state_dict().values(), strict=True))
    )
    x = torch.randn(3, 20, 1, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(cells(x), new_model(Strategy())(x), atol=1e-6)


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
