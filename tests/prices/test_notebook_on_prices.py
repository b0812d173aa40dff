"""Twenty stocks with splits and dividends: from a CSV file to the executed notebook."""

import gzip
import io
import os
import shlex
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib import Strategy
from lib.prices.__main__ import main
from tests.conftest import LAST_DAY, REAL
from tests.processes import PROJECT
from tests.switches import long

COMMANDS = [
    ".venv/bin/python -m lib.prices prices.csv --output market.nc",
    ".venv/bin/python -m lib.notebook --output runs/mine --start 2024-12-02",
]


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    """A folder with prices.csv, and the prices in it adjusted for splits."""
    folder = tmp_path_factory.mktemp("prices")
    days, stocks = pd.bdate_range("2024-03-01", LAST_DAY), 20
    rng = np.random.default_rng(20)
    close = 80 * np.exp(np.cumsum(rng.normal(0, 0.012, (len(days), stocks)), 0))
    opened = close * np.exp(rng.normal(0, 0.004, close.shape))
    split = np.zeros(close.shape)
    split[rng.integers(20, len(days) - 20, 6), np.arange(6)] = [2, 3, 4, 10, 0.5, 1.5]
    so_far = np.cumprod(np.where(split == 0, 1, split), axis=0)
    later = so_far[-1] / so_far
    dividends = np.where(np.arange(len(days))[:, None] % 63 == np.arange(stocks), 0.2, 0) * later
    columns = {
        "Date": np.repeat(days.strftime("%Y-%m-%d"), stocks),
        "Ticker": np.tile([f"T{k:02d}" for k in range(stocks)], len(days)),
        "Open": (opened * later).ravel(),
        "High": (np.maximum(opened, close) * 1.004 * later).ravel(),
        "Low": (np.minimum(opened, close) * 0.996 * later).ravel(),
        "Close": (close * later).ravel(),
        "Adj Close": close.ravel(),
        "Volume": rng.integers(1_000, 9_000, close.size),
        "Dividends": dividends.ravel(),
        "Stock Splits": split.ravel(),
    }
    pd.DataFrame(columns).to_csv(folder / "prices.csv", index=False)
    return folder, close


def test_converted_prices_are_loaded_trained_on_and_traded(prices, use_market, monkeypatch):
    folder, close = prices
    monkeypatch.chdir(folder)
    main(["prices.csv", "--output", "market.nc"])
    market = xr.load_dataarray("market.nc")
    np.testing.assert_allclose(market.sel(field="close"), close, rtol=1e-12)
    assert market.sel(field="divs").sum() > 0
    use_market(market)
    strategy = Strategy(top_assets=4, lookback_period=60, train_period=60)
    data = strategy.load_data(strategy.train_period)
    weights, _ = strategy.predict(strategy.train_model(data), data, None)
    assert data.time.values[-1] == np.datetime64(LAST_DAY)
    assert (weights.sum("asset") > 0).any()
    assert set(weights.asset.values) <= set(market.asset.values)


@long
@pytest.mark.skipif(REAL, reason="QNT_OFFLINE_MARKET is read where qnt is not installed")
def test_two_commands_lead_from_csv_to_the_executed_notebook(prices):
    folder, _ = prices
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATA_BASE_URL", "QNT_OFFLINE_MARKET") and not name.startswith("PYTEST_")
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    for command in COMMANDS:
        words = shlex.split(command.replace(".venv/bin/python", shlex.quote(sys.executable)))
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        environment["QNT_OFFLINE_MARKET"] = str(folder / "market.nc")
    notebook = nbformat.read(folder / "runs/mine/strategy.ipynb", as_version=4)
    assert not [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    weights = xr.load_dataarray(
        io.BytesIO(gzip.decompress((folder / "runs/mine/fractions.nc.gz").read_bytes()))
    )
    assert set(weights.asset.values) <= {f"T{k:02d}" for k in range(20)}
    assert weights.time.values[-1] == np.datetime64(LAST_DAY)
