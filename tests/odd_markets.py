"""Small odd markets, and the answers of the real library on them.

The answers are kept in data/odd_markets.npz. `python -m tests.odd_markets` writes that file anew where the
real library is installed, and refuses where it is not.
"""

import contextlib
import io
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tests.conftest import LAST_DAY, REAL

PATH = Path(__file__).parent / "data" / "odd_markets.npz"
FIELDS = ["open", "low", "high", "close", "vol", "divs", "split_cumprod", "is_liquid"]
NAMES = [
    "holes",  # whole bars missing, days on which nothing trades, a late listing, a delisting
    "fields_missing",  # single numbers missing, prices and liquidity alike
    "liquid_without_price",
    "one_asset",
    "one_day",
    "single_bar",
    "nothing_liquid",
    "liquidity_unknown",
    "all_missing",
    "rarely_liquid",
]


def make(name: str) -> xr.DataArray:
    """Return a market in the platform's layout, the same every time."""
    days = {"one_day": 1, "single_bar": 1, "all_missing": 40}.get(name, 90)
    assets = {"one_asset": 1, "single_bar": 1}.get(name, 5)
    rng = np.random.default_rng(NAMES.index(name))
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, assets)), 0))
    opened = close * np.exp(rng.normal(0, 0.01, (days, assets)))
    low, high = np.minimum(opened, close) * 0.99, np.maximum(opened, close) * 1.01
    liquid = rng.random((days, assets)) < {"rarely_liquid": 0.1, "one_day": 0.8, "single_bar": 1}.get(
        name, 0.7
    )
    dividends = np.where(rng.random((days, assets)) < 0.02, 0.1, 0)
    volume = rng.integers(1, 1000, (days, assets))
    data = np.stack([opened, low, high, close, volume, dividends, np.ones_like(close), liquid]).round(2)
    if days > 1:
        data[:, rng.random((days, assets)) < 0.1] = np.nan
        data[:, rng.integers(0, days, 2)] = np.nan
    if name == "holes":
        data[:, : days // 2, 0] = data[:, days // 2 :, 1] = np.nan
        data[7, :, 2] *= 0  # keeps what is missing
    elif name == "fields_missing":
        data[rng.random(data.shape) < 0.15] = np.nan
    elif name == "liquid_without_price":
        data[:7, rng.random((days, assets)) < 0.3] = np.nan
    elif name == "nothing_liquid":
        data[7] = 0
    elif name == "liquidity_unknown":
        data[7] = np.nan
    elif name == "all_missing":
        data[:] = np.nan
    coords = {"field": FIELDS, "time": pd.bdate_range(end=LAST_DAY, periods=days)}
    coords["asset"] = [f"NAS:{letter}" for letter in "ABCDE"[:assets]]
    return xr.DataArray(data, coords, ("field", "time", "asset"), name="stocks_nasdaq100")


def answers(backtests: bool = True) -> dict[str, Any]:
    """Return the answers of whichever `qnt` is importable about the market that it reads, errors included."""
    import qnt.backtester as qnbt
    import qnt.data as qndata
    import qnt.output as qnout
    import qnt.stats as qnstats

    assets = [f"NAS:{letter}" for letter in "ABCDE"]
    data = _quietly(lambda: qndata.stocks.load_ndx_data(assets=assets))[0]
    rng = np.random.default_rng(0)
    weights = xr.zeros_like(data.sel(field="close", drop=True)).rename("weights")
    weights.values[:] = rng.normal(0, 0.5, weights.shape).round(2)
    weights.values[rng.random(weights.shape) < 0.1] = np.nan
    weights.values[rng.random(weights.shape) < 0.03] = np.inf
    some_days = weights.isel(time=np.flatnonzero(rng.random(len(weights.time)) < 0.8))
    finite = weights.where(np.isfinite(weights), 0)
    calls: list[list] = []

    def predict(model: int, window: xr.DataArray, state: int | None = None) -> tuple[xr.DataArray, int]:
        calls.append(["predict", model, *_extent(window), state])
        liquid = window.sel(field="is_liquid").fillna(0) / 4
        window[:] = -1  # must not reach the next window
        return liquid, (state or 0) + 1

    def train(window: xr.DataArray) -> int:
        calls.append(["train", *_extent(window)])
        window[:] = -1
        return len(calls)

    def load(days: int) -> xr.DataArray:
        loaded = qndata.stocks.load_ndx_data(tail=days)
        calls.append(["load", int(days), *_extent(loaded)])
        return loaded

    def strategy(window: xr.DataArray, state: int | None) -> tuple[xr.DataArray, int]:
        weights, state = predict(0, window, state)
        return weights.isel(time=-1), state

    common = {
        "load_data": load,
        "lookback_period": 40,
        "competition_type": "stocks_nasdaq100",
        "build_plots": False,
    }
    common |= {"start_date": max([*labels(data, "time")[:1], "2024-11-04"]), "collect_all_states": True}
    ml = {"train": train, "predict": predict, "train_period": 30, "retrain_interval": 12, **common}
    questions: dict[str, Callable[[], Any]] = {
        "load": qndata.stocks.load_ndx_data,
        "load_all": lambda: data,
        "load_tail": lambda: qndata.load_data_by_type("stocks_nasdaq100", tail=20),
        "load_spx": lambda: qndata.load_data_by_type("stocks_s&p500", tail=20, forward_order=False),
        "load_assets": lambda: qndata.stocks.load_ndx_data(assets=["NAS:B", "NAS:Z", "NAS:A"], tail=50),
        "load_unknown": lambda: qndata.stocks.load_ndx_data(assets=["NAS:Z"], tail=50),
        "normalize": lambda: qnout.normalize(weights),
        "normalize_per_asset": lambda: qnout.normalize(weights, per_asset=True),
        "clean": lambda: qnout.clean(weights, data),
        "clean_missed": lambda: qnout.clean(some_days, data, "stocks_nasdaq100"),
        "align": lambda: qnout.align(some_days, data.time, "2024-11-01", "2024-12-10"),
        "check": lambda: qnout.check(finite, data, check_correlation=False),
        "check_missed": lambda: qnout.check(some_days, data, check_correlation=False),
        "stat": lambda: qnstats.calc_stat(data, finite),
    }
    if backtests:
        questions["each_day"] = lambda: qnbt.backtest_ml(predict_each_day=True, **ml)
        questions["batch"] = lambda: qnbt.backtest_ml(**ml)
        questions["plain"] = lambda: qnbt.backtest(strategy=strategy, **common)
    if len(data.time):
        last = finite.isel(time=-1)
        questions["clean_last_day"] = lambda: qnout.clean(last, data)
        questions["check_last_day"] = lambda: qnout.check(last, data, check_correlation=False)
    return {question: _answer(ask, calls) for question, ask in questions.items()}


def _answer(ask: Callable[[], Any], calls: list) -> dict[str, Any]:
    """Return what was returned or raised, what was printed, and the calls on the way."""
    calls.clear()
    try:
        result, out, err = _quietly(ask)
    except Exception as error:
        return {
            "raised": [kind.__name__ for kind in type(error).__mro__],
            "message": str(error),
            "calls": [*calls],
        }
    return {"result": result, "calls": [*calls], "out": out, "err": err}


def _quietly(ask: Callable[[], Any]) -> tuple[Any, list[str], list[str]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        if REAL:
            warnings.simplefilter("ignore")
        result = ask()
    return result, messages(out.getvalue()), messages(err.getvalue())


def messages(text: str) -> list[str]:
    """Return the lines that say the same every time: no seconds, progress or tables, numbers to 9 digits."""
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    skip = r"Data loaded|fetched chunk|\s*(\d+|N/A)%|.*[|]|\[\d|time  |field  |\d{4}-"
    lines = [line for line in lines if not re.match(skip, line)]
    return [
        re.sub(r"-?\d+\.\d+(e-?\d+)?", lambda number: f"{float(number.group()):.9g}", line) for line in lines
    ]


def labels(array: xr.DataArray, dim: str) -> list[str]:
    """Return what stands along a dimension, as texts."""
    values = array[dim].values
    return (values.astype("datetime64[D]") if dim == "time" else values).astype(str).tolist()


def _extent(data: xr.DataArray) -> list:
    days = labels(data, "time")
    return [days[0], days[-1], *data.shape] if days else list(data.shape)


def _write() -> None:
    if not REAL:
        raise SystemExit("The answers are the real library's: install qnt first.")
    from tests.conftest import server

    arrays = {}
    for name in NAMES:
        server.market = make(name)
        arrays[f"{name}/market"] = server.market.values
        texts = answers()
        for question, answer in texts.items():
            result = answer.pop("result", None)
            states = result[1] if isinstance(result, tuple) else None
            result = result[0] if isinstance(result, tuple) else result
            if result is not None:
                arrays[f"{name}/{question}"] = result.values
                answer["dims"] = {dim: labels(result, dim) for dim in result.dims}
            answer["states"] = states
        arrays[f"{name}/texts"] = np.array(json.dumps(texts))
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))
    _write()
