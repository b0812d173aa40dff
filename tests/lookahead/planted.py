"""Small strategies on small markets for the look-ahead tests, with planted leaks."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from lib.common.market_data import field
from lib.indicators import roc, shift
from lib.lookahead.findings import LeakReport
from lib.strategy import Strategy
from tests.markets import random_market

# Weights are not cut, which could hide a difference.
SMALL = {"lookback_period": 21, "train_period": 14, "hidden_size": 2, "top_assets": 2, "lwma_period": 3}
SMALL |= {"min_weight": 0.0, "max_weight": 1.0}


def small(**parameters) -> Strategy:
    return Strategy(**{**SMALL, **parameters})


def gappy_market(seed: int) -> xr.DataArray:
    """Volumes are missing here and there, too: what fills them backwards reaches across any day."""
    market = random_market(seed, days=40, assets=4)
    market.values[4][np.random.default_rng(seed).random(market.shape[1:]) < 0.4] = np.nan
    return market


def whole_market(seed: int, days: int = 40) -> xr.DataArray:
    """A market without gaps, in which all is liquid."""
    return random_market(seed, days=days).ffill("time").bfill("time").fillna(1)


def kinds(report: LeakReport) -> dict[str, str]:
    """Return the kind of finding by stage."""
    return {leak.stage: leak.kind for leak in report.findings}


# ---- functions of (data, strategy) that see later rows of what they are given ----


def peeks(data, strategy):
    return shift(field(data, "close"), -1) / field(data, "close")


def peeks_a_little(data, strategy):
    return field(data, "close") * (1 + 1e-3 * np.nan_to_num(shift(roc(field(data, "close"), 1), -1)) / 100)


def fills_backwards(data, strategy):
    return data.sel(field="vol").to_pandas().bfill().values


def normalises(data, strategy):
    close = field(data, "close")
    return close / np.nanmax(close, axis=0, initial=0)


def smooths_both_ways(data, strategy):
    return data.sel(field="close").rolling(time=3, center=True, min_periods=1).mean()


# ---- strategies that know the market from elsewhere than their argument ----


def outside_peek(market: xr.DataArray) -> Strategy:
    def peek(data, strategy):
        return roc(at(market.sel(field="close").shift(time=-1), data).values, 1)

    return small(features=[peek])


def outside_fill(market: xr.DataArray) -> Strategy:
    def filled(data, strategy):
        return np.log(at(market.sel(field="vol").bfill("time"), data).values)

    return small(features=[filled])


def outside_norm(market: xr.DataArray) -> Strategy:
    def normalised(data, strategy):
        return field(data, "close") / float(market.sel(field="close").mean())

    return small(features=[normalised])


def outside_selection(market: xr.DataArray) -> Strategy:
    def winners(data, strategy):
        gain = market.sel(field="close", asset=data.asset.values)[-1].values / field(data, "close")[-1]
        return np.nan_to_num(gain) >= np.nan_to_num(gain).max()

    return small(selection=winners)


def outside_target(market: xr.DataArray) -> Strategy:
    def week(data, strategy):
        close = market.sel(field="close")
        return (at(close.shift(time=-5), data) > at(close, data)).values.astype(float)

    return small(target=week)


def outside_model(market: xr.DataArray) -> Strategy:
    def model(n_features, strategy):
        import torch

        class Knows(torch.nn.Linear):
            def forward(self, x):
                return super().forward(x).squeeze(-1) + float(np.nansum(field(market, "close")[-5:])) / 1e5

        return Knows(n_features, 1)

    return small(model=model)


def outside_prediction(market: xr.DataArray) -> Strategy:
    class Knows(Strategy):
        def predict(self, models, data, state):
            weights, state = super().predict(models, data, state)
            last = market.sel(field="close", asset=weights.asset.values)[-1].values
            return weights * (last > field(data, "close")[-1]), state

    return Knows(**SMALL)


def at(values: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    return values.reindex(time=data.time.values, asset=data.asset.values).transpose("time", "asset")


# by strategy the stage that leaks first
OUTSIDE: dict[Callable[[xr.DataArray], Strategy], str] = {
    outside_peek: "feature peek",
    outside_fill: "feature filled",
    outside_norm: "feature normalised",
    outside_selection: "selection",
    outside_target: "training",
    outside_model: "training",
    outside_prediction: "prediction",
}


# ---- selections that load prices by themselves ----


def winners(load: Callable[[Strategy], xr.DataArray]) -> Callable:
    """A selection of the two assets that gain most until the last day that `load` answers."""

    def coming_winners(data, strategy):
        last = load(strategy).sel(field="close").ffill("time").isel(time=-1)
        gain = last.reindex(asset=data.asset.values).values / field(data, "close")[-1]
        return np.argsort(np.argsort(-np.nan_to_num(gain))) < 2

    return coming_winners
