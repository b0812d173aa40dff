"""The files of passes of a strategy whose days depend on one another."""

import numpy as np
import pytest

from lib import Strategy
from lib.common.market_data import days_between
from lib.contest.all_days import Kept, fingerprint_seen, keep_passes, pass_identity, read_passes
from lib.contest.passes import Pass
from lib.runs.store import read_result, write_result
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


def test_a_chain_continues_after_the_last_day_whose_state_is_known():
    days = np.arange(np.datetime64("2024-12-01"), np.datetime64("2024-12-07"))
    names = [str(day) for day in days]
    passes = {name: f"pass of {name}" for name in names if name != names[4]}
    states = {(names[0], names[k]): f"state {k}" for k in (0, 2, 5)} | {(names[1], names[3]): "another"}
    kept = Kept(passes, states)
    assert kept.beginning(days) == ([passes[name] for name in names[:3]], "state 2")
    assert kept.beginning(days[:2]) == ([passes[names[0]]], "state 0")
    assert kept.beginning(days[1:4]) == ([passes[name] for name in names[1:4]], "another")
    assert kept.beginning(days[:0]) == kept.beginning(days[4:]) == ([], None)


def test_the_longest_load_of_its_passes_is_part_of_a_files_market(tmp_path):
    strategy, identity = Strategy(**TINY), pass_identity(Strategy(**TINY))
    days = days_between(MARKET, np.datetime64("2024-12-20"), END)
    passes = [Pass(str(day), {}, None, {}, 0.1, widest=40 if day == days[1] else 0) for day in days]
    keep_passes(tmp_path, passes, MARKET, strategy, identity)
    (path,) = tmp_path.iterdir()
    seen = fingerprint_seen(MARKET, days[0], days[-1], strategy, 40)
    assert path.name == f"{days[0]}_{days[-1]}_{seen}.json"
    kept, damaged = read_passes(tmp_path, MARKET, strategy, identity)
    assert (list(kept.passes.values()), kept.states, damaged) == (passes, {}, [])
    earlier = MARKET.sel(time=slice(None, days[-2]))  # a run that ends before the file does
    assert read_passes(tmp_path, earlier, strategy, identity) == (Kept({}, {}), [])


@pytest.mark.parametrize(
    ("own", "change", "reason"),
    [
        (True, {"state": "bm8gc3RhdGU="}, "its state is damaged"),
        (True, {"chain": None}, "it was computed in another way"),
        (False, {"chain": "2024-12-20"}, "it was computed in another way"),
        (False, {"passes": slice(1, None)}, "it holds other days than its name says"),
        (False, {"passes": slice(-1)}, "it holds other days than its name says"),
        (False, {"market": "0" * 16}, "it holds other days than its name says"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_named_and_not_used(own, change, reason, tmp_path):
    strategy = (Own if own else Strategy)(**TINY)
    identity, days = pass_identity(strategy), days_between(MARKET, np.datetime64("2024-12-20"), END)
    passes = [Pass(str(day), {}, None, {}, 0.1, {}) for day in days]
    keep_passes(tmp_path, passes, MARKET, strategy, identity, *[(str(days[0]), None)] * own)
    (path,) = tmp_path.iterdir()
    content = read_result(path, identity.key)
    ((name, value),) = change.items()
    write_result(
        path, identity.key, content | {name: content[name][value] if isinstance(value, slice) else value}
    )
    kept, sentences = read_passes(tmp_path, MARKET, strategy, identity)
    assert kept.passes == {}
    assert sentences == [f"{path} is damaged ({reason}): its days are computed again."]


def test_a_load_from_before_the_data_counts(use_market):
    use_market(MARKET)
    whole = Strategy().load_data(60)
    part = whole.sel(time=slice("2024-12-02", None))
    seen = [fingerprint_seen(data, "2024-12-20", END, Strategy(**TINY), 40) for data in (whole, part)]
    assert seen[0] == seen[1]
    assert seen[0] != fingerprint_seen(part, "2024-12-20", END, Strategy(**TINY))
