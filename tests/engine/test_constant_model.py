import pickle

import numpy as np
import pytest

from lib import Strategy
from lib.engine.learners import needs_torch
from tests.processes import run_python
from tests.switches import long
from tests.trained import needs_published_model
from tests.vectors import vector

CONSTANT = Strategy(model="constant", top_assets=4)
A_PASS = """
import sys
from lib import Strategy
strategy = Strategy(model="constant", top_assets=12)
models = strategy.train_model(strategy.load_data(100))
weights, _ = strategy.predict(models, strategy.load_data(155), None)
assert len(models) == 12
assert "torch" not in sys.modules
print(sorted(set(weights.values[weights.values > 0].tolist())))
"""


def test_it_answers_one_half_to_arrays_and_tensors() -> None:
    import torch

    model = CONSTANT.train_model(vector("loaded"))
    answer = next(iter(model.values()))
    assert answer(np.zeros((1, 3, 2), np.float32)).tolist() == [[0.5] * 3]
    assert answer(torch.ones(2, 1, 1)).tolist() == [[0.5], [0.5]]


def test_a_training_takes_no_step() -> None:
    models = CONSTANT.train_model(vector("loaded"))
    assert len(models) == 4
    for fit in models.fits.values():
        assert fit.losses == ()
        assert fit.loss_after == pytest.approx(0.25)
    assert list(pickle.loads(pickle.dumps(models))) == list(models)


@long
def test_a_pass_needs_no_torch() -> None:
    out, _ = run_python(A_PASS)
    assert out.splitlines()[-1].startswith("[0.08333")
    assert out.count(",") == 0  # all weights are equal


def test_only_models_of_torch_need_it() -> None:
    assert not needs_torch(CONSTANT)
    assert needs_torch(Strategy(model=lambda n_features, strategy: None))


@needs_published_model
def test_the_shipped_model_does_not_need_it() -> None:
    assert not needs_torch(Strategy())


def test_a_misspelt_model_is_told_of_it() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'constant'\?"):
        Strategy(model="constants")
