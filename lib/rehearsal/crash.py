"""The reason why a pass ended with an error, with advice."""

import re

from lib.rehearsal.execution import Execution
from lib.rehearsal.source_code import defined_names
from lib.rehearsal.submission import Submission

BY_ERROR = {
    "FileNotFoundError": "a submission contains the files beside the notebook and nothing else",
    "StdinNotImplementedError": "nobody answers input() in a submission",
}
BY_OUTPUT = {
    "NoSuchKernel": "the notebook asks for a kernel that is not installed: set its kernel to python3",
    "No such kernel": "the notebook asks for a kernel that is not installed: set its kernel to python3",
    "DeadKernelError": "the kernel died: a cell ended its process, or took more memory than there is",
    "Kernel died": "the kernel died: a cell ended its process, or took more memory than there is",
}


def explain(run: Execution, submission: Submission) -> str:
    """The cell and the error that ended an execution, with advice."""
    failed = next((cell for cell in run.cells if cell.error), None)
    if failed is None:
        sentence = next((text for word, text in BY_OUTPUT.items() if word in run.last_lines), "")
        return f"the pass crashed (exit code {run.exit_code}): {sentence or run.last_lines}"
    text = f"the pass crashed in {submission.cells[failed.cell]}: {failed.error}: {failed.text}"
    advice = _advice(failed.error, failed.text, submission)
    return f"{text}\n        {advice or run.last_lines}"


def _advice(error: str, text: str, submission: Submission) -> str:
    name = next(iter(re.findall(r"'([^']+)'", text)), "")
    if error == "NameError":
        for cell in submission.removed:
            if name in defined_names(cell.source):
                return (
                    f"{name} is defined only in {cell}, which begins with #DEBUG# and which the evaluator "
                    "removes: define it in a cell that stays, or use it in #DEBUG# cells only"
                )
    if error == "ModuleNotFoundError" and name.startswith("qnt."):
        return f"rehearse this notebook where the platform's library is installed: the stand-in lacks {name}"
    if error == "ModuleNotFoundError":
        return (
            f"the module {name} is neither installed nor beside the notebook: install it in init.ipynb, the "
            "only file that the evaluator runs to prepare"
        )
    return BY_ERROR.get(error, "")
