from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qnt.stats as qns
import xarray as xr

from lib import Strategy, print_stats
from lib.backtest import backtest
from lib.report import (
    show_backtest,
    show_backtest_trainings,
    show_outputs,
    show_training,
    show_weights,
)
from lib.report.display import source_of
from lib.report.training_log import TrainingLog
from lib.stats.portfolios import equal_weights
from tests.processes import run_python
from tests.vectors import vector

IN_A_SUBMISSION = """
import sys
from lib.report import print_stats, show_backtest, show_training, show_backtest_trainings
from lib.report import show_outputs, show_weights
for show in (print_stats, show_backtest, show_training, show_weights):
    assert show(None, None) is None
assert show_backtest_trainings(None, None, None) is None is show_outputs(None, None, None)
NAMES = ("figures", "loss_figure", "display", "training_log", "contest", "weights_table", "backtest_report")
REPORTS = [f"lib.report.{name}" for name in NAMES]
for name in ("plotly", "IPython", *REPORTS):
    assert name not in sys.modules, name
"""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each figure was drawn from."""
    places = {
        "figures": ("equity_figure", "performance_figure", "holdings_figure"),
        "loss_figure": ("loss_figure",),
        "outputs_figure": ("outputs_figure",),
        "contributions_figure": ("contributions_figure",),
    }
    drawn: dict[str, Any] = {}
    for module, names in places.items():
        for name in names:
            place = f"lib.report.{module}.{name}"
            monkeypatch.setattr(place, lambda *data, name=name: drawn.update({name: data}))
    monkeypatch.setattr("lib.report.display.show_figures", lambda *figures: None)
    monkeypatch.setattr("lib.report.display.show_heat_map", lambda table: drawn.update(months=table))
    monkeypatch.setattr(
        "lib.report.display.show_table", lambda table: drawn.update({table.index.name: table})
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


def test_print_stats(
    data: xr.DataArray, weights: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture
) -> None:
    print_stats(data, weights)
    expected = qns.calc_stat(data, weights)
    assert figures["time"].equals(expected.to_pandas().tail())
    equity, source = figures["equity_figure"]
    np.testing.assert_allclose(equity.values, expected.sel(field="equity", time=weights.time).values)
    assert source == "a test"


def test_a_single_day_has_no_statistics(
    data: xr.DataArray, weights: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture
) -> None:
    print_stats(data, weights[-1:])
    assert figures == {}
    assert capsys.readouterr().out.startswith("A single day has no statistics")


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
    lines, source = figures["performance_figure"]
    mine, equal = lines.values()
    expected = qns.calc_stat(data, weights).sel(time=slice("2024-01-01", None))
    np.testing.assert_allclose(mine.values, expected.sel(field="relative_return").values)
    shown = figures["rule"]
    assert shown.loc["Sharpe ratio", "found"] == f"{expected.sel(field='sharpe_ratio').values[-1]:.2f}"
    assert "on the days from 2024-01-01 to 2024-12-30:" in capsys.readouterr().out
    benchmark = qns.calc_stat(data, equal_weights(data, weights.time.values)).sel(field="relative_return")
    np.testing.assert_allclose(equal.values, benchmark.sel(time=equal.time).values)
    assert source == figures["holdings_figure"][1] == "a test"
    assert figures["holdings_figure"][0] is weights


def test_a_backtest_with_its_trainings_says_what_the_model_adds(
    figures: dict, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    strategy = Strategy(top_assets=3, hidden_size=3)
    log = TrainingLog(strategy.train_model)
    weights = backtest(strategy, "2024-11-15", train=log)[0]
    data = strategy.load_range("2024-11-15")
    show_backtest(data, weights, training=log)
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
    log = TrainingLog(Strategy(top_assets=2, model="constant").train_model)
    window = data.sel(time=slice("2024-05-01", "2024-08-09"))
    show_training(log(window), window)
    show_outputs(log, data, data.sel(field="close", time=slice("2024-08-09", "2024-08-20")) * 0)
    assert "the model chooses nothing" in capsys.readouterr().out
    assert "outputs_figure" not in figures
    assert "loss_figure" not in figures


def test_backtest_ends_with_its_weights(data: xr.DataArray, weights: xr.DataArray, figures: dict) -> None:
    show_backtest(data, weights[:50])
    for returns in figures["performance_figure"][0].values():
        assert returns.time.values[[0, -1]].tolist() == weights.time.values[[0, 49]].tolist()


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


def test_trainings(data: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture) -> None:
    strategy = Strategy(top_assets=2, hidden_size=3)
    log = TrainingLog(strategy.train_model)
    window = data.sel(time=slice("2024-05-01", "2024-08-09"))
    models = log(window)
    show_training(models, window)
    shown = capsys.readouterr().out
    assert figures["asset"].index.tolist() == list(models)
    assert "2 models, trained in" in shown
    assert figures["loss_figure"] == (models, "a test")
    show_backtest_trainings(log, data, data.sel(field="close", time=slice("2024-08-09", "2024-08-20")) * 0)
    shown = capsys.readouterr().out
    assert figures["trained_to"]["days_out_of_sample"].tolist() == [14]
    assert "over 14 predictions" in shown


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
