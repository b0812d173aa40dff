"""A small strategy, a window of data, and the models' outputs, for tests of trained models."""

import numpy as np
import pytest

from lib import Strategy
from lib.engine import lstm
from lib.engine.inputs import model_inputs
from lib.engine.lstm import MODEL_FILE, source_is_published
from lib.engine.prediction import model_outputs
from tests.vectors import vector

# what only the shipped class LSTM can show; a user may have another
needs_published_model = pytest.mark.skipif(
    not source_is_published(MODEL_FILE.read_text("utf-8")), reason="the class LSTM of lib/model.py was edited"
)
SMALL = Strategy(top_assets=3, hidden_size=5)


def window(days=71):
    return vector("loaded").isel(time=slice(-days, None))


def outputs(models, data, strategy):
    assets = list(models)
    x, known = model_inputs(data.sel(asset=assets), strategy)
    answered = model_outputs(models, {asset: x[k][known[k]] for k, asset in enumerate(assets)})
    return np.stack([answered[asset] for asset in assets])


def use_torch(monkeypatch):
    monkeypatch.setattr(lstm, "is_published_network", lambda strategy: False)


def daily(data, strategy):
    close = data.sel(field="close")
    return 100 * (close / close.shift(time=1) - 1)  # its first day is NaN, and left out
