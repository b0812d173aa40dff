"""The fast path is taken for the class that would train in torch, not for the file it came from."""

import importlib

import pytest

import lib.model
from lib import Strategy
from lib.engine import learners, lstm
from lib.engine.training import train_model
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
def test_a_class_registered_under_the_published_name_is_what_trains():
    assert not needs_torch()
    lib.model.model(LSTM)
    assert needs_torch()
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
