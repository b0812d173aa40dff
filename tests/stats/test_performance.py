import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.report.display import heat_map, readable
from lib.stats.performance import drawdowns, measured, monthly_returns, performance_table
from lib.stats.portfolios import contributions, equal_weights, exposure, portfolio, same_positions
from tests.vectors import vector

RULES = COMPETITIONS["stocks_nasdaq100"]


def line(*values: float, first: str = "2020-01-30") -> xr.DataArray:
    return xr.DataArray(list(values), {"time": pd.bdate_range(first, periods=len(values))}, ("time",))


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    return vector("loaded").sel(time=slice("2023-10-01", None))


@pytest.fixture(scope="module")
def weights() -> xr.DataArray:
    return vector("output_clean").sel(time=slice("2024-01-01", None))


def test_numbers_are_those_of_qnt(data: xr.DataArray, weights: xr.DataArray) -> None:
    mine = portfolio(data, weights, RULES)
    equal = portfolio(data, equal_weights(data, mine.returns.time.values), RULES)
    both = {"strategy": mine, "equal weights": equal}
    table = performance_table(
        both, measured({name: each.returns for name, each in both.items()}, RULES), "equal weights"
    )
    stats = qns.calc_stat(data, weights).sel(time=weights.time).isel(time=-1)
    shown = table["strategy"]
    assert shown["annual return"] == f"{float(stats.sel(field='mean_return')):.2%}"
    assert shown["volatility"] == f"{float(stats.sel(field='volatility')):.2%}"
    assert shown["Sharpe ratio"] == f"{float(stats.sel(field='sharpe_ratio')):.3f}"
    assert shown["maximum drawdown"] == f"{float(stats.sel(field='max_drawdown')):.2%}"
    per_day = qns.calc_stat(data.sel(time=weights.time), weights).sel(field="avg_turnover").isel(time=-1)
    assert float(mine.turnover.mean()) == pytest.approx(
        float(per_day), rel=0.02
    )  # that of the first day differs
    assert table.loc["beta to equal weights", "equal weights"] == "1.00"
    assert float(shown["trading cost per year"].rstrip("%")) > 0
    low, high = map(float, shown["its 95% interval"].split(" to "))
    assert low < float(shown["Sharpe ratio"]) < high


def test_the_return_of_crypto_is_added_up_as_in_qnt(data: xr.DataArray, weights: xr.DataArray) -> None:
    rules, data = COMPETITIONS["crypto_daily_long"], data.rename("cryptodaily")
    mine = portfolio(data, weights, rules)
    table = performance_table({"a": mine}, measured({"a": mine.returns}, rules), "a")["a"]
    stats = qns.calc_stat(data, weights).sel(time=weights.time).isel(time=-1)
    assert table["annual return"] == f"{float(stats.sel(field='mean_return')):.2%}"
    assert table["Sharpe ratio"] == f"{float(stats.sel(field='sharpe_ratio')):.3f}"
    cost = (mine.before_costs - mine.returns).values.mean() * qns.calc_avg_points_per_year(data)
    assert table["trading cost per year"] == f"{cost:.2%}"


def test_ratios_by_hand() -> None:
    returns = line(0.01, -0.02, 0.03)
    each = portfolio_of(returns)
    table = performance_table({"a": each}, measured({"a": returns}, RULES), "a")["a"]
    year = float(qns.calc_mean_return_annualized(returns)[-1])
    per_year = qns.calc_avg_points_per_year(returns)
    assert table["Sortino ratio"] == f"{year / np.sqrt(0.02**2 / 3 * per_year):.2f}"
    assert table["Calmar ratio"] == f"{year / 0.02:.2f}"
    assert table["win rate"] == "66.7%"
    assert table["its days"] == "2020-01-30 to 2020-01-31"
    assert table["its 95% interval"] == ""


def test_a_ratio_just_below_zero_has_no_sign() -> None:
    returns = line(0, 0.02, -0.01962)  # a loss of 0.001 % in all
    table = performance_table({"a": portfolio_of(returns)}, measured({"a": returns}, RULES), "a")["a"]
    assert {"-0.00", "-0.00%", "-0.000"}.isdisjoint(table)


def portfolio_of(returns: xr.DataArray):
    from lib.stats.portfolios import Portfolio

    return Portfolio(returns.expand_dims(asset=["A"]), returns, returns, 0 * returns)


def test_a_portfolio_of_nothing_has_no_ratios() -> None:
    returns = line(0, 0, 0)
    table = performance_table({"a": portfolio_of(returns)}, measured({"a": returns}, RULES), "a")["a"]
    assert table["annual return"] == "0.00%"
    for name in ("Sharpe ratio", "Sortino ratio", "Calmar ratio", "win rate", "its days"):
        assert table[name] == "", name


def test_exposure_by_hand() -> None:
    days = {"time": pd.bdate_range("2020-01-30", periods=3), "asset": ["A", "B"]}
    weights = xr.DataArray([[0.5, -0.3], [0.1, np.nan], [-0.6, -0.4]], days, ("time", "asset"))
    found = exposure(weights)
    assert found.long.values == pytest.approx([0.5, 0.1, 0])
    assert found.short.values == pytest.approx([0.3, 0, 1])
    assert found.gross.values == pytest.approx([0.8, 0.1, 1])
    assert found.net.values == pytest.approx([0.2, 0.1, -1])
    returns = line(0.01, -0.02, 0.03)
    each = portfolio_of(returns)._replace(weights=weights)
    table = performance_table({"a": each}, measured({"a": returns}, RULES), "a")["a"]
    assert table["exposure long, short"] == "20.0%, 43.3%"
    assert table["exposure gross, net"] == "63.3%, -23.3%"


def test_drawdowns_by_hand() -> None:
    table = drawdowns(line(0.1, -0.1, 0.2, -0.5, 0.1))
    assert table["depth"].tolist() == pytest.approx([-0.5, -0.1])
    assert table["from"].dt.day.tolist() == [3, 30]
    assert table["recovered on"].isna().tolist() == [True, False]
    assert table["days"].tolist() == [2, 4]
    shown = readable(table)
    assert shown["recovered on"].tolist()[0] == ""  # not yet
    assert len(drawdowns(line(0.1, 0.1))) == 0


def test_months_by_hand() -> None:
    table = monthly_returns(line(0.1, 0.1, -0.5))  # two days of January, one of February
    assert table.columns.tolist() == ["Jan", "Feb", "year"]
    assert table.iloc[0].tolist() == pytest.approx([0.21, -0.5, 0.605 - 1])


def test_months_are_coloured_by_sign_and_missing_ones_are_empty() -> None:
    html = heat_map(pd.DataFrame({"Jan": [0.1, np.nan], "Feb": [-0.2, 0.0]}, index=[2020, 2021])).to_html()
    assert "rgba(42,133,207,0.28)" in html
    assert "rgba(201,106,18,0.50)" in html
    assert "nan" not in html.lower()


def test_contributions_add_up_to_the_return(data: xr.DataArray, weights: xr.DataArray) -> None:
    earned = contributions(data, weights)
    returns = qns.calc_relative_return(data, weights)
    assert earned.sum() == pytest.approx(float(returns.sum()), abs=0.005)
    assert earned.is_monotonic_decreasing
    assert set(earned.index) == set(weights.asset.values[(weights.fillna(0) != 0).any("time").values])


def test_equal_weights_by_hand() -> None:
    liquid = [[1, 1, 1], [1, 0, np.nan], [0, 0, 0]]
    close = [[5, 6, np.nan], [5, 6, 7], [5, 6, 7]]
    time = np.array(["2024-01-02", "2024-01-03", "2024-01-04"], dtype="M8[ns]")
    coords = {"field": ["is_liquid", "close"], "time": time, "asset": ["A", "B", "C"]}
    data = xr.DataArray(np.array([liquid, close]), coords, ("field", "time", "asset"))
    assert equal_weights(data, time).values.tolist() == [[0.5, 0.5, 0], [1, 0, 0], [0, 0, 0]]


def test_the_same_positions_whichever_assets_are_absent(weights: xr.DataArray) -> None:
    held = (weights != 0).any("time")
    assert same_positions(weights, weights.sel(asset=held))
    assert not same_positions(weights, weights.sel(asset=held)[:, 1:])
    assert not same_positions(weights, weights[1:])
    assert not same_positions(weights, weights + 1e-6)
