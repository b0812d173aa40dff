"""Daily prices of crypto, as three services write them: markets of six fields that never close."""

import numpy as np
import pandas as pd
import pytest

from lib.common.competitions import COMPETITIONS
from lib.offline import market as market_file
from lib.prices import market_from_frames
from lib.prices.__main__ import main

RULES = COMPETITIONS["crypto_daily_long"]
DAYS = pd.date_range("2024-12-20", periods=40, name="Date")


def coin(price, seed):
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0, 0.05, len(DAYS))))
    opened = np.r_[price, close[:-1]]
    high, low = np.maximum(opened, close) * 1.02, np.minimum(opened, close) * 0.98
    columns = {
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "volume": rng.uniform(1e3, 1e9, len(DAYS)),
    }
    return pd.DataFrame(columns, DAYS)


COINS = {"BTC": coin(43_000, 0), "PEPE": coin(1.3e-6, 1)}


def binance(folder):
    """Write a file per month without names of columns, in milliseconds and from 2025 in microseconds."""
    for name, frame in COINS.items():
        for month, part in frame.groupby(frame.index.strftime("%Y-%m")):
            unit = "ms" if month < "2025" else "us"
            opens = part.index.as_unit(unit).asi8
            length = pd.Timedelta("1D") // pd.Timedelta(1, unit)
            table = part.reset_index(drop=True)
            table.insert(0, "open_time", opens)
            table["close_time"] = opens + length - 1
            for more in ("quote_volume", "count", "taker_buy", "taker_quote", "ignore"):
                table[more] = 0
            table.to_csv(folder / f"{name}-1d-{month}.csv", header=False, index=False)


def coinmarketcap(folder):
    for name, frame in COINS.items():
        table = frame.reset_index(drop=True)
        table.insert(0, "name", 2781)
        for column, clock in (
            ("timeHigh", "15:53:00.000Z"),
            ("timeClose", "23:59:59.999Z"),
            ("timeOpen", "00:00:00.000Z"),
        ):
            table.insert(0, column, DAYS.strftime(f"%Y-%m-%dT{clock}"))
        table["marketCap"] = 1
        table["timestamp"] = DAYS.strftime("%Y-%m-%dT23:59:59.999Z")
        path = folder / f"{name}_20.12.2024-28.1.2025_historical_data_coinmarketcap.csv"
        table.iloc[::-1].to_csv(path, sep=";", index=False)


@pytest.mark.parametrize("write", [binance, coinmarketcap])
def test_a_services_files_are_a_market_of_six_fields(write, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coins").mkdir()
    write(tmp_path / "coins")
    members = "ticker,from,to\nBTC,2025-01-01,\nPEPE,2025-01-01,2025-01-10\n"
    (tmp_path / "top.csv").write_text(members, encoding="utf-8")
    main(["coins", "--competition", "crypto_daily_long", "--members", "top.csv", "--output", "market.nc"])
    market = market_file.load("market.nc", RULES.fields, as_served=True)
    assert tuple(market.field.values) == RULES.fields
    assert market.asset.values.tolist() == ["BTC", "PEPE"]
    np.testing.assert_array_equal(market.time, DAYS)
    for name, frame in COINS.items():
        for field in ("open", "high", "low", "close"):
            np.testing.assert_allclose(market.sel(asset=name, field=field), frame[field])
        np.testing.assert_allclose(market.sel(asset=name, field="vol"), frame["volume"])
    liquid = market.sel(field="is_liquid").to_numpy()
    np.testing.assert_array_equal(liquid.sum(axis=0), [28, 10])
    assert "Saturdays" not in capsys.readouterr().out


def test_one_price_a_day_makes_bars_from_the_day_before(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, frame in COINS.items():
        table = pd.DataFrame(
            {"snapped_at": DAYS.strftime("%Y-%m-%d 00:00:00 UTC"), "price": frame["close"].to_numpy()}
        )
        table.assign(market_cap=1, total_volume=frame["volume"].to_numpy()).to_csv(
            f"{name}-usd-max.csv", index=False
        )
    sources = [f"{name}-usd-max.csv" for name in COINS]
    assert main([*sources, "--output", "market.nc"]) == 2
    assert "closes alone are not enough" in capsys.readouterr().err
    main([*sources, "--competition", "crypto_daily_long", "--output", "market.nc"])
    market = market_file.load("market.nc", RULES.fields, as_served=True)
    for name, frame in COINS.items():
        close = frame["close"].to_numpy()
        np.testing.assert_allclose(market.sel(asset=name, field="close"), close[1:])
        np.testing.assert_allclose(market.sel(asset=name, field="open"), close[:-1])
        np.testing.assert_allclose(market.sel(asset=name, field="high"), np.maximum(close[1:], close[:-1]))
        np.testing.assert_allclose(market.sel(asset=name, field="vol"), frame["volume"][1:])
    assert "the open is the price of the day before" in capsys.readouterr().out


def test_bars_of_closes_begin_anew_with_each_ticker_of_a_table():
    parts = [frame.reset_index()[["Date", "close"]].assign(Ticker=name) for name, frame in COINS.items()]
    market = market_from_frames([pd.concat(parts)], competition="crypto_daily_long", report=False)
    np.testing.assert_array_equal(market.time, DAYS[1:])
    for name, frame in COINS.items():
        np.testing.assert_allclose(market.sel(asset=name, field="open"), frame["close"][:-1])


def test_weekends_of_stocks_hint_at_the_option(capsys):
    market_from_frames(COINS)
    assert "for crypto, add --competition crypto_daily_long" in capsys.readouterr().out
    market = market_from_frames(COINS, competition="crypto_daily_long", report=False)
    assert market.name == "cryptodaily"
