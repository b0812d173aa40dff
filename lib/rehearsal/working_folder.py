"""The folder that a submission runs in."""

import fnmatch
import json
import shutil
from pathlib import Path

from lib.notebook.cells import PROJECT
from lib.rehearsal.submission import Submission

# files of earlier runs beside a notebook, which a submission does not have
LEFT_BEHIND = ("fractions.nc.gz", "last_data.txt", "state.*pickle.gz", "data-cache", "runs", "__pycache__")


def copy_into(submission: Submission, folder: Path) -> None:
    """Write the notebook as `strategy.ipynb` into a folder, with what lies beside it.

    Files are copied, so that a run cannot change the user's; folders are linked. What earlier runs wrote and
    hidden files stay behind. The project's `lib` and its stand-in for the platform's
    library are added where the notebook has none beside it.
    """
    text = json.dumps(submission.content)
    (folder / "strategy.ipynb").write_text(text, encoding="utf-8")
    for path in [*submission.path.absolute().parent.iterdir(), PROJECT / "lib", PROJECT / "qnt"]:
        target = folder / path.name
        if path.name.startswith(".") or target.exists() or path == submission.path.absolute():
            continue
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in LEFT_BEHIND):
            continue
        if path.is_file():
            shutil.copy(path, target)
        elif path.is_dir():
            try:
                target.symlink_to(path, target_is_directory=True)
            except OSError:  # Windows allows links to administrators only
                shutil.copytree(path, target)
