import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.common.competitions import COMPETITIONS, rules_of
from lib.common.rules import ILLIQUID, LARGEST, SHORT, RuleCheck, broken_positions, check_rules, rules_table
from lib.stats.portfolios import portfolio
from lib.stats.sharpe import annual_sharpe_ratio
from tests.vectors import vector

ASSETS = ["A", "B"]
RULES = COMPETITIONS["stocks_nasdaq100"]


def market(first: str = "2006-01-02", days: int = 20) -> xr.DataArray:
    time = pd.bdate_range(first, periods=days)
    values = np.ones((2, days, 2))
    return xr.DataArray(
        values, {"field": ["close", "is_liquid"], "time": time, "asset": ASSETS}, ("field", "time", "asset")
    )


def weights(data: xr.DataArray, weight: float = 0.1) -> xr.DataArray:
    return xr.full_like(data.sel(field="close", drop=True), weight)


def found(data: xr.DataArray, held: xr.DataArray, sharpe_ratio: float = 1.0) -> dict[str, RuleCheck]:
    return {check.rule: check for check in check_rules(data, held, sharpe_ratio, RULES)}


def broken(data: xr.DataArray, held: xr.DataArray, sharpe_ratio: float = 1.0) -> list[str]:
    return [rule for rule, check in found(data, held, sharpe_ratio).items() if check.holds is False]


def test_everything_holds() -> None:
    data = market()
    table = rules_table(check_rules(data, weights(data), 0.7, RULES))
    assert table.to_dict("index") == {
        rule: {"found": found, "required": required, "result": "✓ passed"}
        for rule, found, required in [
            ("Sharpe ratio", "0.70", "at least 0.7 since 2006-01-01"),
            ("largest position", "0.1000", "at most 0.1"),
            ("missed days", "0", "0"),
            ("illiquid positions", "0", "0"),
            ("first position", "2006-01-02", "by 2006-01-08"),
        ]
    }


def test_limits_are_those_of_the_competition() -> None:
    strict = RULES._replace(min_sharpe_ratio=1.0, max_position=0.05, first_day="2006-01-20", long_only=True)
    data = market("2006-01-20")
    held = -weights(data)
    checks = {check.rule: check for check in check_rules(data, held, 0.9, strict)}
    assert [rule for rule, check in checks.items() if not check.holds] == [
        *("Sharpe ratio", "largest position", "short positions")
    ]
    assert checks["short positions"].found == "40"
    assert checks["first position"].required == "by 2006-01-27"


def test_an_unknown_competition() -> None:
    with pytest.raises(ValueError, match=r"'stocks_nasdaq'.*did you mean 'stocks_nasdaq100'"):
        rules_of("stocks_nasdaq")


def test_the_sharpe_ratio_is_that_of_the_platform_s_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter counts days from the contest's first day on; here that is the backtest's first day."""
    import qnt.output as qnout
    import qnt.stats as qns

    data, held = vector("loaded"), vector("output_clean").sel(time=slice("2024-03-01", None))
    data = data.sel(time=slice("2023-10-01", held.time.values[-1]))
    first = str(held.time.values[0])[:10]
    monkeypatch.setattr(qns, "get_default_is_start_date_for_type", lambda kind: first)
    expected = float(qnout.calc_sharpe_ratio_for_check(data, held, "stocks_nasdaq100", False))
    ratio = annual_sharpe_ratio(portfolio(data, held, RULES).returns, RULES)
    assert ratio == pytest.approx(expected, rel=1e-9)
    padded = float(
        qns.calc_sharpe_ratio_annualized(qns.calc_relative_return(data, held.reindex_like(data).fillna(0)))[
            -1
        ]
    )
    assert abs(padded - ratio) > 0.01  # what the platform's check prints: it counts the days before, too


@pytest.mark.parametrize("first_day", ["2024-03-01", "2031-01-02"])
def test_days_before_the_contest_s_first_day_do_not_count(first_day: str) -> None:
    """Keep the last day of a backtest that ends before the first day in sample."""
    data, held = vector("loaded"), vector("output_clean")
    late = portfolio(data, held, RULES._replace(first_day=first_day)).returns
    assert str(late.time.values[0])[:10] == min(first_day, str(held.time.values[-1])[:10])


@pytest.mark.parametrize("ratio", [0.1, 2.0])
def test_a_backtest_that_begins_later_cannot_tell_the_contest_s_sharpe_ratio(ratio: float) -> None:
    data = market("2015-01-02")
    checks = found(data, weights(data), ratio)
    assert [rule for rule, check in checks.items() if check.holds is None] == [
        *("Sharpe ratio", "first position")
    ]


@pytest.mark.parametrize("ratio", [0.69, -1.0, np.nan])
def test_a_low_sharpe_ratio(ratio: float) -> None:
    data = market()
    assert broken(data, weights(data), ratio) == ["Sharpe ratio"]


def test_a_large_position() -> None:
    data = market()
    held = weights(data)
    held[3, 1] = -0.11
    assert broken(data, held) == ["largest position"]


def test_positions_are_counted_after_normalisation() -> None:
    """The contest scales 2 and 18 down to 0.1 and 0.9."""
    data = market()
    held = weights(data, 2.0)
    held[:, 1] = 18.0
    assert found(data, held)["largest position"].found == "0.9000"


def test_a_missed_day() -> None:
    data = market()
    held = weights(data).drop_isel(time=[4, 7])
    assert broken(data, held) == ["missed days"]
    assert found(data, held)["missed days"].found == "2, the first on 2006-01-06"


def test_a_day_without_a_liquid_asset_may_be_missed() -> None:
    data = market()
    data.loc[{"field": "is_liquid"}][4] = 0
    assert broken(data, weights(data).drop_isel(time=4)) == []


@pytest.mark.parametrize("liquid", [0.0, np.nan])
def test_an_illiquid_position(liquid: float) -> None:
    data = market()
    data.loc[{"field": "is_liquid"}][5, 1] = liquid
    assert broken(data, weights(data)) == ["illiquid positions"]
    check = found(data, weights(data))["illiquid positions"]
    assert check.found == "1, the first in B on 2006-01-09"


def test_an_asset_the_data_do_not_have_is_not_liquid() -> None:
    data = market()
    assert broken(data.sel(asset=["A"]), weights(data)) == ["illiquid positions"]


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
    check = found(data, weights(data))["first position"]
    assert check == ("first position", "2020-01-01", "by 2006-01-08", None)
    assert rules_table([check])["result"].tolist() == ["? cannot be told"]


def test_no_position_at_all() -> None:
    data = market("2020-01-01")
    assert broken(data, weights(data, 0.0), np.nan) == ["Sharpe ratio", "first position"]
    assert found(data, weights(data, 0.0), np.nan)["Sharpe ratio"].found == "none"


def test_no_minus_before_nothing() -> None:
    data = market()
    assert found(data, weights(data), -0.001)["Sharpe ratio"].found == "0.00"


def test_the_positions_that_break_a_rule() -> None:
    data = market(days=3)
    data.loc[{"field": "close"}][0, 1] = np.nan  # liquid, but without a price
    held = weights(data)
    held[1, 0], held[2, 1] = 0.2, -0.05
    broken = broken_positions(data, held, RULES._replace(long_only=True))
    assert np.argwhere(broken[LARGEST]).tolist() == [[1, 0]]
    assert np.argwhere(broken[ILLIQUID]).tolist() == [[0, 1]]
    assert np.argwhere(broken[SHORT]).tolist() == [[2, 1]]
    assert not broken_positions(data, held, RULES)[SHORT].any()


def test_a_weight_carried_over_a_gap_is_no_illiquid_position() -> None:
    data = market(days=4)
    data[:, 1, 0] = np.nan
    data.loc[{"field": "is_liquid"}][2, 1] = 0
    held = weights(data)
    for rules, expected in ((RULES, [[1, 0], [2, 1]]), (COMPETITIONS["crypto_daily_long"], [[2, 1]])):
        assert np.argwhere(broken_positions(data, held, rules)[ILLIQUID]).tolist() == expected
    broken = broken_positions(data[:, :3, 1:], held, COMPETITIONS["crypto_daily_long"])
    assert broken[ILLIQUID][3].all()  # a day without data
    assert broken[ILLIQUID][:, 0].all()  # an asset without data
