"""Runs the notebook with other parameters, and keeps everything that the run wrote in one folder.

python -m lib.notebook --output runs/short --set start_date 2024-10-01 --set top_assets 6
"""

import argparse
import ast
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import papermill

from lib.choices import suggest

HERE = Path(__file__).resolve().parent.parent
WRITTEN = {"OUTPUT_PATH": "fractions.nc.gz", "OUT_STATE_PATH": "state.out.pickle.gz"}
_one_at_a_time = threading.Lock()  # the kernel inherits this process's environment


def run_notebook(path: Path | str, output: Path | str, parameters: Mapping[str, Any] | None = None) -> Path:
    """Execute a notebook through papermill.

    Parameters
    ----------
    path : path
        The notebook; it runs in its own folder.
    output : path
        A folder, made where it is missing, for the executed notebook, the weights (fractions.nc.gz) and the
        state (state.out.pickle.gz). A state that lies there already is the one the run goes on from.
    parameters : mapping of str
        By name, plain values: they replace those of the cell tagged `parameters`.

    Returns
    -------
    pathlib.Path
        The executed notebook. It is there, up to the cell that failed, where the run fails too.

    Raises
    ------
    TypeError
        A parameter that the notebook does not have (the nearest is named); papermill would only warn.
    FileNotFoundError
        There is no such notebook.
    papermill.PapermillExecutionError
        A cell failed.
    """
    path, output = Path(path).resolve(), Path(output).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"There is no notebook {path}.")
    known = papermill.inspect_notebook(str(path))
    for name in parameters or {}:
        if name not in known:
            raise TypeError(f"{path.name} has no parameter {name!r}: {suggest(name, known)}")
    output.mkdir(parents=True, exist_ok=True)
    executed = output / path.name
    with _one_at_a_time, _environment({name: str(output / file) for name, file in WRITTEN.items()}):
        papermill.execute_notebook(
            str(path),
            str(executed),
            dict(parameters or {}),
            cwd=str(path.parent),
            progress_bar=sys.stderr.isatty(),
        )
    return executed


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line; a wrong parameter ends with a sentence and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m lib.notebook", description=__doc__.partition("\n")[0])
    parser.add_argument("--notebook", default=str(HERE / "strategy.ipynb"))
    parser.add_argument(
        "--output", default=str(HERE / "runs" / "last"), help="folder for what the run writes"
    )
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="values"
    )
    given = parser.parse_args(arguments)
    try:
        executed = run_notebook(
            given.notebook, given.output, {name: _value(text) for name, text in given.values}
        )
    except (TypeError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    print(f"The executed notebook, the weights and the state are in {executed.parent}")


def _value(text: str) -> Any:
    """A Python literal where it is one, else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


if __name__ == "__main__":
    main()
