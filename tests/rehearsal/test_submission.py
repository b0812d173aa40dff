"""The notebook is prepared as the evaluator prepares it, and wrong parameters are refused before it runs."""

import json
import sys
import time

import numpy as np
import psutil
import pytest

from lib.common.competitions import COMPETITIONS
from lib.rehearsal import Rehearsal, submission
from lib.rehearsal.assessment import assess, explain
from lib.rehearsal.passes import PassResult, copy_submission
from lib.rehearsal.submission import CellRun, Execution, defined_names, execute, last_lines, read_submission
from tests.markets import random_market
from tests.rehearsal.notebooks import KEEP, PREDICT, Draft
from tests.rehearsal.public_notebooks import save
from tests.switches import long
from tests.systems import needs_limits


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


def test_the_copy_shares_nothing_with_the_project(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "work"
    (home / "more" / "__pycache__").mkdir(parents=True)
    (home / "more" / "x.py").write_text("x = 1", encoding="utf-8")
    (home / "more" / "__pycache__" / "x.pyc").touch()
    (home / "venv").mkdir()
    (home / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "data.csv").write_text("1", encoding="utf-8")
    for link, target in (("data.csv", tmp_path / "data.csv"), ("round", home), ("gone", home / "nowhere")):
        try:
            (home / "more" / link).symlink_to(target, target_is_directory=target.is_dir())
        except OSError:  # Windows allows links to administrators only
            continue
    copy_submission(read_submission(Draft().save(home)), folder)
    assert not [path for path in folder.rglob("*") if path.is_symlink() or path.name == "__pycache__"]
    assert not (folder / "venv").exists()
    assert not (folder / "more" / "round").exists()
    assert (folder / "lib" / "strategy.py").is_file()
    for path in folder.rglob("*"):
        if path.is_file() and (folder / "more") in path.parents:
            path.write_text("changed", encoding="utf-8")
    assert (home / "more" / "x.py").read_text(encoding="utf-8") == "x = 1"
    assert (tmp_path / "data.csv").read_text(encoding="utf-8") == "1"


COMPETITION_NAMED = {
    "a keyword": ("qnbt.backtest(competition_type='stocks_s&p500', strategy=s)", "stocks_s&p500"),
    "the loader by type": ("qndata.load_data_by_type('stocks_s&p500')", "stocks_s&p500"),
    "the loader": ("data = qndata.stocks.load_spx_data(tail=60)", "stocks_s&p500"),
    "another loader": ("data = qndata.cryptodaily_load_data(tail=60)", "crypto_daily_long"),
    "nothing": ("x = 1", "stocks_nasdaq100"),
}


@pytest.mark.parametrize("name", COMPETITION_NAMED)
def test_the_competition_of_another_projects_notebook_is_read(name, tmp_path):
    source, kind = COMPETITION_NAMED[name]
    assert read_submission(save([source], tmp_path / "strategy.ipynb")).competition_type == kind


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


def test_tags_count_on_code_cells_alone_and_need_no_metadata(tmp_path):
    tags = {"tags": ["parameters", "raises-exception"]}
    cells = [
        {"cell_type": "markdown", "source": ["top_assets = 3\n", "x"], "metadata": tags},
        {"cell_type": "code", "source": ["x = 1\n", "y = 2"]},
        {"cell_type": "code", "source": "z = 1", "metadata": tags},
    ]
    (tmp_path / "strategy.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    found = read_submission(tmp_path / "strategy.ipynb", {"z": 2})
    assert [cell.source for cell in found.cells] == ["top_assets = 3\nx", "x = 1\ny = 2", "z = 1", "z = 2"]
    assert [cell.number for cell in found.may_fail] == [3]


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


@pytest.mark.parametrize(
    ("error", "text", "advice"),
    [
        ("ModuleNotFoundError", "No module named 'qnt'", "the platform has it"),
        ("ModuleNotFoundError", "'qnt.exits' is not covered by the stand-in for qnt", "the platform has it"),
        ("NotCoveredError", "qnt.data.futures is not covered by the stand-in", "the platform has it"),
        ("ModuleNotFoundError", "No module named 'talib'", "the module talib is neither"),
        ("ModuleNotFoundError", "import of x halted", "the last lines"),
    ],
)
def test_the_advice_names_a_module_and_never_says_to_install_qnt(error, text, advice, tmp_path):
    submission = read_submission(save(["import x"], tmp_path / "strategy.ipynb"))
    run = Execution(1, cells=(CellRun(0, 0.1, error, text),), last_lines="the last lines")
    said = explain(run, submission).splitlines()[1].strip()
    assert said.startswith(advice)
    assert "install" not in said or "talib" in said


def test_a_cell_that_may_fail_is_worth_a_note(tmp_path):
    path = save(["x = 1", "1 / 0"], tmp_path / "strategy.ipynb")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["cells"][1]["metadata"]["tags"] = ["raises-exception"]
    path.write_text(json.dumps(content), encoding="utf-8")
    submission = read_submission(path)
    assert [str(cell) for cell in submission.may_fail] == ["cell 2 (1 / 0)"]
    done = PassResult(
        np.datetime64("2024-12-27"), Execution(cells=(CellRun(1, 0.1, "ZeroDivisionError", "by 0"),))
    )
    found = assess([done], random_market(0, days=20), COMPETITIONS["stocks_nasdaq100"], submission)
    assert "cell 2 (1 / 0) failed, and the pass went on: ZeroDivisionError: by 0" in found[0].notes
    assert "Note: cell 2 (1 / 0) is tagged raises-exception" in str(Rehearsal([done], found, submission))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Execute a Python program instead of a notebook."""

    def execute_program(source: str, limit: float = 60, **variables: str | None) -> submission.Execution:
        monkeypatch.setattr(submission, "command", lambda python, results: [python, "-c", source])
        return execute(tmp_path, tmp_path, variables, limit)

    return execute_program


@needs_limits
def test_the_memory_is_that_of_the_pass_and_not_of_who_started_it(run):
    small, large = run("pass").memory, run("bytearray(80 << 20)").memory
    assert small < 60 << 20  # the process that runs this test has far more
    assert 80 << 20 < large < 160 << 20


STARTS_ANOTHER = """
import subprocess, sys, time
code = "import time; time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)  # as Jupyter starts a kernel
open("child", "w").write(str(child.pid))
time.sleep(600)
"""


@long
def test_a_pass_that_takes_too_long_is_ended_with_its_kernel(run, tmp_path, monkeypatch):
    """The child runs in a session of its own, in no group that could be signalled."""
    waiting = submission.subprocess.Popen.wait

    def until_started(process, limit=None):
        while limit is not None and not (tmp_path / "child").exists():
            time.sleep(0.01)
        return waiting(process, limit)

    monkeypatch.setattr(submission.subprocess.Popen, "wait", until_started)
    done = run(STARTS_ANOTHER, limit=0.2)
    assert done.timed_out
    assert done.exit_code
    pid = int((tmp_path / "child").read_text(encoding="utf-8"))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_variables_are_set_for_the_program_alone(run, monkeypatch):
    monkeypatch.setenv("GONE", "1")
    source = "import os, sys; sys.exit(f\"{os.environ['ADDED']} {os.environ.get('GONE')}\")"
    assert run(source, ADDED="yes", GONE=None).last_lines == "yes None"
    assert submission.environment.__module__ == "lib.common.command_line"


def test_the_last_lines_of_an_error_are_kept(run):
    noise = "Kernel is running over TCP without encryption."
    source = (
        f"import sys; print('first'); print('two\\n' * 50); sys.exit('\\x1b[31mit broke\\x1b[0m\\n{noise}')"
    )
    done = run(source, PYTHONUNBUFFERED="1")
    assert done.exit_code == 1
    assert done.last_lines.endswith("it broke")
    assert "first" not in done.last_lines
    assert last_lines("a\n\n ---\nb") == "a\n        b"


def test_cells_are_read_from_the_log(run):
    entries = '{"cell": 1, "seconds": 0.5}\\n{"cell": 3, "seconds": 2, "error": "NameError", "text": "no"}'
    done = run(f"open('cells', 'w').write('{entries}')")
    assert done.cells == ((1, 0.5, "", ""), (3, 2, "NameError", "no"))
    assert run("pass").cells == ()


def test_the_command_is_the_evaluators(tmp_path):
    words = submission.command(sys.executable, tmp_path)
    assert words[1:6] == ["-m", "nbconvert", "--to", "html", "--execute"]
    assert "strategy.ipynb" in words


LEAVES_ONE = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
"""


@pytest.mark.parametrize("source", ["pass", LEAVES_ONE], ids=["none", "one"])
def test_processes_left_running_are_named_and_ended(source, run, monkeypatch):
    monkeypatch.setattr(submission, "PATIENCE", 0.05)
    left = run(source).left_running
    assert len(left) == (source == LEAVES_ONE)
    assert all("time.sleep(600)" in command for command in left)
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if command in left]
