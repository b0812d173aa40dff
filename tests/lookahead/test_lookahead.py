"""Nothing that is said of a day knows what came after it; and what does is caught, at every level."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from lib.indicators import roc, shift
from lib.lookahead import check
from lib.market_data import field
from lib.strategy import Strategy
from tests.backtests import backtest
from tests.markets import changed_after, random_market

# Small, so that 500 pairs of market and day take seconds; weights are not cut, which could hide a difference.
SMALL = {"lookback_period": 21, "train_period": 14, "hidden_size": 2, "top_assets": 2, "lwma_period": 3}
SMALL |= {"min_weight": 0.0, "max_weight": 1.0}
LEVELS = ("feature trend", "selection", "training", "prediction")
OPTIONS = [
    {"whole_sequence": True, "leave_out_unknown": True},
    {"log_price": True, "target": "tradable_open_up"},
    {"competition_type": "stocks_s&p500", "epochs": 2},
]


def small(**parameters) -> Strategy:
    return Strategy(**{**SMALL, **parameters})


def gappy_market(seed: int) -> xr.DataArray:
    """Volumes are missing here and there, too: what fills them backwards reaches across any day."""
    market = random_market(seed, days=40, assets=4)
    market.values[4][np.random.default_rng(seed).random(market.shape[1:]) < 0.4] = np.nan
    return market


# ---- what is shipped does not leak ----


@pytest.mark.parametrize("part", range(5))
def test_five_hundred_pairs_of_market_and_day(part):
    tried = 0
    for seed in range(10 * part, 10 * part + 10):
        report = check(small(), random_market(seed, days=40, assets=4), days=10, seed=seed)
        assert not report.leaks, report
        assert report.levels == LEVELS
        tried += len(report.days)
    assert tried == 100


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options)))
def test_options_do_not_leak(options):
    for seed in range(3):
        report = check(small(**options), random_market(seed, days=40), days=4, seed=seed)
        assert not report.leaks, report


def test_another_model_does_not_leak():
    report = check(small(model=mean_of_inputs), random_market(1, days=40), days=2)
    assert not report.leaks, report


def test_a_feature_made_anew_from_the_past_does_not_leak():
    def make(data):
        mean = np.nanmean(field(data, "close"))
        return small(features=[lambda data, strategy: field(data, "close") / mean])

    assert not check(lambda data: small(), random_market(0, days=40), days=3).leaks
    assert "training" in {found.level for found in check(make, random_market(0, days=40), days=3).findings}


# ---- planted leaks: functions of (data, strategy) that see later rows of what they are given ----


def peeks(data, strategy):
    return shift(field(data, "close"), -1) / field(data, "close")


def fills_backwards(data, strategy):
    return data.sel(field="vol").to_pandas().bfill().values


def normalises(data, strategy):
    close = field(data, "close")
    return close / np.nanmax(close, axis=0, initial=0)


def smooths_both_ways(data, strategy):
    return data.sel(field="close").rolling(time=3, center=True, min_periods=1).mean()


@pytest.mark.parametrize("leak", [peeks, fills_backwards, normalises, smooths_both_ways])
@pytest.mark.parametrize("seed", range(3))
def test_a_feature_that_reads_later_rows_is_caught(leak, seed):
    report = check(small(features=["trend", leak]), random_market(seed, days=40), days=4, seed=seed)
    caught = [(found.level, found.how) for found in report.findings]
    assert (f"feature {leak.__name__}", "future") in caught
    assert "feature trend" not in dict(caught)
    assert report.leaks


def test_what_fills_backwards_is_caught_where_the_market_has_no_gap():
    market = random_market(0, days=40).ffill("time").bfill("time").fillna(1)
    report = check(small(features=[fills_backwards]), market, days=1)
    assert report.findings[0].level == "feature fills_backwards"


# ---- planted leaks: strategies that know the market from elsewhere than their argument ----

Known = Callable[[xr.DataArray], xr.DataArray]


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


def outside_prediction(market: xr.DataArray) -> Strategy:
    class Knows(Strategy):
        def predict(self, models, data, state):
            weights, state = super().predict(models, data, state)
            last = market.sel(field="close", asset=weights.asset.values)[-1].values
            return weights * (last > field(data, "close")[-1]), state

    return Knows(**SMALL)


def at(values: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    return values.reindex(time=data.time.values, asset=data.asset.values).transpose("time", "asset")


OUTSIDE = {
    outside_peek: "feature peek",
    outside_fill: "feature filled",
    outside_norm: "feature normalised",
    outside_selection: "selection",
    outside_target: "training",
    outside_prediction: "prediction",
}


@pytest.mark.parametrize("leaky", OUTSIDE, ids=lambda leaky: leaky.__name__)
def test_a_strategy_that_reads_the_same_market_from_outside_is_caught(leaky):
    market = gappy_market(1)
    report = check(leaky(market), market, days=4)
    assert report.findings[0].level == OUTSIDE[leaky], report
    assert "future" in {found.how for found in report.findings if found.level == OUTSIDE[leaky]}, report


@pytest.mark.parametrize("leaky", OUTSIDE, ids=lambda leaky: leaky.__name__)
def test_a_strategy_that_reads_a_copy_is_caught_where_it_is_made_anew(leaky):
    report = check(lambda data: leaky(data.copy(deep=True)), gappy_market(1), days=4)
    assert (OUTSIDE[leaky], "future") in [(found.level, found.how) for found in report.findings], report


@pytest.mark.parametrize("leaky", [outside_peek, outside_target], ids=lambda leaky: leaky.__name__)
def test_a_strategy_that_looks_up_dates_in_a_copy_is_caught(leaky):
    market = random_market(5, days=40)
    report = check(leaky(market.copy(deep=True)), market, days=2)
    assert (OUTSIDE[leaky], "dates") in [(found.level, found.how) for found in report.findings], report


def test_a_number_computed_beforehand_is_beyond_it_unless_the_strategy_is_made_anew():
    def make(data):
        mean = float(data.sel(field="close").mean())
        return small(features=[lambda data, strategy: field(data, "close") / mean])

    market = random_market(2, days=40)
    report = check(make(market), market, days=2)
    assert not report.leaks
    assert "computed from all data beforehand" in str(report)
    assert check(make, market, days=2).leaks


def test_a_feature_that_remembers_is_caught():
    seen: dict[str, float] = {}

    def tallest(data, strategy):
        for asset, highest in zip(
            data.asset.values.tolist(), data.sel(field="close").max("time").values, strict=True
        ):
            seen[asset] = max(seen.get(asset, 0), highest)
        return field(data, "close") / [seen[asset] for asset in data.asset.values.tolist()]

    report = check(
        small(features=[tallest]), random_market(2, days=40).ffill("time").bfill("time").fillna(1), days=2
    )
    assert "memory" in {found.how for found in report.findings}, report


# ---- what is reported ----


def test_it_says_where_and_by_how_much():
    def one_peeks(data, strategy):
        late = (data.time > np.datetime64("2024-12-10")).astype(float).shift(time=-1, fill_value=0)
        return 7 * late * (data.asset == "NAS:002")

    market = random_market(3, days=40).ffill("time").bfill("time").fillna(1)
    report = check(small(features=[one_peeks]), market, days=99)
    (first,) = (
        found for found in report.findings if found.level == "feature one_peeks" and found.how == "future"
    )
    assert (first.day, first.asset, first.size) == (np.datetime64("2024-12-10"), "NAS:002", 7)
    assert first.cases == (report.days >= first.day).sum() > 1
    text = str(report)
    assert text.startswith("LOOK-AHEAD in ")
    assert "feature one_peeks changes with the days after it" in text
    assert "first seen on 2024-12-10 for NAS:002, by up to 7." in text


def test_two_features_of_one_name_are_told_apart():
    features = [
        lambda data, strategy: field(data, "close"),
        lambda data, strategy: shift(field(data, "close"), -1),
    ]
    report = check(small(features=features), random_market(3, days=40), days=2)
    assert report.levels[:2] == ("feature <lambda> (1)", "feature <lambda> (2)")
    assert report.findings[0].level == "feature <lambda> (2)"


def test_a_clean_report_says_what_was_tried():
    report = check(small(), random_market(3, days=40), days=2)
    assert str(report).startswith("No look-ahead found")
    assert f"Tried: 2 days from {report.days[0]} to {report.days[1]}; feature trend, selection" in str(report)
    assert report.note == ""


def test_what_fails_with_another_future_is_a_finding():
    market = random_market(0, days=40)
    row_of = {day: row for row, day in enumerate(market.time.values.tolist())}

    def looks_up(data, strategy):
        return field(data, "close") + row_of[data.time.values.tolist()[0]]

    report = check(small(features=[looks_up]), market, days=1)
    assert {(found.how, found.size) for found in report.findings} == {("dates", np.inf)}
    assert "where it fails with KeyError" in str(report)


def test_a_function_that_fails_anyway_fails_here():
    def broken(data, strategy):
        raise ZeroDivisionError("never worked")

    with pytest.raises(ZeroDivisionError, match="never worked"):
        check(small(features=[broken]), random_market(0, days=40))


# ---- manners ----


def test_data_and_generators_are_left_as_they_were():
    market = random_market(4, days=40)
    before = market.copy(deep=True)
    np.random.seed(7)
    check(small(), market, days=2)
    check(outside_peek(market), market, days=2)
    assert market.identical(before)
    assert np.random.random() == np.random.RandomState(7).random()


def test_data_are_restored_where_a_function_fails():
    market = random_market(4, days=40)
    before, calls = market.copy(deep=True), []

    def stops(data):
        calls.append(data.sizes["time"])
        if calls[-1] == 40 and len(calls) > 3:
            raise KeyboardInterrupt
        return small()

    with pytest.raises(KeyboardInterrupt):
        check(stops, market, days=2)
    assert market.identical(before)


def test_the_same_seed_tries_the_same_days():
    market = random_market(4, days=40)
    one, same, other = (check(small(features=[peeks]), market, days=3, seed=seed) for seed in (1, 1, 2))
    assert one.findings == same.findings
    assert one.days.tolist() == same.days.tolist() != other.days.tolist()


def test_read_only_data_are_copied():
    market = random_market(4, days=40)
    market.values.flags.writeable = False
    assert check(small(features=[peeks]), market, days=1).leaks
    assert not check(small(), market, days=1).leaks


def test_data_in_another_order_of_dims():
    market = random_market(4, days=40)
    assert check(small(features=[peeks]), market.transpose("asset", "time", "field"), days=1).leaks


@pytest.mark.parametrize(("days", "parameters"), [(12, {}), (40, {"lwma_period": 30}), (1, {})])
def test_data_that_are_too_short_are_refused(days, parameters):
    with pytest.raises(ValueError, match="load more"):
        check(small(**parameters), random_market(0, days=days))


# ---- through the platform's own backtest ----


@pytest.fixture
def leaks_in_backtest(use_market, monkeypatch, tmp_path):
    """Whether positions up to a row differ between a market and the same with other days after that row."""
    monkeypatch.chdir(tmp_path)

    def states(make: Callable[[xr.DataArray], Strategy], market: xr.DataArray) -> list[dict]:
        use_market(market)
        strategy = make(market)
        first = str(market.time.values[-4])[:10]
        weights, kept = backtest(strategy, first, retrain_interval=3, collect_all_states=True)
        assert [state.date for state in kept] == weights.time.values.astype("M8[D]").tolist()
        return [dict(state.weights) for state in kept]

    def leaks(make: Callable[[xr.DataArray], Strategy], seed: int, rows: list[int]) -> bool:
        market = gappy_market(seed)
        said = states(make, market)
        for row in rows:
            again = states(make, changed_after(market, row, seed))
            known = len(said) - (39 - row)
            if said[:known] != again[:known]:
                return True
            assert said != again or row == 39  # the future did change something
        return False

    return leaks


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning")
def test_the_backtest_of_the_strategy_does_not_leak(seed, leaks_in_backtest):
    assert not leaks_in_backtest(lambda market: small(), seed, [36, 37, 38])


@pytest.mark.parametrize(
    "leaky", [outside_peek, outside_fill, outside_norm, outside_selection], ids=lambda one: one.__name__
)
@pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning")
def test_the_backtest_of_a_strategy_that_knows_the_market_leaks(leaky, leaks_in_backtest):
    assert any(leaks_in_backtest(leaky, seed, [36, 37, 38]) for seed in range(1, 9))


def mean_of_inputs(n_features: int, strategy: Strategy):
    """A model with one parameter: the mean of what it has seen so far, times a number."""
    import torch

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.scale * x.mean(dim=2).cumsum(dim=1) / torch.arange(1, x.shape[1] + 1)

    return Mean()
