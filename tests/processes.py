"""A Python of its own: for what shows only in a fresh process, or must not touch this one."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def run_python(code: str, *arguments: object, cwd: Path = PROJECT, **variables: str) -> tuple[str, str]:
    """Run code that finds the project, with these environment variables too; return its stdout and stderr.

    It must end well.
    """
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | variables
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr
