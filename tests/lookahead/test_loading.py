"""Data that a function loads by itself: found where a backtest shows it the future, and only there."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import qnt.data as qndata
import xarray as xr

from lib.common.market_data import field
from lib.lookahead import check
from lib.strategy import Strategy
from tests.lookahead.planted import SMALL, at, kinds, small, winners
from tests.markets import random_market
from tests.switches import LONG, long


@pytest.fixture
def market(use_market) -> xr.DataArray:
    market = random_market(11, days=60)
    market.values[7] = 1  # all liquid, so that the loaders of whichever library answer the same assets
    use_market(market.copy(deep=True))  # what is loaded does not change with what is checked
    return market


class Unbounded(Strategy):
    """`load_data` as it was before it ended where the data of the current call end."""

    def load_data(self, period):
        return qndata.stocks.load_ndx_data(tail=period)


def directly(strategy):
    return qndata.stocks.load_ndx_data(tail=40)


def by_type(strategy):
    return qndata.load_data_by_type("stocks_nasdaq100", tail=40)


def far_ahead(strategy):
    return qndata.stocks.load_ndx_data(min_date="2024-11-01", max_date="2030-01-01")


def in_a_thread(strategy):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(strategy.load_data, 40).result()


@pytest.mark.usefixtures("in_one_process")
@pytest.mark.parametrize(
    "load", [directly, in_a_thread, *([by_type, far_ahead] if LONG else [])], ids=lambda load: load.__name__
)
def test_winners_until_the_end_of_the_backtest_are_a_leak(load, market):
    report = check(small(selection=winners(load)), market, days=1)
    assert kinds(report)["selection"] == "future", report


def test_winners_through_an_unbounded_load_data_are_a_leak(market):
    strategy = Unbounded(**SMALL, selection=winners(lambda strategy: strategy.load_data(40)))
    assert kinds(check(strategy, market, days=1))["selection"] == "future"


@long
def test_a_feature_that_loads_is_caught_too(market):
    def ahead(data, strategy):
        close = at(directly(strategy).sel(field="close").shift(time=-1), data)
        return close.values / field(data, "close")

    assert kinds(check(small(features=[ahead]), market, days=1))["feature ahead"] == "future"


def test_what_is_loaded_once_and_kept_is_a_leak(market):
    load = functools.cache(lambda: qndata.stocks.load_ndx_data(tail=40))
    report = check(small(selection=winners(lambda strategy: load())), market, days=1)
    assert kinds(report)["selection"] == "memory", report
    assert report.leaks


def test_load_data_of_a_strategy_is_no_finding(market):
    other = Strategy()
    for load in (lambda strategy: strategy.load_data(30), lambda strategy: other.load_data(30)):

        def above_mean(data, strategy, load=load):
            mean = load(strategy).sel(field="close").mean("time").reindex(asset=data.asset.values).values
            return field(data, "close") / mean

        strategy = small(selection=winners(load), features=["trend", above_mean])
        assert not check(strategy, market, days=1).findings


def test_what_is_loaded_up_to_the_day_is_no_leak(market):
    def dated(data, strategy):
        load = qndata.stocks.load_ndx_data
        loaded = load(tail=30, max_date=data.time.values[-1], assets=data.asset.values.tolist())
        return np.nan_to_num(loaded.sel(field="close").isel(time=-1).values) > 20

    assert not check(small(selection=dated), market, days=1).leaks
