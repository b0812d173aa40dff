"""The whole run: equal to a chain of single passes, however it is computed, interrupted or extended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from torch import nn

from lib import Strategy
from lib.common.competitions import COMPETITIONS
from lib.common.market_data import days_between, window_of
from lib.contest import all_days
from lib.contest.all_days import (
    Kept,
    PassError,
    RunStopped,
    fingerprint_seen,
    keep_passes,
    pass_identity,
    read_passes,
    whole_run,
)
from lib.contest.passes import Pass
from lib.engine import training
from lib.engine.inputs import training_set_of
from lib.runs.store import read_result, write_result
from tests.contest.strategies import OWN, TINY, broken
from tests.markets import changed_after, random_market
from tests.switches import long, longest
from tests.systems import needs_fork

PROJECT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::lib.engine.training.{kind}")
    for kind in ("TrainingWarning", "FeatureWarning")
]
START, END = np.datetime64("2024-11-28"), np.datetime64("2024-12-30")
MARKET = random_market(11, days=130, assets=12)


def run(folder, strategy=OWN, market=MARKET, start=START, end=END, **where):
    data = market.sel(time=slice(None, end))
    return whole_run(
        strategy, data, start, end, Path(folder), pass_identity(strategy), progress=False, **where
    )


def chain(strategy, market, start, end):
    """Weights of single passes, one after the other, on every asset of the market."""
    state, rows = None, []
    for day in days_between(market, start, end):
        models = strategy.train_model(window_of(market, day, strategy.train_period))
        weights, state = strategy.predict(models, window_of(market, day, strategy.lookback_period), state)
        rows.append(weights.isel(time=-1, drop=True).reindex(asset=market.asset, fill_value=0).values)
    return np.stack(rows)


POSITIONS = {"sizing": "inverse_volatility(days=4)", "rebalance_interval": 4, "min_change": 0.02}


@long
@pytest.mark.parametrize(
    ("options", "own"),
    [({}, False), ({"blend": "none"}, True)],
    ids=["outputs", "own predict"],
)
def test_a_resumed_run_keeps_the_positions_between_rebalances(here, tmp_path, options, own):
    """An interrupted run equals the chain, whether its outputs are kept or its weights and states."""
    strategy = Strategy(**TINY, **POSITIONS, **options, model="constant", max_weight=0.5)
    if own:
        strategy = strategy.with_functions(predict=strategy.predict)
    start = np.datetime64("2024-11-25")
    here.stop = 1
    if own:  # its months are kept one by one
        run(tmp_path, strategy, start=start, end=np.datetime64("2024-11-29"))
    else:
        with pytest.raises(RunStopped):
            run(tmp_path, strategy, start=start)
    here.stop, here.months = None, []
    (weights, _), _ = run(tmp_path, strategy, start=start)
    assert [month for month, _ in here.months] == ["2024-12"]
    assert np.array_equal(weights.values, chain(strategy, MARKET, start, END))
    changes = (np.abs(np.diff(weights.values, axis=0)) > 0).any(axis=1)
    assert 0 < changes.sum() < len(changes)
    here.months.clear()
    assert run(tmp_path, strategy, start=start)[0].weights.equals(weights)
    assert here.months == []


def test_shorts_in_a_long_only_competition_end_the_run_after_its_first_month(here, tmp_path):
    strategy = Strategy(**TINY, model="constant", sizing=lambda outputs, strategy: -outputs)
    long_only = COMPETITIONS["stocks_nasdaq100"]._replace(long_only=True)
    with (
        patch.dict(COMPETITIONS, {"stocks_nasdaq100": long_only}),
        pytest.raises(ValueError, match="sizing <lambda> returns negative weights, but stocks_nasdaq100 is"),
    ):
        run(tmp_path, strategy)
    assert here.months == [("2024-11", 2)]


@pytest.fixture(scope="module")
def expected():
    return chain(OWN, MARKET, START, END)


def test_it_equals_a_chain_of_single_passes(here, tmp_path, expected):
    (weights, passes), damaged = run(tmp_path)
    assert np.abs(weights.values - expected).max() <= 1e-9
    assert weights.dims == ("time", "asset")
    assert (np.abs(weights) > 0).any("asset").mean() > 0.9
    assert not damaged
    assert here.months == [("2024-11", 2), ("2024-12", 21)]
    assert {asset for entry in passes for asset in entry.outputs} <= set(MARKET.asset.values.tolist())


class Line(nn.Module):
    """A model of the user's own."""

    def __init__(self, n_features, strategy):
        super().__init__()
        self.linear = nn.Linear(n_features, 1)

    def forward(self, x):
        return self.linear(x).squeeze(-1)


@long
def test_a_model_in_torch_and_memory_equal_the_chain_too(here, tmp_path):
    strategy = Strategy(**TINY, model=Line, whole_sequence=True, leave_out_unknown=True)
    start = np.datetime64("2024-12-17")
    (weights, _), _ = run(tmp_path, strategy, start=start)
    assert np.abs(weights.values - chain(strategy, MARKET, start, END)).max() <= 1e-9


def test_an_interrupted_run_goes_on_where_it_was(here, tmp_path, expected):
    here.stop = 1
    with pytest.raises(RunStopped, match="the same command continues"):
        run(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    here.stop, here.months = None, []
    (weights, _), _ = run(tmp_path)
    assert here.months == [("2024-12", 21)]
    assert np.array_equal(weights.values, expected)


@long
def test_a_later_end_computes_only_the_new_days(here, tmp_path, expected):
    run(tmp_path, end=np.datetime64("2024-12-11"))
    here.months.clear()
    run(tmp_path, end=np.datetime64("2024-12-12"))
    assert here.months == [("2024-12", 1)]
    here.months.clear()
    (weights, _), _ = run(tmp_path)
    assert here.months == [("2024-12", 12)]
    assert np.array_equal(weights.values, expected)
    here.months.clear()
    run(tmp_path)
    run(tmp_path, start=np.datetime64("2024-12-02"))  # within what is kept
    assert here.months == []


@long
def test_another_market_is_another_run_from_the_change_on(here, tmp_path):
    short = {"start": np.datetime64("2024-11-29"), "end": np.datetime64("2024-12-10")}
    (before, _), _ = run(tmp_path, **short)
    here.months.clear()
    row = MARKET.get_index("time").get_loc("2024-12-05")
    other = changed_after(MARKET, row)
    (weights, _), _ = run(tmp_path, market=other, **short)
    assert [name for name, _ in here.months] == ["2024-12"]
    assert np.array_equal(weights.values, chain(OWN, other, short["start"], short["end"]))
    here.months.clear()
    (again, _), _ = run(tmp_path, **short)  # what belongs to the first market is still there
    assert again.equals(before)
    assert here.months == []


def test_the_lookback_window_may_be_the_longer_one(here, tmp_path):
    """A change that only the lookback window of the first day sees makes another run."""
    sees_all = {
        **TINY,
        "lookback_period": 60,
        "whole_sequence": True,
        "sizing": "inverse_volatility(days=40)",
    }
    strategy = Strategy(**sees_all, blend="none", max_weight=1.0)
    short = {"start": np.datetime64("2024-12-27")}
    (before, _), _ = run(tmp_path, strategy, **short)
    assert np.array_equal(before.values, chain(strategy, MARKET, short["start"], END))
    other, row = MARKET.copy(deep=True), MARKET.get_index("time").get_loc("2024-12-06")
    other.values[:4, row] *= 1.5
    (after, _), _ = run(tmp_path, strategy, other, **short)
    assert not after.equals(before)
    assert np.array_equal(after.values, chain(strategy, other, short["start"], END))


def test_whatever_decides_a_pass_changes_the_key(monkeypatch):
    def other(data, strategy):
        return data.sel(field="open")

    strategies = OWN, Strategy(**TINY), Strategy(**TINY, features=[other])
    keys = [pass_identity(strategy).key for strategy in strategies]
    monkeypatch.setattr("lib.runs.provenance.code_fingerprint", lambda modules: "edited")
    keys += [pass_identity(strategy).key for strategy in strategies]
    monkeypatch.setattr("lib.runs.provenance.versions", lambda strategy: {"numpy": "3.0"})
    keys += [pass_identity(strategy).key for strategy in strategies]
    assert len(set(keys)) == 9


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        pytest.param(lambda text: text.replace('"2024-12-', '"2024-12-0', 1), marks=long),
        pytest.param(lambda text: "[]", marks=long),
        pytest.param(lambda text: json.dumps({"passes": json.loads(text)["passes"]}), marks=long),
        lambda text: text.replace('"key": "', '"key": "0'),
    ],
    ids=["cut off", "changed", "another thing", "no checksum", "another key"],
)
def test_a_damaged_file_is_computed_again_with_a_message(here, tmp_path, damage):
    short = {"start": np.datetime64("2024-11-27"), "end": np.datetime64("2024-12-04")}
    (first, _), _ = run(tmp_path, **short)
    (path,) = tmp_path.glob("2024-12*")
    path.write_text(damage(path.read_text("utf-8")), "utf-8")
    here.months.clear()
    (weights, _), damaged = run(tmp_path, **short)
    assert [name for name, _ in here.months] == ["2024-12"]
    assert len(damaged) == 1
    assert path.name in damaged[0]
    assert weights.equals(first)


def test_a_foreign_file_is_left_alone(here, tmp_path):
    (tmp_path / "a_b_c.json").write_text("mine", "utf-8")
    _, damaged = run(tmp_path, start=np.datetime64("2024-12-27"))
    assert not damaged
    assert (tmp_path / "a_b_c.json").read_text("utf-8") == "mine"


def test_a_pass_that_fails_is_named(here, tmp_path):
    with pytest.raises(PassError, match="A pass in 2024-12 failed: ValueError: no such column: earnings"):
        run(tmp_path, Strategy(**TINY, features=[broken]), start=np.datetime64("2024-12-27"))


def test_a_worker_with_another_version_is_refused(here, tmp_path, monkeypatch):
    known = pass_identity(OWN)
    older = known._replace(content=known.content | {"code": "older"})
    monkeypatch.setattr("tests.contest.test_all_days.pass_identity", lambda _: older)
    with pytest.raises(PassError, match="another version of the code"):
        run(tmp_path, start=np.datetime64("2024-12-27"))


def test_the_code_of_a_pass_is_part_of_its_identity():
    modules = pass_identity(OWN).modules
    assert {"lib.contest.passes", "lib.engine.prediction", "lib.engine.training"} <= set(modules)
    assert "tests.contest.strategies" in modules
    assert "lib.contest.verdict" not in modules


def test_the_kept_days_of_another_strategy_are_not_taken(here, tmp_path):
    short = {"start": np.datetime64("2024-12-27")}
    first = run(tmp_path / "first", **short)[0].weights
    other = Strategy(**TINY)
    wanted = run(tmp_path / "other", other, **short)[0].weights
    assert not first.equals(wanted)
    (path,), (foreign,) = (list((tmp_path / name).glob("*.json")) for name in ("other", "first"))
    path.write_bytes(foreign.read_bytes())
    (weights, _), damaged = run(tmp_path / "other", other, **short)
    assert weights.equals(wanted)
    assert "belongs to another result" in damaged[0]


def test_market_data_are_sent_in_lots(here, tmp_path, monkeypatch):
    short = {"start": np.datetime64("2024-11-28"), "end": np.datetime64("2024-12-03")}
    at_once = run(tmp_path / "at once", **short)[0].weights
    here.months.clear()
    monkeypatch.setattr(all_days, "BYTES_AT_ONCE", 1)
    assert run(tmp_path / "in lots", **short)[0].weights.equals(at_once)
    assert here.months == [("2024-11", 2), ("2024-12", 2)]


@pytest.mark.parametrize("own", [False, True])
def test_the_bar_counts_kept_days_at_once(own, bars, here, tmp_path, monkeypatch):
    made = bars(all_days)
    monkeypatch.setattr(all_days, "MONTHS_AT_ONCE", 1)
    strategy = Strategy(**TINY, model="constant")
    if own:
        strategy = strategy.with_functions(predict=strategy.predict)
    folder = tmp_path / "two" / "folders"
    for end in ("2024-11-29", "2024-12-03"):
        data = MARKET.sel(time=slice(None, end))
        whole_run(
            strategy,
            data,
            START,
            np.datetime64(end),
            folder,
            pass_identity(strategy),
            title="mine",
            workers=1,
        )
    run(folder, strategy, end=np.datetime64("2024-12-03"))
    found = [[step for step in bar.steps if step] for bar in made]
    assert found == ([[1, 1], [2, 1, 1], [4]] if own else [[2], [2, 2], [4]])
    assert [bar.options for bar in made] == [
        *({"total": total, "desc": "mine", "unit": "day", "disable": False} for total in (2, 4)),
        {"total": 4, "desc": "passes", "unit": "day", "disable": True},
    ]


@pytest.mark.parametrize("workers", [pytest.param(1, marks=longest), pytest.param(2, marks=long)])
def test_workers_have_no_say_in_the_result(tmp_path, workers, expected):
    assert np.array_equal(run(tmp_path, workers=workers)[0].weights.values, expected)


@longest
def test_a_local_cluster_of_dask_gives_the_same(tmp_path, expected):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        weights = run(tmp_path, backend="dask", scheduler=cluster.scheduler_address)[0].weights
    assert np.array_equal(weights.values, expected)


@needs_fork
@long
def test_a_killed_run_loses_only_what_was_in_progress(tmp_path, expected):
    code = "from tests.contest.test_all_days import *; import sys; run(sys.argv[1], workers=1)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, start_new_session=True
    )
    while not list(tmp_path.glob("*.json")):
        time.sleep(0.01)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(tmp_path.glob("*.json")))
    assert kept >= 1
    assert np.array_equal(run(tmp_path, workers=2)[0].weights.values, expected)


@long
def test_windows_trained_together_have_the_bits_of_windows_trained_alone():
    strategy = Strategy(hidden_size=5, top_assets=4, train_period=60)
    days = days_between(MARKET, np.datetime64("2024-12-19"), END)
    windows = [window_of(MARKET, day, 60) for day in days]
    together = training.train_sets([training_set_of(window, strategy) for window in windows], strategy)
    for models, window in zip(together, windows, strict=True):
        alone = strategy.train_model(window)
        assert list(models) == list(alone)
        assert models.fits == alone.fits
        assert all(np.array_equal(models.row(asset), alone.row(asset)) for asset in alone)


class Damped(Strategy):
    """Own methods: half the assets' models are dropped, and a position is kept at most three days."""

    def train_model(self, data):
        models = super().train_model(data)
        return {asset: models[asset] for asset in list(models)[::2]}

    def predict(self, models, data, state):
        weights, state = super().predict(models, data, state)
        held = {str(asset): int(state.memory.get(asset, 0)) + 1 for asset in state.weights}
        state = state.with_memory({asset: days % 4 for asset, days in held.items()})
        chosen = [state.memory.get(asset, 0) > 0 for asset in weights.asset.values.tolist()]
        return weights * np.array(chosen, float), state


class Sums(Strategy):
    """Models and a state of another kind."""

    def train_model(self, data):
        return {"mean": float(data.sel(field="close").mean())}

    def predict(self, models, data, state):
        count = (state or {"days": 0})["days"] + 1
        row = (data.sel(field="is_liquid") > 0).isel(time=[-1]).astype(float)
        return row * models["mean"] / (1000 + count), {"days": count}


class Rule(Strategy):
    """A rule that keeps no state."""

    def train_model(self, data):
        return None

    def predict(self, models, data):
        return (data.sel(field="is_liquid") > 0).isel(time=[-1]) / 40


class Loads(Damped):
    """A loader of its own: every second asset."""

    def load_data(self, period):
        return super().load_data(period).isel(asset=slice(None, None, 2))


@pytest.mark.parametrize("kind", [pytest.param(Damped, marks=long), Sums, Rule])
def test_methods_of_ones_own_equal_the_chain_and_resume(kind, here, tmp_path):
    strategy, start = kind(**TINY), np.datetime64("2024-12-16")
    other = Path(tmp_path) / "one"
    expected = chain(strategy, MARKET, start, END)
    totals = np.abs(expected).sum(axis=1, keepdims=True)
    expected = expected / np.maximum(totals, 1)
    (weights, _), damaged = run(other, strategy, start=start)
    assert not damaged
    assert np.abs(weights.values - expected).max() <= 1e-12
    assert (weights.values != 0).any()
    here.months.clear()
    (again, _), _ = run(other, strategy, start=start)
    assert np.array_equal(again.values, weights.values)
    assert bool(here.months) == (kind is Sums)  # a state of another kind is not kept
    here.months.clear()
    (later, _), _ = run(other, strategy, start=np.datetime64("2024-12-24"))
    assert here.months  # another first day is another chain
    assert np.array_equal(
        later.values, run(tmp_path / "two", strategy, start=np.datetime64("2024-12-24"))[0].weights
    )


@long
def test_what_is_kept_of_one_strategy_is_not_taken_for_another(here, tmp_path):
    start = np.datetime64("2024-12-23")
    run(tmp_path, Damped(**TINY), start=start)
    (weights, _), damaged = run(tmp_path, Strategy(**TINY), start=start)
    assert "belongs to another result" in damaged[0]
    assert np.abs(weights.values - chain(Strategy(**TINY), MARKET, start, END)).max() <= 1e-9


@long
def test_a_loader_of_ones_own_is_used_and_nothing_is_kept(use_market, here, tmp_path):
    use_market(MARKET)
    start = np.datetime64("2024-12-18")
    (weights, _), _ = run(tmp_path, Loads(**TINY), start=start)
    assert (weights.values != 0).any()
    assert not (weights.values != 0)[:, 1::2].all(axis=0).any()
    assert not list(tmp_path.glob("*.json"))


def looks_back(data, strategy):
    """A feature that loads more than the windows."""
    before = strategy.load_data(60).sel(field="close").reindex(asset=data.asset)
    return data.sel(field="close") / before.mean("time")


def test_a_change_before_the_windows_is_seen_where_a_function_loads_more(use_market, here, tmp_path):
    strategy, short = Strategy(**TINY, features=[looks_back]), {"start": np.datetime64("2024-12-20")}
    use_market(MARKET)
    run(tmp_path, strategy, **short)
    here.months.clear()
    run(tmp_path, strategy, **short)
    assert here.months == []
    other = MARKET.copy(deep=True)
    other.loc[{"time": slice("2024-10-25", "2024-11-08")}] *= 1.5  # before the windows of 20 days
    use_market(other)
    run(tmp_path, strategy, market=other, **short)
    assert [name for name, _ in here.months] == ["2024-12"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            lambda row: row.assign_coords(asset=[f"X{k}" for k in range(row.sizes["asset"])]),
            "not in the compet",
        ),
        (lambda row: row.assign_coords(time=row.time - np.timedelta64(1, "D")), "those of the last day"),
    ],
    ids=["unknown assets", "another day"],
)
def test_weights_that_cannot_be_those_of_the_day_are_refused(wrong, says, here, tmp_path):
    strategy = Strategy(**TINY).with_functions(
        train_model=lambda data: None,
        predict=lambda models, data, state: (
            wrong((data.sel(field="is_liquid") > 0).isel(time=[-1]) / 40),
            None,
        ),
    )
    with pytest.raises(PassError, match=says):
        run(tmp_path, strategy, start=np.datetime64("2024-12-27"))


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


def test_a_file_of_a_single_day_is_read_and_one_whose_name_holds_no_days_is_no_file(tmp_path):
    strategy, identity = Strategy(**TINY), pass_identity(Strategy(**TINY))
    first, last = (str(day)[:10] for day in MARKET.time.values[[0, -1]])
    entries = [Pass(day, {}, None, {}, 0.1) for day in (first, last)]
    for entry in entries:
        keep_passes(tmp_path, [entry], MARKET, strategy, identity)
    (tmp_path / "2024-11-31_2024-11-31_0.json").write_text("{}", encoding="utf-8")
    kept, sentences = read_passes(tmp_path, MARKET, strategy, identity)
    assert (kept.passes, sentences) == ({first: entries[0], last: entries[1]}, [])


def test_market_data_in_memory_are_limited(tmp_path, monkeypatch):
    """A lot ends with the call that exceeds the limit."""
    monkeypatch.setattr(all_days, "pack", lambda *_: bytes(10))
    monkeypatch.setattr(all_days, "BYTES_AT_ONCE", 15)
    months = [(f"month {k}", list(MARKET.time.values[-2:].astype("M8[D]"))) for k in range(5)]
    run = all_days._Run(OWN, MARKET, None, tmp_path, None, None, None, {})
    assert [len(jobs) for jobs in run.jobs(None, months)] == [2, 2, 1]


def test_predictions_in_sequence_are_silent(here, tmp_path, capsys):
    def predict(models, data, state):
        print("a line of the user's")
        return data.isel(field=0, time=[-1]) * 0, state

    strategy = Strategy(**TINY, model="constant").with_functions(predict=predict)
    (weights, passes), _ = run(tmp_path, strategy, start=np.datetime64("2024-12-30"))
    assert (len(passes), float(np.abs(weights).sum())) == (1, 0.0)
    assert capsys.readouterr() == ("", "")


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
