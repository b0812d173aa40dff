"""Prices with every kind of gap, and one call of each indicator on them: for stored and for fresh answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

VECTORS = Path(__file__).parents[1] / "data" / "indicators.npz"
FIELDS = ["high", "low", "close", "vol"]
CLOSE, CANDLE = ["close"], ["high", "low", "close"]
# by label: function, its series, its other arguments
CALLS = {
    "sma": ("sma", CLOSE, (4,)),
    "lwma": ("lwma", CLOSE, (4,)),
    "wma": ("wma", CLOSE, ([3, -0.5, 1.7],)),
    "wma_whole": ("wma", CLOSE, (3,)),
    "vwma": ("vwma", ["close", "vol"], (3,)),
    "ema": ("ema", CLOSE, (5,)),
    "ema_warm": ("ema", CLOSE, (5, 2)),
    "wilder_ma": ("wilder_ma", CLOSE, (4,)),
    "dema": ("dema", CLOSE, (4,)),
    "tema": ("tema", CLOSE, (3,)),
    "shift": ("shift", CLOSE, (3,)),
    "change": ("change", CLOSE, (2,)),
    "roc": ("roc", CLOSE, (3,)),
    "sroc": ("sroc", CLOSE, (3, 4)),
    "rsi": ("rsi", CLOSE, (4,)),
    "stochastic_k": ("stochastic_k", CANDLE, (4,)),
    "stochastic": ("stochastic", CANDLE, (4, 2)),
    "slow_stochastic": ("slow_stochastic", CANDLE, (4, 2, 3)),
    "macd": ("macd", CLOSE, (3, 5, 3)),
    "trix": ("trix", CLOSE, (3,)),
    "tr": ("tr", CANDLE, ()),
    "atr": ("atr", CANDLE, (4,)),
    "dms": ("dms", CANDLE, (3, 4, 2)),
    "variance": ("variance", CLOSE, (4,)),
    "std": ("std", CLOSE, (5,)),
    "covariance": ("covariance", ["close", "vol"], (4,)),
    "beta": ("beta", ["close", "high"], (5,)),
    "correlation": ("correlation", ["close", "low"], (6,)),
    "obv": ("obv", ["close", "vol"], ()),
    "chaikin_adl": ("chaikin_adl", ["high", "low", "close", "vol"], ()),
    "chaikin_osc": ("chaikin_osc", ["vol"], (2, 4)),
    "ad_line": ("ad_line", CLOSE, ()),
    "ad_ratio": ("ad_ratio", CLOSE, ()),
}
BREADTH = ["ad_line", "ad_ratio"]  # they count over the assets, and give one number a day
COLUMNWISE = [label for label in CALLS if label not in BREADTH]


def prices(seed: int, days: int = 38) -> xr.DataArray:
    """Eight assets (field, time, asset), two of them whole, the others as their names say."""
    rng = np.random.default_rng(seed)
    names = ["whole", "holes", "late and early", "empty", "single", "constant", "zeros", "coarse"]
    shape = days, len(names)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.03, shape), axis=0))
    close[:, names.index("coarse")] = rng.integers(1, 4, days)
    high, low = close + rng.uniform(0, 2, shape).round(), close - rng.uniform(0, 2, shape).round()
    values = np.stack([high, low, close, rng.integers(0, 900, shape)])
    values[:3] = values[:3].round(2)
    values[:, rng.random(days) < 0.1, names.index("holes")] = np.nan
    values[rng.random((4, days)) < 0.1, names.index("holes")] = np.nan
    values[:, : days // 4, names.index("late and early")] = np.nan
    values[:, -days // 5 :, names.index("late and early")] = np.nan
    values[..., names.index("empty")] = np.nan
    values[:, np.arange(days) != days // 2, names.index("single")] = np.nan
    values[..., names.index("constant")] = 7.1
    values[..., names.index("zeros")] = 0
    values[3, rng.random(days) < 0.5, names.index("coarse")] = 0
    coords = {"field": FIELDS, "time": pd.bdate_range("2024-01-01", periods=days), "asset": names}
    return xr.DataArray(values, coords, ("field", "time", "asset"))


def answers(module, label, data, convert=lambda series: series):
    """The answer of one call as a list of results; `convert` makes each series from a DataArray."""
    function, fields, arguments = CALLS[label]
    with np.errstate(all="ignore"):
        found = getattr(module, function)(*(convert(data.sel(field=name)) for name in fields), *arguments)
    return list(found) if isinstance(found, tuple) else [found]
