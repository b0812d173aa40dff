"""Conversions of price sources, equal to a market built by hand, value for value."""

import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.common.market_data import check_data
from lib.offline import market as market_file
from lib.prices import market_from_frames
from lib.prices.__main__ import main
from tests.prices.sources import AAA, BRK, DAYS, FRAMES, MARKET, SOURCES, TICKERS, long, market


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_a_source_is_the_market_built_by_hand(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main([*source(tmp_path), "--output", "market.nc"])
    written = market_file.load("market.nc")  # what QNT_OFFLINE_MARKET reads
    xr.testing.assert_equal(written, market())
    assert written.dtype == np.float64
    assert "Written: market.nc" in capsys.readouterr().out


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_the_market_built_by_hand(kind):
    made = market_from_frames(FRAMES[kind](), report=False)
    xr.testing.assert_equal(made, market())
    assert made.dims == ("field", "time", "asset")
    assert check_data(made) is made


def test_members_make_assets_liquid(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    members = (
        "Symbol,From,To\nAAA,2024-01-03,2024-01-04\nAAA,2024-01-08,9999-12-31\nBRK.B,,2024-01-03\nGONE,,\n"
    )
    (tmp_path / "members.csv").write_text(members, encoding="utf-8")
    long().to_csv("prices.csv", index=False)
    main(["prices.csv", "--members", "members.csv", "--output", "market.nc"])
    liquid = [[0, np.nan], [1, 1], [1, 0], [0, np.nan], [1, 0]]
    xr.testing.assert_equal(market_file.load("market.nc"), market(is_liquid=liquid))
    report = capsys.readouterr().out
    assert "is_liquid means a member by the table" in report
    assert "1 members have no prices: GONE" in report


def test_members_as_a_frame():
    members = pd.DataFrame({"ticker": ["AAA"], "from": [pd.Timestamp("2024-01-04")], "to": [pd.NaT]})
    made = market_from_frames(TICKERS, members, report=False).sel(field="is_liquid")
    np.testing.assert_array_equal(made.sel(asset="AAA"), [0, 0, 1, 1, 1])


@pytest.mark.parametrize("writing", ["csv", "parquet"])
def test_unusual_names_are_kept(writing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["BF-B", "BRK.B", "NAS:AAPL", "NA", "TRUE", "0005", "600519", "nan", "abc", "ÅÄÖ", "CA~1"]
    frame = long(dict.fromkeys(names, AAA))
    if writing == "csv":
        frame.to_csv("prices.csv", index=False)
    else:
        frame.to_parquet("prices.parquet")
    main([f"prices.{writing}", "--output", "market.nc"])
    assert market_file.load("market.nc").asset.values.tolist() == sorted(names)


def test_tickers_that_are_numbers_in_a_frame():
    assert market_from_frames({600519: AAA, 5: BRK}, report=False).asset.values.tolist() == ["5", "600519"]


def test_a_file_named_like_a_field_may_be_a_ticker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    AAA.to_csv("OPEN.csv")
    main(["OPEN.csv", "--output", "market.nc"])
    assert market_file.load("market.nc").asset.values.tolist() == ["OPEN"]


def test_blank_lines_and_days_without_a_price_are_gaps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = long().to_csv(index=False).replace("\n2024-01-08,54", "\n\n2024-01-06,,,,,,,,AAA\n2024-01-08,54")
    (tmp_path / "prices.csv").write_text(text, encoding="utf-8")
    main(["prices.csv", "--output", "market.nc"])
    xr.testing.assert_equal(market_file.load("market.nc"), market())


def test_numbers_are_read_to_the_last_bit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = AAA.drop(columns="Stock Splits")
    prices = np.random.default_rng(0).uniform(50, 60, (5, 4)).cumsum(axis=1)
    frame[["Low", "Open", "Close", "High"]] = prices
    frame.to_csv("AAA.csv")
    main(["AAA.csv", "--output", "market.nc"])
    written = market_file.load("market.nc").sel(asset="AAA", field=["low", "open", "close", "high"])
    np.testing.assert_array_equal(written.transpose("time", "field"), prices)


def test_a_source_without_volumes(capsys):
    frames = {name: frame.drop(columns="Volume") for name, frame in TICKERS.items()}
    made = market_from_frames(frames)
    liquid = np.where(np.isnan(MARKET["open"]), np.nan, 1)
    xr.testing.assert_equal(made, market(vol=np.full((5, 2), np.nan), is_liquid=liquid))
    assert "no volumes" in capsys.readouterr().out


def test_a_split_and_a_dividend_on_a_halted_day_count_on_the_next(capsys):
    halted = AAA.copy()
    halted.loc["2024-01-05", ["Open", "High", "Low", "Close"]] = np.nan
    made = market_from_frames({"AAA": halted, "BRK.B": BRK}).sel(asset="AAA")
    assert made.time.values.astype("datetime64[D]").astype(str).tolist() == [*DAYS[:3], DAYS[4]]
    np.testing.assert_array_equal(made.sel(field="close"), [51, 52, 53, 55.1])
    np.testing.assert_array_equal(made.sel(field="divs"), [0, 0.25, 0, 0.3])
    np.testing.assert_array_equal(made.sel(field="split_cumprod"), [1, 1, 1, 2])
    assert "1 dividends of days without a price" in capsys.readouterr().out


def test_a_terminal_that_lacks_a_tickers_characters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    AAA.to_csv("ÅÄÖ€.csv")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    main(["ÅÄÖ€.csv", "--output", "market.nc"])
    assert market_file.load("market.nc").asset.values.tolist() == ["ÅÄÖ€"]


def test_a_ticker_without_a_price_is_dropped(capsys):
    empty = BRK.assign(Open=np.nan, High=np.nan, Low=np.nan, Close=np.nan)
    made = market_from_frames({"AAA": AAA, "EMPTY": empty})
    assert made.asset.values.tolist() == ["AAA"]
    assert "1 ticker without a price: EMPTY" in capsys.readouterr().out


def test_a_split_alone_on_a_halted_day_counts_on_the_next():
    halted = AAA.assign(Dividends=0.0)
    halted.loc["2024-01-05", ["Open", "High", "Low", "Close"]] = np.nan
    made = market_from_frames({"AAA": halted, "BRK.B": BRK}, report=False).sel(asset="AAA")
    np.testing.assert_array_equal(made.sel(field="close"), [51, 52, 53, 55.1])
    np.testing.assert_array_equal(made.sel(field="split_cumprod"), [1, 1, 1, 2])


def test_a_dividend_of_a_halted_day_is_added_to_that_of_the_next():
    halted = AAA.copy()
    halted.loc["2024-01-05", ["Open", "High", "Low", "Close"]] = np.nan
    halted.loc["2024-01-08", "Dividends"] = 0.2
    made = market_from_frames({"AAA": halted, "BRK.B": BRK}, report=False).sel(asset="AAA")
    np.testing.assert_allclose(made.sel(field="divs"), [0, 0.25, 0, 0.5])
