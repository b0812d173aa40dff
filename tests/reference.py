"""The published strategy, plain and slow: cells in a loop, straight from its description.

The oracle that `lib` must equal, and the baseline that it must beat. It asks the platform's library (or its
stand-in) for every indicator, as the published code does. Mended are only the two places where that code does
not run.
"""

import math
import random

import numpy as np
import qnt.data as qndata
import qnt.exposure as qnexp
import qnt.filter as qnfilter
import qnt.ta as qnta
import torch
import xarray as xr
from torch import nn, optim

LOOKBACK_PERIOD = 155
TRAIN_PERIOD = 100
TOP_ASSETS = 12
HIDDEN_SIZE = 34


class LSTM(nn.Module):
    def __init__(self, n_features, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.lstm1 = nn.LSTMCell(n_features, hidden_size)
        self.lstm2 = nn.LSTMCell(hidden_size, hidden_size)
        self.linear = nn.Linear(hidden_size, 1)

    def forward(self, x):
        h1 = c1 = h2 = c2 = torch.zeros(len(x), self.hidden_size)
        outputs = []
        for day in range(x.size(1)):
            h1, c1 = self.lstm1(x[:, day], (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            outputs.append(self.linear(h2))
        return torch.cat(outputs, dim=1)


class Layers(nn.Module):
    """The same network as layers of torch: the same numbers, in a tenth of the time."""

    def __init__(self, n_features, hidden_size):
        super().__init__()
        self.lstm = nn.LSTM(n_features, hidden_size, num_layers=2, batch_first=True)
        self.linear = nn.Linear(hidden_size, 1)

    def forward(self, x):
        return self.linear(self.lstm(x)[0]).squeeze(-1)


def get_model(hidden_size=HIDDEN_SIZE, network=LSTM):
    random.seed(42)
    np.random.seed(42)
    torch.manual_seed(42)
    return network(1, hidden_size)


def get_features(data):
    close = data.sel(field="close").ffill("time").bfill("time").fillna(1)
    trend = qnta.roc(qnta.lwma(close, 10), 1).ffill("time").bfill("time").fillna(1)
    return xr.concat([trend], "feature")


def get_target_classes(data):
    price = data.sel(field="open")
    return xr.where(qnta.shift(price, -1) > price, 1, 0)


def select_assets(data, top_assets=TOP_ASSETS):
    liquid = data.sel(field="is_liquid")[-1]
    data = data.sel(asset=liquid.where(liquid > 0, drop=True).asset.values)
    chosen = qnfilter.filter_volatility(
        data=data,
        rolling_window=min(LOOKBACK_PERIOD, len(data.time) - 1),
        top_assets=top_assets,
        metric="std",
        ascending=True,
    )[-1]
    return chosen.where(chosen > 0, drop=True).asset.values


def load_data(period):
    return qndata.stocks.load_ndx_data(tail=period)


def train_model(data, top_assets=TOP_ASSETS, hidden_size=HIDDEN_SIZE, network=LSTM):
    data = data.sel(asset=select_assets(data, top_assets))
    features, targets = get_features(data), get_target_classes(data)
    models = {}
    for asset in data.asset.values:
        model = get_model(hidden_size, network)
        target = targets.sel(asset=asset).dropna("time", how="any")
        feature = features.sel(asset=asset).dropna("time", how="any")
        target, feature = xr.align(target, feature, join="inner")
        criterion = nn.MSELoss()
        optimiser = optim.LBFGS(model.parameters(), lr=0.08)

        def closure(model=model, target=target, feature=feature, criterion=criterion, optimiser=optimiser):
            optimiser.zero_grad()
            x = torch.tensor(feature.transpose("time", "feature").values, dtype=torch.float32)[None]
            y = torch.tensor(target.values, dtype=torch.float32)[None]
            loss = criterion(model(x), y)
            loss.backward()
            return loss

        optimiser.step(closure)
        models[asset] = model
    return models


def predict(models, data, state):
    every_asset = data.asset.values
    data = data.sel(asset=list(models))
    features = get_features(data)
    day = data.time.values[-1]
    last = data.sel(time=[day])
    weights = xr.zeros_like(last.sel(field="close"))
    for asset, model in models.items():
        feature = features.sel(time=[day], asset=asset).dropna("time", how="any")
        if len(feature.time) < 1:
            continue
        x = torch.tensor(feature.transpose("time", "feature").values, dtype=torch.float32)[None]
        weights.loc[dict(asset=asset, time=[day])] = model(x).detach()[0].numpy()
    weights = weights * last.sel(field="is_liquid")

    if state is None:
        state = {"previous_weights": xr.zeros_like(last.sel(field="close")).isel(time=-1)}
    previous = state["previous_weights"]
    assets = np.union1d(previous.asset.values, weights.asset.values)
    weights = weights.reindex(asset=assets, fill_value=0)
    previous = previous.reindex(asset=assets, fill_value=0)
    if day != previous.time.values:
        previous = xr.concat([previous, weights], dim="time")
        previous = previous.shift(time=1).fillna(0)
        previous = previous.sel(time=day)

    blended = xr.where(previous == 0, weights, (weights + previous) / 2)
    blended = xr.where(blended < 0.005, 0, blended)
    total = abs(blended).sum("asset")
    blended = xr.where(total > 1, blended / total, blended)
    blended = qnexp.cut_big_positions(weights=blended, max_weight=0.1)
    next_state = {"previous_weights": blended.isel(time=-1)}
    return blended.reindex(asset=np.union1d(every_asset, assets), fill_value=0), next_state


def follow(
    raw,
    tradable,
    blend="mean",
    min_change=0.0,
    rebalance_interval=1,
    shorts=True,
    min_weight=0.005,
    max_weight=0.1,
):
    """Return the positions of consecutive days, asset by asset.

    `raw` has for each day the raw weights by asset, NaN for an asset that must not be held, and `tradable`
    the assets that can be traded. The result has for each day the positions carried on and those handed out.
    """
    held, rows = {}, []
    for day, (wanted, may) in enumerate(zip(raw, tradable, strict=True)):
        if day % rebalance_interval == 0:
            before, held = held, {}
            for asset in {*before, *wanted}:
                new, old = wanted.get(asset, 0.0), before.get(asset, 0.0)
                weight = (new + old) / 2 if blend == "mean" and old != 0 else new
                if math.isfinite(weight) and (abs(weight) if shorts else weight) >= min_weight:
                    held[asset] = weight
            total = max(sum(map(abs, held.values())), 1.0)
            held = {
                asset: math.copysign(min(abs(weight) / total, max_weight), weight)
                for asset, weight in held.items()
            }
            stay = {}
            for asset in {*before, *wanted} if min_change else ():
                new, old = wanted.get(asset, 0.0), before.get(asset, 0.0)
                if abs(held.get(asset, 0.0) - old) < min_change:
                    held.pop(asset, None)
                    if math.isfinite(new) and new != 0:
                        stay[asset] = old
            rest, room = sum(map(abs, held.values())), 1 - sum(map(abs, stay.values()))
            if stay and rest > room:
                held = {asset: weight * room / rest for asset, weight in held.items()}
            held |= stay
        if min_change or rebalance_interval > 1:
            held = {asset: weight for asset, weight in held.items() if asset in may}
        rows.append((dict(held), {asset: weight for asset, weight in held.items() if asset in may}))
    return rows
