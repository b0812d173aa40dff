"""A notebook for each run."""

import pickle

import nbformat
import pytest

import lib.compare as comparison
import lib.notebook
from lib.compare import RunWarning, execute_notebooks
from lib.runs.store import identity_of
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


def own_feature(data, strategy):
    return data.sel(field="open")


def test_each_finished_run_that_has_none_gets_a_notebook(tmp_path, monkeypatch):
    """Name the runs that cannot be made, and return the notebooks in the order of the runs."""
    base = Strategy(epochs=2, features=[own_feature])
    known, other = identity_of(base).content["functions"], {"features": "other code", "target": "new"}
    ready, dies, fails, written, edited = (name * 20 for name in "abcde")
    same = {"epochs": 2, "features": base.as_dict()["features"]}
    records = [
        finished(written, **same),
        finished(ready, **same, top_assets=6),
        finished(dies, **same),
        finished(fails, **same),
        finished(edited, **same) | {"functions": other},
        finished("f" * 20, **same) | {"status": "failed"},
    ]
    for record in records[:4]:
        record |= {"functions": known}
    (tmp_path / "notebooks" / written).mkdir(parents=True)
    calls = {}

    def run_all(jobs, **where):
        calls.update({key: pickle.loads(blob) for key, blob in jobs.items()} | {"where": where})
        (tmp_path / "notebooks" / ready).mkdir()
        yield from [(ready, "", ""), (dies, None, "its worker died"), (fails, "KeyError: 'x'", "")]

    monkeypatch.setattr(comparison, "run_all", run_all)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(RunWarning) as warned:
        folders = execute_notebooks(records, tmp_path, tmp_path / "mine.ipynb", base, workers=2)
    assert folders == [tmp_path / "notebooks" / key for key in (written, ready)]
    assert [str(each.message) for each in warned] == [
        f"no notebook for {edited}: features, target is a function: a notebook takes names only",
        f"no notebook for {dies}: its worker died",
        f"no notebook for {fails}: KeyError: 'x'",
    ]
    assert calls.pop("where") == {"workers": 2}
    assert list(calls) == [ready, dies, fails]
    days = {"start_date": "2024-12-02", "end_date": "2024-12-06"}
    for key, own in ((ready, {"top_assets": 6}), (dies, {})):
        function, arguments = calls[key]
        assert function.__name__ == "_execute"
        assert tuple(arguments) == (
            str(tmp_path / "mine.ipynb"),
            str(tmp_path / "notebooks" / key),
            own | days,
        )


def test_a_notebook_has_its_folder_once_it_ran_to_the_end(tmp_path, monkeypatch, capsys):
    folder, part = tmp_path / "run", tmp_path / "run.part"

    def run_notebook(notebook, written, parameters):
        print("a cell's output")
        assert (notebook, parameters) == ("mine.ipynb", {"epochs": 2})
        part.mkdir()  # fails where the rest of an earlier try is left
        if written != str(part) or fails:
            raise ValueError("a cell failed")

    monkeypatch.setattr(lib.notebook, "run_notebook", run_notebook)
    for fails, answer in ((True, "ValueError: a cell failed"), (False, "")):
        assert comparison._execute("mine.ipynb", str(folder), {"epochs": 2}) == answer
        assert (folder.exists(), part.exists()) == (not fails, fails)
    assert capsys.readouterr() == ("", "")
