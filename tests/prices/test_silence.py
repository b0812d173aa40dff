"""Prices that were once read wrong without a word: dividends twice, weeks as days, nights, splits, flags."""

import numpy as np
import pandas as pd
import pytest

from lib.prices import PricesError, market_from_frames

EX_DAYS = {30: 0.9, 75: 1.1, 100: 0.4}


def traded(days=120, seed=0, price=40.0, tick=0.01, start="2024-01-02"):
    """Return a stock as traded, in whole ticks, with dividends on some days."""
    rng = np.random.default_rng(seed)
    close = np.round(price * np.exp(np.cumsum(rng.normal(0, 0.01, days))) / tick) * tick
    close = np.round(close, 6)
    frame = pd.DataFrame({"Open": close, "High": close, "Low": close, "Close": close})
    frame["High"] += 10 * tick
    frame["Low"] -= 10 * tick
    frame["Volume"] = 1000 + np.arange(days)
    frame["Dividends"] = 0.0
    for day, paid in EX_DAYS.items():
        if day < days:
            frame.loc[day, "Dividends"] = paid
    frame["Stock Splits"] = 0.0
    return frame.set_index(pd.bdate_range(start, periods=days, name="Date"))


PRICES = ["Open", "High", "Low", "Close"]


def adjusted(frame, after=1.0):
    """Return what history() makes of it: every ex-day lowers the prices before it."""
    factor = np.full(len(frame), after)
    for day in np.flatnonzero(frame["Dividends"] > 0)[::-1]:
        factor[:day] *= 1 - frame["Dividends"].iloc[day] / frame["Close"].iloc[day - 1]
    result = frame.copy()
    result[PRICES] = frame[PRICES].mul(factor, axis=0)
    return result


def split(frame, day, ratio):
    """Return prices, volumes and dividends before a day in shares of afterwards."""
    result = frame.copy()
    result.loc[result.index[:day], [*PRICES, "Dividends"]] /= ratio
    result["Stock Splits"] = np.where(np.arange(len(frame)) == day, ratio, 0.0)
    return result


def closes(market, ticker="AAA"):
    return market.sel(field="close", asset=ticker).dropna("time").to_numpy()


@pytest.mark.parametrize("split_day", [None, 50, 110])
@pytest.mark.parametrize("narrow", [False, True])
def test_dividends_in_adjusted_prices_count_once(split_day, narrow, capsys):
    raw = traded()
    if split_day:
        raw = split(raw, split_day, 3.0)
    held = adjusted(raw)
    if narrow:
        held[PRICES] = held[PRICES].astype(np.float32).astype(float)
    market = market_from_frames({"AAA": held, "BBB": traded(seed=7)}, prices="adjusted")
    np.testing.assert_allclose(closes(market), raw["Close"], rtol=1e-6)
    np.testing.assert_allclose(market.sel(field="divs", asset="AAA"), raw["Dividends"])
    np.testing.assert_allclose(closes(market, "BBB"), traded(seed=7)["Close"])
    assert "the prices of 1 ticker are adjusted for dividends already" in capsys.readouterr().out


@pytest.mark.parametrize("tick", [0.01, 0.0001, 1 / 64])
@pytest.mark.parametrize("seed", range(2))
def test_prices_as_traded_stay(tick, seed, capsys):
    frame = traded(tick=tick, price=20, seed=seed)
    np.testing.assert_array_equal(closes(market_from_frames({"AAA": frame})), frame["Close"])
    assert "adjusted for dividends already" not in capsys.readouterr().out


@pytest.mark.parametrize("ratio", [3.0, 20.0])
def test_prices_adjusted_for_splits_alone_stay(ratio, capsys):
    frame = split(traded(), 110, ratio)
    market = market_from_frames({"AAA": frame}, prices="adjusted")
    np.testing.assert_array_equal(closes(market), frame["Close"])
    assert "adjusted for dividends already" not in capsys.readouterr().out


def test_a_history_that_ends_before_the_last_ex_day_keeps_no_dividends(capsys):
    frame = adjusted(traded(), after=0.98765)
    market = market_from_frames({"AAA": frame})
    np.testing.assert_array_equal(closes(market), frame["Close"])
    assert market.sel(field="divs").sum() == 0
    assert "the dividends were left out" in capsys.readouterr().out


def test_the_total_return_of_ten_stocks_is_that_of_prices_as_traded():
    raw = {f"S{k}": traded(seed=k) for k in range(10)}
    xs = [market_from_frames(f, report=False) for f in (raw, {k: adjusted(v) for k, v in raw.items()})]
    total = [(m.sel(field="divs").sum("time") + m.sel(field="close")[-1]).to_numpy() for m in xs]
    np.testing.assert_allclose(total[1], total[0], rtol=1e-9)


@pytest.mark.parametrize("column", ["ex_dividend", "Capital Gains"])
def test_dividends_by_other_names_count(column, capsys):
    frame = traded().rename(columns={"Dividends": column})
    divs = market_from_frames({"AAA": frame}).sel(field="divs", asset="AAA")
    np.testing.assert_array_equal(divs, traded()["Dividends"])
    named = "capital gains count as dividends" if column == "Capital Gains" else f"dividends from {column}"
    assert named in capsys.readouterr().out


def test_capital_gains_are_added_to_dividends(capsys):
    frame = traded().assign(**{"Capital Gains": np.where(np.isin(np.arange(120), [30, 40]), 2.0, 0.0)})
    divs = market_from_frames({"AAA": frame}).sel(field="divs", asset="AAA")
    np.testing.assert_array_equal(divs, traded()["Dividends"] + frame["Capital Gains"])
    report = capsys.readouterr().out
    assert "2 capital gains count as dividends; 1 of these days have a dividend too" in report


SPACED = {
    "weekly": pd.date_range("2022-01-03", periods=20, freq="7D"),
    "monthly": pd.date_range("2022-01-31", periods=20, freq="ME"),
}


@pytest.mark.parametrize("kind", SPACED)
def test_bars_of_weeks_and_months_are_refused(kind, capsys):
    days = SPACED[kind]
    frame = traded(len(days)).set_axis(days)
    with pytest.raises(PricesError, match=f"days apart: these are {kind} bars"):
        market_from_frames({"AAA": frame})
    market_from_frames({"AAA": frame, "BBB": traded(300, start=days[0])})
    assert f"1 ticker with {kind} bars" in capsys.readouterr().out


def test_a_column_without_a_unit_comes_before_those_with_one():
    frame = traded(4)
    frame.insert(0, "Volume (USD)", 1.0)
    market = market_from_frames({"AAA": frame}, report=False)
    np.testing.assert_array_equal(market.sel(field="vol", asset="AAA"), frame["Volume"])


def test_rows_that_differ_in_the_adjusted_close_alone_are_equal():
    """A later download of the same days has other adjusted closes."""
    frame = traded(4).reset_index().assign(Ticker="AAA")
    again = [frame.assign(**{"Adj Close": factor * frame["Close"]}) for factor in (0.9, 0.8)]
    np.testing.assert_array_equal(closes(market_from_frames(again, report=False)), frame["Close"])


@pytest.mark.parametrize(
    ("hours", "zone"),
    [(-3, ""), (-9, "Z"), (28, "")],
)
def test_stamps_of_another_day_mean_the_day_of_trading(hours, zone, capsys):
    frame = traded(30)
    stamps = (frame.index + pd.Timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S") + zone
    market = market_from_frames({"AAA": frame.set_axis(stamps)})
    np.testing.assert_array_equal(market.time, frame.index)
    report = capsys.readouterr().out
    assert "each was read as" in report
    assert "Saturdays" not in report.split("Plausibility")[1]


def test_midnight_in_london_is_the_evening_before_in_summer_only():
    frame = traded(250)
    stamps = frame.index.tz_localize("Europe/London").tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    np.testing.assert_array_equal(
        market_from_frames({"A": frame.set_axis(stamps)}, report=False).time, frame.index
    )


@pytest.mark.parametrize("late", [-3, 3])
@pytest.mark.parametrize("ratio", [1.5, 0.1])
def test_a_split_beside_its_jump_is_applied_at_the_jump(late, ratio, capsys):
    frame = traded().assign(Dividends=0.0)
    raw = frame.copy()
    raw.loc[raw.index[:60], PRICES] *= ratio
    raw["Stock Splits"] = np.where(np.arange(120) == 60 + late, ratio, 0.0)
    market = market_from_frames({"AAA": raw})
    np.testing.assert_allclose(closes(market), frame["Close"])
    split_days = np.flatnonzero(np.diff(market.sel(field="split_cumprod", asset="AAA"))) + 1
    assert split_days.tolist() == [60]
    report = capsys.readouterr().out
    assert f"AAA {raw.index[60 + late]:%Y-%m-%d} (jump: {raw.index[60]:%Y-%m-%d})" in report
    assert "nothing was applied" not in report


@pytest.mark.parametrize("ratio", [(5, 4), (1, 10)])
def test_a_split_that_the_adjusted_close_alone_shows_is_named(ratio, capsys):
    frame = traded().drop(columns=["Dividends", "Stock Splits"])
    raw = frame.assign(**{"Adj Close": frame["Close"] * 0.9})
    raw.loc[raw.index[:60], PRICES] *= ratio[0] / ratio[1]
    market_from_frames({"AAA": raw})
    report = capsys.readouterr().out
    assert f"AAA {raw.index[60]:%Y-%m-%d}, the close" in report
    assert f"a split of {ratio[0]}:{ratio[1]}" in report


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["ordinary dividends", "half of the price"])
def test_an_ordinary_adjusted_close_names_no_split(share, capsys):
    frame = traded()
    if share:
        paid = round(frame["Close"].iloc[59] * share, 2)
        frame.loc[frame.index[60], "Dividends"] = paid
        frame.loc[frame.index[60:], PRICES] -= paid
    market_from_frames({"AAA": frame.assign(**{"Adj Close": adjusted(frame)["Close"]})})
    report = capsys.readouterr().out
    assert "splits that the source does not list" not in report
    assert "adjusted for dividends already" not in report


@pytest.mark.parametrize(
    "flags",
    [
        np.arange(120) == 60,
        np.where(np.arange(120) == 60, 1, 0),
    ],
    ids=["true or false", "0 and 1"],
)
def test_a_column_of_flags_is_no_split(flags, capsys):
    frame = traded().drop(columns="Stock Splits").assign(split=flags)
    market = market_from_frames({"AAA": frame})
    assert (market.sel(field="split_cumprod") == 1).all()
    assert "the column split holds" in capsys.readouterr().out


def test_a_split_on_every_day_is_refused():
    frame = traded().drop(columns="Stock Splits").assign(split=2)
    with pytest.raises(PricesError, match="the column split would split AAA on 120 days"):
        market_from_frames({"AAA": frame})


def test_never_liquid_tickers_are_named(capsys):
    market_from_frames({"AAA": traded(), "FX": traded(seed=1).assign(Volume=0)})
    assert "1 ticker never liquid, with volumes of 0 throughout" in capsys.readouterr().out


def test_weeks_that_every_ticker_lacks_are_named(capsys):
    frame = traded()
    frame = frame.drop(frame.index[40:50])
    market_from_frames({"AAA": frame, "BBB": frame})
    assert f"of more than a week in all tickers: {frame.index[39]:%Y-%m-%d} to" in capsys.readouterr().out


def test_unused_columns_are_all_named_or_counted(capsys):
    market_from_frames({"AAA": traded().assign(**{f"x{k}": 1.0 for k in range(15)})})
    assert "not used: x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 and 3 more" in capsys.readouterr().out


def test_an_unknown_column_of_tickers_is_named():
    frame = pd.concat([traded().assign(Werk=name) for name in ("AAA", "BBB")]).reset_index()
    with pytest.raises(PricesError, match=r'the column Werk .*--rename "Werk=ticker"'):
        market_from_frames({"prices": frame})
    assert market_from_frames([frame], rename={"Werk": "ticker"}, report=False).sizes["asset"] == 2


@pytest.mark.parametrize("column", ["Date", "Time"])
def test_several_bars_of_a_day_are_intraday_prices(column):
    frame = traded(8).reset_index()
    stamps = pd.date_range("2024-01-02 09:30", periods=8, freq="h")
    frame["Date"] = stamps if column == "Date" else stamps.strftime("%Y-%m-%d")
    if column == "Time":
        frame["Time"] = stamps.strftime("%H:%M")
    with pytest.raises(
        PricesError, match=r"row 2, AAA: has several bars on 2024-01-02 \(at 9:30 and 10:30\)"
    ):
        market_from_frames({"AAA": frame})
