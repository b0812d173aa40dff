"""Three results are distinguished: a leak, chance, and an answer that depends on dates."""

import numpy as np
import pytest
import xarray as xr

from lib.common.market_data import field
from lib.lookahead import check
from lib.universe import low_volatility
from tests.lookahead.planted import kinds, small, whole_market
from tests.markets import random_market
from tests.switches import LONG

pytestmark = pytest.mark.usefixtures("in_one_process")
MARKET = whole_market(6, days=60)
MEETINGS = np.array(["2024-09-18", "2024-11-07", "2024-12-18"], "M8[ns]")


def on_each_day(of_day) -> object:
    """A feature that is a function of the date alone."""

    def calendar(data, strategy):
        return np.repeat(of_day(data.time)[:, None], data.sizes["asset"], axis=1)

    return calendar


CALENDAR = {
    "year": lambda time: time.dt.year.values,
    "days since 2000": lambda time: (time.values - np.datetime64("2000-01-01")) / np.timedelta64(1, "D"),
    "a day of the week": lambda time: time.dt.dayofweek.values,
    "days to a meeting": lambda time: (
        (np.append(MEETINGS, np.datetime64("2100"))[np.searchsorted(MEETINGS, time.values)] - time.values)
        / np.timedelta64(1, "D")
    ),
    "noise by date": lambda time: np.array(
        [np.random.default_rng(int(day)).normal() for day in time.values.astype("M8[D]").astype(int)]
    ),
}


@pytest.mark.parametrize("name", CALENDAR)
def test_the_calendar_is_no_leak(name):
    report = check(small(features=["trend", on_each_day(CALENDAR[name])]), MARKET, days=1)
    assert not report.leaks, report
    assert str(report).startswith("No look-ahead found")
    assert kinds(report).get("feature calendar") == (None if "week" in name else "dates")


def test_the_number_of_days_is_no_leak():
    def position(data, strategy):
        days = data.sizes["time"]
        return np.repeat(np.linspace(0, 1, days)[:, None], data.sizes["asset"], axis=1)

    report = check(small(features=[position]), MARKET, days=1)
    assert kinds(report)["feature position"] == "dates"
    assert not report.leaks


def test_what_fails_under_other_dates_is_no_leak():
    row_of = {day: row for row, day in enumerate(MARKET.time.values.tolist())}

    def looks_up(data, strategy):
        return field(data, "close") + row_of[data.time.values.tolist()[0]]

    report = check(small(features=[looks_up]), MARKET, days=1)
    assert {(leak.kind, leak.size) for leak in report.findings} == {("dates", np.inf)}
    assert "where it fails with KeyError" in str(report)


# ---- rounding ----


def spectral(data, strategy, memory=5):
    """An average over the days before, by a Fourier transform of the whole window."""
    volume = np.nan_to_num(field(data, "vol")) * 1e6
    size = 2 * len(volume)
    weights = np.exp(-np.arange(len(volume)) / memory)[:, None]
    transform = np.fft.rfft(volume, size, axis=0) * np.fft.rfft(weights, size, axis=0)
    return np.fft.irfft(transform, size, axis=0)[: len(volume)] - np.cumsum(volume, axis=0) / 1e3


def test_rounding_of_a_fourier_transform_is_no_leak():
    for seed in range(3 if LONG else 1):
        assert not check(small(features=[spectral]), random_market(seed, days=60), days=2, seed=seed).findings


def test_rounding_where_a_number_cancels_is_no_leak():
    """1e-8 of what is left, 1e-16 of what it is left from."""

    def cancels(data, strategy):
        volume = np.nan_to_num(field(data, "vol"))
        noise = 1e-9 * np.sin(data.sizes["time"] * np.arange(len(volume)))[:, None]
        return volume + noise  # as if computed in another order when there are more days

    assert not check(small(features=[cancels]), MARKET, days=1).findings


@pytest.mark.parametrize("share", [1e-1, 1e-4])
def test_a_small_leak_is_not_rounding(share):
    def mixed(data, strategy):
        close = field(data, "close")
        return close + share * np.append(close[1:], close[-1:], axis=0)

    assert kinds(check(small(features=[mixed]), MARKET, days=1))["feature mixed"] == "future"


# ---- chance ----


def test_unseeded_noise_is_not_deterministic_and_no_leak():
    def noisy(data, strategy):
        return np.random.default_rng().normal(size=data.shape[1:])

    report = check(small(features=["trend", noisy]), MARKET, days=1)
    assert kinds(report) == {"feature noisy": "random", "training": "random", "prediction": "random"}
    assert not report.leaks
    assert "NOT DETERMINISTIC" in str(report)
    assert "same whatever days" in str(report)


def test_a_random_selection_is_not_deterministic_and_no_leak():
    def dice(data, strategy):
        return np.random.default_rng().permutation(data.sizes["asset"]) < 3

    report = check(small(selection=dice), MARKET, days=2)
    assert kinds(report)["selection"] == "random"
    assert not report.leaks


def test_a_counter_of_calls_is_not_deterministic():
    calls = []

    def counts(data, strategy):
        calls.append(1)
        return field(data, "close") * len(calls)

    assert kinds(check(small(features=[counts]), MARKET, days=1))["feature counts"] == "random"


def test_noise_from_the_seed_of_the_strategy_is_no_finding():
    def seeded(data, strategy):
        rng = np.random.default_rng(strategy.seed)
        return low_volatility(data, strategy) | (rng.random(data.sizes["asset"]) < 0.2)

    assert not check(small(selection=seeded), MARKET, days=1).findings


def test_models_that_draw_numbers_in_training_are_no_finding():
    """A model with dropout is trained from the strategy's seed and predicts in evaluation mode."""
    assert not check(small(model=with_dropout), MARKET, days=1).findings


def test_a_model_that_draws_numbers_in_prediction_is_not_deterministic():
    report = check(small(model=never_evaluated), whole_market(6, days=40), days=1)
    assert kinds(report) == {"training": "random", "prediction": "random"}


def with_dropout(n_features, strategy):
    import torch

    return torch.nn.Sequential(
        torch.nn.Linear(n_features, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1), torch.nn.Flatten(1)
    )


def never_evaluated(n_features, strategy):
    import torch

    class Noisy(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x).squeeze(-1) + torch.rand(x.shape[:-1])

    return Noisy(n_features, 1)


def test_a_mean_over_assets_with_gaps_is_no_leak():
    def relative(data, strategy):
        close = xr.where(data.sel(field="close") > 0, data.sel(field="close"), np.nan)
        return close / close.mean("asset")

    assert not check(small(features=[relative]), random_market(8, days=40), days=1).findings
