"""Small notebooks of the kinds that users of the platform publish; none of them imports this project."""

import json
from pathlib import Path

LOAD = "import qnt.data as qndata\ndata = qndata.stocks.load_ndx_data(tail=200)"
LIQUID = "liquid = data.sel(field='is_liquid') > 0\nclose = data.sel(field='close')"
WRITE = "import qnt.output as qnout\nqnout.write(weights)"
CLEAN = f"import qnt.output as output\nweights = output.clean(weights, data, 'stocks_nasdaq100')\n{WRITE}"

OWN_MODEL = """
import numpy as np

class Ridge:
    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, x, y):
        self.coef_ = np.linalg.solve(x.T @ x + self.alpha * np.eye(x.shape[1]), x.T @ y)
        return self

    def predict(self, x):
        return x @ self.coef_
"""
FIT = """
moves = close.pct_change() if hasattr(close, 'pct_change') else close / close.shift(time=1) - 1
moves = moves.where(np.isfinite(moves), 0)
models = {}
for name in close.asset.values.tolist():
    series = moves.sel(asset=name).values
    x = np.stack([series[3:-1], series[2:-2], series[1:-3]], axis=1)
    models[name] = Ridge().fit(x, series[4:])
"""

# by kind the cells of a notebook, in order
PUBLIC: dict[str, list[str]] = {
    "a stateless rule": [
        "import qnt.data as qndata\nimport qnt.ta as qnta",
        "data = qndata.stocks.load_ndx_data(min_date='2024-01-02')",
        LIQUID,
        "weights = (qnta.sma(close, 20) > qnta.sma(close, 60)).astype(float).where(liquid, 0)",
        "weights = weights / weights.sum('asset').clip(1)",
        CLEAN,
    ],
    "a state in a dict": [
        "import qnt.backtester as qnbt",
        "def strategy(data, state):\n"
        "    state = state or {'passes': 0, 'seen': []}\n"
        "    state['passes'] += 1\n"
        "    state['seen'].append(str(data.time.values[-1])[:10])\n"
        "    liquid = data.sel(field='is_liquid').isel(time=-1) > 0\n"
        "    return liquid.astype(float) * 0.01, state",
        "result = qnbt.backtest(competition_type='stocks_nasdaq100', lookback_period=60, strategy=strategy)",
    ],
    "loads by tail": [LOAD, LIQUID, "weights = (liquid * 0.01).isel(time=slice(-1, None))", WRITE],
    "qnt.ta only": [
        "import qnt.ta as qnta",
        LOAD,
        LIQUID,
        "strength = qnta.rsi(close, 14)",
        "weights = ((strength < 60) & liquid).isel(time=[-1]) * 0.02",
        WRITE,
    ],
    "a model of its own": [
        OWN_MODEL,
        LOAD,
        LIQUID,
        FIT,
        "last = moves.values[-3:][::-1].T\n"
        "scores = np.array([models[name].predict(row) for name, row in zip(close.asset.values, last)])\n"
        "weights = (liquid * 0.01 * (scores > np.median(scores))).isel(time=slice(-1, None))",
        CLEAN,
    ],
    "a single pass of backtest": [
        "import qnt.backtester as qnbt\nimport qnt.data as qndata\nimport qnt.ta as qnta",
        "def load_data(period):\n    return qndata.stocks.load_ndx_data(tail=period)",
        "def strategy(data):\n"
        "    fast, slow = (qnta.ema(data.sel(field='close'), n).isel(time=-1) for n in (5, 20))\n"
        "    return (fast > slow) * data.sel(field='is_liquid').isel(time=-1) * 0.05",
        "weights = qnbt.backtest(competition_type='stocks_nasdaq100', load_data=load_data,\n"
        "    lookback_period=120, start_date='2024-11-01', strategy=strategy)",
    ],
    "backtest_ml with retraining": [
        OWN_MODEL,
        "import qnt.backtester as qnbt\nimport qnt.data as qndata",
        "def train(data):\n"
        "    close = data.sel(field='close')\n"
        + FIT.replace("\n", "\n    ").rstrip()
        + "\n    return models",
        "def predict(models, data, state):\n"
        "    last = data.isel(time=slice(-1, None))\n"
        "    return last.sel(field='is_liquid') * 0.01, {'days': (state or {}).get('days', 0) + 1}",
        "weights = qnbt.backtest_ml(competition_type='stocks_nasdaq100', train=train, predict=predict,\n"
        "    train_period=100, retrain_interval=30, retrain_interval_after_submit=1, lookback_period=60,\n"
        "    load_data=lambda days: qndata.stocks.load_ndx_data(tail=days), start_date='2024-11-01')",
    ],
    "long and short": [
        LOAD,
        LIQUID,
        "import numpy as np",
        "rank = (close / close.shift(time=60)).where(liquid).rank('asset', pct=True)",
        "weights = (rank - 0.5).fillna(0)\nweights = weights / np.abs(weights).sum('asset').clip(1e-9)",
        CLEAN,
    ],
    "days held in a state of its own": [
        LOAD,
        LIQUID,
        "import qnt.state as qnstate\nheld = qnstate.read() or {}",
        "today = liquid.isel(time=-1, drop=True)\n"
        "held = {name: held.get(name, 0) + 1 for name in today.asset.values[today.values].tolist()}\n"
        "keep = [name for name, days in held.items() if days < 20]",
        "weights = today * today.asset.isin(keep) * 0.01\nqnstate.write(held)",
        WRITE,
    ],
}


def save(cells: list[str], path: Path) -> Path:
    """Write a notebook of code cells."""
    raw = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {}, "outputs": [], "execution_count": None}
        | {"source": source}
        for k, source in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": raw}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
