"""A notebook for each run."""

import nbformat
import pytest

from lib.compare import RunWarning, execute_notebooks
from lib.strategy import Strategy
from tests.compare.shared import HERE
from tests.switches import long

KEYS = ["a" * 20, "b" * 20]


def finished(key, functions=(), **parameters):
    record = {"key": key, "status": "finished", "parameters": {**Strategy().as_dict(), **parameters}}
    return record | {"functions": dict.fromkeys(functions, "0"), "start": "2024-12-02", "end": "2024-12-06"}


@pytest.fixture
def notebook(tmp_path):
    cells = [
        nbformat.v4.new_code_cell(
            "start_date = None\nend_date = None\ntop_assets = 12", metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell("assert top_assets != 7\nprint(start_date, end_date, top_assets)"),
    ]
    written = nbformat.v4.new_notebook(cells=cells)
    written.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "strategy.ipynb"
    nbformat.write(written, path)
    return path


@long
def test_a_notebook_per_finished_run_once(notebook, tmp_path):
    records = [finished(KEYS[0], top_assets=6), finished(KEYS[1]) | {"status": "failed"}]
    folders = execute_notebooks(records, tmp_path, notebook, **HERE)
    assert folders == [tmp_path / "notebooks" / KEYS[0]]
    executed = folders[0] / "strategy.ipynb"
    assert nbformat.read(executed, 4).cells[-1].outputs[0].text == "2024-12-02 2024-12-06 6\n"
    stamp = executed.stat().st_mtime_ns
    assert execute_notebooks(records, tmp_path, notebook, **HERE) == folders
    assert executed.stat().st_mtime_ns == stamp


@long
@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (finished(KEYS[0], top_assets=7), "AssertionError"),
        (finished(KEYS[0], log_price=True), "has no parameter 'log_price'"),
        (finished(KEYS[0], functions=["features"]), "features is a function: a notebook takes names only"),
    ],
)
def test_a_notebook_that_cannot_be_made_is_reported(record, sentence, notebook, tmp_path):
    with pytest.warns(RunWarning, match=f"no notebook for {KEYS[0]}(.|\n)*{sentence}"):
        assert execute_notebooks([record], tmp_path, notebook, **HERE) == []


@long
def test_parameters_are_set_where_they_differ_from_those_of_the_notebook(notebook, tmp_path):
    """A notebook whose own value is not the published one is run with the variant's value."""
    base = Strategy(top_assets=6)
    records = [finished(KEYS[0], top_assets=12), finished(KEYS[1], top_assets=6)]
    notebook.write_text(notebook.read_text("utf-8").replace("top_assets = 12", "top_assets = 6"), "utf-8")
    printed = [
        nbformat.read(folder / "strategy.ipynb", 4).cells[-1].outputs[0].text.split()[-1]
        for folder in execute_notebooks(records, tmp_path, notebook, base, **HERE)
    ]
    assert printed == ["12", "6"]
