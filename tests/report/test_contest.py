import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.report.contest import Finding, findings, verdict

ASSETS = ["A", "B"]


def market(first: str = "2006-01-02", days: int = 20) -> xr.DataArray:
    time = pd.bdate_range(first, periods=days)
    values = np.ones((2, days, 2))
    return xr.DataArray(
        values, {"field": ["close", "is_liquid"], "time": time, "asset": ASSETS}, ("field", "time", "asset")
    )


def weights(data: xr.DataArray, weight: float = 0.1) -> xr.DataArray:
    return xr.full_like(data.sel(field="close", drop=True), weight)


def found(data: xr.DataArray, held: xr.DataArray, sharpe_ratio: float = 1.0) -> dict[str, Finding]:
    return {finding.rule: finding for finding in findings(data, held, sharpe_ratio)}


def broken(data: xr.DataArray, held: xr.DataArray, sharpe_ratio: float = 1.0) -> list[str]:
    return [rule for rule, finding in found(data, held, sharpe_ratio).items() if finding.holds is False]


def test_everything_holds() -> None:
    data = market()
    assert [finding.holds for finding in findings(data, weights(data), 0.7)] == [True] * 5
    line = verdict(findings(data, weights(data), 0.7), weights(data))
    assert line == (
        "Contest rules, 2006-01-02 to 2006-01-27: ✓ Sharpe ratio 0.70 (at least 0.7) · "
        "✓ largest position 0.1000 (at most 0.1) · ✓ 0 missed days · ✓ 0 positions in illiquid assets · "
        "✓ first position 2006-01-02 (near 2006-01-01 wanted)"
    )


@pytest.mark.parametrize("ratio", [0.69, -1.0, np.nan])
def test_a_low_sharpe_ratio(ratio: float) -> None:
    data = market()
    assert broken(data, weights(data), ratio) == ["sharpe ratio"]


def test_a_large_position() -> None:
    data = market()
    held = weights(data)
    held[3, 1] = -0.11
    assert broken(data, held) == ["position"]


def test_positions_are_counted_after_normalisation() -> None:
    """The contest scales 2 and 18 down to 0.1 and 0.9."""
    data = market()
    held = weights(data, 2.0)
    held[:, 1] = 18.0
    assert found(data, held)["position"].text == "largest position 0.9000 (at most 0.1)"


def test_a_missed_day() -> None:
    data = market()
    held = weights(data).drop_isel(time=[4, 7])
    assert broken(data, held) == ["missed days"]
    assert found(data, held)["missed days"].text == "2 missed days, 2006-01-06 the first"


def test_a_day_without_a_liquid_asset_may_be_missed() -> None:
    data = market()
    data.loc[{"field": "is_liquid"}][4] = 0
    assert broken(data, weights(data).drop_isel(time=4)) == []


@pytest.mark.parametrize("liquid", [0.0, np.nan])
def test_an_illiquid_position(liquid: float) -> None:
    data = market()
    data.loc[{"field": "is_liquid"}][5, 1] = liquid
    assert broken(data, weights(data)) == ["liquidity"]
    assert (
        found(data, weights(data))["liquidity"].text
        == "1 positions in illiquid assets, B on 2006-01-09 the first"
    )


def test_an_asset_the_data_do_not_have_is_not_liquid() -> None:
    data = market()
    assert broken(data.sel(asset=["A"]), weights(data)) == ["liquidity"]


def test_nothing_is_held_where_there_is_no_weight() -> None:
    data = market()
    data.loc[{"field": "is_liquid"}][5, 1] = 0
    held = weights(data)
    held[5, 1] = np.nan
    assert broken(data, held) == []


def test_a_late_first_position() -> None:
    data = market()
    held = weights(data)
    held[:10] = 0
    assert broken(data, held) == ["first position"]


def test_a_late_backtest_cannot_tell() -> None:
    data = market("2020-01-01")
    finding = found(data, weights(data))["first position"]
    assert finding.holds is None
    assert "a backtest that starts later cannot tell" in finding.text
    assert "? first position 2020-01-01" in verdict([finding], weights(data))


def test_no_position_at_all() -> None:
    data = market("2020-01-01")
    assert broken(data, weights(data, 0.0)) == ["first position"]
    assert "✗ no position on any day" in verdict(findings(data, weights(data, 0.0), 1.0), weights(data))


def test_no_minus_before_nothing() -> None:
    data = market()
    assert found(data, weights(data), -0.001)["sharpe ratio"].text == "Sharpe ratio 0.00 (at least 0.7)"
