"""The form of the unchanged notebook: format, cells and parameters."""

import ast
import dataclasses
import re
from pathlib import Path

import nbformat
import pytest

from lib import Strategy

NOTEBOOK = Path(__file__).parents[2] / "strategy.ipynb"
LONGEST_CELL = 15

Notebook = nbformat.NotebookNode


def code_cells(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_debug(cell: Notebook) -> bool:
    return cell.source.split("\n")[0] == "#DEBUG#"


def faults(notebook: Notebook) -> set[str]:
    """Faults in the form of a notebook."""
    found = set()
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError:
        found.add("invalid")
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        found.add("not 4.5")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.add("kernel")
    cells = code_cells(notebook)
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        found.add("one cell of parameters")
    elif not all(is_literal(statement) for statement in ast.parse(tagged[0].source).body):
        found.add("literals only")
    for cell in cells:
        if cell.outputs or cell.execution_count is not None:
            found.add("outputs")
        if len(cell.source.splitlines()) > LONGEST_CELL and cell not in tagged:  # parameters need a line each
            found.add("long cell")
        if re.search(r"#\s*DEBUG\s*#", cell.source) and not is_debug(cell):
            found.add("#DEBUG# is not the first line")
        if re.search("qnbt|backtest_", cell.source) and not is_debug(cell):
            found.add("a backtest in a submission")
    last = ast.parse(cells[-1].source).body
    if len(last) != 1 or ast.unparse(last[0]) != "qnout.write(weights)":
        found.add("write alone")
    return found


def is_literal(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Assign) or not all(
        isinstance(name, ast.Name) for name in statement.targets
    ):
        return False
    try:
        ast.literal_eval(statement.value)
    except ValueError:
        return False
    return True


@pytest.fixture
def notebook() -> Notebook:
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


def test_manners(notebook: Notebook) -> None:
    assert faults(notebook) == set()


def test_cells_stay_where_they_are(notebook: Notebook) -> None:
    assert [cell.id for cell in code_cells(notebook)] == [
        *("parameters", "imports", "strategy"),
        *("backtest-tools", "backtest", "backtest-training", "backtest-report"),
        *("predict", "training-report", "weights", "keep-state", "write"),
    ]
    assert [cell.id for cell in code_cells(notebook) if is_debug(cell)] == [
        *("backtest-tools", "backtest", "backtest-training", "backtest-report")
    ]


def spoil(notebook: Notebook, fault: str) -> None:
    cells = {cell.id: cell for cell in notebook.cells}
    if fault == "invalid":
        del cells["what"]["source"]
    elif fault == "not 4.5":
        notebook.nbformat_minor = 4
    elif fault == "kernel":
        notebook.metadata.kernelspec.name = "my-env"
    elif fault == "one cell of parameters":
        cells["strategy"].metadata.tags = ["parameters"]
    elif fault == "literals only":
        cells["parameters"].source += "\nlast_layer = hidden_size // 2"
    elif fault == "outputs":
        cells["write"].outputs = [nbformat.v4.new_output("stream", text="written")]
    elif fault == "long cell":
        cells["predict"].source += "\n" * LONGEST_CELL + "print()"
    elif fault == "#DEBUG# is not the first line":
        cells["backtest-report"].source = cells["backtest-report"].source.replace("#DEBUG#", "# DEBUG#")
    elif fault == "a backtest in a submission":
        cells["backtest"].source = cells["backtest"].source.replace("#DEBUG#\n", "")
    elif fault == "write alone":
        cells["write"].source = "print(weights)\n" + cells["write"].source


@pytest.mark.parametrize(
    "fault",
    [
        *("invalid", "not 4.5", "kernel", "one cell of parameters", "literals only", "outputs", "long cell"),
        *("#DEBUG# is not the first line", "a backtest in a submission", "write alone"),
    ],
)
def test_bad_manners_are_noticed(notebook: Notebook, fault: str) -> None:
    spoil(notebook, fault)
    assert fault in faults(notebook)


def test_every_required_parameter_of_the_strategy_is_there_with_its_default(notebook: Notebook) -> None:
    cell = next(cell for cell in notebook.cells if cell.id == "parameters")
    values = {s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(cell.source).body}
    assert values.keys() - {"start_date", "end_date"} == {
        field.name for field in dataclasses.fields(Strategy) if not field.metadata.get("optional")
    }
    assert Strategy.from_names(values) == Strategy()
