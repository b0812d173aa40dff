"""Fingerprints of the market, and versions, change with what a run depends on, and with nothing else."""

import functools
import linecache
import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.common.registry import Choices, whole_universe
from lib.compare.single_run import START_MODULE
from lib.runs import provenance
from lib.runs.provenance import ObjectCode, code_fingerprint, market_fingerprint, reached_modules, versions
from lib.runs.store import identity_of
from lib.strategy import Strategy
from tests.compare.shared import Ratio, two_days
from tests.processes import run_python
from tests.switches import LONG, long
from tests.vectors import vector


def test_the_market_fingerprint_changes_with_values_and_labels_only():
    data = vector("loaded").isel(time=slice(-20, None))
    before = market_fingerprint(data)
    assert market_fingerprint(data.transpose("asset", "time", "field")) == before
    other_nan = data.copy()
    other_nan.values[np.isnan(other_nan.values)] = -np.float64("nan")
    assert market_fingerprint(other_nan) == before
    raised = data.copy()
    raised.values[1, 5, 7] *= 1 + 1e-15
    changed = [raised, data[:, 1:], data[:, :, 1:], data.assign_coords(asset=data.asset.values[::-1])]
    assert len({before, *map(market_fingerprint, changed)}) == 1 + len(changed)


def test_versions_name_torch_only_where_it_is_used():
    without = versions(Strategy(model="constant"))
    assert "torch" not in without
    assert {"python", "qnt", "numpy", "pandas", "xarray"} <= without.keys()
    assert "torch" in versions(Strategy(model=lambda n_features, strategy: None))


def code_of(function):
    return ObjectCode(function).fingerprint


def reached(*modules):
    return reached_modules([START_MODULE, *modules])


def made(source, **others):
    """A function from source that only exists here, as in a notebook."""
    scope = {"__name__": "notebook", **others}
    exec(source, scope)
    return scope["feature"]


def lag(n):
    def feature(data, strategy):
        return data[n:]

    return feature


STATIC = (
    "class feature:\n    @staticmethod\n    def f(x): return x * 2\n    @property\n    def p(self): return 1"
)
SLOTS = """class feature:
    __slots__ = ("k",)
    def __init__(self, k): self.k = k
    def __call__(self, d, s): return d
"""
PLAIN = "def feature(data, strategy, days=3):\n    return data * 2"


def edited(number):
    """Two registered functions of one name, and what else may be wrong with a registry."""
    registry = Choices("feature")
    function = made(f"def feature(data, strategy): return {number}")
    return registry(function)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (made(PLAIN), made(PLAIN.replace("* 2", "* 3"))),
        (made(PLAIN), made(PLAIN.replace("days=3", "days=4"))),
        (made(PLAIN.replace("days=3", "*, days=3")), made(PLAIN.replace("days=3", "*, days=4"))),
        (
            made("def feature(d, s):\n    try:\n        a()\n        b()\n    except E: pass"),
            made("def feature(d, s):\n    try:\n        a()\n    except E: pass\n    b()"),
        ),
        (
            functools.cache(made(PLAIN)),
            functools.cache(made(PLAIN.replace("* 2", "* 3"))),
        ),
        (np.vectorize(made(PLAIN)), np.vectorize(made(PLAIN.replace("* 2", "* 3")))),
        (
            made("def feature(d, s): return F(d)", F=np.vectorize(lambda x: x)),
            made("def feature(d, s): return F(d)", F=np.vectorize(lambda x: -x)),
        ),
        (made(PLAIN), made(PLAIN.replace("data * 2", "data.mean"))),
        (lag(1), lag(2)),
        (made("def feature(d, s, *, k=1): return k"), made("def feature(d, s, *, k=2): return k")),
        (
            made("def feature(d, s):\n    return K * d", K=1),
            made("def feature(d, s):\n    return K * d", K=2),
        ),
        (
            made("def inner(x): return x\ndef feature(d, s): return inner(d)"),
            made("def inner(x): return -x\ndef feature(d, s): return inner(d)"),
        ),
        (
            made("def feature(d, s): return [K * x for x in d]", K=np.ones(2)),
            made("def feature(d, s): return [K * x for x in d]", K=np.zeros(2)),
        ),
        (
            made("class feature:\n    depth = 1\n    def f(self): return 1"),
            made("class feature:\n    depth = 1\n    def f(self): return 2"),
        ),
        (made("class feature:\n    depth = 1"), made("class feature:\n    depth = 2")),
        (
            made("def feature(d, s): return K", K=np.float64(1)),
            made("def feature(d, s): return K", K=np.float64(2)),
        ),
        (
            made("def feature(d, s): return K", K={"a", "b"}),
            made("def feature(d, s): return K", K={"a", "c"}),
        ),
        (
            made("def feature(d, s): return K", K=pd.Series([1, 2])),
            made("def feature(d, s): return K", K=pd.Series([1, 3])),
        ),
        (
            made("def feature(d, s): return K.days", K=Ratio(1)),
            made("def feature(d, s): return K.days", K=Ratio(2)),
        ),
        (made("def feature(d, s): return s - d"), made("def feature(d, s): return d - s")),
        (made(STATIC), made(STATIC.replace("x * 2", "x * 3"))),
        (made(SLOTS)(1), made(SLOTS)(2)),
        (functools.partial(two_days, power=1), functools.partial(two_days, power=2)),
        (functools.partial(two_days, 1), functools.partial(two_days, 2)),
        (functools.partial(lag(1)), functools.partial(lag(2))),
        (Ratio(1), Ratio(2)),
        (Ratio(1).__call__, Ratio(2).__call__),
        (Ratio([1]), Ratio([1, 1])),
        (edited(1), edited(2)),
        (whole_universe(made(PLAIN)), made(PLAIN)),
        (
            made("class A:\n    k = 1\nclass feature(A): pass"),
            made("class A:\n    k = 2\nclass feature(A): pass"),
        ),
    ],
)
def test_a_function_that_was_edited_is_another(first, second):
    assert code_of(first) == code_of(first)
    assert code_of(first) != code_of(second)


def test_a_function_that_was_not_edited_is_the_same():
    assert code_of(made(PLAIN)) == code_of(made(PLAIN))
    assert code_of(made(PLAIN, unused=1)) == code_of(made(PLAIN, unused=2))
    assert code_of(lag(1)) == code_of(lag(1))
    assert code_of(np.vectorize(made(PLAIN))) == code_of(np.vectorize(made(PLAIN)))


DOCUMENTED = '''
def feature(data, strategy):  # a comment
    """Return twice the data."""

    class Inner:
        """A class."""

        def f(self):
            """Return 1."""
            return 1

    def inner(x):
        """Return x."""
        return x

    return inner(
        data
    ) * 2 + Inner().f()
'''
BARE = """def feature(data, strategy):
    class Inner:
        def f(self): return 1
    def inner(x): return x
    return inner(data) * 2 + Inner().f()"""


def test_comments_docstrings_and_line_breaks_of_a_notebook_change_nothing():
    assert code_of(made(DOCUMENTED)) == code_of(made(BARE))
    assert code_of(made(DOCUMENTED)) != code_of(made(BARE.replace("return 1", "return 2")))


def test_the_text_that_python_keeps_for_a_name_is_not_taken_for_the_source(monkeypatch):
    """Python 3.13 keeps the text of `python -c` under the name "<string>", which code from `exec` has too."""
    text = "import sys\n"
    monkeypatch.setitem(linecache.cache, "<string>", (len(text), None, [text], "<string>"))
    assert code_of(made(PLAIN)) != code_of(made(PLAIN.replace("* 2", "* 3")))


PRINT = """
from lib.runs.provenance import ObjectCode
scope = {"__name__": "notebook", "K": {"a", "b", "c", "d"}}
exec("def feature(d, s, n=3):\\n    return n if d in {'x', 'y', 'z', 'w'} else K", scope)
class A:
    def f(self): self.x, self.y, self.z = 1, 2, 3
    def __call__(self, d, s): return d
print(ObjectCode(scope["feature"]).fingerprint, ObjectCode(A()).fingerprint)
"""


@long
def test_it_is_the_same_in_every_process():
    """The order of a set, and so that of a constant one, differs from process to process."""
    assert len({run_python(PRINT, PYTHONHASHSEED=seed)[0] for seed in ("123" if LONG else "12")}) == 1


def test_temporary_objects_do_not_hide_each_other():
    """Their ids may be equal, one having taken the place of the other."""
    values = [[k, k + 1] for k in range(200)]
    prints = {code_of(made("def feature(d, s, a=None): return a", K=0)) for _ in range(3)}
    assert len(prints) == 1
    assert len({code_of(functools.partial(two_days, *pair)) for pair in values}) == 200


def test_a_function_that_refers_to_itself():
    fact = "def feature(d, s): return feature(d, s)"
    assert code_of(made(fact)) == code_of(made(fact))
    loop = []
    loop.append(loop)
    assert code_of(functools.partial(two_days, loop)) != code_of(functools.partial(two_days, []))


@pytest.mark.parametrize(
    ("function", "modules"),
    [
        (two_days, {"tests.compare.shared"}),
        (functools.partial(two_days, power=2), {"tests.compare.shared"}),
        (Ratio(3), {"tests.compare.shared"}),
        (made("def feature(d, s): return f(d)", f=two_days), {"tests.compare.shared"}),
        (made("def feature(d, s): return np.abs(d)", np=np), {"numpy"}),
        (made("def feature(d, s):\n    import a.b\n    return a"), {"a.b"}),
        (made("def feature(d, s):\n    from a import b, c\n    return a"), {"a", "a.b", "a.c"}),
        (made("def feature(d, s):\n    def inner():\n        import a\n    return inner"), {"a"}),
    ],
)
def test_the_modules_that_it_refers_to_are_named(function, modules):
    assert ObjectCode(function).modules == modules


# loaded with the others, but without effect on a run
BYSTANDERS = ("lib/__init__.py", "lib/report/", "lib/prices/", "lib/notebook", "lib/runs/workers")
BYSTANDERS += tuple(f"lib/compare/{name}" for name in ("__init__", "table", "variants", "luck"))
BYSTANDERS += (
    "lib/stats/resampling",
    *(f"lib/stats/{name}" for name in ("performance", "portfolios")),
    "lib/common/rules",
    "lib/common/figure_style",
)


USED = """
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from types import SimpleNamespace
from lib.compare.single_run import plan_record
from lib.compare.single_run import load_market, run_once
from lib.runs import provenance
from lib.strategy import Strategy
strategy = Strategy(hidden_size=4, train_period=40, lookback_period=40)
data, market = load_market(strategy, "2024-12-02", "2024-12-04")
record = run_once(strategy, plan_record(strategy, "2024-12-02", "2024-12-04", market, ""))
assert record["status"] == "finished", record
files = [module.__file__ for name, module in sys.modules.items() if name.startswith("lib.")]
print(*("lib/" + file.split("/lib/")[-1] for file in files if "/offline/" not in file))
paths = map(provenance.file_of, record["modules"])
print(*(path.relative_to(provenance.PROJECT).as_posix() for path in paths))
"""


@long
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
    shutil.copytree(provenance.PROJECT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("*.pyc"))
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
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    return tmp_path


def test_a_function_inside_an_object_of_a_package_is_among_the_modules():
    assert ObjectCode(SimpleNamespace(function=two_days)).modules == {"tests.compare.shared"}


def test_a_compiled_module_has_no_source(tmp_path, monkeypatch):
    (tmp_path / f"compiled{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert provenance.file_of("compiled") is None


def append(path, text="K = 2\n"):
    path.write_text(path.read_text("utf-8") + text, "utf-8")


def test_the_copy_has_the_fingerprint_of_the_original(project, monkeypatch):
    copy = code_fingerprint(reached())
    monkeypatch.undo()
    assert code_fingerprint(reached()) == copy


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
    found = set(reached(module)) - set(reached())
    assert {provenance.file_of(name).relative_to(project).as_posix() for name in found} == files


@pytest.mark.parametrize("name", ["lib/features.py", "lib/mine.py", "lib/engine/lbfgs.py", "beside/low.py"])
def test_a_change_anywhere_below_is_seen(name, project):
    before = code_fingerprint(reached("beside.top"))
    append(project / name)
    assert code_fingerprint(reached("beside.top")) != before


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "# a comment\n", "K = (\n    1\n)  # in other lines\n"],
    ids=["nothing", "empty lines", "comment", "line breaks"],
)
def test_comments_docstrings_and_line_breaks_change_nothing(text, project):
    path = project / "lib/mine.py"
    path.write_text('"""A module."""\n\ndef f():\n    """Return 1."""\n    return 1\n\nK = 1\n', "utf-8")
    before = code_fingerprint(["lib.mine"])
    rest = "def f():\n    return  1\n\n" + (text if text.startswith("K") else f"{text}K = 1\n")
    path.write_text(rest, "utf-8")
    assert code_fingerprint(["lib.mine"]) == before
    path.write_text(rest.replace("return  1", "return  2"), "utf-8")
    assert code_fingerprint(["lib.mine"]) != before


@pytest.mark.parametrize("name", ["beside/aside.py", "lib/report/display.py", "lib/compare/table.py"])
def test_a_change_elsewhere_is_not(name, project):
    before = code_fingerprint(reached("beside.top"))
    append(project / name)
    assert code_fingerprint(reached("beside.top")) == before


def test_a_module_that_a_feature_of_the_project_imports(project):
    path = project / "lib/features.py"
    path.write_text(
        path.read_text("utf-8").replace("import numpy as np", "import numpy as np\nfrom lib import mine"),
        encoding="utf-8",
    )
    before = code_fingerprint(reached())
    append(project / "lib/mine.py")
    assert code_fingerprint(reached()) != before


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
        return identity_of(Strategy(features=[scope["feature"]])).key

    keys = [key()]
    for name in ("helpers_of_mine.py", "lib/mine.py"):
        append(project / name)
        keys.append(key())
    assert len(set(keys)) == 3
    append(project / "beside/low.py")
    assert key() == keys[-1]


def test_line_endings_make_no_difference_and_a_missing_file_does(project):
    before = code_fingerprint(["lib.mine"])
    (project / "lib/mine.py").write_bytes(b"K = 1\r\n")
    assert code_fingerprint(["lib.mine"]) == before
    (project / "lib/mine.py").unlink()
    assert code_fingerprint(["lib.mine"]) != before


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder outside the project with a module of the user's own, `outside_of_it`."""
    folder = tmp_path / "shared_code"
    folder.mkdir()
    (folder / "outside_of_it.py").write_text(
        "import below_it\n\ndef ratio(data):\n    return data\n", "utf-8"
    )
    (folder / "below_it.py").write_text("K = 1\n", "utf-8")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("outside_of_it", "below_it"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["outside_of_it", "below_it"])
def test_a_module_outside_the_project_is_part_of_the_key_where_it_is_no_installed_package(name, elsewhere):
    import outside_of_it

    scope = {"__name__": "__main__", "ratio": outside_of_it.ratio}
    exec("def feature(data, strategy): return ratio(data)", scope)
    direct, within = (Strategy(features=[function]) for function in (outside_of_it.ratio, scope["feature"]))
    before = identity_of(direct).key, identity_of(within).key
    append(elsewhere / f"{name}.py", "# a comment\n")
    assert (identity_of(direct).key, identity_of(within).key) == before
    append(elsewhere / f"{name}.py")
    after = identity_of(direct).key, identity_of(within).key
    assert set(before).isdisjoint(after)


def test_installed_packages_are_not_followed():
    assert [
        provenance.file_of(name) for name in ("numpy", "xarray.core", "json", "qnt.data", "__main__")
    ] == ([None] * 5)


def test_the_engine_is_part_of_the_code(monkeypatch):
    before = code_fingerprint([])
    monkeypatch.setattr("lib.runs.provenance.engine", lambda: "qnt 9")
    assert code_fingerprint([]) != before
