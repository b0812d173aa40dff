"""A new Python environment in which nothing is installed but what `init.ipynb` installs."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.common.command_line import environment
from lib.rehearsal.execution import last_lines
from lib.runs.provenance import is_stand_in

JUPYTER = ("nbconvert", "ipykernel")  # what runs a notebook, init.ipynb included


def fresh_python(folder: Path, work: Path) -> str:
    """Make an environment and run the `init.ipynb` of the folder `work` in it, as the evaluator does.

    Parameters
    ----------
    folder : pathlib.Path
        Where the environment is made.
    work : pathlib.Path
        The submission's folder.

    Returns
    -------
    str
        The path of the environment's interpreter.

    Raises
    ------
    ValueError
        There is no `init.ipynb`, it fails, or the platform's own library is in use here: that is not on PyPI,
        so that a new environment would be without it.
    """
    if not (work / "init.ipynb").exists():
        raise ValueError("There is no init.ipynb beside the notebook: --fresh runs it to prepare.")
    if not is_stand_in():
        raise ValueError(
            "--fresh cannot install qnt, which is not on PyPI: use it where qnt is not installed."
        )
    place = folder / "environment"
    _run([sys.executable, "-m", "venv", str(place)], "The environment could not be made", folder)
    python = str(place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    _run([*install, *JUPYTER], "Jupyter could not be installed", folder)
    words = ["-m", "nbconvert", "--to", "html", "--execute", "init.ipynb", "--output-dir", str(folder)]
    _run([python, *words], "init.ipynb fails", work)
    return python


def _run(words: Sequence[str], problem: str, place: Path) -> None:
    """Run a command as a submission; a failure is a ValueError with the end of its output."""
    with environment({"SUBMISSION_ID": "-1", "PYTHONPATH": None, "JUPYTER_PREFER_ENV_PATH": "1"}):
        done = subprocess.run(
            words,
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
    if done.returncode:
        raise ValueError(f"{problem}:\n        {last_lines(done.stdout + done.stderr)}")
