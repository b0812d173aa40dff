import datetime
import inspect
from functools import partial

import numpy as np
import pytest
import qnt.data as qndata
import qnt.data.common as common
import xarray as xr

from tests.odd_markets import make
from tests.vectors import vector

load = qndata.stocks.load_ndx_data


@pytest.fixture(autouse=True)
def _no_limit_left():
    yield
    common.set_max_datetime(None)


def same(found, wanted):
    assert found.name == wanted.name
    xr.testing.assert_equal(found, wanted)


def test_loaded_as_the_platform_does():
    found = load(tail=3 * 365)
    assert found.dims == ("field", "time", "asset")
    assert found.name == "stocks_nasdaq100"
    assert found.dtype == np.float64
    same(found, vector("loaded").rename(found.name).assign_coords(field=found.field))


def test_signatures():
    wanted = "(assets, min_date, max_date, dims=('field', 'time', 'asset'), forward_order=True, tail=2190)"
    for function in (qndata.stocks_load_ndx_data, qndata.stocks_load_spx_data):
        parameters = inspect.signature(function).parameters.values()
        given = [p.name if p.default is None else f"{p.name}={p.default!r}" for p in parameters]
        assert f"({', '.join(given)})" == wanted


def test_s_and_p_500_has_its_own_name():
    found = qndata.stocks.load_spx_data(tail=30)
    assert found.name == "stocks_s&p500"
    np.testing.assert_array_equal(found.values, load(tail=30).values)


@pytest.mark.parametrize("kind", ["stocks_nasdaq100", "stocks_s&p500"])
def test_by_type(kind):
    found = qndata.load_data_by_type(kind, tail=10)
    assert (found.name, found.time.values[0]) == (kind, np.datetime64("2024-12-20"))


def test_an_unknown_type_is_an_error():
    with pytest.raises(Exception, match=r"data_type|data_by_type"):
        qndata.load_data_by_type("shoes")


def test_both_ends_are_included_and_tail_is_in_calendar_days():
    assert load(tail=0).time.values.tolist() == [np.datetime64("2024-12-30", "ns").item()]
    found = load(tail=datetime.timedelta(days=7), max_date="2024-12-27")
    assert [str(day)[:10] for day in found.time.values[[0, -1]]] == ["2024-12-20", "2024-12-27"]
    found = load(min_date=datetime.date(2024, 12, 23), max_date="2024-12-27", tail=1)
    assert len(found.time) == 5


def test_without_assets_those_liquid_inside_the_window():
    everything = load(min_date="2021-01-04")
    for first, last in (
        ("2021-01-04", "2021-02-01"),
        ("2022-05-02", "2022-05-03"),
        ("2024-12-30", "2024-12-30"),
    ):
        liquid = (everything.sel(field="is_liquid", time=slice(first, last)) > 0).any("time")
        found = load(min_date=first, max_date=last)
        assert found.asset.values.tolist() == everything.asset.values[liquid.values].tolist()
        assert found.sizes["asset"] < everything.sizes["asset"]


def test_with_assets_exactly_those_sorted_and_nan_where_unknown():
    names = load(tail=5).asset.values[:2].tolist()
    found = load(assets=[names[1], "NAS:UNKNOWN", names[0]], tail=20)
    assert found.asset.values.tolist() == sorted([*names, "NAS:UNKNOWN"])
    assert np.isnan(found.sel(asset="NAS:UNKNOWN")).all()
    same(found.sel(asset=names), load(tail=20).sel(asset=names))


def test_assets_as_entries_of_the_list():
    entries = qndata.stocks_load_ndx_list(tail=30)
    names = [entry["id"] for entry in entries]
    assert names == load(tail=30).asset.values.tolist()
    same(load(assets=entries[:3], tail=30), load(assets=names[:3], tail=30))
    assert [entry["id"] for entry in qndata.stocks_load_spx_list(tail=30)] == names


def test_an_asset_asked_for_twice_is_an_error():
    with pytest.raises(ValueError, match=r"duplicate|more than once"):
        load(assets=["NAS:A", "NAS:A"], tail=20)


def test_days_without_any_data_are_dropped(use_market):
    market = make("holes")
    use_market(market)
    found = load(assets=market.asset.values.tolist(), tail=365)
    kept = ~np.isnan(market.values).all((0, 2))
    assert not kept.all()
    np.testing.assert_array_equal(found.time.values, market.time.values[kept])


def test_order_and_dims():
    forward = load(tail=20)
    same(load(tail=20, forward_order=False), forward.isel(time=slice(None, None, -1)))
    same(load(tail=20, dims=("asset", "time", "field")), forward.transpose("asset", "time", "field"))


def test_what_is_loaded_belongs_to_the_caller():
    first = load(tail=5)
    wanted = first.copy(deep=True)
    first[:] = -1
    same(load(tail=5), wanted)


def test_min_after_max_is_an_error():
    with pytest.raises(Exception, match="min_date must be less than or equal to max_date"):
        load(min_date="2024-12-20", max_date="2024-12-10")


@pytest.mark.parametrize("ask", [partial(load, max_date="2001-01-01"), partial(load, assets=[], tail=9)])
def test_nothing_there_is_an_empty_array(ask):
    found = ask()
    assert found.dims == ("field", "time", "asset")
    assert found.shape[:2] == (8, 0)


def test_limit_ends_all_data_and_is_lifted():
    common.set_max_datetime("2024-11-02T10:00")
    assert datetime.date(2024, 11, 2) == common.MAX_DATE_LIMIT
    assert common.parse_date("2024-12-01") == datetime.date(2024, 11, 2)
    assert common.parse_date("2024-12-01", limit=False) == datetime.date(2024, 12, 1)
    for found in (load(tail=40), load(tail=40, max_date="2024-12-30")):
        assert [str(day)[:10] for day in found.time.values[[0, -1]]] == ["2024-09-23", "2024-11-01"]
    common.set_max_datetime(None)
    assert datetime.date(2024, 12, 30) == common.MAX_DATE_LIMIT
    assert str(load(tail=4).time.values[-1])[:10] == "2024-12-30"


@pytest.mark.parametrize(("limit", "first"), [("2024-11-02", "2024-10-23"), ("2025-01-04", "2024-12-26")])
def test_tail_counts_back_from_a_limit_on_a_day_without_trading(limit, first, use_market):
    use_market(make("one_asset"))  # ends on 2024-12-30, has holes
    common.set_max_datetime(limit)
    days = load(assets=["NAS:A"], tail=10).time.values.astype("datetime64[D]")
    expected = make("one_asset").sel(time=slice(np.datetime64(limit) - np.timedelta64(10, "D"), limit))
    expected = expected.dropna("time", how="all").time.values.astype("datetime64[D]")
    np.testing.assert_array_equal(days, expected)
    assert days[0] >= np.datetime64(first)
    assert common.parse_date(None) == datetime.date.fromisoformat(limit)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://host/last/2016-10-28/", datetime.datetime(2016, 10, 28)),
        ("http://host/last/2016-10-28", datetime.datetime(2016, 10, 28)),
        ("http://host/last/2020-10-07T10/", datetime.datetime(2020, 10, 7, 10)),
        ("http://host/", None),
        ("http://host/last/2020-10-07/more", None),
    ],
)
def test_end_that_an_address_names(url, wanted):
    assert common.parse_max_datetime_from_url(url) == wanted


def test_last_data_path_tells_that_the_last_day_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LAST_DATA_PATH", str(tmp_path / "last.txt"))
    load(max_date="2024-12-30", tail=3)
    assert not (tmp_path / "last.txt").exists()
    load(tail=3)
    assert (tmp_path / "last.txt").read_text(encoding="utf-8") == "last"


def test_get_env_and_its_notice(monkeypatch, capsys):
    monkeypatch.setenv("SET", "value")
    monkeypatch.delenv("UNSET", raising=False)
    assert qndata.get_env("SET", "default") == "value"
    assert qndata.get_env("UNSET", "default", silent=True) == "default"
    assert capsys.readouterr() == ("", "")
    assert qndata.get_env("UNSET", "default") == "default"
    notice = "NOTICE: The environment variable UNSET was not specified. The default value is 'default'\n"
    assert capsys.readouterr() == ("", notice)


def test_names_of_fields_and_dimensions():
    assert (qndata.f.IS_LIQUID, qndata.f.SPLIT_CUMPROD, qndata.ds.FIELD) == (
        "is_liquid",
        "split_cumprod",
        "field",
    )
    fields = [qndata.f.OPEN, qndata.f.LOW, qndata.f.HIGH, qndata.f.CLOSE, qndata.f.VOL, qndata.f.DIVS]
    assert load(tail=1).field.values.tolist()[:6] == fields
