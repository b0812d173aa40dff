import numpy as np
import pytest
import qnt.data as qndata
import qnt.output as qnout
import xarray as xr

from tests.odd_markets import messages
from tests.vectors import text, vector
from tests.written import read_written

KIND = "stocks_nasdaq100"


@pytest.fixture
def data():
    return vector("loaded").rename(KIND)


@pytest.fixture
def dirty():
    return vector("weights_dirty")


def same(found, wanted):
    assert found.dims == wanted.dims
    xr.testing.assert_allclose(found.drop_attrs(), wanted.drop_attrs(), rtol=0, atol=1e-10)
    assert {dim: found[dim].values.tolist() for dim in found.dims} == {
        dim: wanted[dim].values.tolist() for dim in wanted.dims
    }


def test_normalize(dirty):
    same(qnout.normalize(dirty), vector("output_normalize"))


def test_clean(dirty, data):
    same(qnout.clean(dirty, data, KIND), vector("output_clean"))
    same(qnout.clean(dirty, data, debug=False), vector("output_clean"))


@pytest.mark.parametrize("debug", [True, False])
def test_clean_prints_its_steps_where_it_is_asked(debug, dirty, data, capsys):
    qnout.clean(dirty, data, debug=debug)
    captured = capsys.readouterr()
    assert ("Output cleaning..." in captured.out) is debug
    assert captured.err == ""


def test_align(dirty, data):
    found = qnout.align(dirty, data.time, "2023-03-01", "2024-06-28")
    same(found, vector("output_align_2023-03-01_2024-06-28"))


def test_align_without_limits_covers_all_days(dirty, data):
    np.testing.assert_array_equal(qnout.align(dirty, data.time).time.values, data.time.values)
    assert qnout.align(dirty, data, "2023-03-01").sizes == {"time": 479, "asset": 40}


def test_check_prints_the_findings(dirty, data, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.stderr", __import__("sys").stdout
    )  # the stored messages are in order of appearance
    found = []
    for weights in (dirty.where(np.isfinite(dirty), 0), vector("output_clean")):
        assert qnout.check(weights, data, KIND, check_correlation=False) is None
        found.append(messages(capsys.readouterr().out))
    assert found == [messages(part) for part in text("output_check_messages.txt").split("=====")]


def test_check_never_raises(data, capsys):
    qnout.check(xr.DataArray([1.0], {"nonsense": [1]}, ["nonsense"]).rename("w").expand_dims("time"), data)
    assert capsys.readouterr().err


def test_check_of_one_day_looks_at_liquidity_and_exposure_only(data, capsys):
    liquid = data.sel(field="is_liquid").isel(time=-1).fillna(0)
    qnout.check(liquid / liquid.sum(), data, KIND)
    out = messages(capsys.readouterr().out)
    assert out == ["Check liquidity...", "Ok.", messages(text("output_check_messages.txt"))[6], "Ok."]


def test_check_of_nothing(data, capsys):
    qnout.check(xr.zeros_like(data.sel(field="close", drop=True)), data)
    assert "ERROR! Output is empty. All positions are zero." in capsys.readouterr().err


def test_correlation_is_a_matter_for_the_platform(data, capsys):
    qnout.check(vector("output_clean"), data, KIND, check_correlation=True)
    captured = capsys.readouterr()
    assert "Check correlation." in captured.out
    assert "Correlation check failed." in captured.err


def test_sharpe_ratio_for_check(data, capsys):
    found = qnout.calc_sharpe_ratio_for_check(data, vector("output_clean"), KIND)
    assert found == pytest.approx(-4.131239252723438, abs=1e-10)
    loud = capsys.readouterr().err
    assert qnout.calc_sharpe_ratio_for_check(data, vector("output_clean"), check_dates=False) == found
    assert loud.count("WARNING!") == 2
    assert capsys.readouterr().err == ""


def test_kinds_that_differ_are_said(dirty, data, capsys):
    same(qnout.clean(dirty, data, "stocks_s&p500", debug=False), vector("output_clean"))
    assert "WARNING! The kind of the data and the output are different." in capsys.readouterr().err


def test_single_day(data):
    row = vector("weights_dirty").isel(time=-1)
    found = qnout.clean(row, data)
    assert found.dims == ("time", "asset")
    assert found.time.values.tolist() == data.time.values[-1:].tolist()
    assert abs(found).max() <= 0.1
    illiquid = data.sel(field="is_liquid").isel(time=-1) == 0
    assert (found.isel(time=0).where(illiquid, 0) == 0).all()


@pytest.mark.parametrize("dims", [("time", "asset"), ("asset", "time")])
def test_normalize_sorts_and_drops_the_field(dirty, dims):
    shuffled = dirty.isel(time=slice(None, None, -1), asset=slice(None, None, -1)).transpose(*dims)
    same(qnout.normalize(shuffled.assign_coords(field="close")), vector("output_normalize"))


def test_normalize_of_one_day_keeps_the_order():
    row = xr.DataArray([3.0, np.nan, -1.0], {"asset": ["NAS:C", "NAS:A", "NAS:B"]}, ["asset"])
    found = qnout.normalize(row)
    assert found.asset.values.tolist() == ["NAS:C", "NAS:A", "NAS:B"]
    np.testing.assert_array_equal(found, [0.75, 0, -0.25])


def test_normalize_per_asset(dirty):
    found = qnout.normalize(dirty * 3, per_asset=True)
    finite = dirty.where(np.isfinite(dirty), 0).transpose("time", "asset").sortby(["time", "asset"])
    np.testing.assert_allclose(found.values, (finite * 3).clip(-1, 1).values)


def test_a_day_that_comes_twice_is_an_error(dirty):
    with pytest.raises(Exception, match=r"uniquely valued|more than once"):
        qnout.normalize(xr.concat([dirty, dirty.isel(time=[0])], "time"))


def test_written_as_the_readers_expect(dirty, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "weights.nc.gz"))
    qnout.write(dirty)
    same(read_written(tmp_path / "weights.nc.gz"), vector("output_normalize"))
    assert capsys.readouterr().out == f"Write output: {tmp_path / 'weights.nc.gz'}\n"


@pytest.mark.offline_only
def test_the_default_path_is_no_news(dirty, tmp_path, capsys):
    qnout.write(dirty)
    assert [path.name for path in tmp_path.iterdir()] == ["fractions.nc.gz"]
    assert capsys.readouterr().err == ""


def test_the_file_has_no_attributes(tmp_path):
    data = qndata.stocks.load_ndx_data(tail=20)
    with xr.set_options(keep_attrs=True):
        qnout.write(data.sel(field="is_liquid") / 50)
    assert read_written(tmp_path / "fractions.nc.gz").attrs == {}


@pytest.mark.offline_only
@pytest.mark.parametrize("function", [qnout.clean, qnout.check])
def test_other_competitions_are_refused_by_name(function, data):
    with pytest.raises(
        NotImplementedError, match=f"qnt.output.{function.__name__} for 'crypto'.*real library"
    ):
        function(vector("output_clean"), data, "crypto")
