"""What tests of trained models share: a small strategy, a window of data, and what models answer to it."""

import numpy as np

from lib import Strategy, training
from lib.prediction import model_outputs
from lib.training import sequences
from tests.vectors import vector

SMALL = Strategy(top_assets=3, hidden_size=5)


def window(days=71):
    return vector("loaded").isel(time=slice(-days, None))


def outputs(models, data, strategy):
    assets = list(models)
    x, known = sequences(data.sel(asset=assets), strategy)
    answered = model_outputs(models, {asset: x[k][known[k]] for k, asset in enumerate(assets)})
    return np.stack([answered[asset] for asset in assets])


def use_torch(monkeypatch):
    monkeypatch.setattr(training, "uses_kernel", lambda strategy: False)


def daily(data, strategy):
    close = data.sel(field="close")
    return 100 * (close / close.shift(time=1) - 1)  # its first day is NaN, and left out
