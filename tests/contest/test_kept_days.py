"""The files of passes of a strategy whose days depend on one another."""

import numpy as np

from lib import Strategy
from lib.common.market_data import days_between
from lib.contest.all_days import fingerprint_seen, keep_passes, pass_identity, read_passes
from lib.contest.passes import Pass
from tests.contest.strategies import TINY
from tests.markets import random_market

MARKET = random_market(11, days=60, assets=12)
END = np.datetime64("2024-12-30")


class Own(Strategy):
    """A strategy with a method of its own."""

    def predict(self, models, data, state):
        return super().predict(models, data, state)


def test_a_chain_continues_only_where_it_began_on_the_same_day(tmp_path):
    strategy, days = Own(**TINY), days_between(MARKET, np.datetime64("2024-12-20"), END)
    identity = pass_identity(strategy)
    passes = [Pass(str(day), {}, None, {}, 0.1, {}) for day in days]
    for part in (passes[:3], passes[3:]):
        keep_passes(tmp_path, part, MARKET, strategy, identity, (str(days[0]), None))
    kept, damaged = read_passes(tmp_path, MARKET, strategy, identity)
    assert damaged == []
    assert kept.beginning(days) == (passes, None)
    assert kept.beginning(days[3:]) == ([], None)


def test_a_load_from_before_the_data_counts(use_market):
    use_market(MARKET)
    whole = Strategy().load_data(60)
    part = whole.sel(time=slice("2024-12-02", None))
    seen = [fingerprint_seen(data, "2024-12-20", END, Strategy(**TINY), 40) for data in (whole, part)]
    assert seen[0] == seen[1]
    assert seen[0] != fingerprint_seen(part, "2024-12-20", END, Strategy(**TINY))
