"""Crypto daily data: what the platform's library returns on them, from loading to the backtest."""

import json
import re

import numpy as np
import pytest
import qnt.backtester as qnbt
import qnt.data as qndata
import qnt.data.common as common
import qnt.exposure as qnexp
import qnt.filter as qnfilter
import qnt.output as qnout
import qnt.stats as qns
import qnt.ta as qnta
import xarray as xr

from lib import Strategy
from lib.backtest import backtest, leaving_no_files
from lib.common.competitions import COMPETITIONS
from lib.common.market_data import load_last
from tests.conftest import LAST_DAY, REAL
from tests.odd_markets import messages
from tests.switches import long, longest
from tests.vectors import CRYPTO, CRYPTO_SHARED, crypto_vector
from tests.written import read_written

KIND = "crypto_daily_long"
BOTH = "crypto_daily_long_short"
KINDS = [KIND, BOTH, "crypto_daily", "cryptodaily"]
shared = pytest.mark.skipif(not CRYPTO_SHARED.exists(), reason="needs all vectors beside the project")


@pytest.fixture(autouse=True)
def _limit(monkeypatch):
    """Data end on the last day of the vectors."""
    origin = common.ORIGIN_BASE_URL
    common.ORIGIN_BASE_URL = origin.replace(LAST_DAY, "2024-12-31")
    common.set_max_datetime(None)
    yield
    common.ORIGIN_BASE_URL = origin
    common.set_max_datetime(None)


@pytest.fixture
def market(use_market):
    found = xr.load_dataarray(CRYPTO / "market.nc", engine="h5netcdf")
    use_market(found)
    return found


@pytest.fixture
def whole(use_market):
    """The whole market of the vectors."""
    found = xr.load_dataarray(CRYPTO_SHARED / "market.nc", engine="scipy")
    use_market(found)
    return qndata.load_data_by_type(KIND, min_date="2013-01-01")


def vectors(*names):
    return [crypto_vector(name, CRYPTO_SHARED) for name in names]


def same(found, wanted, tolerance=1e-12):
    found = found.transpose(*wanted.dims)
    for dim in wanted.dims:
        assert found[dim].values.tolist() == wanted[dim].values.tolist()
    np.testing.assert_allclose(found.values, wanted.values, rtol=tolerance, atol=tolerance)


def weights_of(data, short=0.0):
    close = data.sel(field="close")
    wanted = xr.where(close > qnta.sma(close, 20), 0.1, short) * data.sel(field="is_liquid").fillna(0)
    return wanted.transpose("time", "asset")


@pytest.mark.parametrize("kind", KINDS)
def test_all_assets_come_in_the_order_of_the_service(kind, market):
    data = qndata.load_data_by_type(kind, tail=3)
    assert (data.name, data.dims, data.sizes["time"]) == ("cryptodaily", ("field", "time", "asset"), 4)
    assert data.asset.values.tolist() == market.asset.values.tolist() != sorted(market.asset.values)
    assert data.asset.dtype == data.field.dtype == object
    assert data.time.to_index().is_monotonic_increasing
    same(data, market.sortby("time").isel(time=slice(-4, None)))


def test_chosen_assets_come_sorted_once_and_with_unknown_ones(market):
    wanted = crypto_vector("loaded_assets")
    names = [*wanted.asset.values.tolist()[::-1], wanted.asset.values[0]]
    same(qndata.cryptodaily_load_data(tail=30, assets=names), wanted)


@shared
def test_loads_by_window_hour_asset_and_order(whole):
    load_data, load_data_by_type = qndata.cryptodaily.load_data, qndata.load_data_by_type
    names = {"load_data": load_data, "load_data_by_type": load_data_by_type}
    names["set_max_datetime"] = common.set_max_datetime
    for call, wanted in json.loads((CRYPTO_SHARED / "loads.json").read_text("utf-8")).items():
        *before, load = call.split("; ")
        for statement in before:
            exec(statement, names)
        try:
            found = eval(load, names)
        except ValueError:
            assert wanted[0].startswith("raises ValueError"), call
            continue
        finally:
            common.set_max_datetime(None)
        days = [str(day)[:13] for day in found.time.values]
        described = {
            "name": found.name,
            "dims": list(found.dims),
            "shape": list(found.shape),
            "fields": found.field.values.tolist(),
            "first": days[0] if days else None,
            "last": days[-1] if days else None,
            "assets": found.asset.values.tolist(),
            "asset_dtype": str(found.asset.dtype),
            "field_dtype": str(found.field.dtype),
            "dtype": str(found.dtype),
        }
        assert described == wanted, call


@pytest.mark.offline_only
def test_an_empty_window_is_a_sentence(market):
    with pytest.raises(ValueError, match=r"There are no data from 2010-.* to 2010-.*: load another window"):
        qndata.cryptodaily.load_data(min_date="2010-01-01", max_date="2010-02-01")


@pytest.mark.parametrize("kind", [KIND, BOTH])
def test_the_last_days_are_loaded_with_their_first_day(kind, market):
    assert load_last(kind, 30).sizes["time"] == 31
    common.set_max_datetime("2024-11-21T13:20")
    days = load_last(kind, 30).time.values
    assert [str(day)[:10] for day in days[[0, -1]]] == ["2024-10-22", "2024-11-21"]


def test_selection_and_statistics_of_short_data(market):
    data = qndata.load_data_by_type(KIND, min_date="2023-06-01")
    chosen = qnfilter.filter_volatility(data.isel(time=slice(-107, None)), 70, 12, "std", True)
    same(chosen, crypto_vector("filter_volatility_70_12"))
    last = slice(-60, None)
    weights = crypto_vector("output_clean_simple").isel(time=last)
    found = qns.calc_stat(data.isel(time=last), weights)
    same(found, crypto_vector("stats_calc_stat_simple_short"), 1e-9)


CALLS = {
    "lwma_close_10": lambda d: qnta.lwma(d.sel(field="close"), 10),
    "roc_close_1": lambda d: qnta.roc(d.sel(field="close"), 1),
    "shift_open_m1": lambda d: qnta.shift(d.sel(field="open"), -1),
    "sma_close_20": lambda d: qnta.sma(d.sel(field="close"), 20),
    "ema_close_15": lambda d: qnta.ema(d.sel(field="close"), 15),
    "rsi_close_14": lambda d: qnta.rsi(d.sel(field="close"), 14),
    "atr_14": lambda d: qnta.atr(*(d.sel(field=name) for name in ("high", "low", "close")), 14),
}


@long
@shared
def test_indicators_and_arrays_of_weights(whole, tmp_path, monkeypatch):
    same(whole, crypto_vector("loaded", CRYPTO_SHARED))
    for name, call in CALLS.items():
        same(call(whole), crypto_vector(f"ta_{name}", CRYPTO_SHARED))
    dirty, clean = vectors("weights_dirty", "output_clean_long")
    start, end = "2022-05-03", "2024-12-12"
    same(qnout.normalize(dirty), crypto_vector("output_normalize", CRYPTO_SHARED))
    aligned = qnout.align(dirty, whole.time, start, end)
    same(aligned, crypto_vector(f"output_align_{start}_{end}", CRYPTO_SHARED))
    cut = qnexp.cut_big_positions(dirty, 0.1)
    same(cut, crypto_vector("exposure_cut_big_positions_0p1", CRYPTO_SHARED))
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "written"))
    qnout.write(clean)
    same(read_written(tmp_path / "written"), crypto_vector("output_write", CRYPTO_SHARED))


CLEANED = {"long": KIND, "long_short": BOTH, "crypto_daily": "crypto_daily", "none": None}


@long
@shared
def test_weights_are_cleaned_as_the_kind_demands(whole):
    dirty, every_day, simple = vectors("weights_dirty", "weights_every_day", "weights_simple")
    found = {name: qnout.clean(dirty, whole, kind) for name, kind in CLEANED.items()}
    found |= {f"every_day_{name}": qnout.clean(every_day, whole, kind) for name, kind in CLEANED.items()}
    found["wrong_kind"] = qnout.clean(dirty, whole, "stocks_nasdaq100")
    found["simple"] = qnout.clean(simple, whole, KIND)
    found["one_day"] = qnout.clean(dirty.isel(time=-1, drop=True), whole, KIND)
    recent = qndata.load_data_by_type(KIND, tail=60, assets=dirty.asset.values.tolist())
    found["last_row"] = qnout.clean(dirty.isel(time=[-1]), recent, KIND)
    for name, weights in found.items():
        same(weights, crypto_vector(f"output_clean_{name}", CRYPTO_SHARED))


@long
@shared
def test_statistics(whole, monkeypatch):
    names = ("long", "long_short", "simple", "every_day_long")
    clean = {name: crypto_vector(f"output_clean_{name}", CRYPTO_SHARED) for name in names}
    simple, (dirty,) = clean["simple"], vectors("weights_dirty")
    short = whole.isel(time=slice(-60, None))
    found = {f"calc_stat_{name}": qns.calc_stat(whole, clean[name]) for name in names}
    found["calc_stat_dirty"] = qns.calc_stat(whole, dirty)
    found["calc_stat_simple_data_renamed"] = qns.calc_stat(whole.rename(KIND), simple)
    found["calc_stat_simple_no_slippage"] = qns.calc_stat(whole, simple, slippage_factor=0)
    found["calc_stat_simple_one_day"] = qns.calc_stat(short, simple.isel(time=[-1]))
    found["calc_stat_simple_per_asset"] = qns.calc_stat(whole, simple, per_asset=True)
    found["calc_slippage"] = qns.calc_slippage(whole)
    for name in names[:3]:
        found[f"relative_return_{name}"] = qns.calc_relative_return(whole, clean[name])
    pairs = clean["long_short"]
    found["relative_return_long_short_per_asset"] = qns.calc_relative_return(whole, pairs, per_asset=True)
    monkeypatch.setenv("SL_CRYPTODAILY", "0.1")
    found["relative_return_simple_SL_0p1"] = qns.calc_relative_return(whole, simple)
    assert qns.get_default_slippage(whole) == 0.1
    for name, array in found.items():
        same(array, crypto_vector(f"stats_{name}", CRYPTO_SHARED), 1e-9)


RATIO = (
    r"(?:SD_CRYPTODAILY=(\S+) .*: )?"
    r"calc_sharpe_ratio_for_check\((last 100 days of )?loaded, (\w+), (.*)\)"
)


@long
@shared
def test_sharpe_ratios_and_facts(whole, monkeypatch):
    numbers = json.loads((CRYPTO_SHARED / "numbers.json").read_text("utf-8"))
    for call, wanted in numbers.items():
        if not (parts := re.fullmatch(RATIO, call)):
            continue
        with monkeypatch.context() as patch:
            if parts[1]:
                patch.setenv("SD_CRYPTODAILY", parts[1])
            data = whole.isel(time=slice(-100, None)) if parts[2] else whole
            weights = crypto_vector(parts[3], CRYPTO_SHARED)
            found = qnout.calc_sharpe_ratio_for_check(data, weights, eval(parts[4]))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9, err_msg=call)
    for kind in KINDS:
        facts = numbers[kind]
        assert qns.get_default_is_start_date_for_type(kind) == facts["start"]
        assert qns.get_default_max_exposure(kind) == facts["max_exposure"]
        named = whole.isel(time=slice(-60, None)).rename(kind)
        assert qns.get_default_slippage(named) == facts["slippage"]
        assert qns.calc_avg_points_per_year(named) == facts["points_per_year_60_days"]
    assert qns.calc_avg_points_per_year(whole) == 365
    dirty, carried = vectors("weights_dirty", "output_clean_every_day_long")
    assert list(qns.calc_non_liquid(whole, carried).shape) == [0, 0]
    assert list(qns.calc_non_liquid(whole, qnout.normalize(dirty)).shape) == [1421, 38]
    missed = [str(day)[:10] for day in qns.find_missed_dates(dirty, whole)]
    assert missed == numbers["find_missed_dates(weights_dirty, loaded)"]


SECTION = re.compile(r"(clean|check)\((\w+)( with 0 for what is not finite)?, loaded, ('\w+'|None)(, .*)?\)")


@long
@shared
def test_messages_of_clean_and_check(whole, capsys):
    sections = (CRYPTO_SHARED / "messages.txt").read_text("utf-8").split("=== ")
    found = 0
    for section in sections:
        title, _, lines = section.partition("\n")
        if not (parts := SECTION.fullmatch(title)):
            continue
        weights = crypto_vector(parts[2], CRYPTO_SHARED)
        if parts[3]:
            weights = weights.where(np.isfinite(weights)).fillna(0)
        arguments = {"check_correlation": False} if parts[1] == "check" else {}
        capsys.readouterr()
        getattr(qnout, parts[1])(weights, whole, eval(parts[4]), **arguments)
        for stream, text in zip(("out", "err"), capsys.readouterr(), strict=True):
            wanted = [line[4:] for line in lines.split("\n") if line.startswith(stream)]
            assert messages(text) == messages("\n".join(wanted)), title
        found += 1
    assert found == 24


class TestBacktests:
    @pytest.mark.parametrize(
        ("name", "kind", "short", "options"),
        [
            ("each_day", KIND, 0.0, {}),
            pytest.param("short", KIND, -0.03, {}, marks=long),
            pytest.param("batch", KIND, 0.0, {"predict_each_day": False}, marks=[shared, long]),
            pytest.param("short_allowed", BOTH, -0.03, {}, marks=[shared, long]),
            pytest.param("end_date", KIND, 0.0, {"end_date": "2024-12-21"}, marks=[shared, long]),
        ],
    )
    def test_calls_states_and_result(self, name, kind, short, options, market):
        calls = []

        def seen(what, data, *more):
            days = [str(day)[:10] for day in data.time.values[[0, -1]]]
            calls.append([*what, *days, data.sizes["time"], *more])
            return data

        def load(period):
            data = qndata.load_data_by_type(kind, tail=period)
            return seen(["load", period], data, data.sizes["asset"])

        def predict(model, data, state):
            state = (state or 0) + 1
            return weights_of(seen(["predict"], data, state), short), state

        result, states = qnbt.backtest_ml(
            load_data=load,
            train=lambda data: str(seen(["train"], data).name),
            predict=predict,
            train_period=100,
            retrain_interval=30,
            lookback_period=155,
            start_date="2024-09-01",
            competition_type=kind,
            analyze=False,
            collect_all_states=True,
            **{"predict_each_day": True} | options,
        )
        folder = CRYPTO if (CRYPTO / f"backtest_ml_result_{name}.nc").exists() else CRYPTO_SHARED
        stored = json.loads((folder / f"backtest_ml_calls_{name}.json").read_text("utf-8"))
        assert calls == stored["calls"]
        assert states == stored["states"]
        same(result, crypto_vector(f"backtest_ml_result_{name}", folder))
        assert result.name == kind

    def test_a_last_pass_keeps_its_shorts(self, market, monkeypatch, capsys):
        written, write = [], qnout.write
        monkeypatch.setattr(qnout, "write", lambda weights: (written.append(weights.copy()), write(weights)))
        result = qnbt.backtest(
            competition_type=KIND,
            strategy=lambda data: weights_of(data, -0.03).isel(time=-1),
            lookback_period=60,
            start_date="2024-09-01",
            analyze=False,
        )
        same(qnout.normalize(written[0]), crypto_vector("backtest_first_write"))
        same(result, crypto_vector("backtest_result"))
        assert "mismatched" not in capsys.readouterr().err


@longest
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["default", pytest.param("full_weights", marks=longest)])
def test_the_strategy_of_this_project(name, market):
    stored = json.loads((CRYPTO / "strategy_cases.json").read_text("utf-8"))
    parameters = {key: tuple(v) if isinstance(v, list) else v for key, v in stored["cases"][name].items()}
    of_stocks = {"top_assets": 12, "max_weight": 0.1, "sizing": "as_output"}  # "default" stands for them
    strategy = Strategy(competition_type=KIND, **of_stocks | parameters)
    with leaving_no_files():
        weights, states = backtest(strategy, stored["start"], collect_all_states=True)
    same(weights, crypto_vector(f"strategy_{name}"), 1e-5)
    wanted = crypto_vector(f"strategy_{name}_state")
    for day, state in zip(wanted.time.values, states, strict=True):
        held = xr.DataArray(list(state.weights.values()), {"asset": list(state.weights)}, ["asset"])
        same(held.reindex(asset=wanted.asset, fill_value=0), wanted.sel(time=day, drop=True), 1e-5)


@pytest.mark.skipif(REAL, reason="the real library refuses nothing")
def test_other_crypto_data_are_refused_by_name(market):
    with pytest.raises(NotImplementedError, match=r"crypto_futures.*Here are .*crypto_daily_long"):
        qndata.load_data_by_type("crypto_futures")


def test_a_row_has_all_facts_and_short_is_all_that_differs():
    long, both = (COMPETITIONS[kind]._asdict() for kind in (KIND, BOTH))
    assert {name for name in long if long[name] != both[name]} == {"long_only"}


def test_the_mean_of_a_row_is_the_one_that_the_platform_takes():
    means = {kind: row.mean_estimator for kind, row in COMPETITIONS.items()}
    stocks = dict.fromkeys(("stocks_nasdaq100", "stocks_s&p500"), "geometric")
    assert means == stocks | {KIND: "arithmetic", BOTH: "arithmetic"}
