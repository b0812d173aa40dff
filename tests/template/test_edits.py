"""A user who does what the README invites to keeps a green suite: only tests/template may fail."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from tests.conftest import REAL
from tests.switches import ALL

PROJECT = Path(__file__).parents[2]
FEATURE = '''@feature
def day_before(data: "xr.DataArray", strategy: "Strategy") -> np.ndarray:
    """Return of the day before."""
    return indicators.shift(_returns(data), 1)


@feature
def momentum('''
EDITS = {
    "lib/parameters.py": (
        "top_assets: int = _between(1, 1_000, default=12)",
        "top_assets: int = _between(1, 1_000, default=10)",
    ),
    "lib/model.py": ("num_layers=2", "num_layers=1"),
    "lib/features.py": ("@feature\ndef momentum(", FEATURE),
}


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """A copy of the project with other parameters, another model, a feature and a cell of one's own."""
    copy = tmp_path_factory.mktemp("edited") / "project"
    names = (
        "lib",
        "qnt",
        "tests",
        "pyproject.toml",
        "requirements.txt",
        "init.py",
        "init.ipynb",
        "README.md",
    )
    for name in names:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(PROJECT / name, copy)
    for name, (before, after) in EDITS.items():
        source = (copy / name).read_text("utf-8")
        assert before in source
        (copy / name).write_text(source.replace(before, after), "utf-8")
    notebook = nbformat.read(PROJECT / "strategy.ipynb", 4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    for before, after in (("top_assets = None", "top_assets = 10"), ('["trend"]', '["trend", "day_before"]')):
        assert before in parameters.source
        parameters.source = parameters.source.replace(before, after)
    notebook.cells.insert(3, nbformat.v4.new_code_cell("print('mine')", id="mine"))
    nbformat.write(notebook, copy / "strategy.ipynb")
    return copy


def suite(copy, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *arguments]
    with tempfile.TemporaryDirectory(dir=copy.parent) as folder:
        words += [f"--basetemp={folder}/temp"]
        return subprocess.run(
            words, cwd=copy, env=environment | {"LONG_TESTS": ""}, capture_output=True, text=True, check=False
        )


# rooms of what stands below the edited files, and cannot see them
BELOW = {"indicators", "state"}
SEES_THEM = re.compile(
    r"(from|import) lib\.(strategy|parameters|model|features|engine|runs|notebook\w*|compare|contest)\b"
    r"|(from|import) lib\.(rehearsal|lookahead|report|backtest)\b"
    r"|lib import .*Strategy|strategy\.ipynb"
)
ROOMS = {path.parent.name for path in (PROJECT / "tests").glob("*/test_*.py")} - {"template"}
# the parts take about as long as one another
PARTS = [
    ["compare", "engine", "common"],
    ["contest", "prices", "runs", "stats"],
    ["lookahead", "report"],
    ["rehearsal", "offline"],
    ["."],
]


def room(name):
    """The files of tests in a folder, "." for those in none."""
    return [path for path in (PROJECT / "tests" / name).iterdir() if re.fullmatch(r"test_.*\.py", path.name)]


once_more = pytest.mark.skipif(not ALL or REAL, reason="runs the suite once more: set LONG_TESTS=all")


@once_more
@pytest.mark.parametrize("part", PARTS, ids=" ".join)
def test_everything_outside_this_folder_stays_green(edited, part):
    files = [path.relative_to(PROJECT).as_posix() for name in part for path in room(name)]
    done = suite(edited, *files)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_only_rooms_below_the_edited_files_are_left_out():
    assert sorted(name for part in PARTS for name in part) == sorted((ROOMS | {"."}) - BELOW)
    see_them = {
        name for name in ROOMS if any(SEES_THEM.search(path.read_text("utf-8")) for path in room(name))
    }
    assert see_them == ROOMS - BELOW


@once_more
def test_the_edits_are_seen_by_this_folder(edited):
    """The published numbers are not those of the edited copy, so that the edits were made."""
    name = "tests/template/test_published_numbers.py::test_the_defaults_are_the_published_ones"
    assert suite(edited, name).returncode == 1
