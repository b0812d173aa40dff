import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr

from lib import Strategy
from lib.common.competitions import COMPETITIONS
from lib.engine.models import TrainedModels
from lib.report import (
    show_backtest,
    show_backtest_trainings,
    show_outputs,
    show_training,
    show_weights,
)
from lib.report.backtest_log import BacktestLog, Prediction, Training, foreign_models
from lib.report.display import source_of
from lib.report.evaluation import EQUAL, STRATEGY, Evaluation, evaluate
from lib.report.outputs import EvaluatedTraining
from lib.report.tables import COLUMNS
from lib.stats.performance import drawdowns, performance_table
from lib.stats.portfolios import contributions, equal_weights
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


FIGURES = ("performance", "holdings", "loss", "outputs", "contributions")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Record the arguments of each figure."""
    drawn: dict[str, Any] = {}
    for name in FIGURES:
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


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record what is shown, in order: text, names of tables, and figures with their arguments."""
    seen: list[Any] = []
    for name in FIGURES:
        place = f"lib.report.figures.{name}_figure"
        monkeypatch.setattr(place, lambda *data, name=name: (name, *data))
    monkeypatch.setattr("lib.report.display.show_text", seen.append)
    monkeypatch.setattr("lib.report.display.show_figures", lambda *figures: seen.extend(figures))
    monkeypatch.setattr("lib.report.display.show_heat_map", lambda table: seen.append("heat map"))
    monkeypatch.setattr(
        "lib.report.display.show_table",
        lambda table, columns=None: seen.append((table.index.name, columns is COLUMNS)),
    )
    return seen


@pytest.fixture(scope="module")
def few(data: xr.DataArray, weights: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, Evaluation]:
    """Return data, which go on after the weights, weights of some assets and their evaluation."""
    data, weights = data.isel(asset=slice(None, 5)), weights.isel(asset=slice(None, 5), time=slice(20, 60))
    found = evaluate(data, weights, COMPETITIONS["stocks_nasdaq100"])
    return data, weights, found._replace(sentence="What it adds.", change_sentence="What changed.")


RULE_TABLE = ["The contest's rules, checked on the days from 2024-01-29 to 2024-03-22:", ("rule", False)]
MEASURES = ["Performance after costs:", ("measure", False), "What it adds.", "What changed.", "performance"]
MONTHS = ["Returns of the strategy by month:", "heat map"]
DRAWDOWNS = ["The deepest drawdowns of the strategy:", ("drawdown", True)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [*RULE_TABLE, *MEASURES, *MONTHS, *DRAWDOWNS, "contributions", "holdings"]),
        ({"drawdowns": 2}, [*RULE_TABLE, *MEASURES, *MONTHS, *DRAWDOWNS, "contributions", "holdings"]),
        ({"drawdowns": 1}, [*RULE_TABLE, *MEASURES, *MONTHS, "contributions", "holdings"]),
        ({"days": slice(1, 4)}, [*RULE_TABLE, *MEASURES, *MONTHS, *DRAWDOWNS, "contributions", "holdings"]),
        ({"days": slice(2, 23)}, [*RULE_TABLE, *MEASURES, *DRAWDOWNS, "contributions", "holdings"]),
        ({"held": 0}, [*RULE_TABLE, *MEASURES]),
        ({"measures": {}}, RULE_TABLE),
        (
            {"sentence": "", "change_sentence": ""},
            [*RULE_TABLE, *MEASURES[:2], "performance", *MONTHS, *DRAWDOWNS, "contributions", "holdings"],
        ),
    ],
    ids=["all", "two drawdowns", "one", "two months", "one month", "no positions", "one day", "no sentence"],
)
def test_parts_of_a_backtest_in_their_order(
    few: tuple, change: dict, expected: list, shown: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, weights, found = few
    table = performance_table(found.portfolios, found.measures, EQUAL)
    change = dict(change)
    mine, worst = found.portfolios[STRATEGY], change.pop("drawdowns", 3)
    worst = drawdowns(mine.returns, worst)
    # of the days of returns, the first three are in January, and the first one does not count
    mine = mine._replace(returns=mine.returns[change.pop("days", slice(None))])
    mine = mine._replace(weights=mine.weights * change.pop("held", 1))
    found = found._replace(portfolios=found.portfolios | {STRATEGY: mine}, **change)
    monkeypatch.setattr("lib.report.evaluation.evaluate", lambda *_: found)
    monkeypatch.setattr("lib.stats.performance.drawdowns", lambda _: worst)
    monkeypatch.setattr("lib.stats.performance.performance_table", lambda *_: table)
    show_backtest(data, weights)
    assert [part[0] if part[0] in FIGURES else part for part in shown] == expected


def test_figures_of_a_backtest_end_with_its_weights(
    few: tuple, shown: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, weights, found = few
    monkeypatch.setattr("lib.report.evaluation.evaluate", lambda *_: found)
    show_backtest(data, weights)
    lines, earned, held = (part for part in shown if part[0] in FIGURES)
    returns = {name: each.returns for name, each in found.portfolios.items()}
    assert lines == ("performance", returns, COMPETITIONS["stocks_nasdaq100"], "a test")
    until = data.sel(time=slice(None, weights.time.values[-1]))
    mine = found.portfolios[STRATEGY]
    pd.testing.assert_series_equal(earned[1], contributions(until, mine.weights))
    assert not earned[1].equals(contributions(data, mine.weights))
    assert held[1] is found.weights
    assert held[2] is mine.turnover
    assert earned[2] == held[3] == "a test"


class Evaluated(Exception):
    """The evaluation of a backtest begins."""


@pytest.mark.parametrize(
    ("given", "of_log", "expected"),
    [
        ("stocks_s&p500", "crypto_daily_long", "stocks_s&p500"),
        (None, "crypto_daily_long", "crypto_daily_long"),
        (None, None, "stocks_nasdaq100"),
    ],
    ids=["given", "strategy", "data"],
)
def test_rules_are_those_of_the_competition(
    given: str | None, of_log: str | None, expected: str, few: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, weights, _ = few
    strategy = SimpleNamespace(competition_type=of_log)
    log = of_log and SimpleNamespace(strategy=strategy, fault=lambda weights: "")

    def begins(*arguments: Any) -> None:
        assert arguments == (data, weights, COMPETITIONS[expected], log, "last", "name")
        raise Evaluated

    monkeypatch.setattr("lib.report.evaluation.evaluate", begins)
    with pytest.raises(Evaluated):
        show_backtest(data, weights, given, log, "last", "name")


def test_models_of_another_type_have_a_sentence(shown: list) -> None:
    show_training({"mean": 1.0}, None)
    log = BacktestLog(Strategy())
    log.trainings.append(Training(np.datetime64("2024-06-03"), {"mean": 1.0}))
    log.predictions.append(Prediction(np.datetime64("2024-06-03"), None))
    one_day = xr.DataArray([[0.1]], {"time": np.array(["2024-06-03"], "M8[ns]"), "asset": ["A"]})
    show_backtest_trainings(log, None, one_day)
    show_outputs(log, None, one_day)
    assert shown == [foreign_models({"mean": 1.0})] * 2


def test_weights_of_another_run_have_a_sentence_instead_of_a_report(few: tuple, shown: list) -> None:
    data, weights, _ = few
    log = BacktestLog(Strategy())
    show_backtest(data, weights, log=log)
    show_backtest_trainings(log, data, weights)
    assert shown == [log.fault(weights)] * 2
    assert "The log holds no backtest" in shown[0]


@pytest.mark.parametrize(
    ("strategy", "days", "expected"),
    [
        ({"hidden_size": 2}, 90, [("asset", True), "2 models, trained in", "loss"]),
        ({"model": "constant"}, 90, [("asset", True), "2 models, trained in", ("feature", True)]),
        ({"model": "constant"}, 0, [("asset", True), "2 models, trained in"]),
        (
            {"features": (lambda data, _: data.sel(field="close") * np.nan,)},
            90,
            [("asset", True), "No asset got a"],
        ),
    ],
    ids=["LSTM", "constant", "later data", "no model"],
)
def test_parts_of_a_training(
    data: xr.DataArray, strategy: dict, days: int, expected: list, shown: list
) -> None:
    window = data.sel(time=slice("2024-05-01", "2024-08-09"))
    with warnings.catch_warnings(action="ignore"):
        models = Strategy(top_assets=2, **strategy).train_model(window)
    seen = window if days else data.sel(time=slice("2024-08-10", None))
    show_training(models, seen)
    parts = [" ".join(part.split()[:4]) if isinstance(part, str) else part for part in shown]
    assert [part[0] if part[0] == "loss" else part for part in parts] == expected


def training_of(*outputs: float, days: int = 2) -> EvaluatedTraining:
    """Return a training whose outputs of two assets are these on each day."""
    time = pd.bdate_range("2024-06-03", periods=days)
    values = xr.DataArray([outputs] * days, {"time": time, "asset": ["A", "B"]}, ("time", "asset"))
    table = pd.DataFrame({"output": outputs, "target": [0.0, 1.0]})
    models = TrainedModels(Strategy(), (np.datetime64("2024-01-01"), np.datetime64("2024-06-03")))
    return EvaluatedTraining(models, values, table, table[:1])


@pytest.mark.parametrize(
    ("trainings", "drawn"),
    [
        ([training_of(0.4, 0.6)], True),
        ([training_of(0.5, 0.5)], False),
        ([training_of(0.4, 0.6, days=1)], False),
    ],
    ids=["two outputs", "the same output", "one day"],
)
def test_outputs_are_drawn_where_they_differ(
    trainings: list, drawn: bool, data: xr.DataArray, shown: list
) -> None:
    log = SimpleNamespace(evaluated=lambda *_: trainings * 2)
    show_outputs(log, data, data)
    assert "On" in shown[0]
    assert len(shown) == 1 + drawn
    if drawn:
        name, in_sample, later, traded, source = shown[1]
        assert (name, source) == ("outputs", "a test")
        assert in_sample.index.tolist() == [0, 1, 2, 3]
        assert (len(later), later.index.tolist()) == (2, [0, 1])
        assert traded.sizes["time"] == 2


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
