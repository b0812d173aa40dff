"""One backtest: its figures are the platform's, nothing is left behind, and a draw changes only its part."""

import hashlib
import itertools
import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
import qnt.backtester as qnbt
import qnt.data as qndata
import qnt.stats as qnstats
from hypothesis import given
from hypothesis import strategies as st

from lib.common.competitions import COMPETITIONS
from lib.common.market_data import field
from lib.compare import single_run
from lib.compare.single_run import (
    BLOCK,
    SHORTEST_BACKTEST,
    RunWarning,
    ShuffledTarget,
    _finite,
    block_order,
    check_numbers,
    days_fingerprint,
    draws_for,
    identity_in,
    in_half,
    keep_or_warn,
    keep_record,
    load_market,
    loader,
    plan_record,
    read_records,
    record_key,
    redrawn,
    run_once,
    tried,
    with_shuffled_target,
)
from lib.engine.inputs import get_target_classes
from lib.runs.provenance import market_fingerprint, market_name
from lib.runs.store import identity_of
from lib.stats.sharpe import under_friction
from lib.strategy import Strategy
from tests.markets import random_market
from tests.switches import long

START, END = "2024-12-02", "2024-12-13"
SMALL = Strategy(hidden_size=4, train_period=40, lookback_period=40)
FILES = ("OUTPUT_PATH", "OUT_STATE_PATH")


def planned(strategy, start=START, end=END):
    data, market = load_market(strategy, start, end)
    return plan_record(strategy, start, end, market, days_fingerprint(data, start, end))


@pytest.fixture(scope="module")
def record():
    return run_once(SMALL, planned(SMALL))


@long
def test_the_figures_are_those_of_the_platform(record, tmp_path, monkeypatch):
    for name in FILES:
        monkeypatch.setenv(name, str(tmp_path / name))
    weights, _ = qnbt.backtest_ml(
        **{"load_data": SMALL.load_data, "train": SMALL.train_model, "predict": SMALL.predict},
        **{"train_period": 40, "lookback_period": 40, "retrain_interval": 180, "predict_each_day": True},
        **{"competition_type": "stocks_nasdaq100", "start_date": START, "end_date": END},
        **{"analyze": False, "build_plots": False},
    )
    first = weights.time.values[0] - np.timedelta64(60, "D")
    data = qndata.load_data_by_type("stocks_nasdaq100", min_date=str(first)[:10], max_date=END)
    stats = qnstats.calc_stat(data, weights).sel(time=slice(weights.time.values[0], None))
    assert record["status"] == "finished"
    for name in ("sharpe_ratio", "mean_return", "volatility", "max_drawdown", "avg_turnover"):
        assert record["figures"][name] == pytest.approx(float(stats.sel(field=name)[-1]), abs=1e-12)
    returns = stats.sel(field="relative_return").values
    np.testing.assert_allclose(record["returns"], returns, atol=1e-12)
    assert record["days"] == [START, END]
    assert record["dates"] == [str(day)[:10] for day in weights.time.values]
    rules = COMPETITIONS["stocks_nasdaq100"]
    assert record["friction"] == pytest.approx(under_friction(data, weights, rules), abs=1e-12)
    values = np.ascontiguousarray(weights.transpose("time", "asset").values, "<f8")
    assert record["weights_sha256"] == hashlib.sha256(values.tobytes()).hexdigest()


def test_a_planned_record_has_all_that_its_result_depends_on():
    given = {"start": START, "end": END, "market": "m"}
    record = plan_record(SMALL, *given.values(), "d")
    content = identity_of(SMALL, "lib.compare.single_run").content
    about = {"days_market": "d", "status": "not run", "message": "", "market_name": market_name()}
    assert record == content | given | about | {"modules": record["modules"], "key": record_key(record)}
    assert "lib.compare.single_run" in record["modules"]
    assert identity_in(record).content == content
    assert identity_in(record).modules == record["modules"]
    keys = [record_key(record | {name: "other"}) for name in (*content, "start", "end", "market", "draw")]
    assert len({record["key"], *keys}) == len(keys) + 1
    for name in ("days_market", "status", "modules", "market_name", "seconds"):
        assert record_key(record | {name: "other"}) == record["key"]


@pytest.mark.parametrize(
    ("draw", "days"),
    [
        ({"universe": 1, "start": "2024-12-04", "end": "2024-12-11"}, ("2024-12-04", "2024-12-11")),
        ({"shuffle": 1}, (START, END)),
        ({}, (START, END)),
    ],
)
def test_a_draw_is_backtested_on_its_own_days_and_has_no_friction(draw, days, monkeypatch):
    asked = []

    def backtest(strategy, start, end, load_data):
        asked.append((start, end, strategy == SMALL, load_data(5).sizes["asset"]))
        data = SMALL.load_range(start, end).sel(field="is_liquid", time=slice(start, end), drop=True)
        return data.transpose("asset", "time") / 1000, None

    monkeypatch.setattr(single_run, "backtest", backtest)
    plain = planned(SMALL)
    found = run_once(SMALL, redrawn(plain, draw) if draw else plain)
    assert found["status"] == "finished", found["message"]
    whole = SMALL.load_data(5).asset.values
    assets = in_half(whole, 1).sum() if "universe" in draw else len(whole)
    assert asked == [(*days, "shuffle" not in draw, assets)]
    assert found["days"] == list(days)
    assert ("friction" in found) is not bool(draw)
    assert (found["start"], found["end"]) == (START, END)


def test_functions_are_registered_before_a_run(monkeypatch):
    given = []
    monkeypatch.setattr("lib.runs.store.register", given.append)
    monkeypatch.setattr(single_run, "_backtest", lambda *_: {})
    named = {"lib.features": {"mine": loud}}
    plain = planned(SMALL)
    assert run_once(SMALL, plain, named)["status"] == run_once(SMALL, plain)["status"] == "finished"
    assert given == [named, {}]


@pytest.mark.parametrize("missing", ["figures", "returns"])
def test_a_finished_record_without_its_result_is_damaged(missing, tmp_path):
    plain = plan_record(SMALL, START, END, "m", "d")
    done = plain | {"status": "finished", "figures": {}, "returns": []}
    for wrong in ({**done, missing: None}, {name: value for name, value in done.items() if name != missing}):
        keep_record(tmp_path, wrong)
        (sentence,) = read_records(tmp_path)[1]
        assert sentence == (
            f"{tmp_path / plain['key']}.json is damaged (it is finished but has no {missing}): it is not "
            "counted, and is run again when needed."
        )
    for right in (done, plain):
        keep_record(tmp_path, right)
        assert read_records(tmp_path) == ({plain["key"]: right}, [])


def test_a_run_is_tried_once_in_memory_and_on_disk_whatever_the_order_of_its_parameters(tmp_path):
    """A file that could not be replaced does not hide the run in memory."""
    failed = plan_record(SMALL, START, END, "m", "d") | {"status": "failed"}
    done = failed | {"status": "finished", "figures": {}, "returns": [0.5]}
    keep_record(tmp_path, failed)
    assert tried(tmp_path) == []
    assert tried(tmp_path, iter([done])) == [done]
    keep_record(tmp_path, done)
    other = done | {"code": "other", "parameters": dict(reversed(done["parameters"].items()))}
    other |= {"key": record_key(other)}
    assert tried(tmp_path, [other]) == [other]


def test_a_folder_that_cannot_be_written_is_told_once(monkeypatch, tmp_path):
    def full(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(single_run, "keep_record", full)
    unsaved = {}
    with pytest.warns(RunWarning, match=r"cannot be written \(the disk is gone\): free space") as warned:
        keep_or_warn(tmp_path, unsaved, {"key": "a"})
    keep_or_warn(tmp_path, unsaved, {"key": "b"})  # without a second warning
    assert len(warned) == 1
    assert list(unsaved) == ["a", "b"]


@long
def test_nothing_is_left_behind_and_nothing_changed(record, monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUBMISSION_ID", "-1")  # would end the backtest after its first day
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "mine"))
    before = dict(os.environ)
    again = run_once(SMALL, planned(SMALL))
    assert again["weights_sha256"] == record["weights_sha256"]
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []
    planned(SMALL)
    out, _ = capfd.readouterr()
    assert "Backtest..." not in out
    assert "Backtest..." in again["log"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"market": "0" * 16}, "give both the same market"),
        ({"code": "0" * 16}, "another version of the code"),
        ({"modules": ["none"]}, "another version of the code"),
        ({"versions": {"numpy": "0.1"}}, "another version of numpy"),
    ],
)
def test_a_worker_with_other_data_or_code_is_refused(change, sentence):
    assert sentence in run_once(SMALL, planned(SMALL) | change)["message"]


def loud(data, strategy):
    print("x" * 5000)
    print("about to fail")
    raise KeyError("earnings")


def leaves(data, strategy):
    raise SystemExit(3)


@pytest.mark.parametrize(("feature", "message"), [(loud, "KeyError: 'earnings'"), (leaves, "SystemExit: 3")])
def test_what_goes_wrong_is_in_the_record(feature, message):
    strategy = Strategy(features=[feature], train_period=40, lookback_period=40)
    record = run_once(strategy, planned(strategy))
    assert (record["status"], record["message"]) == ("failed", message)
    assert "Traceback" in record["log"]
    assert "figures" not in record
    if feature is loud:
        assert "x\nabout to fail\n" in record["log"]
        assert len(record["log"]) == 4000


def nothing(data, strategy):
    return np.zeros(data.sizes["asset"], bool)


def test_a_strategy_that_never_trades_has_no_sharpe_ratio_and_is_finished():
    strategy = Strategy(selection=nothing, train_period=40, lookback_period=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record = run_once(strategy, planned(strategy))
    assert record["status"] == "finished"
    assert record["figures"]["sharpe_ratio"] is None
    assert record["figures"]["avg_turnover"] == 0


def test_what_is_not_finite_is_none():
    assert [_finite(x) for x in (np.float64(1.5), np.nan, -np.inf)] == [1.5, None, None]


PLAIN = Strategy(leave_out_unknown=True, target="tradable_open_up")


@given(st.integers(0, 120), st.integers(0, 2**16))
def test_a_shuffle_keeps_every_day_and_the_days_of_a_block_together(days, seed):
    order = block_order(days, [seed])
    assert sorted(order.tolist()) == list(range(days))
    together = sum((b - a) % days == 1 for a, b in itertools.pairwise(order.tolist()))
    assert together >= days - 1 - days // BLOCK


def test_a_shuffle_by_hand():
    rng = np.random.default_rng([3, 7])
    begin, order = int(rng.integers(13)), rng.permutation(3)
    circle = [(begin + day) % 13 for day in range(13)]
    blocks = [circle[:5], circle[5:10], circle[10:]]
    assert BLOCK == 5
    assert block_order(13, [3, 7]).tolist() == [day for k in order for day in blocks[k]]


def test_number_and_last_day_are_the_seed(monkeypatch):
    seeds, data = [], random_market(4)
    monkeypatch.setattr(single_run, "block_order", lambda days, seed: seeds.append(seed) or np.arange(days))
    ShuffledTarget(PLAIN, 6)(data, PLAIN)
    assert seeds == [[6, int(data.time.values[-1].astype("M8[D]").astype(int))]]


def test_places_are_equally_likely():
    """A day stands at each of 20 places in 100 of 2,000 shuffles, ± 10; 5 of those are 50."""
    places = np.array([np.argsort(block_order(20, [seed]))[[0, 13]] for seed in range(2000)])
    for place in places.T:
        counts = np.bincount(place, minlength=20)
        assert (abs(counts - 100) < 50).all()


def test_targets_keep_their_asset_and_what_is_unknown_its_place():
    data = random_market(4)
    before = get_target_classes(data, PLAIN).values
    shuffled = ShuffledTarget(PLAIN, 0)(data, PLAIN)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(before, axis=0))
    unknown = ~np.isfinite(before).any(axis=1)
    assert unknown[-2:].all()
    assert not np.isfinite(shuffled[unknown]).any()
    known = np.flatnonzero(~unknown)
    rows = {row.tobytes() for row in before[known]}
    assert {row.tobytes() for row in shuffled[known]} == rows  # the assets of a day stay together


def test_a_day_is_shuffled_where_the_target_of_any_asset_is_known():
    data = random_market(4)
    late = data.copy(deep=True)
    late[:, :-3, 0] = np.nan
    before = get_target_classes(late, ShuffledTarget(PLAIN, 0).strategy).values
    known = np.isfinite(before).any(axis=1)
    assert known.sum() > np.isfinite(before).all(axis=1).sum()
    shuffled = ShuffledTarget(PLAIN, 0)(late, PLAIN)
    assert np.mean(np.isclose(shuffled[known], before[known], equal_nan=True).all(axis=1)) < 0.9


def test_number_and_window_say_which_shuffle():
    data = random_market(5, days=80)

    def shuffled(number, market=data, **parameters):
        return ShuffledTarget(replace(PLAIN, **parameters), number)(market, PLAIN)

    np.testing.assert_array_equal(shuffled(1), shuffled(1, seed=7, hidden_size=3))
    assert not np.array_equal(shuffled(1), shuffled(2), equal_nan=True)

    def rows(market):
        """Return the order of the days of a window."""
        target = np.broadcast_to(np.arange(79.0)[:, None], market.shape[1:])
        return ShuffledTarget(replace(PLAIN, target=lambda data, strategy: target), 1)(market, PLAIN)

    assert np.array_equal(rows(data[:, 1:]), rows(data[:, 1:]))
    assert not np.array_equal(rows(data[:, 1:]), rows(data[:, :-1]))
    order = block_order(40, [1, 5])
    assert not np.array_equal(order, block_order(40, [1, 6]))


def test_only_the_target_of_a_shuffled_strategy_is_another():
    trained = with_shuffled_target(PLAIN, {"shuffle": 3})
    assert replace(trained, target=PLAIN.target) == PLAIN
    assert (trained.target.number, trained.target.strategy) == (3, PLAIN)
    assert with_shuffled_target(Strategy(), {"shuffle": 0}).target.strategy.leave_out_unknown is True
    assert with_shuffled_target(PLAIN, {}) is PLAIN
    assert with_shuffled_target(PLAIN, {"universe": 3}) is PLAIN


def test_a_target_of_the_user_s_own_is_shuffled():
    def mine(data, strategy):
        assert strategy.target is mine
        return np.arange(data.sizes["time"])[:, None] + field(data, "close") * 0

    data = random_market(4)
    found = ShuffledTarget(Strategy(target=mine), 0)(data, PLAIN)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(mine(data, Strategy(target=mine)), axis=0))


def test_a_half_is_drawn_by_name_alone():
    names = [f"NAS:{k:04}" for k in range(2000)]
    halves = [in_half(names, number) for number in range(4)]
    for half in halves:
        assert abs(half.mean() - 0.5) < 0.05  # 4.5 standard deviations
    assert abs((halves[0] & halves[1]).mean() - 0.25) < 0.05
    np.testing.assert_array_equal(in_half(names[::-1], 2), halves[2][::-1])
    by_hand = [hashlib.sha256(f"2 {name}".encode()).hexdigest()[1] in "02468ace" for name in names]
    assert halves[2].tolist() == by_hand
    assert in_half([], 1).shape == (0,)


def test_a_universe_loads_its_half_whatever_the_period(use_market):
    use_market(random_market(6, assets=12))
    whole, part = PLAIN.load_data(40), loader(PLAIN, {"universe": 1})(40)
    assert part.asset.values.tolist() == whole.asset.values[in_half(whole.asset.values, 1)].tolist()
    assert 0 < part.sizes["asset"] < whole.sizes["asset"]
    np.testing.assert_array_equal(part.values, whole.sel(asset=part.asset).values)
    assert loader(PLAIN, {"shuffle": 1}) == PLAIN.load_data


class Scaled(Strategy):
    """A loader of its own."""

    factor = 1.0

    def load_data(self, period):
        return super().load_data(period) * self.factor


def test_data_of_a_loader_of_ones_own_are_part_of_the_market(use_market, monkeypatch):
    use_market(random_market(6, assets=12))
    market, found = (load_market(kind(), START, END)[1] for kind in (Strategy, Scaled))
    monkeypatch.setattr(Scaled, "factor", 2.0)
    other = load_market(Scaled(), START, END)[1]
    assert len({market, found, other}) == 3
    assert found.startswith(market)
    assert other.startswith(market)


def test_a_loader_of_ones_own_loads_all_days_of_the_run_and_may_fail(use_market):
    use_market(random_market(6, assets=12))
    periods = []

    class Fails(Strategy):
        def load_data(self, period):
            periods.append((period, str(super().load_data(5).time.values[-1])[:10]))
            raise KeyError("mine")

    data, found = load_market(Fails(), START, "2024-12-12")
    days = (data.time.values[-1] - data.time.values[0]).astype("m8[D]").astype(int)
    assert periods == [(days, "2024-12-12")]  # the library loads nothing after the last day
    assert found == f"{market_fingerprint(data)} KeyError"


def test_the_market_of_the_days_is_that_from_the_first_to_the_last():
    data = random_market(6, assets=12)
    days = data.time.values[-20:]
    first, last = str(days[3])[:10], str(days[10])[:10]
    found = []
    for place in (2, 3, 10, 11):
        other = data.copy(deep=True)
        other.loc[{"field": "close", "time": days[place]}] *= 2
        found.append(days_fingerprint(other, first, last) == days_fingerprint(data, first, last))
    assert found == [True, False, False, True]


@given(st.integers(SHORTEST_BACKTEST, 4000))
def test_a_window_is_half_of_the_days_and_lies_among_them(days):
    start = np.datetime64("2001-01-01")
    record = {"start": str(start), "end": str(start + (days - 1))}
    draws = draws_for(record, 2, 8)
    assert draws[:2] == [{"shuffle": 0}, {"shuffle": 1}]
    for draw in draws[2:]:
        first, last = np.datetime64(draw["start"]), np.datetime64(draw["end"])
        assert start <= first <= last <= np.datetime64(record["end"])
        assert (last - first).astype(int) + 1 == days // 2
    assert len({draw["start"] for draw in draws[2:]}) > 3


def test_every_window_of_half_the_days_can_be_drawn():
    odd = {"start": "2024-01-01", "end": "2024-03-01"}
    assert draws_for(odd, 0, 1)[0]["start"] == str(
        np.datetime64("2024-01-01") + np.random.default_rng(0).integers(61 - 30 + 1)
    )
    draws = draws_for({"start": "2024-01-01", "end": "2024-02-29"}, 0, 300)
    assert [draw["universe"] for draw in draws] == list(range(300))
    assert len({draw["start"] for draw in draws}) == 31
    assert min(draw["start"] for draw in draws) == "2024-01-01"
    assert max(draw["end"] for draw in draws) == "2024-02-29"


def test_universes_of_a_short_backtest_are_refused():
    with pytest.raises(ValueError, match="from 60 calendar days or more, not from 59: start earlier"):
        draws_for({"start": "2024-01-01", "end": "2024-02-28"}, 0, 1)
    assert draws_for({"start": "2024-12-02", "end": "2024-12-06"}, 1, 0) == [{"shuffle": 0}]


@pytest.mark.parametrize("number", [-1, 1.5, True, "3"])
def test_a_number_that_is_none_is_refused(number):
    with pytest.raises(ValueError, match="must be a whole number from 0 on"):
        check_numbers(number, 0)
    with pytest.raises(ValueError, match="universes is"):
        check_numbers(0, number)
    check_numbers(0, 0)
