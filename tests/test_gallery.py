"""Every strategy of the gallery runs in the notebook, does not look ahead, and gets a verdict."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import xarray as xr

from lib import lookahead
from lib.backtest import backtest
from lib.common.command_line import PROJECT
from lib.contest import contest
from lib.notebook import run_notebook
from lib.notebook_strategy import strategy_of
from lib.report.__main__ import evaluated
from lib.state import from_bytes, to_bytes
from lib.stats.performance import significance
from tests.markets import random_market
from tests.report.planted import planted_market
from tests.switches import long, longest

PAGE = (PROJECT / "lib" / "GALLERY.md").read_text("utf-8")
GALLERY = {
    title: block
    for title, _, block in re.findall(r"^## (.+?)\n(.*?)```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
}
LONGEST = 25  # lines
FIRST, LAST = "2024-12-02", "2024-12-30"
SLOW = {"Pooled network with early stopping", "Attention across assets", "Convolution over a window"}
SLOW |= {"Ensemble of seeds", "Stop loss", "Pooled Ridge", "LightGBM classifier"}
QUICK = {"hidden_size": 3, "start_date": FIRST}


def notebook_with(block: str, folder: Path) -> Path:
    """Write the shipped notebook with a block at the end of its parameters cell."""
    edited = nbformat.read(PROJECT / "strategy.ipynb", 4)
    next(cell for cell in edited.cells if cell.id == "parameters").source += f"\n{block}"
    nbformat.write(edited, folder / "mine.ipynb")
    return folder / "mine.ipynb"


def strategy_in(title: str, folder: Path, **settings):
    return strategy_of(notebook_with(GALLERY[title], folder), QUICK | settings).strategy


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Provide one folder for all verdicts: the template's passes are computed once."""
    return tmp_path_factory.mktemp("contest")


def test_the_page_has_its_strategies():
    assert len(GALLERY) == PAGE.count("```python")
    assert not [title for title, block in GALLERY.items() if len(block.strip().splitlines()) > LONGEST]


@pytest.mark.parametrize("title", [pytest.param(t, marks=longest if t in SLOW else long) for t in GALLERY])
def test_a_strategy_of_the_gallery_passes_every_command(title, runs, here, tmp_path, monkeypatch):
    """Run its backtest, the look-ahead check, and the contest over a month."""
    monkeypatch.chdir(tmp_path)
    strategy = strategy_in(title, tmp_path)
    weights, _ = backtest(strategy, FIRST)
    assert (weights != 0).any("asset").all()
    period = strategy.train_period + strategy.lookback_period + 100
    report = lookahead.check(strategy, strategy.load_data(period), days=1)
    assert not report.leaks, str(report)
    verdict = contest(strategy, FIRST, LAST, folder=runs, progress=False)
    failed = [check.rule for check in verdict.checks if check.holds is False]
    assert not {"illiquid positions", "largest position", "missed days"}.intersection(failed)
    assert verdict.exposure["gross"] > 0.1


@pytest.mark.parametrize(
    "title", [pytest.param(t, marks=long if t == "A rule from averages" else longest) for t in GALLERY]
)
def test_a_strategy_of_the_gallery_runs_in_the_notebook(title, tmp_path):
    executed = run_notebook(notebook_with(GALLERY[title], tmp_path), tmp_path / "out", QUICK)
    assert (executed.parent / "fractions.nc.gz").exists()


@longest
@pytest.mark.parametrize("title", [title for title in GALLERY if "def predict" not in GALLERY[title]])
def test_on_random_prices_a_strategy_adds_no_more_often_than_stated(title, use_market, here, tmp_path):
    """At most 5 of 100 add without an edge; more than 4 of 20 would have a probability of 0.3 %.

    A predict of one's own has no line without the model, so that it cannot add.
    """
    shorter = {"hidden_size": 3, "train_period": 150, "lookback_period": 100, "top_assets": 8}
    strategy = strategy_in(title, tmp_path, **shorter)
    found = []
    for seed in range(20):
        market = planted_market(0.0, seed, 260, assets=12)
        use_market(market)
        found.append(evaluated(strategy, str(market.time.values[150])[:10], None)[0].value)
    assert sum(value is not None and significance(value) == "adds" for value in found) <= 4


def days_of(strategy, market: xr.DataArray, days: int):
    """Yield the last days of a market with weights; each is run twice, with a state from a file."""
    models = strategy.train_model(market.isel(time=slice(None, -days)))
    state = None
    for row in range(market.sizes["time"] - days, market.sizes["time"]):
        window = market.isel(time=slice(None, row + 1))
        weights, after = strategy.predict(models, window, state)
        again, same = strategy.predict(models, window, from_bytes(to_bytes(after)))
        assert again.equals(weights)
        assert same == after
        yield weights[0].to_series().to_dict(), state
        state = after


@pytest.fixture
def market():
    """Return a market in which every asset can be traded, and rises a little each day."""
    found = random_market(4, days=120, assets=6)
    prices = np.geomspace(10, 12, 120)[:, None].repeat(6, axis=1)
    found.values[:4] = prices * np.random.default_rng(1).uniform(0.999, 1.001, (120, 6))
    found.values[4:] = 1
    return found


def test_the_stop_loss_sells_and_pauses(market, tmp_path):
    strategy = strategy_in("Stop loss", tmp_path, top_assets=4, model="constant")
    models = strategy.train_model(market.isel(time=slice(None, -20)))
    fallen = next(iter(models))
    place = market.get_index("asset").get_loc(fallen)
    market.values[:4, -18:, place] *= 0.95  # not enough
    market.values[:4, -15:, place] *= 0.95
    held = [row[fallen] > 0 for row, _ in days_of(strategy, market, 20)]
    assert held == [True] * 5 + [False] * 10 + [True] * 5


def test_the_holding_period_keeps_weights(market, tmp_path):
    strategy = strategy_in("Holding period", tmp_path, top_assets=4, model="constant", sizing="as_output")
    rows = [row for row, _ in days_of(strategy, market, 22)]
    assert all(row == rows[0] for row in rows[:10])
    first = {asset for asset, weight in rows[0].items() if weight}
    assert len(first) == 4
    stopped = next(iter(first))
    market.loc[{"field": "is_liquid", "asset": stopped, "time": market.time.values[-18]}] = 0
    rows = [row for row, _ in days_of(strategy, market, 22)]
    assert [rows[k][stopped] > 0 for k in range(6)] == [True] * 4 + [False, True]
