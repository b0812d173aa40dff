"""Positions from outputs: blend, short positions, small changes and rebalances, day by day."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import Strategy
from lib.common.market_data import days_between, field, last_rows, tradable, window_of
from lib.contest.passes import Pass, follow
from lib.engine.prediction import KnownOutputs, blend, predict_days, without_small_changes
from lib.sizing import inverse_volatility
from lib.state import from_bytes, to_bytes
from tests import reference
from tests.contest.strategies import OWN
from tests.markets import random_market
from tests.switches import ALL, LONG

MARKET = random_market(11, days=130, assets=12)
START, END = np.datetime64("2024-11-22"), np.datetime64("2024-12-30")
DAYS = days_between(MARKET, START, END)
ASSETS = MARKET.asset.values.tolist()


def tilted(outputs, data, strategy, days=5):
    """Return short and long raw weights that depend on the window."""
    close = data.sel(field="close").ffill("time").values
    return np.nan_to_num(close[-1] / close[-days] - 1) * 3 + (outputs - 0.5) / 8


OPTIONS = {
    "blend": ("mean", "none"),
    "min_change": (0.0, 0.02),
    "rebalance_interval": (1, 5),
    "sizing": ("as_output", "long_short", tilted),
}
COMBINATIONS = [dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values())]


def named(options):
    return "-".join(getattr(value, "__name__", str(value)) for value in options.values())


def random_outputs(seed, size=0.2):
    """Return the models with an output of each day, by asset, and those outputs."""
    rng = np.random.default_rng(seed)
    known = []
    for _ in DAYS:
        models = [asset for asset in ASSETS if rng.random() < 0.8]
        outputs = {asset: rng.normal(0, size) for asset in models if rng.random() < 0.9}
        known.append(KnownOutputs(outputs, models))
    return known


def steps_of(known, strategy, days=DAYS):
    return zip(known, (window_of(MARKET, day, strategy.lookback_period) for day in days), strict=True)


@pytest.mark.parametrize("options", COMBINATIONS[:: 1 if LONG else 2], ids=named)
def test_positions_equal_the_plain_loop(options):
    """The engine's positions are those of the reference, in every combination of options."""
    strategy = dataclasses.replace(OWN, **options)
    known, size = random_outputs(3), {asset: k for k, asset in enumerate(ASSETS)}
    function = {"as_output": None, "long_short": long_short}.get(options["sizing"], tilted)
    raw, may, found = [], [], []
    for (outputs, models), window in steps_of(known, strategy):
        names = window.asset.values.tolist()
        liquid = dict(zip(names, field(window, "is_liquid")[-1].tolist(), strict=True))
        may.append(
            {
                a
                for a, yes in zip(
                    names, tradable(field(window, "is_liquid")[-1], field(window, "close")[-1]), strict=True
                )
                if yes
            }
        )
        row = {
            a: x for a, x in sorted(outputs.items(), key=lambda item: size[item[0]]) if liquid.get(a, 0) > 0
        }
        if function is tilted:
            values = tilted(np.array(list(row.values())), window.sel(asset=list(row)), strategy)
            row = dict(zip(row, values.tolist(), strict=True))
        elif function:
            row = function(row)
        gone = {a: np.nan for a in models if np.isnan(liquid.get(a, 0))}
        raw.append(row | gone)
    for weights, state in predict_days(strategy.predict, steps_of(known, strategy)):
        values = dict(zip(weights.asset.values.tolist(), weights.values[0].tolist(), strict=True))
        found.append((dict(state.weights), {a: w for a, w in values.items() if w}))
    rules = {name: options[name] for name in ("blend", "min_change", "rebalance_interval")}
    expected = reference.follow(raw, may, shorts=options["sizing"] != "as_output", **rules)
    for day, here, there in zip(DAYS, found, expected, strict=True):
        for mine, plain in zip(here, there, strict=True):
            assert mine == pytest.approx({a: w for a, w in plain.items() if w}, abs=1e-12), day
    assert any(weight < 0 for _, row in found for weight in row.values()) == (
        options["sizing"] != "as_output"
    )


def long_short(outputs):
    """Return plain weights by rank: the upper half long, the lower half short."""
    order = sorted(outputs, key=outputs.get)
    half = len(order) // 2
    sides = {**dict.fromkeys(order[:half], -1), **dict.fromkeys(order[len(order) - half :], 1)}
    return {asset: sides.get(asset, 0) / 2 / max(half, 1) for asset in outputs}


@pytest.fixture(scope="module")
def trained():
    """Return the models of every day, and the passes that keep their outputs."""
    strategy, models = OWN, []
    days = DAYS[-14:]
    for day in days:
        models.append(strategy.train_model(window_of(MARKET, day, strategy.train_period)))
    outputs = [
        {asset: (k * 7 + place * 5) % 11 / 10 - 0.5 for place, asset in enumerate(each)}
        for k, each in enumerate(models)
    ]
    passes = [
        Pass(str(day), row, list(each), each.dropped, 0.0)
        for day, row, each in zip(days, outputs, models, strict=True)
    ]
    return days, passes


@pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning")
@pytest.mark.parametrize(
    "options",
    [each for each in COMBINATIONS if each["sizing"] != "as_output"][:: 1 if LONG else 4],
    ids=named,
)
def test_the_contests_chain_equals_passes_with_state_files(options, trained):
    """The weights of the contest are those of single passes that hand on a file, each run twice."""
    strategy = dataclasses.replace(OWN, **options, max_weight=0.3)
    days, passes = trained
    weights, state = follow(strategy, MARKET.sel(time=slice(None, END)), passes), None
    for day, entry in zip(days, passes, strict=True):
        known = KnownOutputs(entry.outputs, set(entry.models))
        window = window_of(MARKET, day, strategy.lookback_period)
        row, after = strategy.predict(known, window, state)
        again, same = strategy.predict(known, window, from_bytes(to_bytes(after)))
        assert again.equals(row)
        assert same == after
        state = from_bytes(to_bytes(after))
        expected = row.isel(time=0).reindex(asset=MARKET.asset, fill_value=0).values
        assert np.array_equal(weights.sel(time=day).values, expected)
    assert (weights != 0).any()


POSITIONS = st.lists(
    st.tuples(st.floats(-2, 2) | st.just(0.0) | st.just(np.nan), st.floats(-0.1, 0.1)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300 if ALL else 100 if LONG else 40, deadline=None, derandomize=True)
@given(POSITIONS, st.booleans(), st.floats(0, 0.08), st.floats(0, 0.04))
def test_positions_are_valid_and_change_enough_or_not_at_all(pairs, mean, min_change, min_weight):
    new, old = np.array(pairs).T
    old = old / max(np.abs(old).sum(), 1.0)
    target = blend(new, old, min_weight, 0.1, mean=mean, shorts=True)
    weights = without_small_changes(target, old, new, min_change)
    for row in (target, weights):
        assert np.abs(row).sum() <= 1 + 1e-9
        assert np.abs(row).max() <= 0.1
        assert not row[np.isnan(new)].any()
    change = np.abs(weights - old)
    squeezed = (weights != target) & (weights != old) & (weights != 0)
    assert ((change == 0) | (change >= min_change) | (weights == 0) | squeezed).all()
    stays = (weights == old) & (old != target)
    assert squeezed.any() <= bool(stays.any())
    if min_change == 0:
        assert np.array_equal(weights, target, equal_nan=True)
    long_only = blend(np.abs(new), np.abs(old), min_weight, 0.1)
    assert np.array_equal(long_only, blend(np.abs(new), np.abs(old), min_weight, 0.1, shorts=True))


@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (-1, 1, -1, 1)], ids=["long", "short"])
def test_positions_that_stay_leave_the_rest_of_the_capital_to_the_others(signs):
    old = np.array([0.5, 0.4, 0.0, 0.1]) * signs
    target = np.array([0.45, 0.1, 0.5, 0.05]) * signs
    #                 stays, reduced, opened, no longer wanted
    found = without_small_changes(target, old, np.array([1.0, 1.0, 1.0, 0.0]), 0.1)
    assert found == pytest.approx(np.array([0.5, 0.1 / 0.6 * 0.5, 0.5 / 0.6 * 0.5, 0.0]) * signs)


def test_a_change_of_exactly_the_minimum_is_made():
    old, target = np.array([0.25, 0.25, 0.125]), np.array([0.5, 0.4375, 0.0])
    found = without_small_changes(target, old, np.ones(3), 0.25)
    assert found.tolist() == [0.5, 0.25, 0.125]


def known_rows(strategy, numbers):
    """Return steps on which every asset has the same output of each day."""
    known = [KnownOutputs(dict.fromkeys(ASSETS, number), ASSETS) for number in numbers]
    return zip(known, last_rows(MARKET, DAYS[: len(known)], strategy.lookback_period), strict=True)


@pytest.mark.parametrize("interval", [2, 3, 7])
def test_positions_change_on_days_of_a_rebalance_only(interval):
    strategy = dataclasses.replace(OWN, rebalance_interval=interval, blend="none")
    steps = known_rows(strategy, [0.01 + 0.001 * k for k in range(15)])
    states = [state for _, state in predict_days(strategy.predict, steps)]
    assert [state.days_since_rebalance for state in states] == [k % interval for k in range(15)]
    for before, after in itertools.pairwise(states):
        held = {asset: w for asset, w in before.weights.items() if asset in after.weights}
        assert (held == dict(after.weights)) == (after.days_since_rebalance > 0)


@pytest.mark.filterwarnings("ignore::lib.state.StateWarning")
@pytest.mark.parametrize(("missed", "rebalances"), [(1, False), (2, False), (3, True), (8, True)])
def test_days_that_were_missed_count_for_the_rebalance(missed, rebalances):
    """A gap in the passes brings the rebalance no later than its interval."""
    strategy = dataclasses.replace(OWN, rebalance_interval=4, lookback_period=5)
    first, later = (
        (KnownOutputs(dict.fromkeys(ASSETS, number), ASSETS), window_of(MARKET, DAYS[at], 30))
        for number, at in ((0.01, 0), (0.02, 1 + missed))
    )
    _, state = strategy.predict(*first, None)
    _, after = strategy.predict(*later, state)
    assert after.days_since_rebalance == (0 if rebalances else 1 + missed)
    _, again = strategy.predict(*later, after)
    assert again == after


def test_a_position_that_cannot_be_traded_is_closed_between_rebalances():
    market = MARKET.copy(deep=True)
    asset = 4
    market.values[:, :, :] = 10.0
    market.loc[{"field": "is_liquid"}] = 1.0
    market.values[-1, -3, asset] = 0  # not liquid on one day
    strategy = dataclasses.replace(OWN, rebalance_interval=9)
    known = KnownOutputs(dict.fromkeys(ASSETS, 0.05), ASSETS)
    steps = ((known, window_of(market, day, 30)) for day in DAYS[-5:])
    rows = [weights.values[0] for weights, _ in predict_days(strategy.predict, steps)]
    assert [row[asset] for row in rows] == [0.05, 0.05, 0, 0, 0]
    assert all((np.delete(row, asset) == 0.05).all() for row in rows)


def test_a_small_position_of_an_asset_that_is_no_longer_wanted_does_not_stay_for_ever():
    strategy = dataclasses.replace(OWN, min_change=0.03)
    wanted = [KnownOutputs(dict.fromkeys(ASSETS, 0.08), ASSETS)] + [KnownOutputs({}, ASSETS)] * 4
    steps = zip(wanted, last_rows(MARKET, DAYS[:5], 20), strict=True)
    sums = [float(np.abs(weights).sum()) for weights, _ in predict_days(strategy.predict, steps)]
    assert sums[0] > sums[1] > sums[2] == sums[4] == 0


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"blend": "means"}, r"blend is 'means': did you mean 'mean'\?"),
        ({"min_change": 0.2}, r"min_change \(0\.2\) must be at most max_weight \(0\.1\)"),
        ({"min_change": -0.1}, "min_change is -0.1: it must be a number from"),
        ({"rebalance_interval": 0}, "rebalance_interval is 0: it must be a whole number"),
        (
            {"sizing": "long_short", "competition_type": "crypto_daily_long", "max_weight": 1.0},
            "sizing long_short returns negative weights, but crypto_daily_long is long only",
        ),
        ({"sizing": lambda outputs: outputs}, r"sizing <lambda> must take \(outputs, strategy\) or"),
        ({"sizing": "inverse_volatility(day=3)"}, "has no parameter 'day': did you mean 'days'"),
    ],
)
def test_a_wrong_combination_ends_in_a_sentence(parameters, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        Strategy(**parameters)


def test_a_short_position_in_a_long_only_competition_ends_in_a_sentence():
    strategy = Strategy(competition_type="crypto_daily_long", sizing="signed", max_weight=1.0)
    known = KnownOutputs({ASSETS[0]: -0.5, ASSETS[1]: 0.5}, ASSETS)
    with pytest.raises(ValueError, match="sizing signed returns negative weights, but crypto_daily_long is"):
        strategy.predict(known, window_of(MARKET, DAYS[-1], 30), None)
    published = dataclasses.replace(strategy, sizing="as_output")
    weights, _ = published.predict(known, window_of(MARKET, DAYS[-1], 30), None)
    assert (weights >= 0).all()  # dropped, as published


def test_inverse_volatility_by_hand():
    data = MARKET.isel(asset=slice(3), time=slice(-21, None)).copy(deep=True)
    days = np.arange(21) % 2  # prices that jump between two values
    data.loc[{"field": "close"}] = np.stack([1 + 0.1 * days, 1 + 0.2 * days, np.ones(21)], axis=1)
    returns = [np.tile([step, 1 / (1 + step) - 1], 10) for step in (0.1, 0.2)]
    parts = [0.5 / values[-6:].std() for values in returns]
    found = inverse_volatility(np.array([0.5, -0.5, 0.5]), data, Strategy(), days=6)
    assert found == pytest.approx([parts[0] / sum(parts), -parts[1] / sum(parts), 0.0])


def test_a_sizing_of_three_arguments_gets_the_window_of_what_it_sizes():
    seen = []

    def noted(outputs, data, strategy):
        seen.append((outputs, data))
        data.values[:] = 0  # its own copy
        return outputs

    strategy = dataclasses.replace(OWN, sizing=noted)
    window = window_of(MARKET, DAYS[-1], strategy.lookback_period)
    before = window.copy(deep=True)
    outputs = dict(zip(ASSETS[::-1], np.arange(1.0, 13.0), strict=True))
    strategy.predict(KnownOutputs(outputs, ASSETS), window, None)
    ((values, data),) = seen
    liquid = window.asset.values[field(window, "is_liquid")[-1] > 0].tolist()
    assert data.asset.values.tolist() == [asset for asset in liquid if asset in outputs]
    assert values.tolist() == [outputs[asset] for asset in data.asset.values.tolist()]
    assert data.time.equals(window.time)
    assert data.dims == ("field", "time", "asset")
    assert window.equals(before)
