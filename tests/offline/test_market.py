import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.offline import market, synthetic
from tests.switches import long

ROOT = Path(__file__).parents[2]
NASDAQ, S_AND_P = "stocks_nasdaq100", "stocks_s&p500"
SHIPPED = dict(market.KINDS)
SMALL = {"assets": 6, "start": "2020-01-01", "end": "2020-06-30", "seed": 9}


def forget():
    """Let the next read be like the first one of a process."""
    market._generated.cache_clear()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """A small market instead of twenty years of one, in a cache folder of the test's own."""
    monkeypatch.delenv("QNT_OFFLINE_MARKET", raising=False)
    monkeypatch.setenv("QNT_OFFLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(market.tempfile, "gettempdir", lambda: str(tmp_path / "temp"))
    monkeypatch.setattr(market, "KINDS", {NASDAQ: SMALL, S_AND_P: SMALL | {"seed": 10, "exchange": "NYS"}})
    forget()
    yield
    forget()


@pytest.fixture
def generations(monkeypatch):
    """The kinds generated so far."""
    made = []

    def generate(name, **keywords):
        made.append(name)
        return whole(name=name, **keywords)

    whole = synthetic.generate
    monkeypatch.setattr(synthetic, "generate", generate)
    return made


def cached(tmp_path):
    return sorted((tmp_path / "cache").iterdir())


def test_reads_what_is_generated():
    read = market.read(NASDAQ, np.datetime64("2020-02-01"), np.datetime64("2020-03-31"))
    expected = synthetic.generate(**SMALL).sel(time=slice("2020-02-01", "2020-03-31"))
    xr.testing.assert_identical(read, expected)
    assert read.values.flags.c_contiguous
    assert read.values.flags.writeable


def test_both_ends_are_included_and_dates_may_be_anything_like_a_date():
    by_text = market.read(NASDAQ, "2020-02-03", "2020-02-05")
    assert by_text.sizes["time"] == 3
    by_stamp = market.read(NASDAQ, pd.Timestamp("2020-02-03T16"), np.datetime64("2020-02-05T10", "ns"))
    xr.testing.assert_identical(by_text, by_stamp)


def test_a_range_without_days_is_empty():
    assert market.read(NASDAQ, "1999-01-01", "1999-12-31").sizes == {"field": 8, "time": 0, "asset": 9}


def test_the_second_kind_is_another_market():
    assert market.read(S_AND_P, "2020-02-03", "2020-02-05").asset.values[0] == "NYS:SYN001"


def test_last_day():
    assert market.last_day(NASDAQ) == np.datetime64("2020-06-30")
    assert market.last_day(NASDAQ).dtype == "datetime64[D]"


def test_an_unknown_kind():
    with pytest.raises(market.MarketError, match='no offline market "stocks", only stocks_nasdaq100, stocks'):
        market.read("stocks", "2020-01-01", "2020-01-31")


def test_it_says_what_it_is(monkeypatch):
    assert market.is_synthetic()
    assert market.describe() == "a synthetic market (random numbers, not real prices)"
    monkeypatch.setenv("QNT_OFFLINE_MARKET", "/some/where/mine.nc")
    assert not market.is_synthetic()
    assert market.describe() == "the market file mine.nc"


def test_generated_once_and_read_from_the_cache_thereafter(generations, tmp_path):
    for _ in range(3):
        market.read(NASDAQ, "2020-02-03", "2020-02-05")
        forget()
    assert generations == [NASDAQ]
    (file,) = cached(tmp_path)
    assert re.sub("-[0-9a-f]{16}", "", file.name) == "stocks_nasdaq100.npz"


def test_other_parameters_never_read_an_old_cache(generations, monkeypatch):
    market.last_day(NASDAQ)
    monkeypatch.setattr(market, "KINDS", {NASDAQ: SMALL | {"end": "2020-05-29"}})
    forget()
    assert market.last_day(NASDAQ) == np.datetime64("2020-05-29")
    assert len(generations) == 2


def test_a_changed_generator_never_reads_an_old_cache(generations, monkeypatch, tmp_path):
    modules = [tmp_path / module.name for module in market.HERE.glob("*.py")]
    assert "synthetic.py" in {module.name for module in modules}
    market.last_day(NASDAQ)
    for module in modules:
        module.write_bytes((market.HERE / module.name).read_bytes())
    monkeypatch.setattr(market, "HERE", tmp_path)
    forget()
    market.last_day(NASDAQ)
    assert len(generations) == 1
    for already, module in enumerate(modules, 1):
        module.write_text(module.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
        forget()
        market.last_day(NASDAQ)
        assert len(generations) == 1 + already


def test_without_any_writable_folder_the_market_lives_in_memory(generations, tmp_path):
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    (tmp_path / "temp").write_text("in the way", encoding="utf-8")
    first = market.read(NASDAQ, "2020-02-03", "2020-02-05")
    before = first.copy()
    first[:] = 0
    xr.testing.assert_identical(market.read(NASDAQ, "2020-02-03", "2020-02-05"), before)
    assert generations == [NASDAQ]


@long
def test_processes_that_start_at_once_all_get_the_market(tmp_path):
    code = (
        "from lib.offline import market\n"
        f"market.KINDS = {market.KINDS!r}\n"
        f"print(float(market.read('{NASDAQ}', '2020-01-01', '2020-12-31').fillna(0).values.sum()))\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = [child.communicate(timeout=60) for child in children]
    expected = float(np.ascontiguousarray(synthetic.generate(**SMALL).fillna(0)).sum())
    assert [out.strip() for out, _ in answers] == [str(expected)] * 2, answers
    assert [file.suffix for file in cached(tmp_path)] == [".npz"]


def test_the_shipped_markets_are_of_the_promised_size():
    sizes = {kind: (made["assets"], made.get("exchange")) for kind, made in SHIPPED.items()}
    assert sizes == {NASDAQ: (100, "NAS"), S_AND_P: (500, "NYS"), "cryptodaily": (76, None)}
    assert len({made["seed"] for made in SHIPPED.values()}) == 3


class TestOwnFile:
    @pytest.fixture
    def file(self, monkeypatch, tmp_path):
        """A market file that `QNT_OFFLINE_MARKET` names."""
        path = tmp_path / "mine.nc"
        synthetic.generate(3, "2021-01-01", "2021-03-31", seed=4, exchange="OWN").to_netcdf(path)
        monkeypatch.setenv("QNT_OFFLINE_MARKET", str(path))
        return path

    def test_it_serves_crypto_with_the_fields_that_this_has(self, file):
        read = market.read("crypto_daily_long", "2021-02-01", "2021-02-03")
        assert read.field.values.tolist() == ["open", "low", "high", "close", "vol", "is_liquid"]
        assert read.name == "cryptodaily"

    def test_a_crypto_file_says_what_stocks_lack(self, file, monkeypatch):
        crypto = synthetic.generate_crypto(4, "2021-01-01", "2021-03-31", seed=4)
        crypto.isel(time=slice(None, None, -1)).to_netcdf(file)
        days = market.read("crypto_daily_long", "2021-01-01", "2021-03-31")
        np.testing.assert_array_equal(days.values, crypto.values)
        assert market.last_day() == np.datetime64("2021-03-31")
        with pytest.raises(market.MarketError, match="lacks the fields divs split_cumprod"):
            market.read(NASDAQ, "2021-02-01", "2021-02-03")

    @pytest.mark.parametrize("kind", [NASDAQ, S_AND_P])
    def test_it_answers_for_both_kinds(self, file, kind, generations):
        read = market.read(kind, "2021-02-01", "2021-02-03")
        assert read.sizes == {"field": 8, "time": 3, "asset": 4}
        assert read.asset.values[0] == "OWN:SYN001"
        assert read.name == kind
        assert market.last_day(kind) == np.datetime64("2021-03-31")
        assert generations == []

    def test_the_answer_is_the_callers_own(self, file):
        market.read(NASDAQ, "2021-02-01", "2021-02-03")[:] = 0
        assert market.read(NASDAQ, "2021-02-01", "2021-02-03").sum() > 0

    def test_a_rewritten_file_is_read_anew(self, file):
        market.last_day(NASDAQ)
        synthetic.generate(3, "2021-01-01", "2021-04-30", seed=4).to_netcdf(file)
        os.utime(file, (1e9, 1e9))
        assert market.last_day(NASDAQ) == np.datetime64("2021-04-30")

    def test_a_relative_name_is_relative_to_the_working_folder(self, file, monkeypatch):
        monkeypatch.chdir(file.parent)
        monkeypatch.setenv("QNT_OFFLINE_MARKET", "mine.nc")
        assert market.last_day(NASDAQ) == np.datetime64("2021-03-31")
        (file.parent / "other").mkdir()
        monkeypatch.chdir(file.parent / "other")
        with pytest.raises(market.MarketError, match=r"other/mine\.nc does not exist"):
            market.last_day(NASDAQ)

    def test_faults_are_said_not_hidden_by_the_synthetic_market(self, file):
        file.write_text("no market", encoding="utf-8")
        with pytest.raises(market.MarketError, match="is not a NetCDF file"):
            market.read(NASDAQ, "2021-02-01", "2021-02-03")

    def test_oddities_are_printed_once_per_file(self, file, capsys):
        odd = synthetic.generate(3, "2021-01-01", "2021-03-31", seed=4)
        odd.loc[{"field": "is_liquid"}] = 0
        odd.to_netcdf(file)
        os.utime(file, (2e9, 2e9))
        for _ in range(2):
            market.last_day(NASDAQ)
        lines = capsys.readouterr().err.splitlines()
        (line,) = [line for line in lines if line.startswith("WARNING")]
        assert line.startswith(f"WARNING! The market file {file} has no asset that is ever liquid")
        assert not market.ever_liquid(NASDAQ)

    def test_an_empty_name_is_no_name(self, monkeypatch):
        monkeypatch.setenv("QNT_OFFLINE_MARKET", "")
        assert market.is_synthetic()


@pytest.mark.parametrize(("name", "days"), [("real", 20), ("conformance", 22)])
def test_the_markets_of_the_platform_can_be_read(monkeypatch, name, days):
    path = ROOT.parent / "shared" / name / "market.nc"
    if not path.exists():
        pytest.skip(f"no {path}")
    monkeypatch.setenv("QNT_OFFLINE_MARKET", str(path))
    read = market.read(NASDAQ, "2023-01-01", "2023-01-31")
    assert read.sizes["time"] == days
    assert np.nanmax(read.sel(field="is_liquid")) == 1
