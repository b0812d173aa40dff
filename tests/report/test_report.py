from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qnt.stats as qns
import xarray as xr

from lib import Strategy
from lib.report import (
    show_backtest,
    show_backtest_trainings,
    show_outputs,
    show_training,
    show_weights,
)
from lib.report.backtest_log import BacktestLog
from lib.report.display import source_of
from lib.stats.portfolios import equal_weights
from tests.processes import run_python
from tests.switches import long
from tests.vectors import vector

IN_A_SUBMISSION = """
import sys
from lib.report import show_backtest, show_backtest_trainings, show_outputs, show_training, show_weights
for show in (show_backtest, show_training, show_weights):
    assert show(None, None) is None
assert show_backtest_trainings(None, None, None) is None is show_outputs(None, None, None)
loaded = [name for name in sys.modules if name.startswith("lib.report.")]
assert not loaded, loaded
assert "plotly" not in sys.modules and "IPython" not in sys.modules
"""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Record the arguments of each figure."""
    drawn: dict[str, Any] = {}
    for name in ("performance", "holdings", "loss", "outputs", "contributions"):
        place = f"lib.report.figures.{name}_figure"
        monkeypatch.setattr(place, lambda *data, name=name: drawn.update({f"{name}_figure": data}))
    monkeypatch.setattr("lib.report.display.show_figures", lambda *figures: None)
    monkeypatch.setattr("lib.report.display.show_heat_map", lambda table: drawn.update(months=table))
    monkeypatch.setattr(
        "lib.report.display.show_table", lambda table, columns=None: drawn.update({table.index.name: table})
    )
    return drawn


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    loaded = vector("loaded").sel(time=slice("2023-10-01", None))
    return loaded.rename("stocks_nasdaq100").assign_attrs(source="a test")


@pytest.fixture(scope="module")
def weights() -> xr.DataArray:
    return vector("output_clean").sel(time=slice("2024-01-01", None))


def test_a_submission_shows_nothing_and_imports_nothing_for_it() -> None:
    out, _ = run_python(IN_A_SUBMISSION, SUBMISSION_ID="-1")
    assert out == ""


def test_weights_of_the_last_day(weights: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture) -> None:
    show_weights(weights, None)
    assert figures["asset"]["weight"].sum() == pytest.approx(float(weights[-1].sum()))
    assert "positions on 2024-12-30" in capsys.readouterr().out
    figures.clear()
    show_weights(weights * 0, None)
    assert figures == {}


def test_backtest(
    data: xr.DataArray, weights: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture
) -> None:
    show_backtest(data, weights)
    lines, rules, source = figures["performance_figure"]
    assert rules.mean_estimator == "geometric"
    mine, equal = lines.values()
    expected = qns.calc_stat(data, weights).sel(time=slice("2024-01-01", None))
    np.testing.assert_allclose(mine.values, expected.sel(field="relative_return").values)
    shown = figures["rule"]
    assert shown.loc["Sharpe ratio", "found"] == f"{expected.sel(field='sharpe_ratio').values[-1]:.2f}"
    assert "on the days from 2024-01-01 to 2024-12-30:" in capsys.readouterr().out
    benchmark = qns.calc_stat(data, equal_weights(data, weights.time.values)).sel(field="relative_return")
    np.testing.assert_allclose(equal.values, benchmark.sel(time=equal.time).values)
    assert source == figures["holdings_figure"][2] == "a test"
    assert figures["holdings_figure"][0] is weights


@long
def test_a_backtest_with_its_trainings_says_what_the_model_adds(
    figures: dict, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    strategy = Strategy(top_assets=3, hidden_size=3)
    log = BacktestLog(strategy)
    weights, data = log.backtest("2024-11-15"), strategy.load_range("2024-11-15")
    show_backtest(data, weights, log=log)
    show_outputs(log, data, weights)
    assert list(figures["performance_figure"][0]) == ["strategy", "without the model", "equal weights"]
    assert figures["measure"].columns.tolist() == ["strategy", "without the model", "equal weights"]
    shown = capsys.readouterr().out
    assert "The model adds" in shown
    assert "the outputs of the assets differ by" in shown
    assert set(figures) >= {"months", "contributions_figure", "outputs_figure"}


def test_a_model_that_chooses_nothing_has_no_figure_of_its_outputs(
    data: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture
) -> None:
    log = BacktestLog(Strategy(top_assets=2, model="constant"))
    window = data.sel(time=slice("2024-05-01", "2024-08-09"))
    show_training(log.train_model(window), window)
    show_outputs(log, data, data.sel(field="close", time=slice("2024-08-09", "2024-08-20")) * 0)
    assert "the model chooses nothing" in capsys.readouterr().out
    assert "outputs_figure" not in figures
    assert "loss_figure" not in figures


def test_backtest_ends_with_its_weights(data: xr.DataArray, weights: xr.DataArray, figures: dict) -> None:
    """Positions bought at the end of January earn from February on."""
    some = weights.sel(time=slice("2024-01-31", "2024-03-20"))
    show_backtest(data, some)
    for returns in figures["performance_figure"][0].values():
        assert returns.time.values[[0, -1]].tolist() == some.time.values[[0, -1]].tolist()
    assert list(figures["months"]) == ["Feb", "Mar", "year"]


def test_rules_that_do_not_hold(data: xr.DataArray, weights: xr.DataArray, figures: dict) -> None:
    show_backtest(data, weights.drop_isel(time=[3, 4]))
    assert figures["rule"].loc["missed days", "result"] == "✗ failed"
    illiquid = data.copy(deep=True)
    illiquid.loc[{"field": "is_liquid"}][...] = 0
    show_backtest(illiquid, weights)
    assert "the first in NAS:" in figures["rule"].loc["illiquid positions", "found"]


def test_a_backtest_of_one_day_or_without_positions_draws_nothing_empty(
    data: xr.DataArray, weights: xr.DataArray, figures: dict
) -> None:
    show_backtest(data, weights[-1:])
    assert "performance_figure" not in figures
    figures.clear()
    show_backtest(data, weights * 0)
    assert "holdings_figure" not in figures


def test_a_competition_without_known_rules(data: xr.DataArray, weights: xr.DataArray) -> None:
    with pytest.raises(ValueError, match="competition_type is 'crypto'"):
        show_backtest(data, weights, "crypto")


def test_trainings(
    figures: dict, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    strategy = Strategy(top_assets=2, hidden_size=3)
    window = strategy.load_data(100)
    models = strategy.train_model(window)
    show_training(models, window)
    shown = capsys.readouterr().out
    assert figures["asset"].index.tolist() == list(models)
    assert "2 models, trained in" in shown
    assert figures["loss_figure"][:2] == (models, True)
    log = BacktestLog(strategy)
    weights = log.backtest("2024-12-16", "2024-12-26")
    show_backtest_trainings(log, strategy.load_range("2024-12-16"), weights)
    shown = capsys.readouterr().out
    assert figures["trained_to"]["days_out_of_sample"].tolist() == [16]
    assert "over 16 predictions" in shown


def test_turnover_has_one_value(
    figures: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: xr.DataArray, weights: xr.DataArray
) -> None:
    """The number in the table is the mean of the line in the figure."""
    show_backtest(data, weights)
    line = figures["holdings_figure"][1]
    assert figures["measure"].loc["turnover per day", "strategy"] == f"{float(line.mean()):.2%}"


def test_source_is_what_the_loader_said(data: xr.DataArray) -> None:
    assert source_of(data) == "a test"
    assert source_of(data.drop_attrs()) == ""


def test_the_stand_in_says_what_its_prices_are() -> None:
    from tests.conftest import REAL

    assert source_of(Strategy().load_data(30)) == ("" if REAL else "the market file market.nc")


def test_weights_that_are_nan_throughout_draw_no_holdings(monkeypatch: pytest.MonkeyPatch) -> None:
    from lib.report import figures

    monkeypatch.setattr(figures, "holdings_figure", lambda *_: pytest.fail("an empty figure was drawn"))
    data = vector("loaded").isel(time=slice(-90, None))
    data = data.rename("stocks_nasdaq100")
    nothing = data.sel(field="close", drop=True).isel(time=slice(-5, None)) * np.nan
    show_backtest(data, nothing)
