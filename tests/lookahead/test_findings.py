"""The report says where, how and by how much, in plain words."""

import numpy as np
import pytest

from lib.common.market_data import field
from lib.lookahead import check
from lib.lookahead.findings import Leak, LeakReport, merged
from tests.lookahead.planted import kinds, small, whole_market
from tests.markets import random_market

DAYS = np.array(["2024-12-10", "2024-12-11"], "M8[D]")
STAGES = ("feature trend", "selection", "training", "prediction")


def leak(stage, kind, day=0, size=1.0, **more):
    return Leak(stage, kind, DAYS[day], "NAS:002", size, **more)


def test_it_says_where_and_by_how_much():
    market = whole_market(3)
    (day,) = check(small(), market, days=1).days
    market.values[3, market.get_index("time").get_loc(str(day)) + 1, 2] = 1e9

    def one_peeks(data, strategy):
        return 7.0 * (data.sel(field="close").shift(time=-1) == 1e9)

    report = check(small(features=[one_peeks]), market, days=1)
    (first,) = (leak for leak in report.findings if leak.stage == "feature one_peeks")
    assert (first.kind, first.day, first.asset, first.size) == ("future", day, "NAS:002", 7)
    text = str(report)
    assert text.startswith("LOOK-AHEAD in ")
    assert "feature one_peeks changes with what comes after the day" in text
    assert f"first seen on {day} for NAS:002, by up to 7." in text


def test_two_features_of_one_name_are_told_apart():
    features = [
        lambda data, strategy: field(data, "close"),
        lambda data, strategy: data.sel(field="close").shift(time=-1),
    ]
    report = check(small(features=features), random_market(3, days=40), days=1)
    assert report.stages[:2] == ("feature <lambda> (1)", "feature <lambda> (2)")
    assert report.findings[0].stage == "feature <lambda> (2)"


def test_a_clean_report_says_what_was_tried():
    report = check(small(features=["trend", "rsi(periods=3)"]), random_market(3, days=40), days=2)
    assert str(report).startswith(
        f"No look-ahead found in {', '.join(report.stages)}: the results for a day are the"
    )
    assert (
        f"Tried: 2 days from {report.days[0]} to {report.days[1]}; feature trend, feature rsi(periods=3)"
        in str(report)
    )
    assert report.notes == ()


def test_one_finding_per_stage_the_gravest_first_in_time():
    found = [
        (7, leak("training", "future", 1, size=3.0)),
        (5, leak("training", "future", 0, size=1.0)),
        (5, leak("training", "dates", 0, size=9.0)),
        (5, leak("training", "future", 0, size=2.0)),
        (7, leak("feature trend", "dates", 1)),
    ]
    assert merged(found, STAGES) == (
        leak("feature trend", "dates", 1),
        leak("training", "future", 0, size=3.0, cases=2),
    )


def test_a_stage_that_is_random_on_one_day_is_random():
    (found,) = merged([(5, leak("selection", "future")), (7, leak("selection", "random", 1))], STAGES)
    assert (found.kind, found.cases) == ("random", 1)


def test_only_the_future_leaks():
    for kind in ("future", "memory", "random", "dates"):
        report = LeakReport((leak("training", kind),), DAYS, STAGES)
        assert report.leaks == (kind in ("future", "memory"))
        assert str(report).startswith("LOOK-AHEAD in 1 place:" if report.leaks else "No look-ahead found")
        assert f"- training {'differs' if kind == 'random' else ''}" in str(report)
    findings = leak("selection", "dates"), leak("training", "memory", error="KeyError: 1")
    mixed = LeakReport(findings, DAYS, STAGES)
    assert "where it fails with KeyError: 1." in str(mixed)
    assert str(mixed).index("LOOK-AHEAD") < str(mixed).index("DEPENDS ON THE DATES")
    assert kinds(mixed) == {"selection": "dates", "training": "memory"}


def test_a_report_names_tables_and_what_it_could_not_look_at():
    report = LeakReport(
        (), DAYS, STAGES, tables=("`prices` (selection)",), unseen=("the file or connection a.csv",)
    )
    headline, unseen = str(report).splitlines()[:2]
    assert "prediction, `prices` (selection), but not all could be looked at" in headline
    assert "a.csv" in unseen
    assert (report.leaks, report.complete) == (False, False)


def test_a_feature_that_divides_by_its_last_value_spoils_the_training_and_is_no_leak():
    def relative(data, strategy):
        return field(data, "close") / field(data, "close")[-1]

    report = check(small(features=[relative]), whole_market(3), days=1)
    assert kinds(report) == {"feature relative": "window"}
    assert (report.leaks, report.complete) == (False, True)
    assert "SPOILS THE TRAINING" in str(report)


TABLES = {  # of tomorrow's prices: a copy, and a way to the data themselves that the check cannot follow
    "a table": lambda market: market.sel(field="open").to_pandas().copy().to_numpy(),
    "the data": lambda market: memoryview(market.values)[1:2],
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_feature_that_spreads_its_last_day_and_reads_tomorrow_is_a_leak(kind):
    market = whole_market(3)
    days, assets, known = market.get_index("time"), market.get_index("asset"), TABLES[kind](market)

    def spoilt(data, strategy):
        table = np.asarray(known).reshape(-1, len(days), len(assets))[0]
        tomorrow = table[min(days.get_loc(data.time.values[-1]) + 1, len(days) - 1)]
        close = field(data, "close")
        return close / close[-1] * tomorrow[assets.get_indexer(data.asset.values)]

    report = check(small(features=[spoilt]), market, days=1)
    assert kinds(report)["feature spoilt"] == "future"
