"""The fast path is taken for the class that would train in torch, not for the file it came from."""

import importlib

import numpy as np
import pytest
import torch

import lib.model
from lib import Strategy
from lib.engine import learners, lstm
from lib.engine.training import train_model
from tests import reference
from tests.trained import SMALL, needs_published_model, window

pytestmark = needs_published_model


class LSTM(lib.model.LSTM):
    """A network of another shape under the published name, as a notebook may register it."""

    def forward(self, x):
        return super().forward(x) * 0 + 0.25


@pytest.fixture
def _model_restored(monkeypatch):
    monkeypatch.setitem(lib.model.model, "LSTM", lib.model.model["LSTM"])


def needs_torch():
    return learners.needs_torch(Strategy())


@pytest.mark.usefixtures("_model_restored")
def test_a_class_registered_under_the_published_name_is_what_trains(capsys):
    assert not needs_torch()
    lib.model.model(LSTM)
    lstm.report_torch.cache_clear()
    capsys.readouterr()
    assert needs_torch()
    assert needs_torch()
    line = (
        "Model LSTM was edited or replaced: it trains in torch, not on the fast path of the published LSTM.\n"
    )
    assert capsys.readouterr().err == line
    trained = train_model(window(40), SMALL)
    assert type(next(iter(trained.values()))) is LSTM
    lib.model.model(lib.model.LSTM)
    assert not needs_torch()


def test_a_method_replaced_at_run_time_is_what_trains(monkeypatch):
    monkeypatch.setattr(lib.model.LSTM, "forward", LSTM.forward)
    assert needs_torch()


@pytest.mark.usefixtures("_model_restored")
def test_an_edit_counts_once_it_is_imported(monkeypatch, tmp_path):
    """The class in memory trains, whatever the file says by now; a reload brings the edit in."""
    edited = tmp_path / "model.py"
    edited.write_text(lstm.MODEL_FILE.read_text("utf-8").replace("squeeze(-1)", "squeeze(-1) * 2"), "utf-8")
    monkeypatch.setattr(lstm, "MODEL_FILE", edited)
    assert not needs_torch()
    spec = importlib.util.spec_from_file_location("lib.model", edited)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(importlib.sys.modules, "lib.model", module)
    spec.loader.exec_module(module)
    assert needs_torch()


def test_where_torch_is_not_loaded_the_file_decides(monkeypatch, tmp_path):
    monkeypatch.delitem(importlib.sys.modules, "lib.model")
    assert not needs_torch()
    edited = tmp_path / "model.py"
    edited.write_text("", "utf-8")
    monkeypatch.setattr(lstm, "MODEL_FILE", edited)
    assert needs_torch()


@pytest.mark.parametrize(("days", "n_features", "hidden"), [(5, 3, 4), (2, 1, 1)])
def test_outputs_losses_and_gradients_are_those_of_torch(days, n_features, hidden):
    random = np.random.default_rng(1)
    model = reference.LSTM(n_features, hidden)
    size = lstm.number_of_parameters(n_features, hidden)
    rows = random.normal(0, 0.3, (2, size)).astype("f4")
    x, y = random.normal(size=(2, days, n_features)).astype("f4"), random.normal(size=(2, days)).astype("f4")
    own = np.stack([lstm.from_torch(row, n_features, hidden) for row in rows])
    losses, gradients = lstm.loss_and_gradient(own, x, y, hidden)
    outputs = lstm.outputs(own, x, hidden)
    for k, row in enumerate(rows):
        torch.nn.utils.vector_to_parameters(torch.from_numpy(row.copy()), model.parameters())
        model.zero_grad()
        output = model(torch.from_numpy(x[k : k + 1]))
        loss = torch.nn.functional.mse_loss(output, torch.from_numpy(y[k : k + 1]))
        loss.backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        assert len(gradient) == size
        assert np.allclose(outputs[k], output.detach()[0], rtol=1e-5, atol=1e-6)
        assert np.allclose(losses[k], loss.item(), rtol=1e-5, atol=1e-6)
        assert np.allclose(lstm.to_torch(gradients[k], n_features, hidden), gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n_features", "hidden", "seed"), [(1, 34, 42), (3, 5, 0), (2, 1, 2**32 - 1)])
def test_initial_parameters_are_those_that_torch_draws_from_the_seed(n_features, hidden, seed):
    torch.manual_seed(seed)
    model = reference.LSTM(n_features, hidden)
    drawn = torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    found = lstm.initial_parameters(n_features, hidden, seed)
    assert found.dtype == np.float32
    assert np.allclose(found, drawn, rtol=0, atol=6e-8)
    own = lstm.from_torch(found, n_features, hidden)
    assert np.array_equal(lstm.to_torch(own, n_features, hidden), found)
    first = own[: n_features * 4 * hidden].reshape(n_features, 4, hidden)  # gates i, f, o, g
    theirs = model.lstm1.weight_ih.detach().numpy().reshape(4, hidden, n_features)
    assert np.allclose(first, theirs[[0, 1, 3, 2]].transpose(2, 0, 1), rtol=0, atol=6e-8)
