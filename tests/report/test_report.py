import numpy as np
import pytest
import qnt.stats as qns
import xarray as xr

from lib import Strategy, print_stats
from lib.report import equal_weights, show_backtest, show_backtest_trainings, show_training, source_of
from lib.report.training_log import TrainingLog
from tests.processes import run_python
from tests.vectors import vector

IN_A_SUBMISSION = """
import sys
from lib.report import print_stats, show_backtest, show_training, show_backtest_trainings
for show in (print_stats, show_backtest, show_training):
    assert show(None, None) is None
assert show_backtest_trainings(None, None, None) is None
REPORTS = [f"lib.report.{name}" for name in ("figures", "display", "training_log", "contest")]
for name in ("plotly", "IPython", *REPORTS):
    assert name not in sys.modules, name
"""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple]:
    """What each figure was drawn from."""
    import lib.report.figures

    drawn: dict[str, tuple] = {}
    for name in ("loss_figure", "equity_figure", "performance_figure", "holdings_figure"):
        monkeypatch.setattr(lib.report.figures, name, lambda *data, name=name: drawn.update({name: data}))
    monkeypatch.setattr("lib.report.display.show_figures", lambda *figures: None)
    monkeypatch.setattr("lib.report.display.show_table", lambda table: drawn.update(table=table))
    return drawn


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    return vector("loaded").sel(time=slice("2023-10-01", None)).assign_attrs(source="a test")


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
    assert figures["table"].equals(expected.to_pandas().tail())
    equity, source = figures["equity_figure"]
    np.testing.assert_allclose(equity.values, expected.sel(field="equity", time=weights.time).values)
    assert source == "a test"


def test_print_stats_of_a_single_day(data: xr.DataArray, weights: xr.DataArray, figures: dict) -> None:
    print_stats(data, weights[-1:])
    assert figures["equity_figure"][0].values.tolist() == [1.0]


def test_backtest(
    data: xr.DataArray, weights: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture
) -> None:
    show_backtest(data, weights)
    mine, equal, source = figures["performance_figure"]
    expected = qns.calc_stat(data, weights).sel(time=slice("2024-01-01", None))
    np.testing.assert_allclose(mine.values, expected.sel(field="relative_return").values)
    assert (
        f"Sharpe ratio {expected.sel(field='sharpe_ratio').values[-1]:.2f} (at least"
        in capsys.readouterr().out
    )
    benchmark = qns.calc_stat(data, equal_weights(data, weights.time.values)).sel(field="relative_return")
    np.testing.assert_allclose(equal.values, benchmark.sel(time=equal.time).values)
    assert source == figures["holdings_figure"][1] == "a test"
    assert figures["holdings_figure"][0] is weights


def test_backtest_ends_with_its_weights(data: xr.DataArray, weights: xr.DataArray, figures: dict) -> None:
    show_backtest(data, weights[:50])
    for returns in figures["performance_figure"][:2]:
        assert returns.time.values[[0, -1]].tolist() == weights.time.values[[0, 49]].tolist()


def test_verdict_names_what_is_wrong(
    data: xr.DataArray, weights: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture
) -> None:
    late = data.copy(deep=True)
    late.loc[{"field": "is_liquid"}][...] = 0
    show_backtest(data, weights.drop_isel(time=[3, 4]))
    assert "✗ 2 missed days" in capsys.readouterr().out
    show_backtest(late, weights)
    assert "positions in illiquid assets, NAS:" in capsys.readouterr().out


def test_trainings(data: xr.DataArray, figures: dict, capsys: pytest.CaptureFixture) -> None:
    strategy = Strategy(top_assets=2, hidden_size=3)
    log = TrainingLog(strategy.train_model)
    window = data.sel(time=slice("2024-05-01", "2024-08-09"))
    models = log(window)
    show_training(models, window)
    shown = capsys.readouterr().out
    assert figures["table"].index.tolist() == list(models)
    assert "2 models, trained in" in shown
    assert figures["loss_figure"] == (models, "a test")
    show_backtest_trainings(log, data, data.sel(field="close", time=slice("2024-08-09", "2024-08-20")) * 0)
    shown = capsys.readouterr().out
    assert figures["table"]["days_out_of_sample"].tolist() == [14]
    assert "right of 14 days of one asset" in shown


def test_equal_weights_by_hand() -> None:
    liquid = [[1, 1, 1], [1, 0, np.nan], [0, 0, 0]]
    close = [[5, 6, np.nan], [5, 6, 7], [5, 6, 7]]
    time = np.array(["2024-01-02", "2024-01-03", "2024-01-04"], dtype="M8[ns]")
    coords = {"field": ["is_liquid", "close"], "time": time, "asset": ["A", "B", "C"]}
    data = xr.DataArray(np.array([liquid, close]), coords, ("field", "time", "asset"))
    assert equal_weights(data, time).values.tolist() == [[0.5, 0.5, 0], [1, 0, 0], [0, 0, 0]]


def test_source_is_what_the_loader_said(data: xr.DataArray) -> None:
    assert source_of(data) == "a test"
    assert source_of(data.drop_attrs()) == ""


def test_the_stand_in_says_what_its_prices_are() -> None:
    from tests.conftest import REAL

    assert source_of(Strategy().load_data(30)) == ("" if REAL else "the market file market.nc")
