"""The notebook is prepared as the evaluator prepares it, and wrong parameters are refused before it runs."""

import pytest

from lib.rehearsal.assessment import explain
from lib.rehearsal.execution import CellRun, Execution
from lib.rehearsal.passes import copy_submission
from lib.rehearsal.submission import defined_names, read_submission
from tests.rehearsal.notebooks import KEEP, PREDICT, Draft


def test_the_copy_has_no_debug_cells_and_what_lies_beside(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    draft = Draft()
    draft.before(KEEP, "#DEBUG#\nprint('slow')")
    draft.beside = {"mine.py": "", "params.json": "{}", "more/x.py": "", "fractions.nc.gz": ""}
    draft.beside |= {"state.out.pickle.gz": "", ".hidden": "", "runs/x": ""}
    submission = read_submission(draft.save(home, "mine.ipynb"))
    copy_submission(submission, folder)
    kept = {"strategy.ipynb", "mine.py", "params.json", "more", "lib", "qnt"}
    assert {path.name for path in folder.iterdir()} == kept
    text = (folder / "strategy.ipynb").read_text(encoding="utf-8")
    assert "#DEBUG#" not in text.replace("`#DEBUG#`", "")
    assert "backtest_ml(" not in text
    assert "qnout.write(weights)" in text
    assert any("slow" in cell.source for cell in submission.removed)
    (folder / "params.json").write_text("changed by the notebook", encoding="utf-8")
    assert (home / "params.json").read_text(encoding="utf-8") == "{}"


def test_folders_are_copied_where_links_are_not_allowed(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    (tmp_path / "work").mkdir()
    copy_submission(read_submission(Draft().save(tmp_path)), tmp_path / "work")
    assert (tmp_path / "work" / "lib" / "strategy.py").is_file()


def test_the_competition_is_read_from_the_notebook(tmp_path):
    draft = Draft()
    assert read_submission(draft.save(tmp_path)).competition_type == "stocks_nasdaq100"
    settings = {"competition_type": "stocks_s&p500"}
    assert read_submission(draft.save(tmp_path), settings).competition_type == "stocks_s&p500"
    draft.cells[:] = [cell for cell in draft.cells if "tags" not in cell["metadata"]]
    draft.before(PREDICT, "competition_type = 'stocks_s&p500'  # or")
    assert read_submission(draft.save(tmp_path)).competition_type == "stocks_s&p500"


def test_settings_follow_the_parameters_cell(tmp_path):
    submission = read_submission(Draft().save(tmp_path), {"top_assets": 3, "features": ["trend"]})
    at = next(k for k, cell in enumerate(submission.cells) if "top_assets = 3" in cell.source)
    assert submission.cells[at].source == "top_assets = 3\nfeatures = ['trend']"
    assert "parameters" in submission.content["cells"][at - 1]["metadata"]["tags"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"top_asset": 3}, "has no parameter 'top_asset': did you mean 'top_assets'"),
        ({"top_assets": 0}, "top_assets is 0: it must be a whole number"),
        ({"top_assets": "many"}, "top_assets must be a whole number"),
        ({"features": "trendy"}, "did you mean 'trend'"),
        ({"start_date": "yesterday"}, "start_date is 'yesterday': it must be a date"),
        ({"competition_type": "stocks_nasdaq"}, "did you mean 'stocks_nasdaq100'"),
    ],
)
def test_wrong_parameters_are_refused(settings, sentence, tmp_path):
    with pytest.raises((TypeError, ValueError), match=sentence):
        read_submission(Draft().save(tmp_path), settings)


def test_functions_of_the_notebook_are_its_own_matter(tmp_path):
    draft = Draft()
    draft.before(
        "strategy = Strategy.from_names(", "@feature\ndef mine(data, strategy, n=3):\n    return data"
    )
    assert read_submission(draft.save(tmp_path), {"features": ["trend", "mine(n=4)"]})


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": [1]}', '{"cells": [{"source": "x"}]}', "\xff"])
def test_a_file_that_is_no_notebook_is_refused(text, tmp_path):
    (tmp_path / "strategy.ipynb").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="is not a notebook"):
        read_submission(tmp_path / "strategy.ipynb")
    with pytest.raises(FileNotFoundError, match="There is no notebook"):
        read_submission(tmp_path / "nowhere.ipynb")


def test_names_that_a_cell_defines():
    source = "%matplotlib inline\nimport a.b, c as d\nfrom e import f\ng, h = 1, 2\n"
    source += "def i(j): k = j\nclass L: m = 1"
    assert defined_names(source) >= {"a", "d", "f", "g", "h", "i", "L"}
    assert defined_names("g = = 1") == set()


def test_a_crash_without_a_failed_cell_shows_the_last_lines(tmp_path):
    submission = read_submission(Draft().save(tmp_path))
    assert explain(Execution(3, last_lines="x\ny"), submission) == "the pass crashed (exit code 3): x\ny"
    run = Execution(
        1, cells=(CellRun(1, 0.1), CellRun(2, 0.1, "KeyError", "'x'")), last_lines="KeyError: 'x'"
    )
    assert explain(run, submission).splitlines()[1].strip() == "KeyError: 'x'"
    assert f"in cell 3 ({submission.cells[2].source.splitlines()[0]}" in explain(run, submission)
