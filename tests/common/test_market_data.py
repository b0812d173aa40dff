import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import Strategy
from lib.common.market_data import check_data, field, filled
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
    monkeypatch.setattr("lib.engine.examples.select_assets", lambda *_: pytest.fail("went on"))
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
