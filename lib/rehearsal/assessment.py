"""The assessment of passes: faults that the platform would refuse, notes, and why a pass crashed."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.competitions import Competition
from lib.common.rules import ROUNDING
from lib.rehearsal.execution import Execution
from lib.rehearsal.passes import PassResult
from lib.rehearsal.submission import Submission, defined_names
from lib.rehearsal.weight_checks import first_five, tradable_positions, weight_faults
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
    """Sentences on one pass: faults, and notes on what is only worth knowing."""

    faults: list[str]
    notes: list[str]


def assess(
    passes: Sequence[PassResult],
    data: "xr.DataArray",
    rules: Competition,
    submission: Submission | None = None,
    chained: bool = True,
) -> list[Assessment]:
    """Return faults and notes of each pass; no fault where the platform would accept it.

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
    """Compare the written weights with those in the state that can be traded; return faults and notes."""
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
    """Check that the state goes on from the pass before; return faults and notes.

    The platform wants no state. Only a state of this project is read.
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
    """Return the weights other than 0 that a pass wrote for its day; none where it wrote nothing for it."""
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


# ---- why a pass crashed ----


def explain(run: Execution, submission: Submission) -> str:
    """Return the cell and the error that ended an execution, with advice."""
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
