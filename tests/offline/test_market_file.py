import os

import numpy as np
import pytest
import xarray as xr

from lib.offline import market as market_file
from lib.offline import synthetic
from lib.offline.market import MarketError


@pytest.fixture(scope="module")
def market():
    return synthetic.generate(4, "2020-01-01", "2020-02-28", seed=3)


def saved(array, path, engine="h5netcdf", **keywords):
    """Write an array or a dataset as a market file."""
    array.to_netcdf(path, engine=engine, **keywords)
    return path


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_netcdf_4_and_3_are_read_as_written(market, tmp_path, engine):
    read = market_file.load(saved(market, tmp_path / "market.nc", engine))
    xr.testing.assert_identical(read, market.rename(None))
    assert read.dtype == np.float64


def test_the_file_may_be_deleted_after_reading(market, tmp_path):
    path = saved(market, tmp_path / "market.nc", "scipy")
    read = market_file.load(path)
    path.write_bytes(b"")
    xr.testing.assert_equal(read, market)


def test_any_order_of_dims_fields_and_assets_and_further_fields(market, tmp_path):
    more = xr.concat([market, market.sel(field=["close"]).assign_coords(field=["adjusted"])], "field")
    shuffled = more.transpose("asset", "field", "time").isel(
        field=[8, 3, 1, 0, 2, 7, 4, 6, 5], asset=slice(None, None, -1)
    )
    read = market_file.load(saved(shuffled, tmp_path / "market.nc"))
    xr.testing.assert_equal(read, market)
    assert read.field.values.tolist() == list(synthetic.FIELDS)


def test_single_precision_becomes_double(market, tmp_path):
    read = market_file.load(saved(market.astype(np.float32), tmp_path / "market.nc"))
    assert read.dtype == np.float64


def test_names_without_an_encoding_are_read(market, tmp_path):
    plain = market.assign_coords(
        asset=[name.encode() for name in market.asset.values.tolist()],
        field=[name.encode() for name in market.field.values.tolist()],
    )
    read = market_file.load(saved(plain, tmp_path / "market.nc", "scipy"))
    assert read.asset.values.tolist() == market.asset.values.tolist()


def two_arrays(market):
    return xr.Dataset({"a": market, "b": market})


def no_array(market):
    return market.drop_vars(market.coords).to_dataset(name="a").drop_vars("a").assign_coords(x=[1.0])


def repeated_days(market):
    return market.isel(time=[0, 1, 1, 2])


FAULTS = {
    "two arrays": (two_arrays, r"should have one data array but has several \(a, b\)"),
    "no array": (no_array, "should have one data array but has none"),
    "a dim too few": (lambda m: m.isel(asset=0), r"has the dims \('field', 'time'\)"),
    "a dim too many": (lambda m: m.expand_dims("run"), r"has the dims \('run', 'field', 'time', 'asset'\)"),
    "a dim renamed": (lambda m: m.rename(asset="ticker"), "has the dims .*'ticker'"),
    "no labels": (lambda m: m.drop_vars("asset"), "has no labels along asset"),
    "missing fields": (lambda m: m.drop_sel(field=["divs", "vol"]), "lacks the fields vol divs"),
    "fields twice": (lambda m: m.isel(field=[0, 0, 1, 2, 3, 4, 5, 6, 7]), "has fields more than once: open"),
    "fields without names": (
        lambda m: m.assign_coords(field=np.arange(8)),
        "has fields whose names are not text",
    ),
    "no dates": (
        lambda m: m.assign_coords(time=np.arange(m.sizes["time"])),
        "has a time axis of int64 instead of dates",
    ),
    "days backwards": (lambda m: m.isel(time=slice(None, None, -1)), "has days out of order"),
    "days twice": (repeated_days, "has days out of order, more than once"),
    "a day missing": (
        lambda m: m.assign_coords(time=np.r_[m.time.values[:-1], np.datetime64("NaT", "ns")]),
        "has days out of order, more than once or missing",
    ),
    "two rows of one day": (
        lambda m: m.isel(time=[0, 1]).assign_coords(
            time=np.array(["2020-01-02T09", "2020-01-02T16"], "datetime64[ns]")
        ),
        "has days out of order, more than once",
    ),
    "assets twice": (lambda m: m.isel(asset=[0, 1, 1]), "has assets more than once: NAS:SYN002"),
    "assets without names": (
        lambda m: m.assign_coords(asset=np.arange(m.sizes["asset"])),
        "has assets whose names are not text",
    ),
    "whole numbers": (lambda m: m.fillna(0).astype(int), "holds int64 values instead of floating-point"),
    "no days": (lambda m: m.isel(time=slice(0)), "is empty"),
    "no assets": (lambda m: m.isel(asset=slice(0)), "is empty"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_file_is_named_with_its_fault(market, tmp_path, fault):
    spoil, sentence = FAULTS[fault]
    path = saved(spoil(market), tmp_path / "spoiled.nc")
    with pytest.raises(MarketError, match=sentence) as caught:
        market_file.load(path)
    assert str(caught.value).startswith(f"The market file {path} ")
    assert "A market file is a NetCDF file" in str(caught.value)
    assert "open low high close vol divs split_cumprod is_liquid" in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "market.nc")
    with pytest.raises(MarketError, match=r"market\.nc is a folder or a device"):
        market_file.load(tmp_path / "market.nc")


def test_a_missing_file():
    with pytest.raises(
        MarketError, match=r"The market file /nowhere/market\.nc does not exist\. A market file is"
    ):
        market_file.load("/nowhere/market.nc")


def test_a_folder(tmp_path):
    with pytest.raises(MarketError, match="is a folder or a device"):
        market_file.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"time,asset,close\n", b"\x1f\x8b\x08\x00"])
def test_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "market.nc"
    path.write_bytes(content)
    with pytest.raises(MarketError, match="is not a NetCDF file"):
        market_file.load(path)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.9, 0.999])
def test_a_file_cut_short(market, tmp_path, engine, share):
    path = saved(market, tmp_path / "market.nc", engine)
    content = path.read_bytes()
    path.write_bytes(content[: max(8, int(share * len(content)))])
    with pytest.raises(MarketError, match="cannot be read"):
        market_file.load(path)


def test_unreadable_dates(market, tmp_path):
    dataset = market.assign_coords(time=np.arange(market.sizes["time"])).to_dataset()
    dataset.time.attrs["units"] = "days since the flood"
    with pytest.raises(MarketError, match="cannot be read"):
        market_file.load(saved(dataset, tmp_path / "market.nc"))


def spoilt(market, field, value, asset="NAS:SYN002", day="2020-02-03"):
    market = market.copy(deep=True)
    market.loc[{"field": field, "time": day, "asset": asset}] = value
    return market


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((price, bad) for price in ("open", "low", "high", "close") for bad in (0, -1.5, np.inf)),
        *[("split_cumprod", 0), ("vol", -1), ("vol", np.inf), ("divs", -0.1), ("is_liquid", -1)],
    ],
)
def test_impossible_values_are_refused_with_asset_day_and_field(market, tmp_path, field, value):
    path = saved(spoilt(market, field, value), tmp_path / "market.nc")
    sentence = f"has an impossible {field} of {value:g} for NAS:SYN002 on 2020-02-03"
    with pytest.raises(MarketError, match=sentence):
        market_file.load(path)


def test_a_high_below_the_low_is_refused(market, tmp_path):
    path = saved(spoilt(market, "high", 0.25), tmp_path / "market.nc")
    with pytest.raises(MarketError, match=r"has a high below the low, of 0\.25 for NAS:SYN002 on 2020-02-03"):
        market_file.load(path)


@pytest.mark.parametrize(
    ("field", "value"), [("vol", 0), ("divs", 0), ("is_liquid", 0), ("close", np.nan), ("high", np.nan)]
)
def test_possible_values_are_accepted(market, tmp_path, field, value):
    changed = spoilt(market, field, value)
    xr.testing.assert_equal(market_file.load(saved(changed, tmp_path / "market.nc")), changed)
    assert market_file.oddities(changed) == []


@pytest.mark.parametrize(("factor", "found"), [(0.5, "2 "), (2, "2 "), (0.58, ""), (1.7, "")])
def test_jumps_that_no_split_explains_are_counted_in_one_line(market, factor, found):
    changed = market.copy(deep=True)
    changed.values[:] = 100
    changed.loc[{"field": "split_cumprod"}] = 1
    changed.loc[{"field": "close", "asset": "NAS:SYN001", "time": slice("2020-01-15", None)}] *= factor
    changed.loc[{"field": "close", "asset": "NAS:SYN002", "time": slice("2020-02-03", None)}] *= factor**1.01
    changed.loc[{"field": "close", "asset": "NAS:SYN002", "time": slice("2020-01-20", "2020-01-31")}] = np.nan
    largest = f"{max(factor, 1 / factor) ** 1.01:.3g} for NAS:SYN002 on 2020-02-03"
    lines = market_file.oddities(changed)
    assert len(lines) == bool(found)
    assert (
        not found
        or f"has {found}price jumps that no split explains, the largest by a factor of {largest}" in lines[0]
    )
    changed.loc[{"field": "split_cumprod", "asset": "NAS:SYN002", "time": slice("2020-02-03", None)}] = 2
    changed.loc[{"field": "split_cumprod", "asset": "NAS:SYN001", "time": slice("2020-01-15", None)}] = 2
    assert market_file.oddities(changed) == []


@pytest.mark.parametrize("liquid", [0, np.nan])
def test_a_market_in_which_nothing_is_ever_liquid_is_named(market, liquid):
    changed = market.copy(deep=True)
    changed.loc[{"field": "is_liquid"}] = liquid
    (line,) = market_file.oddities(changed)
    assert "has no asset that is ever liquid: is_liquid is nowhere above 0" in line
