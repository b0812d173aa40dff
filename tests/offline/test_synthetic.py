import hashlib

import numpy as np
import pytest

from lib.offline import synthetic
from tests.switches import long

PINNED = "6736434667b8337c"


@pytest.fixture(scope="module")
def market():
    return synthetic.generate()


@pytest.fixture(scope="module")
def close(market):
    return market.sel(field="close").values


@pytest.fixture(scope="module")
def liquid(market):
    return market.sel(field="is_liquid").values


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array.values, "<f8").tobytes()).hexdigest()[:16]


@long
def test_it_is_the_same_on_every_machine(market):
    holes = np.isnan(market.values)
    assert digest(market.where(~holes, -1.0)) == PINNED  # NaN has many bit patterns


def test_the_same_arguments_make_the_same_market_and_others_another():
    market = synthetic.generate(5, "2020-01-01", "2020-06-30", seed=1)
    assert market.identical(synthetic.generate(5, "2020-01-01", "2020-06-30", seed=1))
    assert not np.array_equal(
        market, synthetic.generate(5, "2020-01-01", "2020-06-30", seed=2), equal_nan=True
    )


def test_layout(market):
    assert market.dims == ("field", "time", "asset")
    assert market.field.values.tolist() == list(synthetic.FIELDS)
    assert market.dtype == np.float64
    assert market.name == "stocks_nasdaq100"
    assert market.sizes["asset"] == 160
    assert market.asset.values.tolist() == sorted(market.asset.values)
    assert market.asset.values[0] == "NAS:SYN001"
    assert market.indexes["time"].equals(synthetic.trading_days("2005-01-03", "2024-12-31"))


def test_names_stay_sorted_with_many_assets():
    market = synthetic.generate(700, "2020-01-02", "2020-01-03", exchange="NYS", name="x")
    assert market.asset.values.tolist() == sorted(market.asset.values)
    assert market.asset.values[0] == "NYS:SYN0001"
    assert market.name == "x"


@pytest.mark.parametrize("seed", range(8))
def test_prices_of_a_day_are_in_order_and_positive(seed):
    market = synthetic.generate(12, "2019-01-01", "2021-12-31", seed=seed)
    row = {str(name): market.sel(field=name).values for name in market.field.values}
    some = ~np.isnan(row["close"])
    assert all((np.isnan(values) == ~some).all() for values in row.values())
    assert (row["low"][some] > 0).all()
    assert (row["low"][some] <= np.minimum(row["open"], row["close"])[some]).all()
    assert (row["high"][some] >= np.maximum(row["open"], row["close"])[some]).all()
    assert (row["vol"][some] >= 0).all()
    assert (row["divs"][some] >= 0).all()
    assert (row["split_cumprod"][some] >= 1).all()
    assert set(np.unique(row["is_liquid"][some])) == {0.0, 1.0}


def test_about_100_are_in_the_index_every_day(liquid):
    count = np.nansum(liquid, axis=1)
    assert count.min() >= 95
    assert count.max() == 100


def test_there_are_late_listings_delistings_and_halts(close):
    some = ~np.isnan(close)
    first = some.argmax(axis=0)
    last = some.shape[0] - 1 - some[::-1].argmax(axis=0)
    assert (first > 250).sum() >= 20
    assert (last < some.shape[0] - 250).sum() >= 10
    halted = [(~some[a:b, i]).sum() for i, (a, b) in enumerate(zip(first, last, strict=True))]
    assert np.count_nonzero(halted) >= 100
    assert sum(halted) < 0.01 * some.sum()


def test_assets_enter_and_leave_the_index_while_they_trade(liquid):
    before, after = liquid[:-1], liquid[1:]
    assert ((before == 0) & (after == 1)).sum() > 100
    assert ((before == 1) & (after == 0)).sum() > 100


def test_dividends_are_paid_out_of_the_price(market, close):
    opened, paid = market.sel(field="open").values, market.sel(field="divs").values
    assert (paid > 0).sum() > 4000
    overnight = opened[1:] / close[:-1] - 1
    ex = paid[1:] > 0
    assert np.nanmean(overnight[ex]) < -0.002
    held = (opened[1:] + paid[1:]) / close[:-1] - 1
    assert abs(np.nanmean(held[ex])) < 0.0007


@long
def test_it_looks_like_a_stock_market(close, liquid):
    returns = close[1:] / close[:-1] - 1
    spread = np.nanstd(returns, axis=0) * np.sqrt(252)
    assert 0.10 < np.nanpercentile(spread, 5) < 0.20  # the calm ones
    assert 0.25 < np.nanmedian(spread) < 0.40
    index = np.nanmean(np.where(liquid[:-1] == 1, returns, np.nan), axis=1)
    assert 0.12 < index.std() * np.sqrt(252) < 0.22
    assert 0.0 < index.mean() * 252 < 0.12
    worst_days = np.sort(np.abs(index))[-10:] / index.std()
    assert worst_days.min() > 3.5
    size = np.abs(index)
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.05  # restless days follow restless days


def test_the_past_says_nothing_about_the_future(market, close):
    """The obvious signals earn nothing: any skill a backtest shows here is luck or a leak."""
    returns = close[1:] / close[:-1] - 1
    noise = 4 / np.sqrt(len(returns))  # days are independent, the assets of a day are not
    index = np.nanmean(returns, axis=1)
    assert abs(np.corrcoef(index[1:], index[:-1])[0, 1]) < noise
    relative = returns - index[:, None]
    for lag in (1, 5, 20):
        pair = np.stack([relative[lag:].ravel(), relative[:-lag].ravel()])
        pair = pair[:, ~np.isnan(pair).any(axis=0)]
        assert abs(np.corrcoef(pair)[0, 1]) < 0.02
    intraday = (close / market.sel(field="open").values - 1)[:-1]
    overnight = market.sel(field="open").values[1:] / close[:-1] - 1
    assert abs(np.corrcoef(np.nanmean(intraday, axis=1), np.nanmean(overnight, axis=1))[0, 1]) < noise


@pytest.mark.parametrize("arguments", [(0, "2020-01-02", "2020-02-01"), (3, "2020-01-04", "2020-01-05")])
def test_a_market_without_assets_or_days_is_refused(arguments):
    with pytest.raises(
        ValueError, match=r"needs an asset and a trading day: assets=. from 2020-01-0. to 2020"
    ):
        synthetic.generate(*arguments)


def test_the_smallest_market():
    market = synthetic.generate(1, "2020-01-02", "2020-01-02")
    assert market.shape == (8, 1, 2)
    assert not np.isnan(market).any()
