"""The synthetic crypto market looks like the platform's, and is the same everywhere."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.common.competitions import COMPETITIONS
from lib.common.market_data import trading_days
from lib.offline import market, synthetic

PRICES = ["open", "low", "high", "close"]


@pytest.fixture(scope="module")
def crypto():
    return synthetic.generate_crypto(76, "2014-01-01", "2018-12-31", seed=76)


def test_it_has_a_bar_for_every_day_and_fields_that_miss_together(crypto):
    assert crypto.field.values.tolist() == list(COMPETITIONS["crypto_daily_long"].fields)
    assert crypto.time.to_index().equals(pd.date_range("2014-01-01", "2018-12-31"))
    missing = np.isnan(crypto.values)
    assert (missing == missing[0]).all()
    assert 0 < missing[0].mean() < 0.6
    assert missing[0].all(axis=0).any()  # an asset without data
    names = crypto.asset.values.tolist()
    assert len(set(names)) == 76
    assert names != sorted(names)


def test_ten_assets_are_liquid_from_the_second_month_on_and_change_on_the_first(crypto):
    liquid = crypto.sel(field="is_liquid").fillna(0)
    count = liquid.sum("asset")
    assert count.sel(time=slice("2014-01-31")).max() == 0
    assert (count.sel(time=slice("2014-02-01", None)) >= 8).all()
    assert count.max() == 10
    bar = xr.apply_ufunc(np.isfinite, crypto.sel(field="close"))
    joins = ((liquid.diff("time") > 0) & bar.shift(time=1, fill_value=False).isel(time=slice(1, None))).any(
        "asset"
    )
    assert (joins.time.dt.day[joins] == 1).all()
    assert int(joins.sum()) > 10
    assert len(trading_days(crypto)) == crypto.sizes["time"] - 31


def test_prices_are_of_all_sizes_with_fat_tails(crypto):
    prices = crypto.sel(field=PRICES)
    assert synthetic.LOWEST * 0.4 <= float(prices.min()) < 1e-5
    assert 1e4 < float(prices.max()) <= synthetic.HIGHEST * 1.2
    low, high = crypto.sel(field="low"), crypto.sel(field="high")
    assert not (prices > high).any()
    assert not (prices < low).any()
    steps = np.log(crypto.sel(field="close")).diff("time").values
    steps = steps[np.isfinite(steps)]
    kurtosis = ((steps - steps.mean()) ** 4).mean() / steps.var() ** 2
    assert kurtosis > 5
    assert (crypto.sel(field="vol").max("asset") > 0).all()


def test_it_is_the_same_everywhere():
    small = synthetic.generate_crypto(12, "2020-01-01", "2020-06-30", seed=1)
    assert hashlib.sha256(small.values.tobytes()).hexdigest()[:16] == "4492d61310afbf35"


@pytest.mark.parametrize("arguments", [(0,), (3, "2020-02-01", "2020-01-01")])
def test_a_market_of_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="A market needs an asset and a day"):
        synthetic.generate_crypto(*arguments)


@pytest.mark.offline_only
def test_it_is_loaded_from_the_cache_as_it_was_made(monkeypatch, tmp_path):
    monkeypatch.delenv("QNT_OFFLINE_MARKET")
    monkeypatch.setenv("QNT_OFFLINE_CACHE", str(tmp_path))
    small = {"assets": 12, "end": "2014-12-31", "seed": 1}
    monkeypatch.setattr(market, "KINDS", {"cryptodaily": small})
    loaded = []
    for _ in range(2):
        market._generated.cache_clear()
        loaded.append(market.read("crypto_daily_long", "2014-01-01T05", "2014-12-31"))
    market._generated.cache_clear()
    first, second = loaded
    assert first.identical(second)
    assert first.asset.dtype == object
    assert str(first.time.values[0])[:10] == "2014-01-02"  # a bar is stamped at the start of its day
    assert len(list(tmp_path.glob("*.npz"))) == 1
