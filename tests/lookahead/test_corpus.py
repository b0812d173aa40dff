"""No planted leak is missed silently, and no honest strategy is accused."""

from dataclasses import replace

import pytest

from lib.lookahead import check
from tests.lookahead.corpus import HONEST, LEAKS
from tests.lookahead.planted import kinds
from tests.markets import as_crypto, random_market
from tests.switches import ALL, LONG

# one of each kind in the ordinary suite
SOME_LEAKS = [
    "next_close",
    "target_of_table",
    "loading_by_last",
    "selection_of_mapped_file",
]
SOME_LEAKS += ["sizing_with_a_second_load"]
SOME_HONEST = [
    "loading_through_the_strategy",
    "own_functions",
    "own_load",
    "own_predict",
]
SOME_HONEST += ["sizing_of_the_window"]
DEPEND_ON_DATES = ("table_up_to_the_day", "meetings_known_in_advance")

pytestmark = pytest.mark.usefixtures("in_one_process")


STOCKS, CRYPTO = "stocks_nasdaq100", "crypto_daily_long_short"  # sizings with shorts run on both


@pytest.fixture
def market(use_market, request):
    market = random_market(12, days=60)
    market.values[:7] = market[:7].ffill("time").bfill("time").fillna(1).values
    market.values[7] = 1
    if request.param == CRYPTO:
        market = as_crypto(market)
    use_market(market.copy(deep=True))
    return market


def test_the_corpus_is_large():
    assert len(LEAKS) >= 44
    assert len(HONEST) >= 25


def sample(cases, few):
    """Return the cases of a run: all take minutes, so the switch adds every twelfth to a few of each run."""
    return list(cases) if ALL else sorted({*few, *list(cases)[::12]}) if LONG else few


def traded(strategy, market):
    """Return the strategy on the competition of the market."""
    return replace(strategy, competition_type=STOCKS if market.name == STOCKS else CRYPTO)


def on_both_markets(cases, few):
    """Return (name, competition) of each case; on crypto the ordinary run has one."""
    pairs = [(name, STOCKS) for name in sample(cases, few)]
    return pairs + [(name, CRYPTO) for name in sample(cases, few[:1])]


@pytest.mark.parametrize(("name", "market"), on_both_markets(LEAKS, SOME_LEAKS), indirect=["market"])
def test_a_planted_leak_is_not_missed_silently(name, market, tmp_path):
    case = LEAKS[name]
    prices = market.copy(deep=True)
    before = market.copy(deep=True)
    report = check(traded(case.make(market, prices, tmp_path), market), market, days=3)
    assert report.leaks == (case.told == "leak"), report
    if case.told == "named":
        assert report.notes or report.unseen
    elif case.told != "leak":
        assert case.told in kinds(report).values(), report
    assert case.words in str(report), report
    assert market.identical(before)
    assert prices.identical(before)


@pytest.mark.parametrize(("name", "market"), on_both_markets(HONEST, SOME_HONEST), indirect=["market"])
def test_an_honest_strategy_is_not_accused(name, market, tmp_path):
    strategy = traded(HONEST[name](market, market.copy(deep=True), tmp_path), market)
    report = check(strategy, market, days=3 if LONG else 1)
    assert not report.leaks, report
    assert set(kinds(report).values()) <= ({"dates"} if name in DEPEND_ON_DATES else set()), report
    assert report.unseen == ()
