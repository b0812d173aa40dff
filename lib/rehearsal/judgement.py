"""The judgement on the passes of a submission: faults that the platform would refuse, and notes."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.competitions import Competition
from lib.rehearsal.one_pass import Pass
from lib.rehearsal.weight_checks import positions, some, weight_faults

if TYPE_CHECKING:
    import xarray as xr

MAX_MEMORY = 8 << 30  # bytes; the platform's machines have that much
ROUNDING = 1e-9


class Verdict(NamedTuple):
    """Sentences on one pass: faults, and notes on what is only worth knowing."""

    faults: list[str]
    notes: list[str]


def judge(
    passes: Sequence[Pass],
    data: "xr.DataArray",
    rules: Competition,
    explain: Callable[[Pass], str] = lambda done: done.run.last_lines,
    chained: bool = True,
) -> list[Verdict]:
    """Judge each pass; no fault where the platform would accept it.

    Parameters
    ----------
    passes : sequence of Pass
        In the order in which they ran.
    data : xarray.DataArray
        (field, time, asset) with `close` and `is_liquid` of the days and assets concerned, under the names of
        the weights.
    rules : Competition
    explain : callable
        Says why a pass crashed.
    chained : bool
        Whether the state was handed from pass to pass.
    """
    empty = not any(_held(done) for done in passes)
    verdicts = []
    for done, before in zip(passes, [None, *passes], strict=False):
        faults = _faults(done, rules, explain)
        notes: list[str] = []
        if not done.run.exit_code:
            wrong = _weight_faults(done, data, rules)
            if not wrong:
                wrong, notes = _compare_with_state(done, data, empty)
            faults += wrong
            faults += _state_faults(done, before) if chained else []
        faults += [f"run a second time, the pass left {what}" for what in done.differences]
        verdicts.append(Verdict(faults, notes))
    return verdicts


def _faults(done: Pass, rules: Competition, explain: Callable[[Pass], str]) -> list[str]:
    faults = []
    if done.run.timed_out:
        return [f"the pass took more than {rules.minutes_per_pass} minutes, and the platform stops it there"]
    if done.run.memory is not None and done.run.memory > MAX_MEMORY:
        faults.append(
            f"the pass took {done.run.memory / 2**30:.1f} GiB of memory; the platform has {MAX_MEMORY >> 30}"
        )
    if done.run.exit_code:
        return [*faults, explain(done)]
    if not done.saw_last_day:
        faults.append("it did not load data up to the last day: leave max_date out where data are loaded")
    return faults


def _weight_faults(done: Pass, data: "xr.DataArray", rules: Competition) -> list[str]:
    if done.weights_problem:
        return [f"the file of weights cannot be read: {done.weights_problem}"]
    if done.weights is None:
        return ["no weights were written: the notebook must call qnt.output.write(weights)"]
    return weight_faults(done.weights, done.day, data, rules)


def _compare_with_state(done: Pass, data: "xr.DataArray", empty: bool) -> tuple[list[str], list[str]]:
    """Faults and notes from comparing the written weights with those in the state that can be traded."""
    held = _held(done)
    if done.state is None or done.state.date != done.day:
        expected = dict(held)
    else:
        expected = positions(done.state.weights, done.day, data)
    if expected and not held:
        return [
            f"the weights written are all 0, though the state holds {len(expected)} positions that can be "
            "traded: look at what happens to the weights between predict and the last qnt.output.write"
        ], []
    if empty:
        return ["no position is written on any day: all weights are 0 or NaN"], []
    if not held:
        return [], ["no position on this day"]
    other = [asset for asset in {*held, *expected} if not _close(held, expected, asset)]
    if other:
        return [], [
            f"the weights written differ from those of the state, with which the next day continues: "
            f"{some(sorted(other))}"
        ]
    return [], []


def _state_faults(done: Pass, before: Pass | None) -> list[str]:
    if done.state_problem:
        return [f"the state cannot be read: {done.state_problem}"]
    if done.state is None:
        return ["no state was written, so the next day starts without positions: call state_write(state)"]
    if done.state.date != done.day:
        return [f"the state was not carried on: it is still of {done.state.date}"]
    left = {} if before is None or before.state is None else before.state.weights
    carried_in = done.state.carried_in
    if before is not None and not all(_close(left, carried_in, asset) for asset in {*left, *carried_in}):
        return [
            f"the state was reset: the pass began with {_sum(carried_in)}, though the one before left "
            f"{_sum(left)}; read it with state_read and hand it to predict"
        ]
    return []


def _held(done: Pass) -> dict[str, float]:
    """The weights other than 0 that a pass wrote for its day; none where it wrote nothing for it."""
    if done.weights is None or set(done.weights.dims) != {"time", "asset"}:
        return {}
    rows = done.weights.transpose("time", "asset").values[
        done.weights.time.values.astype("M8[D]") == done.day
    ]
    return {
        asset: weight
        for row in rows
        for asset, weight in zip(done.weights.asset.values.tolist(), row.tolist(), strict=True)
        if weight and np.isfinite(weight)
    }


def _close(first: Mapping[str, float], second: Mapping[str, float], asset: str) -> bool:
    return abs(first.get(asset, 0) - second.get(asset, 0)) <= ROUNDING


def _sum(weights: Mapping[str, float]) -> str:
    return f"{len(weights)} positions, {sum(map(abs, weights.values())):.1%} of the capital"
