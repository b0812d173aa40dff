import numpy as np
import pytest
import qnt.filter as qnfilter
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import Strategy
from lib.common.market_data import field
from lib.engine.inputs import select_assets
from tests.switches import LONG
from tests.vectors import vector

WINDOW = slice("2024-09-21", None)


def published(data, strategy):
    """Return the last row of the platform's filter over the assets liquid on the last day."""
    liquid = data.sel(field="is_liquid")[-1]
    data = data.sel(asset=liquid.where(liquid > 0, drop=True).asset.values)
    window = min(strategy.lookback_period, len(data.time) - 1)
    row = qnfilter.filter_volatility(data, window, strategy.top_assets, metric="std", ascending=True)[-1]
    return row.where(row > 0, drop=True).asset.values.tolist()


@settings(max_examples=60 if LONG else 15, deadline=None, derandomize=True)
@given(
    end=st.integers(40, 780), days=st.integers(3, 120), top=st.integers(1, 40), lookback=st.integers(2, 200)
)
def test_it_selects_what_the_platforms_filter_selects(end, days, top, lookback):
    data = vector("loaded").isel(time=slice(max(end - days, 0), end))
    strategy = Strategy(top_assets=top, lookback_period=lookback)
    assert select_assets(data, strategy) == published(data, strategy)


def test_twins_share_a_rank():
    """Two share classes with equal prices: of three places one and a half each, so both pass or neither."""
    data = vector("loaded").sel(time=WINDOW)
    best = select_assets(data, Strategy(top_assets=1))[0]
    twin = data.sel(asset=[best]).assign_coords(asset=["NAS:TWIN"])
    both = xr.concat([data, twin], "asset")
    assert select_assets(both, Strategy(top_assets=1)) == []
    assert select_assets(both, Strategy(top_assets=2)) == [best, "NAS:TWIN"]


def test_a_gap_in_the_window_leaves_an_asset_out():
    data = vector("loaded").sel(time=WINDOW).copy(deep=True)
    chosen = select_assets(data, Strategy())
    data.loc[dict(field="close", asset=chosen[0], time=data.time[30])] = np.nan
    assert chosen[0] not in select_assets(data, Strategy())


def test_nothing_liquid_nothing_selected():
    data = vector("loaded").sel(time=WINDOW).copy(deep=True)
    for value in (0, np.nan):
        data.loc[dict(field="is_liquid", time=data.time[-1])] = value
        assert select_assets(data, Strategy()) == []


def test_one_day_is_no_volatility():
    assert select_assets(vector("loaded").isel(time=[-1]), Strategy()) == []


def test_a_selection_of_your_own():
    def first_two(data, strategy):
        return np.arange(data.sizes["asset"]) < 2

    data = vector("loaded").sel(time=WINDOW)
    liquid = data.asset.values[field(data, "is_liquid")[-1] > 0]
    assert select_assets(data, Strategy(selection=first_two)) == liquid[:2].tolist()


@pytest.mark.parametrize("answer", [[True], [1.0], "NAS:AAPL"])
def test_a_selection_that_answers_something_else_is_refused(answer):
    with pytest.raises(ValueError, match="selection must return one True or False for each of the"):
        select_assets(vector("loaded").sel(time=WINDOW), Strategy(selection=lambda data, strategy: answer))


def test_the_order_of_dims_does_not_matter():
    data = vector("loaded").sel(time=WINDOW)
    assert select_assets(data.transpose("asset", "time", "field"), Strategy()) == select_assets(
        data, Strategy()
    )
    assert np.array_equal(field(data, "close"), data.sel(field="close").values, equal_nan=True)
