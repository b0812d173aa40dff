"""The assessment of passes.

It finds faults that the platform would refuse, notes, and why a pass crashed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.competitions import Competition
from lib.common.rules import ILLIQUID, LARGEST, ROUNDING, SHORT, broken_positions, missed_days
from lib.rehearsal.passes import PassResult
from lib.rehearsal.submission import Execution, Submission, defined_names
from lib.state.positions import as_record, in_words

if TYPE_CHECKING:
    import xarray as xr

MAX_MEMORY = 8 << 30  # bytes; the platform's machines have that much

NO_KERNEL = "the notebook asks for a kernel that is not installed: set its kernel to python3"
KERNEL_DIED = "the kernel died: a cell ended its process, or took more memory than there is"
BY_OUTPUT = {
    "NoSuchKernel": NO_KERNEL,
    "No such kernel": NO_KERNEL,
    "DeadKernelError": KERNEL_DIED,
    "Kernel died": KERNEL_DIED,
}
BY_ERROR = {
    "FileNotFoundError": "a submission contains the files beside the notebook and nothing else",
    "StdinNotImplementedError": "nobody answers input() in a submission",
}
NOT_HERE = (
    "the platform has it, but this machine has only the built-in stand-in for qnt: whether the pass would "
    "work there cannot be told here"
)


class Assessment(NamedTuple):
    """The faults and notes on one pass.

    Both are sentences. A note is only worth knowing.
    """

    faults: list[str]
    notes: list[str]


def assess(
    passes: Sequence[PassResult],
    data: "xr.DataArray",
    rules: Competition,
    submission: Submission | None = None,
    chained: bool = True,
) -> list[Assessment]:
    """Return faults and notes of each pass.

    A pass has no fault where the platform would accept it.

    Parameters
    ----------
    passes : sequence of PassResult
        In the order in which they ran.
    data : xarray.DataArray
        (field, time, asset) with `close` and `is_liquid` of the days and assets concerned, under the names of
        the weights.
    rules : Competition
    submission : Submission, optional
        The notebook: it helps to explain a crash. Without one, a state file must be readable.
    chained : bool
        True where the state was handed from pass to pass.
    """
    empty = not any(_held(done) for done in passes)
    keeps_state = submission is None or submission.keeps_state
    found = []
    for done, before in zip(passes, [None, *passes], strict=False):
        faults, notes = _run_faults(done, rules, submission), _run_notes(done, submission)
        if not done.run.exit_code:
            wrong = _weight_faults(done, data, rules)
            if not wrong:
                wrong, more = _compare_with_state(done, data, rules, empty)
                notes += more
            faults += wrong
            if chained:
                wrong, more = _compare_states(done, before, keeps_state)
                faults += wrong
                notes += more
        faults += [f"run a second time, the pass left {what}" for what in done.differences]
        notes += [f"run a second time, the pass left {what}" for what in done.other_differences]
        found.append(Assessment(faults, notes))
    return found


def _run_faults(done: PassResult, rules: Competition, submission: Submission | None) -> list[str]:
    faults = []
    if done.run.timed_out:
        return [f"the pass took more than {rules.minutes_per_pass} minutes, and the platform stops it there"]
    if done.run.memory is not None and done.run.memory > MAX_MEMORY:
        faults.append(
            f"the pass took {done.run.memory / 2**30:.1f} GiB of memory; the platform has {MAX_MEMORY >> 30}"
        )
    if done.run.exit_code:
        return [*faults, explain(done.run, submission) if submission else done.run.last_lines]
    if not done.saw_last_day:
        faults.append("it did not load data up to the last day: leave max_date out where data are loaded")
    return faults


def _run_notes(done: PassResult, submission: Submission | None) -> list[str]:
    notes = []
    if done.run.left_running:
        notes.append(f"it left processes running, which were ended here: {first_five(done.run.left_running)}")
    if done.changed_files:
        notes.append(
            f"it wrote or changed files in its folder, which the next day does not see: "
            f"{first_five(done.changed_files)}"
        )
    if submission and not done.run.exit_code:
        notes += [
            f"{submission.cells[cell.cell]} failed, and the pass went on: {cell.error}: {cell.text}"
            for cell in done.run.cells
            if cell.error
        ]
    return notes


def _weight_faults(done: PassResult, data: "xr.DataArray", rules: Competition) -> list[str]:
    if done.weights_problem:
        return [f"the file of weights cannot be read: {done.weights_problem}"]
    if done.weights is None:
        return ["no weights were written: the notebook must call qnt.output.write(weights)"]
    return weight_faults(done.weights, done.day, data, rules)


def _compare_with_state(
    done: PassResult, data: "xr.DataArray", rules: Competition, empty: bool
) -> tuple[list[str], list[str]]:
    """Compare the written weights with the state.

    Only weights of the state that can be traded count. Faults and notes are returned.
    """
    held = _held(done)
    if done.state is None or done.state.date != done.day:
        expected = dict(held)
    else:
        expected = tradable_positions(done.state.weights, done.day, data, rules)
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
            f"{first_five(sorted(other))}"
        ]
    return [], []


def _compare_states(
    done: PassResult, before: PassResult | None, keeps_state: bool
) -> tuple[list[str], list[str]]:
    """Check that the state continues the pass before.

    Faults and notes are returned. The platform needs no state. Only a state of this project is read.
    """
    if done.state_problem:
        if keeps_state:
            return [f"the state cannot be read: {done.state_problem}"], []
        return [], ["the state file holds no complete pickle, and qnt.state.read() returns None for it"]
    if done.other_state:
        return [], ["another kind of state is kept than this project's; it is handed on, and not looked into"]
    if done.state is None:
        return [], ["no state was written: every day starts without one"]
    if done.state.date != done.day:
        return [f"the state was not carried on: it is still of {done.state.date}"], []
    if before is None:
        return [], []
    left = {} if before.state is None else before.state.weights
    carried_in = done.state.carried_in
    if not all(_close(left, carried_in, asset) for asset in {*left, *carried_in}):
        return [
            f"the state was reset: the pass began with {in_words(carried_in.values())}, though the one "
            f"before left {in_words(left.values())}; read it with state_read and hand it to predict"
        ], []
    memory = {} if before.state is None else before.state.memory
    if memory and as_record(memory) != as_record(done.state.memory_carried_in):
        return [
            "the memory of the state was reset: the pass began with another one than the pass before left; "
            "return the state of predict, changed with with_memory"
        ], []
    return [], []


def _held(done: PassResult) -> dict[str, float]:
    """Return the nonzero weights for a pass's day.

    The pass wrote them. The result is empty if it wrote nothing for its day.
    """
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


# ---- the rules that the weights of one pass must meet ----


def weight_faults(
    weights: "xr.DataArray", day: np.datetime64, data: "xr.DataArray", rules: Competition
) -> list[str]:
    """Return the faults of a pass's weights.

    Each fault is a sentence.

    Parameters
    ----------
    weights : xarray.DataArray
        (time, asset); every row counts, as in the platform's precheck.
    day : numpy.datetime64[D]
        The last day of the pass's data.
    data : xarray.DataArray
        (field, time, asset) from before the first day of the weights on; an unknown asset is a column of NaN.
    rules : Competition
    """
    if set(weights.dims) != {"time", "asset"}:
        dims = ", ".join(map(str, weights.dims))
        return [f"the day is missed: the weights have the dimensions {dims}, not time, asset"]
    weights = weights.transpose("time", "asset")
    days, values = weights.time.values.astype("M8[D]"), weights.values.astype(float)
    assets = np.array(weights.asset.values.tolist(), dtype=str)
    for what, labels in (("day", days), ("asset", assets)):
        unique, count = np.unique(labels, return_counts=True)
        if (count > 1).any():
            return [f"{what} {unique[count > 1][0]} stands in the weights more than once"]
    if day not in days:
        written = f"of {days.min()} to {days.max()}" if len(days) else "of no day"
        return [f"the day is missed: the weights written are {written}"]
    finite = np.isfinite(values)
    broken = broken_positions(data, weights.where(finite, 0), rules)
    held = values != 0
    market = data.time.values.astype("M8[D]")
    unknown_days = days[held.any(axis=1) & ~np.isin(days, market[market <= day])]
    missed = missed_days(data, days[days <= day])
    known = np.isin(assets, known_assets(data))
    unknown = assets[held.any(axis=0) & ~known]
    illiquid = broken[ILLIQUID] & known & np.isin(days, market)[:, None]
    total = np.abs(np.where(finite, values, 0)).sum(axis=1)
    most = int(total.argmax())

    def listed(where: np.ndarray) -> str:
        rows, columns = np.nonzero(where)
        return first_five(
            f"{assets[c]} {values[r, c]:.3f} on {days[r]}" for r, c in zip(rows, columns, strict=True)
        )

    checks = [
        (len(unknown_days), f"weights of days that are not in the pass's data: {first_five(unknown_days)}"),
        (len(missed), f"days are missed inside the weights: {first_five(missed)}"),
        (len(unknown), f"unknown assets: {first_five(unknown)} have no data in this competition"),
        (not finite.all(), f"a weight is not a finite number: {listed(~finite)}"),
        (illiquid.any(), f"illiquid positions: {listed(illiquid)}"),
        (
            broken[LARGEST].any(),
            f"positions over the limit of {rules.max_position}: {listed(broken[LARGEST])}",
        ),
        (broken[SHORT].any(), f"short positions, in a long-only competition: {listed(broken[SHORT])}"),
        (
            total[most] > 1 + ROUNDING,
            f"the weights of {days[most]} add up to {total[most]:.3f}, more than the whole capital",
        ),
    ]
    return [sentence for fails, sentence in checks if fails]


def known_assets(data: "xr.DataArray") -> np.ndarray:
    """Return the names of assets with data.

    Such an asset has a closing price on some day.
    """
    close = data.sel(field="close").transpose("time", "asset").values
    return data.asset.values[np.isfinite(close).any(axis=0)].astype(str)


def tradable_positions(
    weights: Mapping[str, float], day: np.datetime64, data: "xr.DataArray", rules: Competition
) -> dict[str, float]:
    """Return the weights that can be traded.

    The weights are of one day. Weights of 0 are left out.
    """
    import xarray as xr

    coords = {"time": [day.astype("M8[ns]")], "asset": list(weights)}
    row = xr.DataArray([list(weights.values())], coords, ("time", "asset")).astype(float)
    rules = rules._replace(carries_weights=False)  # without a price nothing is traded, though it may be held
    stuck = broken_positions(data, row, rules)[ILLIQUID][0]
    return {
        asset: weight
        for (asset, weight), out in zip(weights.items(), stuck, strict=True)
        if weight and not out
    }


def first_five(names: Iterable[object]) -> str:
    """Return the first five names as text.

    The number of further names follows.
    """
    texts = [str(name) for name in names]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


# ---- why a pass crashed ----


def explain(run: Execution, submission: Submission) -> str:
    """Return the reason why a pass crashed.

    The text has the cell and the error that ended the execution, with advice.
    """
    failed = next((cell for cell in reversed(run.cells) if cell.error), None)
    if failed is None:
        sentence = next((text for word, text in BY_OUTPUT.items() if word in run.last_lines), "")
        return f"the pass crashed (exit code {run.exit_code}): {sentence or run.last_lines}"
    text = f"the pass crashed in {submission.cells[failed.cell]}: {failed.error}: {failed.text}"
    advice = _advice(failed.error, failed.text, submission)
    return f"{text}\n        {advice or run.last_lines}"


def _advice(error: str, text: str, submission: Submission) -> str:
    quoted = re.search(r"'([^']+)'", text)
    name = quoted[1] if quoted else ""
    if error == "NameError":
        for cell in submission.removed:
            if name in defined_names(cell.source):
                return (
                    f"{name} is defined only in {cell}, which begins with #DEBUG# and which the evaluator "
                    "removes: define it in a cell that stays, or use it in #DEBUG# cells only"
                )
    if text.startswith("qnt.") or name.partition(".")[0] == "qnt":
        return NOT_HERE
    if error == "ModuleNotFoundError" and name:
        return (
            f"the module {name} is neither installed nor beside the notebook: install it in init.ipynb, the "
            "only file that the evaluator runs to prepare"
        )
    return BY_ERROR.get(error, "")
