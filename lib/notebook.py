"""The execution of a notebook with other parameters.

All its output is in one folder.

python -m lib.notebook --output runs/short --set top_assets=6 --start 2024-10-01
"""

import argparse
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.iorw import LocalHandler, papermill_io
from tqdm import tqdm

from lib.backtest import check_range
from lib.common.command_line import (
    EXIT_CODES,
    FAILED,
    OK,
    PROJECT,
    add_notebook,
    add_output,
    add_range,
    add_settings,
    environment,
    parse_settings,
    run_command,
)
from lib.common.errors import WrongValueError
from lib.common.figure_style import HEAD
from lib.common.files import replace_file, valid_text
from lib.notebook_strategy import assignments, check_parameters, code_cells

FIGURE = "application/vnd.plotly.v1+json"  # what JupyterLab draws; the page has plotly's script instead
WRITTEN = {"OUTPUT_PATH": "fractions.nc.gz", "OUT_STATE_PATH": "state.out.pickle.gz"}
SILENCE = 10  # seconds between lines that report a running notebook
QUIET_KERNEL = ["--IPKernelApp.log_level=CRITICAL"]  # else it warns of its transport, and when stopped
_one_at_a_time = threading.Lock()  # the kernel inherits this process's environment


class _Replacing(LocalHandler):
    """A papermill handler that replaces files whole.

    A full disk thus leaves the last file that could be written.
    """

    def write(self, buf: str, path: str) -> None:
        replace_file(path, valid_text(buf).encode())


def run_notebook(path: Path | str, output: Path | str, parameters: Mapping[str, Any] | None = None) -> Path:
    """Check the parameters and execute a notebook with papermill.

    Parameters
    ----------
    path : path
        The notebook; it runs in its own folder.
    output : path
        A folder, made where it is missing, for the executed notebook, the weights (fractions.nc.gz) and the
        state (state.out.pickle.gz). The run continues from a state that is there already.
    parameters : mapping of str
        Plain values by name: they replace values of the cell tagged `parameters`.

    Returns
    -------
    pathlib.Path
        The executed notebook. If a cell fails, the notebook up to that cell is there too.

    Raises
    ------
    TypeError
        A parameter that the notebook does not have (the nearest is named), or a value of the wrong type.
    ValueError
        A value that `Strategy` refuses, days on which the market has no data, or the notebook's own folder as
        output.
    OSError
        There is no such notebook, or the folder cannot be written, as on a full disk.
    papermill.PapermillExecutionError
        A cell failed.
    """
    path, output = Path(path).resolve(), Path(output).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"There is no notebook {path}.")
    executed = output / path.name
    if executed.exists() and executed.samefile(path):
        raise WrongValueError(f"The executed notebook would replace {path}: choose another folder.")
    _check(path, dict(parameters or {}))
    output.mkdir(parents=True, exist_ok=True)
    papermill_io.register(str(executed), _Replacing())
    # A notebook elsewhere finds the stand-in for qnt, too; it gives way to an installed library.
    paths = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(PROJECT)])
    logging.getLogger("papermill").addFilter(_is_news)
    variables = {name: str(output / file) for name, file in WRITTEN.items()} | {"PYTHONPATH": paths}
    variables |= {"PLOTLY_RENDERER": os.environ.get("PLOTLY_RENDERER") or "plotly_mimetype"}
    with _one_at_a_time, environment(variables):
        try:
            papermill.execute_notebook(
                *(str(place).replace("{", "{{").replace("}", "}}") for place in (path, executed)),
                dict(parameters or {}),
                cwd=str(path.parent),
                progress_bar=sys.stderr.isatty(),
                extra_arguments=QUIET_KERNEL,
            )
        except papermill.PapermillExecutionError:
            with suppress(OSError):  # a full disk, on which the cell may have failed
                _tidy(executed)
            raise
        except OSError as error:
            error.filename = error.filename or str(output)
            raise
    _tidy(executed)
    return executed


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for warnings of unknown parameters.

    papermill warns of a parameter that the cell does not name. `_check` refuses unknown parameters
    beforehand, and a known one may be optional.
    """
    return "Passed unknown parameter" not in record.getMessage()


def _check(path: Path, parameters: dict[str, Any]) -> None:
    """Check parameters against the notebook and `Strategy`.

    papermill only warns of unknown parameters.
    """
    cells = code_cells(path)
    known = assignments("\n".join(cell.source for cell in cells if cell.is_parameters))
    strategy = check_parameters(path, known, parameters, "\n".join(cell.source for cell in cells))
    values = known | parameters
    if strategy is not None and "start_date" in values:
        check_range(strategy, values["start_date"], values.get("end_date"))


def _tidy(path: Path) -> None:
    """Keep only the last state of each progress bar.

    A page would show every state of an executed notebook's bars.
    """
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            groups = itertools.groupby(cell.outputs, key=lambda output: output.get("name"))
            cell.outputs = [output for name, group in groups for output in _merged(name, list(group))]
    replace_file(str(path), nbformat.writes(notebook).encode())


def write_page(executed: Path) -> Path:
    """Write an executed notebook beside it as a page.

    The page is HTML and shows the charts in any browser, also printed and on a narrow screen. It has plotly's
    script once.
    """
    from nbconvert import HTMLExporter  # its import takes a second, and a comparison needs none

    page = executed.with_suffix(".html")
    notebook = nbformat.read(executed, as_version=4)
    script = True
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if FIGURE in output.get("data", {}) and "text/html" not in output.data:
            output.data = {"text/html": _figure_html(output.data[FIGURE], script)}
            script = False
    name = {"metadata": {"name": f"{executed.name}, executed"}}
    content, _ = HTMLExporter().from_notebook_node(notebook, name)
    replace_file(str(page), valid_text(content.replace("</head>", f"{HEAD}</head>", 1)).encode())
    return page


def _figure_html(figure: dict[str, Any], script: bool) -> str:
    import plotly.io as pio

    content = {"data": figure["data"], "layout": figure["layout"]}
    config = {"responsive": True}
    return pio.to_html(content, config, include_plotlyjs=script, full_html=False, validate=False)


def _merged(name: str | None, outputs: list[Any]) -> list[Any]:
    """Merge consecutive stream outputs.

    Text overwritten by carriage returns is dropped.
    """
    if name is None:
        return outputs
    lines = "".join(output.text for output in outputs).replace("\r\n", "\n").split("\n")
    text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return [nbformat.v4.new_output("stream", name=name, text=text)] if text else []


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    The code is 1 if a cell fails.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lib.notebook",
        description="Execute a notebook with other parameters; all that it writes lands in one folder.",
        epilog=EXIT_CODES,
    )
    add_notebook(parser)
    add_output(parser, "runs/last", "all that the run writes")
    add_settings(parser)
    add_range(parser, "the notebook's start_date", "the notebook's end_date")
    given = parser.parse_args(arguments)
    days = {"start_date": given.start, "end_date": given.end}

    def run() -> int:
        parameters = parse_settings(given.set) | {name: day for name, day in days.items() if day is not None}
        try:
            with _signs_of_life(given.notebook.name):
                executed = run_notebook(given.notebook, given.output, parameters)
        except papermill.PapermillExecutionError as error:
            reached = given.output.resolve() / given.notebook.name
            print(f"A cell failed: {_sentence(error)}\nThe notebook up to there: {reached}", file=sys.stderr)
            return FAILED
        print(f"The executed notebook, the weights and the state are in {executed.parent}")
        print(f"The charts: open {write_page(executed)} in a browser")
        return OK

    return run_command(run)


@contextmanager
def _signs_of_life(name: str) -> Iterator[None]:
    """Print a notebook's running time every few seconds.

    A single cell may take minutes.
    """
    started, ended = time.monotonic(), threading.Event()

    def report() -> None:
        while not ended.wait(SILENCE):
            seconds = time.monotonic() - started
            tqdm.write(f"  {name} has been running for {seconds:.0f} s", file=sys.stderr)

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()


def _sentence(error: papermill.PapermillExecutionError) -> str:
    """Return the message of an error in a cell.

    The kind of error stands before a message that was not written for users.
    """
    written_for_users = len(error.traceback) == 1
    return error.evalue if written_for_users else f"{error.ename}: {error.evalue}"


if __name__ == "__main__":
    sys.exit(main())
