"""The measures of portfolios, and the value that one adds to another."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr
from scipy.signal import lfilter

from lib.common.competitions import COMPETITIONS
from lib.report.display import heat_map, readable
from lib.stats.performance import (
    ERROR_RATE,
    added_value,
    added_value_sentence,
    drawdowns,
    measured,
    monthly_returns,
    performance_table,
    significance,
)
from lib.stats.portfolios import contributions, equal_weights, exposure, portfolio, same_positions
from lib.stats.resampling import FEWEST, coverage_sentence, interval
from tests.switches import ALL, LONG, long, longest
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


def table(value: float, days: int) -> xr.DataArray:
    return line(*np.full(days, value)).expand_dims(asset=["A"]).transpose("time", "asset")


def compared(edge: float, seed: int, days: int = 250):
    """The value of a model whose daily returns are those without it, noise of 0.2 % and an edge."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0.0003, 0.01, days)
    noise = rng.normal(0, 0.002, days + 2)
    mine = base + edge + (noise[:-2] + noise[1:-1] + noise[2:]) / 3**0.5  # positions last for days
    pair = {"strategy": line(*mine), "without": line(*base)}
    both = measured(pair, RULES)
    weights = [table(value, days) for value in (0.5, 0.25)]
    return added_value(both["strategy"], both["without"], list(pair.values()), weights)


def test_measures_are_those_of_qnt() -> None:
    returns = line(*np.random.default_rng(1).normal(0.001, 0.01, 300))
    found = measured({"strategy": returns, "other": returns * 0.5}, RULES)["strategy"]
    assert found.annual_return == pytest.approx(float(qns.calc_mean_return_annualized(returns)[-1]))
    assert found.sharpe_ratio == pytest.approx(float(qns.calc_sharpe_ratio_annualized(returns)[-1]))
    assert np.median(found.ratios_sampled) == pytest.approx(found.sharpe_ratio, abs=0.2)


def test_the_interval_of_a_sharpe_ratio_is_on_average_that_of_theory() -> None:
    """Lo (2002), The Statistics of Sharpe Ratios: for a small ratio, the root of the years."""
    noise = np.random.default_rng(5).normal(0, 0.01, (300, 20))
    found = measured({str(k): line(*column) for k, column in enumerate(noise.T)}, RULES)
    errors = [each.ratios_sampled.std() for each in found.values()]
    assert np.mean(errors) == pytest.approx((252 / 300) ** 0.5, rel=0.15)


def test_an_edge_is_seen() -> None:
    value = compared(0.0008, seed=1)
    assert significance(value) == "adds"
    assert value.return_interval[0] > 0
    assert value.weight_difference == pytest.approx(0.25)
    words = added_value_sentence(value)
    assert "more than chance explains" in words
    assert ERROR_RATE in words
    assert "differ by 25.0% of the capital" in words
    assert f"{value.sharpe_ratio:+.3f} to the Sharpe ratio" in words
    assert significance(compared(-0.0008, seed=1)) == "takes away"


STATED = {0.0: 5, 0.5: 5, 0.8: 8, 0.9: 11, 0.95: 15, "rare losses": 8}  # of 100: see `significance`


def differences(kind: Any, days: int, rng: np.random.Generator) -> np.ndarray:
    """Return daily differences without an edge: of an autocorrelation, or with rare large losses."""
    if kind == "rare losses":
        return rng.normal(0.0002, 0.0005, days) - 0.02 * (rng.random(days) < 0.01)
    noise = rng.normal(0, 0.002 * (1 - kind**2) ** 0.5, days + 300)
    return lfilter([1], [1, -kind], noise)[300:]


@pytest.mark.parametrize(
    "kind", [0.0, *(pytest.param(kind, marks=long if kind == 0.95 else longest) for kind in list(STATED)[1:])]
)
def test_chance_adds_no_more_often_than_stated(kind: Any) -> None:
    """The limit is three standard errors above the stated rate."""
    repetitions, rng, found = 300 if ALL else 100 if LONG else 40, np.random.default_rng(7), 0
    for _ in range(repetitions):
        base = rng.normal(0.0003, 0.01, 250)
        both = measured({"a": line(*base + differences(kind, 250, rng)), "b": line(*base)}, RULES)
        found += interval(both["a"].ratios_sampled - both["b"].ratios_sampled)[0] > 0
    rate = STATED[kind] / 100
    assert found / repetitions <= rate + 3 * (rate * (1 - rate) / repetitions) ** 0.5


@longest
@pytest.mark.parametrize("days", [60, 125, 250])
def test_an_interval_of_few_days_covers_as_often_as_stated(days: int) -> None:
    rng, daily = np.random.default_rng(3), 0.0005
    true = np.expm1(252 * (daily - 0.01**2 / 2)) / (0.01 * 252**0.5)
    ends = [
        interval(measured({"a": line(*rng.normal(daily, 0.01, days))}, RULES)["a"].ratios_sampled)
        for _ in range(300)
    ]
    covered = np.mean([low <= true <= high for low, high in ends])
    assert covered >= (0.9 if days < 250 else 0.93) - 0.03
    assert bool(coverage_sentence(days)) == (days < 250)


def test_few_days_have_no_interval() -> None:
    value = compared(0.01, seed=1, days=FEWEST - 1)
    assert significance(value) == "unclear"
    assert np.isnan(value.sharpe_interval).all()
    assert "too few to distinguish" in added_value_sentence(value)
    assert "interval" not in added_value_sentence(value)


def test_the_same_weights() -> None:
    returns = line(*np.random.default_rng(1).normal(0, 0.01, 100))
    both = measured({"a": returns, "b": returns}, RULES)
    value = added_value(both["a"], both["b"], [returns, returns], [table(0.5, 100)] * 2)
    assert added_value_sentence(value) == "The model adds nothing: without it the weights are the same."


def test_a_portfolio_of_nothing_has_no_ratio() -> None:
    returns = line(*np.random.default_rng(1).normal(0, 0.01, 100))
    both = measured({"a": returns, "b": returns * 0}, RULES)
    value = added_value(both["a"], both["b"], [returns, returns * 0], [table(0.5, 100), table(0, 100)])
    assert np.isnan(value.correlation)
    assert "correlate" not in added_value_sentence(value)
    assert "Sharpe ratio, interval" not in added_value_sentence(value)
    assert "is sized as_output" in added_value_sentence(value, "as_output")


def test_weights_that_trade_places_differ() -> None:
    """Differences of both signs add up: the sum over the assets is the same before and after."""
    returns = line(*np.random.default_rng(1).normal(0, 0.01, 100))
    both = measured({"a": returns, "b": returns}, RULES)
    first = line(*np.full(100, 0.5)).expand_dims(asset=["A", "B"]).transpose("time", "asset") * [1, 0]
    value = added_value(both["a"], both["b"], [returns, returns], [first, first[:, ::-1].values + 0 * first])
    assert value.weight_difference == pytest.approx(1.0)
