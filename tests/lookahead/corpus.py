"""A corpus of strategies: planted leaks, each of which must be found or named, and honest ones.

A leak is made from a market and a copy of it, as if another cell had loaded the prices once more, and a
folder for files. Every function in it decides with days that come after the day that it decides on.
"""

import functools
import pickle
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import qnt.data as qndata
import xarray as xr

from lib.common import market_data
from lib.features import whole_universe
from lib.strategy import Strategy
from tests.lookahead.planted import SMALL, small


class Case(NamedTuple):
    """A strategy, made from (market, its copy, a folder), and how the check tells of it."""

    make: object
    told: str  # "leak", "window", "dates", or "named": a note or an unseen object
    words: str = ""  # that the report must contain


LEAKS: dict[str, Case] = {}
HONEST: dict[str, object] = {}


def leak(told="leak", words=""):
    def add(make):
        LEAKS[make.__name__] = Case(make, told, words)
        return make

    return add


def honest(make):
    HONEST[make.__name__] = make
    return make


def close_of(data):
    return market_data.field(data, "close")


def highest(values, data):
    """A selection of two assets by values (asset,) in the order of the data."""
    return np.argsort(np.argsort(-np.nan_to_num(np.asarray(values, float)))) < 2


def last_close(prices, data):
    return prices.sel(field="close", asset=data.asset.values)[-1].values


def feature_of(function, **more):
    return small(features=["trend", function], **more)


# ---- features that read later rows of their argument ----

ARGUMENT = {
    "next_close": lambda c: np.append(c[1:], c[-1:], axis=0) / c,
    "fifth_close_ahead": lambda c: np.append(c[5:], np.repeat(c[-1:], 5, axis=0), axis=0) / c,
    "rolled": lambda c: np.roll(c, -1, axis=0) / c,
    "gradient": lambda c: np.gradient(np.log(c), axis=0),
    "reversed_maximum": lambda c: pd.DataFrame(c[::-1]).rolling(3, min_periods=1).max().values[::-1] / c,
    "reversed_mean": lambda c: pd.DataFrame(c[::-1]).ewm(halflife=0.2).mean().values[::-1] / c,
    "convolved": lambda c: np.apply_along_axis(np.convolve, 0, c, [0.25, 0.5, 0.25], "same"),
    "coming_sum": lambda c: pd.DataFrame(c).rolling(3).sum().shift(-3).values,
    "interpolated": lambda c: pd.DataFrame(np.where(c > np.nanmedian(c[:5]), c, np.nan)).interpolate().values,
    "volatility_ahead": lambda c: (
        pd.DataFrame(c).pct_change(fill_method=None).rolling(4).std().shift(-2).values
    ),
    "a_little": lambda c: c * (1 + 1e-3 * np.sign(np.append(c[1:], c[-1:], axis=0) - c)),
}
WINDOW = {
    "by_last": lambda c: c / c[-1],
    "by_highest": lambda c: c / np.nanmax(c, axis=0),
    "standardised": lambda c: (c - np.nanmean(c, axis=0)) / np.nanstd(c, axis=0),
    "percentile": lambda c: pd.DataFrame(c).rank(pct=True).values,
    "detrended": lambda c: (
        c - np.polyval(np.polyfit(np.arange(len(c)), np.nan_to_num(c), 1), np.arange(len(c))[:, None])
    ),
}


def _of_close(name, compute):
    def feature(data, strategy):
        with np.errstate(all="ignore"):
            return compute(close_of(data))

    feature.__name__ = name
    return lambda market, prices, folder: feature_of(feature)


LEAKS |= {name: Case(_of_close(name, compute), "leak") for name, compute in ARGUMENT.items()}
LEAKS |= {name: Case(_of_close(name, compute), "window") for name, compute in WINDOW.items()}


# ---- a selection that knows the last close of a table, in every form that a table has ----


def _knows(of_day):
    """A strategy whose selection knows what `of_day(data)` returns: numbers by asset."""

    def selection(data, strategy):
        return highest(of_day(data), data)

    return small(selection=selection)


@leak(words="`prices`")
def selection_of_array(market, prices, folder):
    return _knows(lambda data: last_close(prices, data))


@leak()
def selection_of_frame(market, prices, folder):
    frame = prices.sel(field="close").to_pandas()
    return _knows(lambda data: frame[list(data.asset.values)].iloc[-1].values)


@leak()
def selection_of_transposed_frame(market, prices, folder):
    frame = prices.sel(field="close").to_pandas().T
    return _knows(lambda data: frame.loc[list(data.asset.values)].iloc[:, -1].values)


@leak()
def selection_of_dataset(market, prices, folder):
    tables = prices.to_dataset("field")
    return _knows(lambda data: tables["close"].sel(asset=data.asset.values)[-1].values)


@leak()
def selection_of_long_frame(market, prices, folder):
    long = prices.sel(field="close").to_series().rename("close").reset_index()

    def last(data):
        by_asset = long[long.time == long.time.max()].set_index("asset").close
        return by_asset.reindex(data.asset.values).values

    return _knows(last)


@leak()
def selection_of_multi_index(market, prices, folder):
    series = prices.sel(field="close").to_series()
    return _knows(lambda data: series.groupby(level="asset").last()[list(data.asset.values)].values)


@leak()
def selection_of_periods(market, prices, folder):
    frame = prices.sel(field="close").to_pandas().to_period("D")
    return _knows(lambda data: frame[list(data.asset.values)].iloc[-1].values)


@leak()
def selection_of_text_dates(market, prices, folder):
    frame = prices.sel(field="close").to_pandas()
    frame.index = [str(day)[:10] for day in frame.index]
    return _knows(lambda data: frame[list(data.asset.values)].iloc[-1].values)


@leak()
def selection_of_number_dates(market, prices, folder):
    frame = prices.sel(field="close").to_pandas()
    frame.index = [int(f"{day:%Y%m%d}") for day in frame.index]
    return _knows(lambda data: frame[list(data.asset.values)].iloc[-1].values)


@leak()
def selection_of_values(market, prices, folder):
    close, names = close_of(prices).copy(), prices.asset.values.tolist()
    return _knows(lambda data: close[-1][[names.index(name) for name in data.asset.values]])


@leak()
def selection_of_read_only_values(market, prices, folder):
    close, names = close_of(prices).copy(), prices.asset.values.tolist()
    close.flags.writeable = False
    return _knows(lambda data: close[-1][[names.index(name) for name in data.asset.values]])


@leak()
def selection_of_returns(market, prices, folder):
    returns, names = np.diff(close_of(prices), axis=0), prices.asset.values.tolist()
    return _knows(lambda data: returns[-1][[names.index(name) for name in data.asset.values]])


@leak()
def selection_of_tensor(market, prices, folder):
    import torch

    close, names = torch.tensor(close_of(prices)), prices.asset.values.tolist()
    return _knows(lambda data: close[-1][[names.index(name) for name in data.asset.values]].numpy())


@leak()
def selection_of_lists(market, prices, folder):
    close = {name: close_of(prices)[:, k].tolist() for k, name in enumerate(prices.asset.values)}
    return _knows(lambda data: [close[name][-1] for name in data.asset.values])


@leak()
def selection_of_days(market, prices, folder):
    by_day = {day: close_of(prices)[k].copy() for k, day in enumerate(prices.time.values)}
    names = prices.asset.values.tolist()
    return _knows(lambda data: by_day[max(by_day)][[names.index(name) for name in data.asset.values]])


@leak()
def selection_of_winners_by_day(market, prices, folder):
    gains = prices.sel(field="close").to_pandas().pct_change(fill_method=None).fillna(0)
    best = np.argsort(gains.values, axis=1)[:, -2:]
    winners = {f"{day:%Y-%m-%d}": gains.columns[best[k]].tolist() for k, day in enumerate(gains.index)}
    return _knows(lambda data: np.isin(data.asset.values, winners[max(winners)]))


@leak()
def selection_of_series_by_asset(market, prices, folder):
    close = prices.sel(field="close").to_pandas()
    by_asset = {name: close[name].copy() for name in close}
    return _knows(lambda data: [by_asset[name].iloc[-1] for name in data.asset.values])


@leak("named", "which cannot be changed")
def selection_of_tuple(market, prices, folder):
    close = {name: tuple(close_of(prices)[:, k].tolist()) for k, name in enumerate(prices.asset.values)}
    return _knows(lambda data: [close[name][-1] for name in data.asset.values])


# ---- the ways by which a function refers to a table ----


@leak()
def by_default(market, prices, folder):
    return small(selection=lambda data, strategy, known=prices: highest(last_close(known, data), data))


@leak()
def by_keyword_default(market, prices, folder):
    return small(selection=lambda data, strategy, *, known=prices: highest(last_close(known, data), data))


@leak()
def by_partial(market, prices, folder):
    def selection(data, strategy, known=None):
        return highest(last_close(known, data), data)

    return small(selection=functools.partial(selection, known=prices))


class Memory:
    """An object that is a selection."""

    def __init__(self, prices):
        self.prices = prices

    def __call__(self, data, strategy):
        return self.choose(data, strategy)

    def choose(self, data, strategy):
        return highest(last_close(self.prices, data), data)


@leak()
def by_object(market, prices, folder):
    return small(selection=Memory(prices))


@leak()
def by_method(market, prices, folder):
    return small(selection=Memory(prices).choose)


@leak()
def by_class_attribute(market, prices, folder):
    class Holds:
        table = prices

    return small(selection=lambda data, strategy: highest(last_close(Holds.table, data), data))


@leak()
def by_slots(market, prices, folder):
    @dataclass(slots=True)
    class Holds:
        table: object

    held = Holds(prices)
    return small(selection=lambda data, strategy: highest(last_close(held.table, data), data))


@leak()
def by_function_attribute(market, prices, folder):
    def selection(data, strategy):
        return highest(last_close(selection.table, data), data)

    selection.table = prices
    return small(selection=selection)


@leak()
def by_decorator(market, prices, folder):
    def known(function):
        @functools.wraps(function)
        def call(data, strategy):
            return function(data, strategy) & highest(last_close(prices, data), data)

        return call

    return small(selection=known(lambda data, strategy: np.ones(data.sizes["asset"], bool)))


@leak()
def by_helper(market, prices, folder):
    def helper(data):
        return last_close(prices, data)

    return small(selection=lambda data, strategy: highest(helper(data), data))


@leak()
def by_cached_loader(market, prices, folder):
    @functools.cache
    def table():
        return prices

    return small(selection=lambda data, strategy: highest(last_close(table(), data), data))


@leak()
def by_rolling(market, prices, folder):
    rolling = prices.sel(field="close").rolling(time=2)
    return _knows(lambda data: rolling.mean().sel(asset=data.asset.values)[-1].values)


GLOBAL = []


@leak()
def by_global(market, prices, folder):
    GLOBAL[:] = [prices]
    return small(selection=lambda data, strategy: highest(last_close(GLOBAL[0], data), data))


@leak()
def by_module(market, prices, folder):
    module = types.ModuleType("second_load")
    module.__file__ = str(Path(folder) / "second_load.py")
    module.prices = prices
    sys.modules["second_load"] = module

    def selection(data, strategy):
        import second_load

        return highest(last_close(second_load.prices, data), data)

    return small(selection=selection)


# ---- other stages ----


@leak()
def target_of_table(market, prices, folder):
    def target(data, strategy):
        close = prices.sel(field="close")
        return (close.shift(time=-5) > close).reindex(time=data.time, asset=data.asset).values.astype(float)

    return small(target=target)


@leak()
def feature_of_table(market, prices, folder):
    def ahead(data, strategy):
        return prices.sel(field="close").shift(time=-1).reindex(time=data.time, asset=data.asset)

    return feature_of(ahead)


@leak()
def feature_by_mean_of_table(market, prices, folder):
    return feature_of(lambda data, strategy: close_of(data) / float(prices.sel(field="close").mean()))


@leak()
def sizing_of_table(market, prices, folder):
    def sizing(outputs, strategy):
        return np.abs(outputs) * (1 + np.nan_to_num(close_of(prices)[-1, : len(outputs)]))

    return small(
        sizing=sizing, model="constant", selection=lambda data, strategy: np.ones(data.sizes["asset"], bool)
    )


@leak()
def sizing_with_a_second_load(market, prices, folder):
    """A sizing of three arguments that loads the prices again, up to the last day there is."""

    def sizing(outputs, data, strategy):
        loaded = qndata.load_data_by_type(data.name, tail=400, assets=data.asset.values.tolist())
        return np.nan_to_num(last_close(loaded, data) / close_of(data)[-1]) - 0.9

    return small(sizing=sizing, rebalance_interval=3)


@leak()
def model_of_table(market, prices, folder):
    def model(n_features, strategy):
        import torch

        class Knows(torch.nn.Linear):
            def forward(self, x):
                return super().forward(x).squeeze(-1) + float(np.nansum(close_of(prices)[-5:])) / 1e4

        return Knows(n_features, 1)

    return small(model=model)


# ---- what was computed beforehand ----


@leak("named", "`mean`")
def feature_by_number(market, prices, folder):
    mean = float(prices.sel(field="close").mean())
    return feature_of(lambda data, strategy: close_of(data) / mean)


@leak("named", "`final`")
def selection_of_final_returns(market, prices, folder):
    final = dict(zip(prices.asset.values.tolist(), close_of(prices)[-1].tolist(), strict=True))
    return _knows(lambda data: [final[name] for name in data.asset.values])


@leak("named", "`final`")
def selection_of_final_vector(market, prices, folder):
    final = prices.sel(field="close")[-1]
    return _knows(lambda data: final.sel(asset=data.asset.values).values)


@leak("named", "`winners`")
def selection_of_names(market, prices, folder):
    winners = prices.asset.values[np.argsort(np.nan_to_num(close_of(prices)[-1]))[-2:]].tolist()
    return _knows(lambda data: np.isin(data.asset.values, winners))


@leak("named", "`trained")
def model_trained_before(market, prices, folder):
    import torch

    torch.manual_seed(0)
    trained = torch.nn.Linear(1, 1)
    trained.weight.data[:] = float(np.nanmean(close_of(prices)[-1])) / 100

    def model(n_features, strategy):
        return torch.nn.Sequential(trained, torch.nn.Flatten(1))

    return small(model=model)


@leak("dates")
def feature_of_table_ahead(market, prices, folder):
    ahead = prices.sel(field="close").shift(time=-1)
    return feature_of(lambda data, strategy: ahead.reindex(time=data.time.values, asset=data.asset.values))


# ---- files and connections ----


@leak("named", "prices.pickle")
def selection_of_pickle(market, prices, folder):
    path = Path(folder) / "prices.pickle"
    path.write_bytes(pickle.dumps(prices.sel(field="close").to_pandas()))

    def last(data):
        with path.open("rb") as file:
            return pickle.load(file)[list(data.asset.values)].iloc[-1].values

    return _knows(last)


@leak("named", "prices.csv")
def selection_of_csv(market, prices, folder):
    path = Path(folder) / "prices.csv"
    prices.sel(field="close").to_pandas().to_csv(path)
    return _knows(lambda data: pd.read_csv(path, index_col=0)[list(data.asset.values)].iloc[-1].values)


@leak("named", "prices.nc")
def selection_of_market_file(market, prices, folder):
    path = Path(folder) / "prices.nc"
    prices.to_netcdf(path, engine="scipy")
    return _knows(lambda data: last_close(xr.load_dataarray(path, engine="scipy"), data))


@leak("named", "which cannot be changed")
def selection_of_mapped_file(market, prices, folder):
    path = Path(folder) / "prices.npy"
    np.save(path, close_of(prices))
    close, names = np.load(path, mmap_mode="r+"), prices.asset.values.tolist()
    return _knows(lambda data: close[-1][[names.index(name) for name in data.asset.values]])


@leak("named", "a generator")
def selection_of_generator(market, prices, folder):
    rows = (close_of(prices)[-1] for _ in range(10**9))
    names = prices.asset.values.tolist()
    return _knows(lambda data: next(rows)[[names.index(name) for name in data.asset.values]])


@leak()
def selection_of_library(market, prices, folder):
    def gain(data):
        loaded = qndata.load_data_by_type(data.name, tail=40, assets=data.asset.values.tolist())
        return last_close(loaded, data) / close_of(data)[-1]

    return _knows(gain)


# ---- own methods ----


@leak()
def predict_of_table(market, prices, folder):
    class Knows(Strategy):
        def predict(self, models, data, state):
            weights, state = super().predict(models, data, state)
            return weights * (last_close(prices, weights) > last_close(data, weights)), state

    return Knows(**SMALL)


@leak()
def predict_function_of_table(market, prices, folder):
    def train_model(data):
        return None

    def predict(models, data, state):
        chosen = highest(last_close(prices, data), data)
        return xr.DataArray(0.5 * chosen[None], coords={"time": data.time[-1:], "asset": data.asset}), state

    return small().with_functions(train_model=train_model, predict=predict)


@leak()
def predict_of_attribute(market, prices, folder):
    class Knows(Strategy):
        table = prices

        def predict(self, models, data, state):
            weights, state = super().predict(models, data, state)
            return weights * (last_close(self.table, weights) > last_close(data, weights)), state

    return Knows(**SMALL)


@leak("named", "`level`")
def predict_of_number(market, prices, folder):
    level = float(close_of(prices)[-1].max())

    class Knows(Strategy):
        def predict(self, models, data, state):
            weights, state = super().predict(models, data, state)
            return weights * (last_close(data, weights) < level), state

    return Knows(**SMALL)


@leak()
def predict_of_library(market, prices, folder):
    class Knows(Strategy):
        def predict(self, models, data, state):
            weights, state = super().predict(models, data, state)
            assets = data.asset.values.tolist()
            loaded = qndata.load_data_by_type(data.name, tail=40, assets=assets)
            return weights * (last_close(loaded, weights) > last_close(data, weights)), state

    return Knows(**SMALL)


@leak()
def training_of_table(market, prices, folder):
    class Knows(Strategy):
        def train_model(self, data):
            return {
                name: float(np.nan_to_num(x))
                for name, x in zip(prices.asset.values, close_of(prices)[-1], strict=True)
            }

        def predict(self, models, data, state):
            raw = np.array([models[name] for name in data.asset.values])
            weights = xr.DataArray(
                raw[None] / raw.sum(), coords={"time": data.time[-1:], "asset": data.asset}
            )
            return weights, {"days": 1 + (state or {}).get("days", 0)}

    return Knows(**SMALL)


class Loads(Strategy):
    """Its data are what `change` makes of the platform's."""

    change = staticmethod(lambda data: data)

    def load_data(self, period):
        return type(self).change(super().load_data(period))


@leak()
def loading_by_last(market, prices, folder):
    class Divides(Loads):
        change = staticmethod(lambda data: data / data.isel(time=-1))

    return Divides(**SMALL)


@leak()
def loading_filled(market, prices, folder):
    class Fills(Loads):
        change = staticmethod(
            lambda data: data.where(data.sel(field="close").shift(time=-1) > 20).bfill("time")
        )

    return Fills(**SMALL)


@leak()
def loading_ahead(market, prices, folder):
    class Ahead(Loads):
        @staticmethod
        def change(data):
            data = data.copy(deep=True)
            data.loc["vol"] = data.sel(field="close").shift(time=-1)
            return data

    return Ahead(**SMALL)


# ---- honest strategies ----

CAUSAL = {
    "rolling_mean": lambda c: pd.DataFrame(c).rolling(3).mean().values,
    "exponential": lambda c: pd.DataFrame(c).ewm(halflife=2).mean().values,
    "expanding_deviation": lambda c: (c - pd.DataFrame(c).expanding().mean().values) / 10,
    "filled_forwards": lambda c: pd.DataFrame(c).ffill().values,
    "rank_of_the_day": lambda c: pd.DataFrame(c).rank(axis=1, pct=True).values,
    "drawdown": lambda c: c / np.fmax.accumulate(c, axis=0) - 1,
    "log_return": lambda c: (
        np.log(c[1:] / c[:-1]) if len(c) < 2 else np.vstack([c[:1] * np.nan, np.log(c[1:] / c[:-1])])
    ),
    "by_hand": lambda c: c * 0.0125 + 252,
    "filtered": lambda c: (
        pd.DataFrame(c).rolling(4).apply(lambda w: w @ [0.1, 0.2, 0.3, 0.4], raw=True).values
    ),
    "first_of_window": lambda c: np.sign(c - 50),
}
HONEST |= {name: _of_close(name, compute) for name, compute in CAUSAL.items()}


@honest
def universe_rank(market, prices, folder):
    @whole_universe
    def standing(data, strategy):
        return pd.DataFrame(close_of(data)).rank(axis=1).values

    return feature_of(standing)


@honest
def loading_through_the_strategy(market, prices, folder):
    def relative(data, strategy):
        mean = strategy.load_data(20).sel(field="close").mean("time").reindex(asset=data.asset.values)
        return close_of(data) / mean.values

    return feature_of(relative)


@honest
def selecting_through_the_strategy(market, prices, folder):
    def selection(data, strategy):
        return highest(last_close(strategy.load_data(20).reindex(asset=data.asset.values), data), data)

    return small(selection=selection)


@honest
def table_up_to_the_day(market, prices, folder):
    """The same prices, looked up by date: the check names the dates, and accuses nobody."""

    def known(data, strategy):
        return prices.sel(field="close").ffill("time").reindex(time=data.time.values, asset=data.asset.values)

    return feature_of(known)


@honest
def meetings_known_in_advance(market, prices, folder):
    meetings = pd.DatetimeIndex(["2024-11-07", "2024-12-18", "2025-01-29"])

    def days_to_meeting(data, strategy):
        coming = meetings[np.minimum(meetings.searchsorted(data.time.values), 2)]
        days = (coming - pd.DatetimeIndex(data.time.values)).days.to_numpy(float)
        return np.repeat(days[:, None], data.sizes["asset"], axis=1)

    return feature_of(days_to_meeting)


@honest
def seeded_noise(market, prices, folder):
    def dice(data, strategy):
        rng = np.random.default_rng(strategy.seed)
        return rng.random(data.sizes["asset"]) < 0.7

    return small(selection=dice)


@honest
def answers_kept(market, prices, folder):
    answers = {}

    def cached(data, strategy):
        close = close_of(data)
        return answers.setdefault(close.tobytes(), close.copy())

    return feature_of(cached)


@honest
def constants_by_hand(market, prices, folder):
    weights = {"short": 0.25, "long": 0.75}
    return feature_of(lambda data, strategy: close_of(data) * weights["short"])


@dataclass
class Settings:
    """An object with a user's own attributes."""

    periods: int = 3
    factors: list = field(default_factory=lambda: [0.5, 0.3, 0.2])


@honest
def object_with_settings(market, prices, folder):
    settings = Settings()

    def smooth(data, strategy):
        frame = pd.DataFrame(close_of(data))
        return frame.rolling(settings.periods).apply(lambda w: w @ settings.factors, raw=True).values

    return feature_of(smooth)


def batch_norm(n_features, strategy):
    import torch

    parts = (
        torch.nn.Linear(n_features, 3),
        torch.nn.Flatten(0, 1),
        torch.nn.BatchNorm1d(3),
        torch.nn.Linear(3, 1),
    )

    class Normed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = torch.nn.Sequential(*parts)

        def forward(self, x):
            return self.parts(x).reshape(x.shape[:2])

    return Normed()


def rule(n_features, strategy):
    import torch

    class Rule(torch.nn.Module):
        def forward(self, x):
            return (x[..., 0] > 0).to(x.dtype)

    return Rule()


def windowed(n_features, strategy):
    import torch

    class Windowed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv1d(n_features, 1, 3)

        def forward(self, x):
            padded = torch.nn.functional.pad(x.transpose(1, 2), (2, 0))
            return self.convolution(padded)[:, 0]

    return Windowed()


def renamed(n_features, strategy):
    from lib.model import LSTM

    class Mine(LSTM):
        pass

    return Mine(n_features, strategy)


MODELS = {"batch_norm": batch_norm, "rule": rule, "windowed": windowed, "renamed": renamed}


def _with_model(model):
    return lambda market, prices, folder: small(model=model)


HONEST |= {name: _with_model(model) for name, model in MODELS.items()}
HONEST["windowed_sequence"] = lambda market, prices, folder: small(model=windowed, whole_sequence=True)


@honest
def sizing_of_the_window(market, prices, folder):
    """A sizing of three arguments: long what rose, short what fell, and less where it is volatile."""

    def sizing(outputs, data, strategy):
        before = strategy.load_data(20).sel(field="close").reindex(asset=data.asset.values).ffill("time")[0]
        return np.nan_to_num(close_of(data)[-1] / before.values - 1) * outputs

    return small(sizing=sizing, rebalance_interval=2, min_change=0.01)


@honest
def own_predict(market, prices, folder):
    class Cautious(Strategy):
        def predict(self, models, data, state):
            weights, state = super().predict(models, data, state)
            return weights * 0.5, state

    return Cautious(**SMALL)


@honest
def own_training(market, prices, folder):
    class Twice(Strategy):
        def train_model(self, data):
            return super().train_model(data[:, 1:])

    return Twice(**SMALL)


@honest
def own_functions(market, prices, folder):
    """A least-squares fit per asset, and a state that counts days."""

    def train_model(data):
        returns = np.nan_to_num(np.diff(np.log(close_of(data)), axis=0))
        return {
            name: np.polyfit(np.arange(len(returns)), returns[:, k], 1)
            for k, name in enumerate(data.asset.values)
        }

    def predict(models, data, state):
        slope = np.array([models[name][0] for name in data.asset.values])
        weights = np.maximum(slope, 0) / max(np.abs(slope).sum(), 1e-12)
        coords = {"time": data.time[-1:], "asset": data.asset}
        return xr.DataArray(weights[None], coords, ("time", "asset")), {
            "days": (state or {"days": 0})["days"] + 1
        }

    return small().with_functions(train_model=train_model, predict=predict)


@honest
def own_rule_without_state(market, prices, folder):
    def predict(models, data):
        rising = (close_of(data)[-1] > np.nanmean(close_of(data), axis=0)).astype(float)
        return xr.DataArray(rising / max(rising.sum(), 1), {"asset": data.asset}, ("asset",))

    return small().with_functions(train_model=lambda data: None, predict=predict)


@honest
def own_load(market, prices, folder):
    class Fewer(Loads):
        change = staticmethod(lambda data: data.isel(asset=slice(None, -1)))

    return Fewer(**SMALL)


@honest
def own_load_with_a_causal_field(market, prices, folder):
    class Smooth(Loads):
        @staticmethod
        def change(data):
            data = data.copy(deep=True)
            data.loc["vol"] = data.sel(field="close").rolling(time=2).mean()
            return data

    return Smooth(**SMALL)
