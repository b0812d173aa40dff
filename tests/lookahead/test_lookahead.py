"""The shipped strategy does not use the future; a strategy that does is found at every stage."""

import numpy as np
import pytest

from lib.common.market_data import field
from lib.lookahead import check
from tests.labelled import get_features
from tests.lookahead.planted import (
    OUTSIDE,
    fills_backwards,
    gappy_market,
    kinds,
    outside_peek,
    outside_selection,
    outside_target,
    peeks,
    peeks_a_little,
    small,
    smooths_both_ways,
    whole_market,
)
from tests.markets import random_market
from tests.switches import ALL, LONG, long
from tests.test_features import READY

pytestmark = pytest.mark.usefixtures("in_one_process")


def name(leaky):
    return leaky.__name__


STAGES = ("feature trend", "selection", "training", "prediction")
OPTIONS = [
    {"whole_sequence": True, "leave_out_unknown": True},
    {"log_price": True, "target": "tradable_open_up"},
    {"competition_type": "stocks_s&p500", "epochs": 2},
]


# ---- what is shipped does not leak ----


@pytest.mark.parametrize("part", range(5 if ALL else 2))
def test_pairs_of_market_and_day(part):
    """Tries 500 pairs in the longest run, 16 with the switch, 8 without."""
    tried = 0
    seeds, days = (10, 10) if ALL else (2, 4) if LONG else (1, 4)
    for seed in range(10 * part, 10 * part + seeds):
        report = check(small(), random_market(seed, days=40, assets=4), days=days, seed=seed)
        assert not report.findings, report
        assert report.stages == STAGES
        tried += len(report.days)
    assert tried == seeds * days


@pytest.mark.parametrize("options", OPTIONS if LONG else OPTIONS[:1], ids=lambda options: next(iter(options)))
def test_options_do_not_leak(options):
    for seed in range(3 if ALL else 1):
        report = check(small(**options), random_market(seed, days=40), days=4 if LONG else 2, seed=seed)
        assert not report.findings, report


@long
def test_ready_features_do_not_leak():
    """Use windows of two months, in which the features' periods of up to 20 days leave values."""
    strategy = small(features=["trend", *READY], lookback_period=90, train_period=90)
    for seed in range(2 if LONG else 1):
        market = random_market(seed, days=100)
        assert np.isfinite(get_features(market, strategy)[:, -1]).mean() > 0.5
        report = check(strategy, market, days=4 if LONG else 2, seed=seed)
        assert not report.findings, report
        assert {f"feature {name}" for name in READY} < set(report.stages)


def test_a_strategy_made_anew_from_the_past_does_not_leak():
    assert not check(lambda data: small(), random_market(0, days=40), days=3).findings


# ---- planted leaks ----


@pytest.mark.parametrize("leak", [peeks, peeks_a_little, fills_backwards, smooths_both_ways])
@pytest.mark.parametrize("seed", range(3 if ALL else 1))
def test_a_feature_that_reads_later_rows_is_caught(leak, seed):
    report = check(
        small(features=["trend", leak]), random_market(seed, days=40), days=3 if LONG else 1, seed=seed
    )
    assert kinds(report)[f"feature {leak.__name__}"] == "future"
    assert "feature trend" not in kinds(report)
    assert report.leaks


def test_what_fills_backwards_is_caught_where_the_market_has_no_gap():
    report = check(small(features=[fills_backwards]), whole_market(0), days=1)
    assert report.findings[0].stage == "feature fills_backwards"


@pytest.mark.parametrize("leaky", OUTSIDE if ALL else [outside_peek, outside_selection], ids=name)
def test_a_strategy_that_reads_the_same_market_from_outside_is_caught(leaky):
    market = gappy_market(1)
    report = check(leaky(market), market, days=2)
    assert report.findings[0].stage == OUTSIDE[leaky], report
    assert report.findings[0].kind == "future", report


@pytest.mark.parametrize("leaky", OUTSIDE if ALL else [outside_peek, outside_selection], ids=name)
def test_a_strategy_that_reads_a_copy_is_caught_where_it_is_made_anew(leaky):
    report = check(lambda data: leaky(data.copy(deep=True)), gappy_market(1), days=1)
    assert kinds(report)[OUTSIDE[leaky]] == "future", report


@long
@pytest.mark.parametrize("leaky", OUTSIDE if ALL else [outside_target], ids=name)
def test_a_strategy_that_reads_a_copy_of_the_market_is_caught(leaky):
    market = gappy_market(1)
    report = check(leaky(market.copy(deep=True)), market, days=2)
    assert kinds(report)[OUTSIDE[leaky]] == "future", report
    assert "`market` after the day" in str(report)


def test_a_number_computed_beforehand_is_beyond_it_unless_the_strategy_is_made_anew():
    def make(data):
        mean = float(data.sel(field="close").mean())
        return small(features=[lambda data, strategy: field(data, "close") / mean])

    market = random_market(2, days=40)
    report = check(make(market), market, days=1)
    assert not report.findings
    assert "computed from all data beforehand" in str(report)
    assert check(make, market, days=1).leaks


def test_a_learning_rate_computed_from_all_data_is_caught_where_the_strategy_is_made_anew():
    report = check(lambda data: small(learning_rate=np.nanmean(data[0]) / 1e4), whole_market(2), days=1)
    assert kinds(report) == {"training": "future", "prediction": "future"}


def test_a_strategy_that_cannot_be_made_from_other_later_days_is_caught():
    def make(data):
        return small(top_assets=int(float(data[0, -1, 0]) in opens))

    market = whole_market(2)
    opens = set(market.values[0, :, 0].tolist())
    report = check(make, market, days=1)
    assert "Error: top_assets is 0" in str(report)


# ---- manners ----


def test_a_function_that_fails_anyway_fails_here():
    def broken(data, strategy):
        raise ZeroDivisionError("never worked")

    with pytest.raises(ZeroDivisionError, match="never worked"):
        check(small(features=[broken]), random_market(0, days=40))


def test_data_and_generators_are_left_as_they_were():
    market = random_market(4, days=40)
    before = market.copy(deep=True)
    np.random.seed(7)
    check(small(), market, days=1)
    check(outside_peek(market), market, days=1)
    assert market.identical(before)
    assert np.random.random() == np.random.RandomState(7).random()


def test_the_same_seed_tries_the_same_days():
    market = random_market(4, days=40)
    first, same, other = (check(small(features=[peeks]), market, days=2, seed=seed) for seed in (1, 1, 2))
    assert first.findings == same.findings
    assert first.days.tolist() == same.days.tolist() != other.days.tolist()


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


def test_what_functions_print_is_not_shown_and_the_bar_only_to_a_person(capfd):
    def talks(data, strategy):
        print("computing")
        return field(data, "close")

    check(small(features=[talks]), random_market(0, days=40), days=1)
    assert capfd.readouterr() == ("", "")


def test_a_person_sees_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("lib.lookahead._watched", lambda: True)
    check(small(), random_market(0, days=40), days=1)
    assert "Look-ahead: 100%" in capsys.readouterr().err
