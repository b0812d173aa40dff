import numpy as np
import pytest
import qnt.data as qndata
from hypothesis import given
from hypothesis import strategies as st

from lib import Strategy
from lib.common.market_data import (
    check_data,
    days_between,
    field,
    filled,
    last_rows,
    window_between,
    window_of,
)
from tests.markets import random_market
from tests.vectors import vector


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: d.sel(field="close"), "must have the dimensions"),
        (lambda d: d.values, "must have the dimensions .* not ndarray"),
        (lambda d: d.drop_sel(field="is_liquid"), "lack the field is_liquid"),
        (lambda d: d.isel(time=[]), "hold no day"),
        (lambda d: d.isel(time=[1, 0]), "days must ascend"),
        (lambda d: d.isel(time=[0, 0]), "days must ascend"),
        (lambda d: d.isel(asset=[0, 0]), "asset occurs twice"),
        (lambda d: d.isel(field=[0, 1, 2, 3, 4, 5, 6, 7, 3]), "hold the field close twice"),
        (lambda d: d.astype(object), "must hold numbers, not values of type object"),
        (lambda d: d.astype(str), "must hold numbers, not values of type <U"),
        (lambda d: d > 0, "must hold numbers, not values of type bool"),
        (lambda d: d.assign_coords(time=[1, 2, 3]), "time labels of data must be dates, not .* int64"),
        (lambda d: d.assign_coords(time=list("abc")), "time labels of data must be dates, not .* object"),
    ],
)
def test_data_in_another_layout_are_refused(spoil, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_data(spoil(vector("loaded").isel(time=slice(3))))


@pytest.mark.parametrize("period", [5, 400])
def test_a_market_that_ended_long_ago_is_named(use_market, period):
    use_market(vector("market").sel(time=slice(None, "2023-03-31")))
    sentence = rf"in the {period} calendar days up to 2024-12-30: they end on 2023-03-31. Set DATA_BASE_URL"
    with pytest.raises(ValueError, match=sentence):
        Strategy().load_data(period)


@pytest.mark.parametrize("call", ["train_model", "predict"])
def test_data_that_cannot_be_used_are_refused_before_anything_is_trained(call, monkeypatch):
    monkeypatch.setattr("lib.engine.inputs.select_assets", lambda *_: pytest.fail("went on"))
    data = vector("loaded").isel(time=slice(-3, None)).assign_coords(time=[1, 2, 3])
    with pytest.raises(ValueError, match="time labels of data must be dates"):
        getattr(Strategy(), call)(*([data] if call == "train_model" else [{}, data, None]))


def test_good_data_pass_in_the_order_of_the_layout():
    data = vector("loaded").isel(time=slice(3))
    assert check_data(data) is data
    assert check_data(data.transpose("asset", "time", "field")).identical(data)
    assert np.shares_memory(field(data, "close"), data.values)


@given(st.lists(st.sampled_from([np.nan, 1.0, 2.0, 3.0]), min_size=1, max_size=8))
def test_gaps_are_filled_as_xarray_fills_them(values):
    import xarray as xr

    series = xr.DataArray(np.array(values)[:, None], dims=["time", "asset"])
    expected = series.ffill("time").bfill("time").fillna(1)
    assert np.array_equal(filled(series.values), expected.values)


@pytest.mark.parametrize("period", [1, 30, 155])
def test_a_window_is_what_the_loader_of_a_pass_returns(use_market, period):
    market = random_market(3, days=260, assets=12)
    market.values[:, -40] = np.nan  # a day without data is dropped
    market.loc[{"field": "is_liquid", "asset": market.asset[0], "time": market.time[-150:]}] = 0
    market.values[:, -10, 1:] = np.nan  # a day on which only an asset outside the window has data, too
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
