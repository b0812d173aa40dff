"""Functions that keep values of days after the day of the call."""

import sys

import numpy as np

from lib.common.market_data import field
from lib.lookahead import check
from lib.lookahead.findings import LEAKS
from lib.strategy import Strategy
from tests.lookahead.planted import SMALL, kinds, small, whole_market
from tests.switches import long

MARKET = whole_market(2)
MARKET.values[7] = 1


def scaler_kept() -> object:
    """A feature that is scaled by the first window it sees: in a backtest, the last one."""
    fitted = []

    def scaled(data, strategy):
        close = field(data, "close")
        if not fitted:
            fitted.append(np.nanmean(close))
        return close / fitted[0]

    return scaled


def test_a_scaler_fitted_on_the_first_call_is_a_leak():
    report = check(small(features=[scaler_kept()]), MARKET, days=1)
    assert kinds(report)["feature scaled"] == "memory", report
    assert report.leaks
    assert "keeps something between calls" in str(report)


_fitted = []


def test_a_scaler_kept_in_a_module_is_a_leak():
    def scaled(data, strategy):
        _fitted.append(np.nanmean(field(data, "close")))
        return field(data, "close") / _fitted[0]

    assert kinds(check(small(features=[scaled]), MARKET, days=1))["feature scaled"] == "memory"


def test_a_scaler_kept_by_each_of_the_strategies_made_is_a_leak():
    report = check(lambda data: small(features=[scaler_kept()]), MARKET, days=1)
    assert kinds(report)["feature scaled"] in LEAKS


@long
def test_a_selection_and_a_target_that_keep_their_first_answer_leak():
    def keeping(answer):
        kept = {}
        return lambda data, strategy: kept.setdefault(data.sizes["asset"], answer(data))

    chosen = keeping(
        lambda data: np.argsort(np.argsort(field(data, "close")[-1] / field(data, "close")[0])) < 2
    )
    level = keeping(lambda data: field(data, "close")[-1].mean())

    def target(data, strategy):
        return (field(data, "close") > level(data, strategy)).astype(float)

    assert kinds(check(small(selection=chosen), MARKET, days=1))["selection"] == "memory"
    report = check(small(selection=lambda data, strategy: np.arange(6) < 2, target=target), MARKET, days=1)
    assert kinds(report)["training"] == "memory"
    assert set(kinds(report).values()) == {"memory"}


@long
def test_a_strategy_that_keeps_its_first_models_leaks():
    kept = []

    class Keeps(Strategy):
        def train_model(self, data):
            kept.append(super().train_model(data))
            return kept[0]

    report = check(Keeps(**SMALL, selection=lambda data, strategy: np.arange(6) < 2), MARKET, days=1)
    assert kinds(report)["prediction"] == "memory"


@long
def test_a_feature_that_remembers_the_highest_is_a_leak():
    seen: dict[str, float] = {}

    def tallest(data, strategy):
        for asset, highest in zip(data.asset.values, np.nanmax(field(data, "close"), axis=0), strict=True):
            seen[asset] = max(seen.get(asset, 0), highest)
        return field(data, "close") / [seen[asset] for asset in data.asset.values]

    assert kinds(check(small(features=[tallest]), MARKET, days=1))["feature tallest"] == "memory"


def test_what_later_days_leave_behind_is_seen_without_new_processes_too(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    highest = [0.0]

    def tallest(data, strategy):
        highest[0] = max(highest[0], np.nanmax(field(data, "close")))
        return field(data, "close") / highest[0]

    report = check(small(features=[tallest]), MARKET, days=1)
    assert kinds(report)["feature tallest"] == "memory"
    assert "no process could be started" in str(report)


def test_an_answer_kept_for_the_same_question_is_no_leak():
    answers = {}

    def cached(data, strategy):
        close = field(data, "close")
        return answers.setdefault(close.tobytes(), close.copy())

    assert not check(small(features=[cached]), MARKET, days=1).findings


@long
def test_a_sizing_that_keeps_its_first_window_leaks():
    kept = {}

    def sizing(outputs, data, strategy):
        for name, close in zip(data.asset.values.tolist(), field(data, "close").T, strict=True):
            kept.setdefault(name, np.nanstd(close))
        return np.array([1 / (1 + kept[name]) for name in data.asset.values.tolist()])

    assert kinds(check(small(sizing=sizing), MARKET, days=1)) == {"prediction": "memory"}
