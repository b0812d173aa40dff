"""Splits: found out whether prices hold them, and applied once."""

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.prices import market_from_frames
from tests.prices.sources import AAA, BRK, adjusted, market
from tests.switches import ALL, LONG, long


def stock(split_days, jumps=(), ratio=2.0, days=60, seed=0):
    """A stock as traded, with splits on some days, and changes by a factor on others."""
    rng = np.random.default_rng(seed)
    close = 100 * np.cumprod(1 + rng.normal(0, 0.01, days))
    split = np.zeros(days)
    split[list(split_days)] = ratio
    for day, factor in jumps:
        close[day:] *= factor
    close /= np.cumprod(np.where(split == 0, 1, split))
    prices = {"open": close * 1.001, "high": close * 1.01, "low": close * 0.99, "close": close}
    index = pd.bdate_range("2020-01-01", periods=days)
    return pd.DataFrame(prices | {"volume": 100.0, "dividends": 0.0, "stock splits": split}, index)


def test_what_was_found_is_reported(capsys):
    market_from_frames({"AAA": AAA})
    assert "raw: the price jumps by the ratio on 1 of 1 days of splits" in capsys.readouterr().out
    market_from_frames(adjusted())
    assert "adjusted: the price does not jump on 1 of 1 days of splits" in capsys.readouterr().out
    market_from_frames({"BRK.B": BRK})
    assert "there are no splits in the source" in capsys.readouterr().out


def test_the_user_overrides_what_was_found(capsys):
    made = market_from_frames({"AAA": AAA, "BRK.B": BRK}, prices="adjusted")
    np.testing.assert_array_equal(made.sel(field="close", asset="AAA"), AAA["Close"])
    np.testing.assert_array_equal(made.sel(field="split_cumprod", asset="AAA"), [1, 1, 1, 2, 2])
    made = market_from_frames(adjusted(), prices="raw").sel(field="close", asset="AAA")
    np.testing.assert_array_equal(made, [25.5, 26, 26.5, 53.5, 55.1])
    report = capsys.readouterr().out
    assert "adjusted, as --prices says" in report
    assert "raw, as --prices says" in report
    assert report.count(" that no split explains") == 2  # a wrong override shows


def test_most_splits_decide_and_the_others_are_named(capsys):
    frames = {f"S{k}": stock([20 + k], seed=k) for k in range(4)}
    odd = stock([30], jumps=[(30, 2.0)], seed=9)  # its price does not fall by half
    frames["ODD"] = odd.assign(**{"adj close": odd["close"]})
    made = market_from_frames(frames)
    report = capsys.readouterr().out
    assert "splits that the source does not list" not in report
    assert "raw: the price jumps by the ratio on 4 of 5 days" in report
    assert "1 split showing the opposite: ODD 2020-02-12" in report
    assert "1 jump that no split explains: ODD 2020-02-12" in report
    np.testing.assert_allclose(made.sel(field="close", asset="S0")[0], frames["S0"]["close"].iloc[0] / 2)


def test_a_fall_near_a_split_is_not_its_jump():
    """Adjusted prices that fall by 39 % two days after a split by two."""
    held = stock([], jumps=[(22, 0.61)])
    held.iloc[20, held.columns.get_loc("stock splits")] = 2.0
    made = market_from_frames({"A": held}, report=False)
    np.testing.assert_array_equal(made.sel(field="close", asset="A"), held["close"])


def test_a_reverse_split_and_several_splits():
    raw = stock([10, 40], ratio=0.1)
    made = market_from_frames({"A": raw}, report=False).sel(asset="A")
    np.testing.assert_allclose(made.sel(field="close")[:10], raw["close"][:10] * 100)
    np.testing.assert_allclose(made.sel(field="vol")[:10], 1.0)
    np.testing.assert_allclose(made.sel(field="split_cumprod")[[0, 10, 40]], [1, 0.1, 0.01])


def test_a_split_before_all_prices_changes_nothing():
    late = stock([0])
    made = market_from_frames({"A": late}, report=False).sel(field="close", asset="A")
    np.testing.assert_array_equal(made, late["close"])
    frames = {
        "A": late.iloc[20:].assign(**{"stock splits": late["stock splits"].to_numpy()[:40]}),
        "B": stock([]),
    }
    made = market_from_frames(frames, report=False).sel(field="close", asset="A").dropna("time")
    np.testing.assert_array_equal(made, late["close"][20:])


@long
@settings(max_examples=60 if ALL else 20 if LONG else 4, deadline=None)
@given(
    splits=st.lists(
        st.dictionaries(st.integers(1, 59), st.sampled_from([0.1, 0.5, 1.5, 2.0, 3.0, 7.0]), max_size=3),
        min_size=1,
        max_size=4,
    ),
    seed=st.integers(0, 9),
)
def test_raw_and_adjusted_prices_are_one_market(splits, seed):
    """Adjusting beforehand changes nothing, and the prices as traded can be had back."""
    raw, held = {}, {}
    for k, days in enumerate(splits):
        flat = stock([], seed=seed + k)
        ratio = np.array([days.get(day, 1.0) for day in range(len(flat))])
        so_far = np.cumprod(ratio)
        later = (so_far[-1] / so_far)[:, None]
        flat["stock splits"] = ratio
        flat["dividends"] = 0.1
        held[f"S{k}"] = flat
        raw[f"S{k}"] = flat.copy()
        raw[f"S{k}"][["open", "high", "low", "close", "dividends"]] *= later
        raw[f"S{k}"]["volume"] /= later[:, 0]
    made = market_from_frames(raw, report=False)
    xr.testing.assert_allclose(made, market_from_frames(held, report=False), rtol=1e-12)
    for ticker, frame in raw.items():
        so_far = made.sel(field="split_cumprod", asset=ticker)
        traded = made.sel(field="close", asset=ticker) / so_far
        np.testing.assert_allclose(traded * so_far[-1], frame["close"], rtol=1e-12)


def test_split_cumprod_knows_no_future():
    whole = market_from_frames({"A": stock([20, 40])}, report=False)
    cut = market_from_frames({"A": stock([20, 40]).iloc[:30]}, report=False)
    xr.testing.assert_equal(whole.sel(field="split_cumprod", time=cut.time), cut.sel(field="split_cumprod"))


def test_the_market_by_hand_is_its_own_conversion():
    fields = {
        "open": "Open",
        "low": "Low",
        "high": "High",
        "close": "Close",
        "vol": "Volume",
        "divs": "Dividends",
    }
    frames = {
        name: market().sel(asset=name, field=list(fields)).transpose("time", "field").to_pandas().dropna()
        for name in ("AAA", "BRK.B")
    }
    made = market_from_frames(frames, report=False)
    xr.testing.assert_equal(made.sel(field=list(fields)), market().sel(field=list(fields)))


def test_a_split_on_the_last_day_is_found_and_applied():
    raw = stock([59])
    made = market_from_frames({"A": raw}, report=False).sel(asset="A")
    np.testing.assert_allclose(made.sel(field="close")[:59], raw["close"][:59] / 2)
    np.testing.assert_array_equal(made.sel(field="split_cumprod")[[58, 59]], [1, 2])
