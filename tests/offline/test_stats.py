"""Tests of the statistics: the platform's vectors, its answers on odd markets, and sums done by hand.

Stored numbers hold on any CPU. Instruction sets round differently by some units in the last place, and each
field gets the tolerance that its own conditioning justifies: see `tolerances`.
"""

import json
import math

import numpy as np
import pandas as pd
import pytest
import qnt.stats as qns
import xarray as xr

from tests import odd_statistics
from tests.conftest import REAL
from tests.switches import ALL, LONG
from tests.vectors import vector

CLOSE = {"rtol": 1e-10, "atol": 1e-10}
ROUNDING = 1e-12  # of a mean return or a volatility: units in the last place of 1, times bars, times 251
FIELDS = ["open", "low", "high", "close", "divs", "is_liquid"]
ALL_OPTIONS = (
    "plain",
    "holes",
    "over_a_year",
    "total_loss",
    "weights_of_some_days",
    "two_days",
)  # LONG: all do
ORDINARY = sorted({*ALL_OPTIONS[:2], odd_statistics.NAMES[16]})


@pytest.fixture(scope="module")
def data():
    return vector("loaded").rename("stocks_nasdaq100")


@pytest.fixture(scope="module")
def weights():
    return vector("output_clean")


@pytest.fixture(scope="module")
def stored():
    with np.load(odd_statistics.PATH) as file:
        return dict(file)


def market(closes, opens=None, days=20, **fields):
    """Assets that stand at their first price until the last bars given, with a true range of 2."""
    closes = {name: [values[0]] * (days - len(values)) + list(values) for name, values in closes.items()}
    close = np.array(list(closes.values()), dtype=float).T
    opened = close.copy()
    for name, values in (opens or {}).items():
        opened[days - len(values) :, list(closes).index(name)] = values
    values = {"open": opened, "low": close - 1, "high": close + 1, "close": close, "divs": close * 0}
    values |= {"is_liquid": close * 0 + 1}
    for name, last in fields.items():
        values[name][days - len(last) :] = np.array(last, dtype=float)[:, None]
    coords = {"field": FIELDS, "time": pd.bdate_range("2024-01-01", periods=days), "asset": list(closes)}
    return xr.DataArray(
        np.stack([values[name] for name in FIELDS]),
        coords,
        ("field", "time", "asset"),
        name="stocks_nasdaq100",
    )


def constant(data, **weights):
    result = xr.zeros_like(data.sel(field="close", drop=True)).rename(None)
    for name, weight in weights.items():
        result.loc[:, name] = weight
    return result


def tolerances(statistics):
    """Return how far each stored number may be missed, in the shape of `statistics`, which have a field axis.

    A daily return is a difference of numbers near 1, so its error is absolute, about 1e-16. Volatility and
    mean return inherit it, multiplied by bars and by bars a year; a compounded mean grows with 1 + mean. The
    Sharpe ratio divides both errors by the volatility: an asset that hardly moves has an ill-conditioned one.
    """
    allowed = CLOSE["atol"] + CLOSE["rtol"] * abs(statistics)
    mean, volatility = statistics.sel(field="mean_return"), statistics.sel(field="volatility")
    mean_error = ROUNDING * (1 + abs(1 + mean))
    ratio_error = (mean_error + ROUNDING * abs(mean) / volatility) / volatility
    allowed.loc[{"field": "mean_return"}] = mean_error
    allowed.loc[{"field": "volatility"}] = ROUNDING * (1 + volatility)
    allowed.loc[{"field": "sharpe_ratio"}] = ratio_error.where(volatility > 0, 0)
    return allowed.fillna(0)


def assert_same(found, wanted, where=""):
    assert found.dims == wanted.dims
    for dim in wanted.dims:
        assert found[dim].values.tolist() == wanted[dim].values.tolist()
    if "field" not in wanted.dims:
        return np.testing.assert_allclose(found.values, wanted.values, err_msg=where, **CLOSE)
    allowed, stored = tolerances(wanted).values, wanted.values
    same = (found.values == stored) | (np.isnan(found.values) & np.isnan(stored))
    with np.errstate(invalid="ignore"):
        wrong = ~same & ~(abs(found.values - stored) <= allowed)
    if wrong.any():
        row = tuple(np.argwhere(wrong)[0])
        at = {dim: wanted[dim].values[k] for dim, k in zip(wanted.dims, row, strict=True)}
        raise AssertionError(
            f"{where} {wrong.sum()} of {wrong.size} differ, first {at}: "
            f"{found.values[row]!r} instead of {stored[row]!r}, allowed are {allowed[row]:.1e}"
        )
    return None


def test_statistics_of_a_portfolio(data, weights):
    assert_same(qns.calc_stat(data, weights), vector("stats_calc_stat"))


def test_statistics_per_asset(data, weights):
    wanted = vector("stats_calc_stat_per_asset")
    found = qns.calc_stat(data, weights, per_asset=True)
    assert found.dims == ("time", "field", "asset")
    assert_same(found.sel(asset=wanted.asset), wanted)


def test_relative_return(data, weights):
    assert_same(qns.calc_relative_return(data, weights), vector("stats_relative_return"))


def test_statistics_of_less_than_a_year(data, weights):
    found = qns.calc_stat(data.isel(time=slice(-60, None)), weights.isel(time=slice(-60, None)))
    assert_same(found, vector("stats_calc_stat_short"))


def test_statistics_of_one_day_of_weights(data, weights):
    found = qns.calc_stat(data.isel(time=slice(-60, None)), weights.isel(time=[-1]))
    assert_same(found, vector("stats_calc_stat_one_day"))


@pytest.mark.parametrize("field", ["mean_return", "volatility", "sharpe_ratio", "equity", "max_drawdown"])
@pytest.mark.parametrize("name", ["stats_calc_stat", "stats_calc_stat_per_asset"])
def test_tolerances_are_narrow(name, field):
    wanted = vector(name)
    allowed = tolerances(wanted).sel(field=field)
    assert float(allowed.quantile(0.99)) < 1e-8
    planted = wanted.copy(deep=True)
    planted.loc[{"field": field}][-1] *= 1 + 1e-7
    with pytest.raises(AssertionError, match=f"'field': np.str_.'{field}'"):
        assert_same(planted, wanted)


def test_an_asset_that_hardly_moves_has_a_wide_tolerance_and_still_a_limit():
    wanted = vector("stats_calc_stat_per_asset")
    at = {"time": "2022-01-20", "field": "sharpe_ratio", "asset": "NAS:S000"}
    assert float(wanted.sel(at | {"field": "volatility"})) < 3e-6
    for error, is_caught in ((1.1e-8, False), (1e-5, True)):
        planted = wanted.copy(deep=True)
        planted.loc[at] += error
        if is_caught:
            with pytest.raises(AssertionError, match="1 of 34408 differ"):
                assert_same(planted, wanted)
        else:
            assert_same(planted, wanted)


@pytest.mark.parametrize("options", [{"points_per_year": 252}, {"slippage_factor": 0.0501}])
def test_vectors_tell_another_year_and_other_costs(data, weights, options):
    with pytest.raises(AssertionError):
        assert_same(qns.calc_stat(data, weights, **options), vector("stats_calc_stat"))
    wanted = vector("stats_calc_stat_per_asset")
    found = qns.calc_stat(data, weights, per_asset=True, **options)
    with pytest.raises(AssertionError):
        assert_same(found.sel(asset=wanted.asset), wanted)


def test_vectors_tell_a_changed_price(data, weights):
    changed = data.copy(deep=True)
    changed.loc[{"field": "open", "time": changed.time[400]}] *= 1.001
    with pytest.raises(AssertionError):
        assert_same(qns.calc_relative_return(changed, weights), vector("stats_relative_return"))


@pytest.mark.parametrize("name", odd_statistics.NAMES)
def test_inputs_are_those_that_were_asked_about(name, stored):
    data, weights = odd_statistics.make(name)
    np.testing.assert_array_equal(data.values, stored[f"{name}/market"])
    np.testing.assert_array_equal(weights.values, stored[f"{name}/weights"])


@pytest.mark.parametrize(
    "name",
    odd_statistics.NAMES if ALL else sorted({*ORDINARY, *odd_statistics.NAMES[::6]}) if LONG else ORDINARY,
)
def test_answers_on_odd_markets(name, stored):
    wanted = json.loads(stored[f"{name}/facts"].item())
    options = odd_statistics.OPTIONS if LONG or name in ALL_OPTIONS else odd_statistics.OPTIONS[:2]
    values, facts = odd_statistics.answers(name, options)
    left_out = {f"stat {other}" for other in odd_statistics.OPTIONS[len(options) :]}
    assert facts.keys() == wanted.keys() - left_out
    for question, fact in facts.items():
        where = f"{name}: {question}"
        assert ("failed" in fact) == ("failed" in wanted[question]), f"{where}: {fact}"
        if "failed" in fact:
            assert REAL or _is_sentence(fact["message"]), f"{where}: {fact['message']}"
            continue
        assert fact == wanted[question], where
        found, stored_values = values[question], stored[f"{name}/{question}"]
        assert found.dtype.kind == stored_values.dtype.kind, where
        if found.dtype.kind == "M":
            np.testing.assert_array_equal(found, stored_values, err_msg=where)
        elif question.startswith("stat "):
            labels = fact["labels"]
            arrays = [xr.DataArray(array, labels, list(labels)) for array in (found, stored_values)]
            assert_same(*arrays, where)
        else:
            np.testing.assert_allclose(found, stored_values, err_msg=where, **CLOSE)


def _is_sentence(text):
    return len(text.split()) >= 6 and not any(word in text for word in ("operand", "NoneType", "zero-size"))


def test_buying_at_the_open_and_holding():
    data = market({"NAS:A": [100, 100, 110]}, opens={"NAS:A": [100, 105]})
    found = qns.calc_relative_return(data, constant(data, **{"NAS:A": 1.0}))[-3:].values
    # Slippage is 5 % of the true range, 2: day by day nothing is traded but what keeps the weight at 1.
    assert found[:2] == pytest.approx([0, 0], abs=1e-9)
    assert found[2] == pytest.approx(0.1, rel=1e-9)


def test_costs_are_paid_when_bought():
    data = market({"NAS:A": [100, 100]})
    weights = constant(data, **{"NAS:A": 1.0})
    weights[:-2] = 0
    assert qns.calc_relative_return(data, weights)[-1].item() == pytest.approx(-0.05 * 2 / 100)
    assert qns.calc_relative_return(data, weights, slippage_factor=0)[-1].item() == 0


def test_dividends_are_earned_by_who_held_overnight():
    data = market({"NAS:A": [100, 100]}, divs=[3])
    weights = constant(data, **{"NAS:A": 0.5})
    assert qns.calc_relative_return(data, weights)[-1].item() == pytest.approx(0.5 * 3 / 100, rel=1e-3)


def test_first_bar_earns_nothing():
    data = market({"NAS:A": [100, 200]})
    weights = constant(data, **{"NAS:A": 1.0})
    assert qns.calc_relative_return(data, weights.isel(time=[-1])).values.tolist() == [0]


def test_series_statistics_follow_from_the_returns():
    time = pd.bdate_range("2024-01-01", periods=4)
    returns = xr.DataArray([0.0, 0.1, -0.5, 0.2], {"time": time}, ("time",))
    equity = qns.calc_equity(returns)
    assert equity.values == pytest.approx([1, 1.1, 0.55, 0.66])
    underwater = qns.calc_underwater(equity)
    assert underwater.values == pytest.approx([0, 0, -0.5, -0.4])
    assert qns.calc_max_drawdown(underwater).values == pytest.approx([0, 0, -0.5, -0.5])
    volatility = qns.calc_volatility_annualized(returns, points_per_year=100)
    assert volatility.values[-1] == pytest.approx(10 * np.std(returns.values))
    assert math.isnan(volatility.values[0])
    mean = qns.calc_mean_return_annualized(returns, points_per_year=4)
    assert mean.values[-1] == pytest.approx(0.66 - 1)
    ratio = qns.calc_sharpe_ratio_annualized(returns, points_per_year=4)
    assert ratio.values[-1] == pytest.approx((0.66 - 1) / (2 * np.std(returns.values)))
    ratio = qns.calc_sharpe_ratio_annualized(returns, points_per_year=4, mean_estimator="arithmetic")
    assert ratio.values[-1] == pytest.approx(4 * -0.05 / (2 * np.std(returns.values)))


def test_unknown_mean_is_refused():
    returns = xr.DataArray([0.0, 0.1], {"time": pd.bdate_range("2024-01-01", periods=2)}, ("time",))
    with pytest.raises(ValueError, match="Use 'arithmetic' or 'geometric'"):
        qns.calc_sharpe_ratio_annualized(returns, mean_estimator="harmonic")


def test_holdings():
    data = market({"NAS:A": [100], "NAS:B": [50]})
    weights = constant(data, **{"NAS:A": 0.6, "NAS:B": -0.2})
    weights[:10] = 0
    assert qns.calc_bias(weights).values.tolist() == pytest.approx([0] * 10 + [0.5] * 10)
    assert qns.calc_instruments(weights).values.tolist() == [0] * 10 + [2] * 10
    assert qns.calc_exposure(weights)[-1].values == pytest.approx([0.75, 0.25])
    equity = xr.ones_like(weights.sum("asset"))
    turnover = qns.calc_avg_turnover(weights, equity, data, max_periods=1)
    assert turnover.values == pytest.approx([0] * 11 + [0.8] + [0] * 8)
    sold = weights.copy()
    sold[15:] = 0  # held from the 11th to the 15th bar
    holding_time = qns.calc_avg_holding_time(sold.rename("mine"), points_per_year=251)
    assert (holding_time.values[-1], holding_time.name) == (pytest.approx(5), None)


def test_what_is_not_liquid_is_named():
    data = market({"NAS:A": [100], "NAS:B": [50]})
    weights = constant(data, **{"NAS:A": 0.6, "NAS:B": -0.2})
    assert qns.calc_non_liquid(data, weights).sizes["time"] == 0
    data.loc["is_liquid", data.time[5], "NAS:B"] = 0
    data.loc["is_liquid", data.time[7], "NAS:A"] = np.nan  # not known to be illiquid
    found = qns.calc_non_liquid(data, weights)
    assert found.asset.values.tolist() == ["NAS:B"]
    assert found.time.values.tolist() == data.time.values[5:6].tolist()
    assert found.values.tolist() == [[-0.2]]


def test_missed_days_are_those_with_a_liquid_asset_since_the_first():
    data = market({"NAS:A": [100]}, is_liquid=[0, 1])
    weights = constant(data, **{"NAS:A": 1.0})
    assert len(qns.find_missed_dates(weights, data)) == 0
    wanted = data.time.values[[9, -1]]
    assert (
        qns.find_missed_dates(weights.isel(time=[*range(4, 9), *range(10, 18)]), data).tolist()
        == wanted.tolist()
    )


def test_warnings_go_to_stderr(capsys):
    data = market({"NAS:A": [100]})
    weights = constant(data, **{"NAS:A": 1.0})
    qns.calc_stat(data, weights)
    assert "WARNING" not in capsys.readouterr().err
    data.loc["is_liquid", data.time[5]] = 0
    qns.calc_stat(data, weights.isel(time=[2, 3, 5, 9]))
    lines = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert lines == [
        "WARNING: some dates are missed in the portfolio_history",
        "WARNING: Strategy trades non-liquid assets.",
    ]


def test_arguments_stay_as_they_are(data, weights):
    data, weights = (
        data.isel(time=slice(-60, None)).copy(deep=True),
        weights.isel(time=slice(-60, None)).copy(deep=True),
    )
    before = data.copy(deep=True), weights.copy(deep=True)
    for per_asset in (False, True):
        qns.calc_stat(data, weights, per_asset=per_asset)
    assert data.identical(before[0])
    assert weights.identical(before[1])


@pytest.mark.parametrize(
    ("name", "limit", "start"),
    [("stocks_nasdaq100", 0.1, "2006-01-01"), ("stocks_s&p500", 0.1, "2006-01-01"), (None, 1.0, None)],
)
def test_rules_of_the_contests(name, limit, start):
    data = market({"NAS:A": [100]}).rename(name)
    assert qns.get_default_max_exposure(name) == limit
    assert qns.get_default_is_start_date_for_type(name) == start
    assert qns.get_default_slippage(data) == 0.05


@pytest.mark.parametrize(
    ("days", "step", "bars"),
    [(250, "D", 251), (251, "D", 365), (250, "B", 251), (251, "B", 261), (251, "W", 52)],
)
def test_bars_a_year_are_counted_from_251_bars_on(days, step, bars):
    data = market({"NAS:A": [100]}, days=days)
    data = data.assign_coords(time=pd.date_range("2020-01-01", periods=days, freq=step))
    assert qns.calc_avg_points_per_year(data) == bars


def test_rules_can_be_set_in_the_environment(monkeypatch):
    monkeypatch.setenv("SL_STOCKS_NASDAQ100", "0.07")
    monkeypatch.setenv("ME_STOCKS_S&P500", "0.2")
    monkeypatch.setenv("SD_STOCKS_NASDAQ100", "2010-01-01")
    assert qns.get_default_slippage(market({"NAS:A": [100]})) == 0.07
    assert qns.get_default_max_exposure("stocks_s&p500") == 0.2
    assert qns.get_default_is_start_date_for_type("stocks_nasdaq100") == "2010-01-01"


def test_correlation_with_others_is_not_known_here(data, weights, capsys, monkeypatch):
    for address in ("ENGINE_CORRELATION_URL", "STATAN_CORRELATION_URL"):
        monkeypatch.setenv(address, "http://127.0.0.1:9/")
    assert qns.check_correlation(weights[-60:], data[:, -60:], print_stack_trace=False) is None
    assert "Correlation check failed." in capsys.readouterr().err


@pytest.mark.offline_only
@pytest.mark.parametrize("function", [qns.calc_underwater, qns.calc_max_drawdown])
def test_the_course_of_nothing_is_refused(function):
    nothing = qns.calc_equity(xr.DataArray(np.empty(0), {"time": np.empty(0, "M8[ns]")}, ("time",)))
    with pytest.raises(ValueError, match="there is no day to calculate statistics of"):
        function(nothing)


def test_weights_without_a_day_are_refused(data, weights):
    with pytest.raises((ValueError, IndexError)) as caught:
        qns.calc_stat(data, weights.isel(time=slice(0, 0)))
    assert REAL or "no day" in str(caught.value)


@pytest.mark.offline_only
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data.sel(field="close"), "need the dims field, time and asset"),
        (lambda data: data.sel(field=["open", "close"]), "lack the field.s. high, low"),
        (lambda data: data.isel(time=[0, 1, 1]), "time 2024-01-02.* more than once"),
        (lambda data: data.isel(asset=[0, 0]), "asset NAS:A more than once"),
        (lambda data: xr.concat([data, data[:1].assign_coords(field=["roll"])], "field"), "roll of futures"),
        (lambda data: data.rename("cryptofutures"), "not covered.*stocks_nasdaq100"),
        (lambda data: data.rename("stocks_long"), "not covered.*stocks_nasdaq100"),
    ],
)
def test_other_data_is_refused_with_a_sentence(spoil, sentence):
    data = market({"NAS:A": [100]})
    with pytest.raises((ValueError, NotImplementedError), match=sentence):
        qns.calc_relative_return(spoil(data), constant(data, **{"NAS:A": 1.0}))


@pytest.mark.offline_only
def test_what_is_not_covered_says_so():
    with pytest.raises(
        NotImplementedError, match=r"qnt\.stats\.calc_sector_distribution.*real library has it"
    ):
        qns.calc_sector_distribution  # noqa: B018
