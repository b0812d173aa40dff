"""Small odd markets and weights, and the answers of the real qnt.stats and qnt.filter on them.

The answers are kept in data/odd_statistics.npz. `python -m tests.odd_statistics`, run with the real library
installed, writes that file anew; without it, it refuses.
"""

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tests.conftest import REAL

PATH = Path(__file__).parent / "data" / "odd_statistics.npz"
FIELDS = ["open", "low", "high", "close", "vol", "divs", "split_cumprod", "is_liquid"]
PRICES = slice(0, 4)
NAMES = [
    "plain",
    "holes",
    "missing_opens",
    "missing_lows",
    "delisted_while_held",
    "listed_late",
    "day_without_data",
    "asset_without_data",
    "one_asset",
    "one_day",
    "two_days",
    "fourteen_days",
    "fifteen_days",
    "over_a_year",
    "all_missing",
    "nothing_liquid",
    "liquidity_unknown",
    "no_liquidity_field",
    "no_dividend_field",
    "zero_price",
    "zero_open_and_close",
    "infinite_price",
    "negative_price",
    "constant_prices",
    "high_dividends",
    "total_loss",
    "unnamed",
    "unnamed_one_day",
    "other_index",
    "shuffled_days",
    "shuffled_assets",
    "transposed_data",
    "weeks_apart",
    "no_weights",
    "constant_weights",
    "tiny_changes",
    "odd_weights",
    "weights_unsorted",
    "weights_transposed",
    "weights_named",
    "weights_of_other_assets",
    "weights_before_and_after",
    "weights_after_the_data",
    "weights_of_some_days",
    "weights_of_last_day",
    "weights_of_last_two_days",
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"per_asset": True},
    {"max_periods": 5, "min_periods": 2, "points_per_year": 252, "slippage_factor": 0.2},
]


def make(name: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return a market in the platform's layout and weights for it, the same every time."""
    days = {"one_day": 1, "unnamed_one_day": 1, "two_days": 2, "fourteen_days": 14, "fifteen_days": 15}
    days |= {"over_a_year": 260}
    count, assets = days.get(name, 30), 2 if name == "over_a_year" else 1 if name == "one_asset" else 4
    rng = np.random.default_rng(NAMES.index(name))
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.03, (count, assets)), 0))
    opened = close * np.exp(rng.normal(0, 0.01, close.shape))
    low, high = np.minimum(opened, close) * 0.99, np.maximum(opened, close) * 1.01
    dividends = np.where(rng.random(close.shape) < 0.05, 0.5, 0)
    liquid = rng.random(close.shape) < 0.95
    market = np.stack([opened, low, high, close, close * 10, dividends, np.ones_like(close), liquid]).round(2)
    weights = rng.normal(0.1, 0.3, close.shape).round(3)
    weights[rng.random(close.shape) < 0.2] = 0
    coords = {"field": FIELDS, "time": pd.bdate_range("2024-01-02", periods=count)}
    coords["asset"] = [f"NAS:{letter}" for letter in "ABCD"[:assets]]
    data = xr.DataArray(market, coords, ("field", "time", "asset"), name="stocks_nasdaq100")
    _spoil_market(name, market, rng)
    held = xr.DataArray(weights, {dim: coords[dim] for dim in ("time", "asset")}, ("time", "asset"))
    return _relabel_market(name, data, rng), _spoil_weights(name, held, rng)


def _spoil_market(name: str, market: np.ndarray, rng: np.random.Generator) -> None:
    match name:
        case "holes":
            market[:, rng.random(market.shape[1:]) < 0.15] = np.nan
        case "missing_opens":
            market[0, rng.random(market.shape[1:]) < 0.2] = np.nan
        case "missing_lows":
            market[1, 20, 1] = market[3, 22, 2] = np.nan
        case "delisted_while_held":
            market[:, 22:, 1] = np.nan
        case "listed_late":
            market[:, :10, 2] = np.nan
        case "day_without_data":
            market[:, 18] = np.nan
        case "asset_without_data":
            market[:, :, 1] = np.nan
        case "all_missing":
            market[:] = np.nan
        case "nothing_liquid":
            market[7] = 0
        case "liquidity_unknown":
            market[7, 10:, 1:] = np.nan
        case "zero_price":
            market[PRICES, 20, 1] = 0
        case "zero_open_and_close":
            market[0, 18, 0] = market[3, 19, 1] = market[3, 29, 2] = 0
        case "infinite_price":
            market[0, 18, 0] = market[3, 20, 1] = np.inf
        case "negative_price":
            market[PRICES, 19:22, 2] *= -1
        case "constant_prices":
            market[PRICES] = 50
        case "high_dividends":
            market[5, 17:] = 20
        case "total_loss":
            market[PRICES, 18:] *= np.linspace(1, 30, 12)[:, None]


def _relabel_market(name: str, data: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    match name:
        case "no_liquidity_field":
            return data.sel(field=["open", "low", "high", "close", "divs"])
        case "no_dividend_field":
            return data.sel(field=["close", "open", "low", "high", "is_liquid"])
        case "unnamed" | "unnamed_one_day":
            return data.rename(None)
        case "other_index":
            return data.rename("stocks_s&p500")
        case "shuffled_days":
            return data.isel(time=rng.permutation(30))
        case "shuffled_assets":
            return data.isel(asset=[2, 0, 3, 1])
        case "transposed_data":
            return data.transpose("asset", "time", "field")
        case "weeks_apart":
            return data.assign_coords(time=pd.date_range("2024-01-02", periods=30, freq="7D")).rename(None)
    return data


def _spoil_weights(name: str, weights: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    match name:
        case "total_loss":
            return -abs(weights) * 5
        case "no_weights":
            return weights * 0
        case "constant_weights":
            return weights * 0 + 0.2
        case "tiny_changes":
            return weights * 1e-7 + 0.2
        case "odd_weights":
            weights.values[rng.random(weights.shape) < 0.2] = np.nan
            weights.values[rng.random(weights.shape) < 0.1] = np.inf
        case "weights_unsorted":
            return weights.isel(time=rng.permutation(30), asset=[3, 1, 0, 2])
        case "weights_transposed":
            return weights.transpose("asset", "time")
        case "weights_named":
            return weights.rename("mine").assign_coords(field="close")
        case "weights_of_other_assets":
            return weights.assign_coords(asset=["NAS:B", "NAS:C", "NAS:X", "NAS:A"])
        case "weights_before_and_after":
            return weights.assign_coords(time=pd.date_range("2024-01-01", periods=30, freq="2D"))
        case "weights_after_the_data":
            return weights.assign_coords(time=pd.bdate_range("2025-01-02", periods=30))
        case "weights_of_some_days":
            return weights.isel(time=np.flatnonzero(rng.random(30) < 0.6))
        case "weights_of_last_day":
            return weights.isel(time=[-1])
        case "weights_of_last_two_days":
            return weights.isel(time=[-2, -1])
        case "weeks_apart":
            return weights.assign_coords(time=pd.date_range("2024-01-02", periods=30, freq="7D"))
    return weights


def answers(
    name: str, options: list[dict[str, Any]] = OPTIONS
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    """Return what whichever `qnt` is importable answers: values by question; labels, messages and errors."""
    import qnt.filter as qnfilter
    import qnt.stats as qnstats

    data, weights = make(name)
    questions = {f"stat {asked}": (qnstats.calc_stat, (data, weights), asked) for asked in options}
    questions |= {
        "returns": (qnstats.calc_relative_return, (data, weights), {}),
        "returns per asset": (qnstats.calc_relative_return, (data, weights), {"per_asset": True}),
        "slippage": (qnstats.calc_slippage, (data, 5), {}),
        "non liquid": (qnstats.calc_non_liquid, (data, weights), {}),
        "missed": (qnstats.find_missed_dates, (weights, data), {}),
        "points": (qnstats.calc_avg_points_per_year, (data,), {}),
        "exposure": (qnstats.calc_exposure, (weights,), {}),
    }
    if data.dims == ("field", "time", "asset"):
        for metric, ascending in (("std", True), ("mean", False)):
            options = {"rolling_window": 6, "top_assets": 2, "metric": metric, "ascending": ascending}
            questions[f"filter {metric}"] = (qnfilter.filter_volatility, (data,), options)
    values, facts = {}, {}
    for question, (function, arguments, options) in questions.items():
        answer, printed = _ask(function, arguments, options)
        facts[question] = {"said": printed}
        if isinstance(answer, Exception):
            facts[question] |= {"failed": True, "message": str(answer)}
        elif isinstance(answer, xr.DataArray):
            facts[question]["labels"] = {dim: answer[dim].values.astype(str).tolist() for dim in answer.dims}
            values[question] = answer.values
        else:
            values[question] = np.asarray(answer)
    return values, facts


def _ask(function: Callable, arguments: tuple, options: dict[str, Any]) -> tuple[Any, str]:
    copies = [x.copy(deep=True) if isinstance(x, xr.DataArray) else x for x in arguments]
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), warnings.catch_warnings():
        if REAL:  # it divides by zero and more; ours must not
            warnings.simplefilter("ignore")
        try:
            return function(*copies, **options), printed.getvalue()
        except Exception as error:
            return error, printed.getvalue()


def _write() -> None:
    if not REAL:
        raise SystemExit("The answers are the real library's: install qnt first.")
    arrays: dict[str, np.ndarray] = {}
    for name in NAMES:
        values, facts = answers(name)
        inputs = dict(zip(("market", "weights"), (x.values for x in make(name)), strict=True))
        arrays |= {f"{name}/{key}": array for key, array in (values | inputs).items()}
        arrays[f"{name}/facts"] = np.array(json.dumps(facts))
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    _write()
