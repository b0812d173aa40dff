"""Would the platform accept what the passes of a submission wrote?"""

from typing import TYPE_CHECKING

import numpy as np

from lib.rehearsal.one_pass import LONGEST, Pass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

LARGEST = 8 << 30  # bytes
SUBMISSION = 5_000  # passes, one for each trading day since 2006
MAX_WEIGHT = 0.1
ROUNDING = 1e-9


def judge(passes: "Sequence[Pass]", data: "xr.DataArray") -> list[list[str]]:
    """What is wrong with each pass, in sentences; nothing where the platform would accept it.

    Parameters
    ----------
    passes : sequence of Pass
        In the order in which they ran, the state handed on.
    data : xarray.DataArray
        (field, time, asset) with `close` and `is_liquid` of the days and assets concerned.
    """
    return [_faults(one, before, data) for one, before in zip(passes, [None, *passes], strict=False)]


def _faults(one: Pass, before: Pass | None, data: "xr.DataArray") -> list[str]:
    faults = []
    if one.seconds > LONGEST:
        faults.append(f"it took more than {LONGEST // 60} minutes, and the platform stops it there")
    if one.memory is not None and one.memory > LARGEST:
        faults.append(f"it took {one.memory / 2**30:.1f} GiB of memory; the platform has {LARGEST >> 30}")
    if one.exit_code:
        return [*faults, f"the pass crashed (exit code {one.exit_code}): {one.error}"]
    if not one.saw_last_day:
        faults.append("it did not load data up to the last day: leave max_date out where data are loaded")
    return [*faults, *_weight_faults(one, data), *_state_faults(one, before)]


def _weight_faults(one: Pass, data: "xr.DataArray") -> list[str]:
    if one.weights is None:
        return ["no weights were written: the notebook must call qnt.output.write(weights)"]
    days = one.weights.time.values.astype("M8[D]") if "time" in one.weights.dims else np.array([], "M8[D]")
    if one.day not in days:
        written = f"{days[0]} to {days[-1]}" if len(days) else "no day"
        return [f"the day is missed: the weights written are of {written}"]
    row = one.weights.isel(time=int(np.flatnonzero(days == one.day)[0]))
    held = {
        asset: weight
        for asset, weight in zip(row.asset.values.tolist(), row.values.tolist(), strict=True)
        if weight
    }
    faults = []
    if unknown := [asset for asset, weight in held.items() if not np.isfinite(weight)]:
        faults.append(f"the weight is not a finite number: {_some(unknown)}")
    illiquid = [asset for asset in held if not _tradable(data, one.day, asset)]
    if illiquid:
        faults.append(f"an illiquid position: {_some(illiquid)} cannot be traded on that day")
    if large := [
        f"{asset} {weight:.3f}" for asset, weight in held.items() if abs(weight) > MAX_WEIGHT + ROUNDING
    ]:
        faults.append(f"a position over the limit of {MAX_WEIGHT}: {_some(large)}")
    if (total := sum(map(abs, held.values()))) > 1 + ROUNDING:
        faults.append(f"the weights add up to {total:.3f}, more than the whole capital")
    return faults


def _state_faults(one: Pass, before: Pass | None) -> list[str]:
    if one.state_problem:
        return [f"the state cannot be read: {one.state_problem}"]
    if one.state is None:
        return ["no state was written, so the next day starts without positions: call state_write(state)"]
    if one.state.date != one.day:
        return [f"the state was not carried on: it is still of {one.state.date}"]
    left = {} if before is None or before.state is None else before.state.weights
    if before is not None and not _same(left, one.state.carried_in):
        return [
            f"the state was reset: the pass began with {_positions(one.state.carried_in)}, though the one "
            f"before left {_positions(left)}; read it with state_read and hand it to predict"
        ]
    return []


def report(passes: "Sequence[Pass]", faults: "Sequence[Sequence[str]]") -> str:
    """All of it for a person: a line for each day and each fault, and what a whole submission would take."""
    lines = []
    for one, wrong in zip(passes, faults, strict=True):
        memory = "" if one.memory is None else f", {one.memory / 2**20:.0f} MiB"
        lines.append(f"{one.day}  {'FAILED' if wrong else 'ok'}  {one.seconds:.1f} s{memory}{_invested(one)}")
        lines += [f"    {fault}" for fault in wrong]
    seconds = float(np.mean([one.seconds for one in passes]))
    lines.append(
        f"A submission of about {SUBMISSION:,} passes would take {seconds * SUBMISSION / 3600:.1f} hours "
        f"here, at {seconds:.1f} s a pass (allowed: {LONGEST // 60} minutes a pass, {LARGEST >> 30} GiB)."
    )
    good = sum(not wrong for wrong in faults)
    lines.append(
        f"PASSED: weights on each of {good} days, liquid, within the limits; the state was carried."
        if good == len(passes)
        else f"FAILED on {len(passes) - good} of {len(passes)} days."
    )
    return "\n".join(lines)


def _invested(one: Pass) -> str:
    if one.weights is None or "time" not in one.weights.dims or not one.weights.size:
        return ""
    row = np.abs(one.weights.isel(time=-1).values)
    return f", {np.count_nonzero(row)} positions, {row.sum():.1%} of the capital"


def _tradable(data: "xr.DataArray", day: np.datetime64, asset: str) -> bool:
    if asset not in data.get_index("asset") or day not in data.get_index("time"):
        return False
    bar = data.sel(time=day, asset=asset)
    return bool(bar.sel(field="is_liquid") > 0) and bool(np.isfinite(bar.sel(field="close")))


def _same(one: "Mapping[str, float]", other: "Mapping[str, float]") -> bool:
    return all(abs(one.get(asset, 0) - other.get(asset, 0)) <= ROUNDING for asset in {*one, *other})


def _positions(weights: "Mapping[str, float]") -> str:
    return f"{len(weights)} positions, {sum(map(abs, weights.values())):.1%} of the capital"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
