"""A run's key changes with every module of the project that the run uses, and with no other."""

import shutil
import sys

import pytest

from lib.runs import project_code, provenance, store
from lib.runs.project_code import fingerprint, reached
from lib.strategy import Strategy
from tests.processes import run_python

# loaded with the others, but without a say in what comes of a run
BYSTANDERS = ("lib/__init__.py", "lib/report/", "lib/prices/", "lib/notebook/", "lib/runs/workers")
BYSTANDERS += tuple(f"lib/compare/{name}" for name in ("__init__", "comparison", "labels", "run_table"))
BYSTANDERS += tuple(f"lib/compare/{name}" for name in ("run_plot", "seed_summary", "variants", "luck"))
BYSTANDERS += ("lib/stats/overfitting", "lib/stats/walk_forward", "lib/stats/sharpe", "lib/common/rules")


USED = """
import sys
from lib.compare.run_one import execute
from lib.strategy import Strategy
from lib.runs.store import plan
from lib.runs import provenance
strategy = Strategy(hidden_size=4, train_period=40, lookback_period=40)
market = provenance.market_fingerprint(strategy.load_range("2024-12-02", "2024-12-04"))
record = execute(strategy, plan(strategy, "2024-12-02", "2024-12-04", market))
assert record["status"] == "finished", record
files = [module.__file__ for name, module in sys.modules.items() if name.startswith("lib.")]
print(*("lib/" + file.split("/lib/")[-1] for file in files if "/offline/" not in file))
print(*record["files"])
"""


def test_every_module_that_a_run_loads_is_seen():
    loaded, listed = (set(line.split()) for line in run_python(USED)[0].splitlines()[-2:])
    assert {name for name in loaded - listed if not name.startswith(BYSTANDERS)} == set()
    for name in ("engine/training", "engine/prediction", "features", "model", "indicators/averages"):
        assert f"lib/{name}.py" in listed
    assert not [name for name in listed if name.startswith(BYSTANDERS)]
    assert any(name.startswith("lib/offline/qnt") for name in listed) == provenance.is_stand_in()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the project, with modules of a user's own beside the notebook and in lib/."""
    shutil.copytree(project_code.PROJECT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("*.pyc"))
    (tmp_path / "lib/mine.py").write_text("K = 1\n", encoding="utf-8")
    (tmp_path / "beside").mkdir()
    for name, text in {
        "__init__": "",
        "top": "from . import middle\nfrom numpy import array",
        "middle": "def f():\n    from beside.low import g",
        "low": "import lib.mine\nimport nothing",
        "aside": "",
        "broken": "def f(:",
    }.items():
        (tmp_path / f"beside/{name}.py").write_text(text, encoding="utf-8")
    stand_in, engine = provenance.is_stand_in(), provenance.engine()
    monkeypatch.setattr(provenance, "is_stand_in", lambda: stand_in)
    monkeypatch.setattr(provenance, "engine", lambda: engine)
    monkeypatch.setattr(project_code, "PROJECT", tmp_path)
    return tmp_path


def append(path):
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")


def test_the_copy_has_the_fingerprint_of_the_original(project, monkeypatch):
    copy = fingerprint(reached())
    monkeypatch.undo()
    assert fingerprint(reached()) == copy


@pytest.mark.parametrize(
    ("module", "files"),
    [
        ("lib.mine", {"lib/mine.py"}),
        ("lib.mine.K", {"lib/mine.py"}),
        ("beside.low", {"beside/__init__.py", "beside/low.py", "lib/mine.py"}),
        (
            "beside.top",
            {"lib/mine.py", *(f"beside/{name}.py" for name in ("__init__", "top", "middle", "low"))},
        ),
        ("beside.broken", {"beside/__init__.py", "beside/broken.py"}),
        ("numpy.linalg", set()),
        ("", set()),
    ],
)
def test_imports_are_followed_within_the_project(module, files, project):
    assert set(reached([module])) - set(reached()) == files


@pytest.mark.parametrize("name", ["lib/features.py", "lib/mine.py", "lib/engine/lbfgs.py", "beside/low.py"])
def test_a_change_anywhere_below_is_seen(name, project):
    before = fingerprint(reached(["beside.top"]))
    append(project / name)
    assert fingerprint(reached(["beside.top"])) != before


@pytest.mark.parametrize("name", ["beside/aside.py", "lib/report/display.py", "lib/compare/run_plot.py"])
def test_a_change_elsewhere_is_not(name, project):
    before = fingerprint(reached(["beside.top"]))
    append(project / name)
    assert fingerprint(reached(["beside.top"])) == before


def test_a_module_that_a_feature_of_the_project_imports(project):
    path = project / "lib/features.py"
    path.write_text(
        path.read_text("utf-8").replace("import numpy as np", "import numpy as np\nfrom lib import mine"),
        encoding="utf-8",
    )
    before = fingerprint(reached())
    append(project / "lib/mine.py")
    assert fingerprint(reached()) != before


def test_the_key_of_a_run_with_a_function_of_a_module_beside_the_notebook(project, monkeypatch):
    """The function is of the notebook; what it calls is of a module, and that calls another."""
    (project / "helpers_of_mine.py").write_text(
        "def ratio(data):\n    import lib.mine\n    return data\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(project))
    import helpers_of_mine

    monkeypatch.delitem(sys.modules, "helpers_of_mine")
    monkeypatch.setitem(sys.modules, "helpers_of_mine", helpers_of_mine)
    scope = {"__name__": "__main__", "ratio": helpers_of_mine.ratio}
    exec("def feature(data, strategy): return ratio(data)", scope)

    def key():
        return store.plan(Strategy(features=[scope["feature"]]), "2024-12-02", "2024-12-06", "market")["key"]

    keys = [key()]
    for name in ("helpers_of_mine.py", "lib/mine.py"):
        append(project / name)
        keys.append(key())
    assert len(set(keys)) == 3
    append(project / "beside/low.py")
    assert key() == keys[-1]


def test_line_endings_make_no_difference_and_a_missing_file_does(project):
    before = fingerprint(["lib/mine.py"])
    (project / "lib/mine.py").write_bytes(b"K = 1\r\n")
    assert fingerprint(["lib/mine.py"]) == before
    (project / "lib/mine.py").unlink()
    assert fingerprint(["lib/mine.py"]) != before
