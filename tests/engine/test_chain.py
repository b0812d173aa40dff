import numpy as np
import pytest
import qnt.data as qndata

from lib import Strategy
from lib.engine.chain import days_between, last_rows, window_between, window_of
from tests.markets import random_market


@pytest.mark.parametrize("period", [1, 30, 155])
def test_a_window_is_what_the_loader_of_a_pass_returns(use_market, period):
    market = random_market(3, days=260, assets=12)
    market.values[:, -40] = np.nan  # a day without data is dropped
    use_market(market)
    whole = Strategy().load_range("2024-06-03", "2024-12-30")
    for day in np.unique(whole.time.values.astype("M8[D]"))[[-30, -12, -1]]:
        expected = qndata.load_data_by_type("stocks_nasdaq100", max_date=str(day), tail=period)
        found = window_of(whole, day, period)
        assert found.equals(expected)
        assert not np.shares_memory(found.values, whole.values)  # no function of a pass spoils the next


def test_the_axis_of_assets_depends_on_the_window():
    """The guard above can fail: without the cut a window would have the assets of all days."""
    market = random_market(3, days=260, assets=12)
    first, last = np.datetime64("2024-01-01"), np.datetime64("2024-12-30")
    assert (
        window_between(market, last, last).sizes["asset"] < window_between(market, first, last).sizes["asset"]
    )


def test_passes_of_several_days_see_the_same_within_their_common_load():
    market, strategy = random_market(5, days=260), Strategy(train_period=50, lookback_period=20)
    days = market.time.values.astype("M8[D]")[-9:]
    together = window_between(market, days[0] - np.timedelta64(strategy.train_period, "D"), days[-1])
    for day in days:
        for period in (20, 50):
            assert window_of(together, day, period).equals(window_of(market, day, period))


def test_the_last_days_of_many_windows_are_those_of_each():
    market = random_market(5, days=260, assets=12)
    days = days_between(market, np.datetime64("2024-08-01"), np.datetime64("2024-12-30"))
    for day, last in zip(days, last_rows(market, days, 25), strict=True):
        assert last.equals(window_of(market, day, 25).isel(time=[-1]))


def test_days_on_which_nothing_is_liquid_have_no_pass():
    market = random_market(1)
    market.loc[{"field": "is_liquid", "time": "2024-12-24"}] = 0
    days = days_between(market, np.datetime64("2024-12-20"), np.datetime64("2024-12-27"))
    assert [str(day) for day in days] == [
        "2024-12-20",
        "2024-12-23",
        "2024-12-25",
        "2024-12-26",
        "2024-12-27",
    ]
