import os
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from lib.notebook import run_notebook
from lib.rehearsal.passes import copy_submission
from tests.processes import run_python
from tests.switches import long, longest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.offline_only


def python(code, *more_paths):
    return run_python(code, PYTHONPATH=os.pathsep.join([str(ROOT), *map(str, more_paths)]))


def error(statement, kind=ImportError):
    with pytest.raises(kind) as raised:
        exec(statement, {})
    return str(raised.value)


SIDE_EFFECTS = """
import inspect, pickle, sys, lib, qnt
try:
    qnt.output
except AttributeError as error:
    print(error)
import lib.prices.__main__, {modules}
assert None not in sys.modules.values()
print([name for name in ("numba", "plotly", "torch", "IPython") if name in sys.modules])
lengths = len(sys.path), len(sys.meta_path)
lib.offline.install()
assert lengths == (len(sys.path), len(sys.meta_path))
assert sys.path[-1] == str(lib.offline.HERE)
assert not hasattr(qnt.data, "crypto")
assert not hasattr(qnt.output, "__wrapped__")
inspect.getmembers(qnt.output)
inspect.getmodule(qnt.output.clean)
assert pickle.loads(pickle.dumps(qnt.output.clean)) is qnt.output.clean
"""


def test_importing_has_no_side_effects_that_a_user_meets():
    """Nothing is printed, drawn or compiled, twice is harmless, and tools find plain modules."""
    out, err = python(SIDE_EFFECTS.format(modules=", ".join(f"qnt.{module}" for module in MODULES)))
    assert err == ""
    assert out.splitlines() == [
        "qnt.output is a module that is not yet imported: write `import qnt.output` first.",
        "[]",
    ]


def test_the_first_load_names_the_market_once():
    code = (
        "import qnt.data as d; [d.stocks.load_ndx_data(tail=9) for _ in range(2)]; d.stocks.load_spx_list()"
    )
    line = "qnt is not installed: its stand-in is used, with the market file market.nc."
    assert python(code)[1].splitlines() == [line]


FIRST_LINES = [
    "import qnt.ta as qnta; qnta.ema",
    "import qnt.data.common as c; import qnt.data as d; assert d.common is c; d.stocks",
    "from qnt import stats, output; import lib; output.clean; import qnt.stats as s; assert s is stats",
    "import qnt; import qnt.backtester, qnt.graph, qnt.exposure, qnt.filter; qnt.backtester.backtest_ml",
    "import qnt.log, qnt.state; import qnt.data, lib; qnt.state.read, qnt.data.load_data_by_type",
]


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=longest if k else long) for k, line in enumerate(FIRST_LINES)]
)
def test_a_process_that_starts_in_the_project_needs_no_other_import(line):
    run_python(f"import sys; assert 'lib' not in sys.modules; {line}", PYTHONPATH="")


@long
def test_modules_of_the_real_library_are_named_in_such_a_process():
    modules = ("exits", "optimizer", "xr_talib")
    code = "".join(f"try:\n import qnt.{m}\nexcept ImportError as error:\n print(error)\n" for m in modules)
    for module, line in zip(modules, run_python(code, PYTHONPATH="")[0].splitlines(), strict=True):
        assert line.startswith(f"'qnt.{module}' is not covered by the stand-in")


@long
@pytest.mark.parametrize(
    "line",
    [
        "import qnt.ta",
        pytest.param("import lib, qnt.ta", marks=longest),
        pytest.param("from qnt import ta", marks=longest),
    ],
)
def test_in_the_project_an_installed_qnt_is_preferred_wherever_it_is(line, tmp_path):
    (tmp_path / "qnt").mkdir()
    (tmp_path / "qnt" / "__init__.py").touch()
    (tmp_path / "qnt" / "ta.py").touch()
    code = f"import sys; sys.path.append({str(tmp_path)!r}); {line}; print(sys.modules['qnt.ta'].__file__)"
    code += "; import lib; print(lib.offline.is_stand_in(), str(lib.offline.HERE) in sys.path)"
    out, err = run_python(code, PYTHONPATH="")
    assert out.splitlines() == [str(tmp_path / "qnt" / "ta.py"), "False False"]
    assert err == ""


@long
@pytest.mark.parametrize("before", [True, pytest.param(False, marks=long)], ids=["installed", "nearer"])
def test_an_installed_qnt_is_preferred(before, tmp_path):
    (tmp_path / "qnt").mkdir()
    (tmp_path / "qnt" / "__init__.py").write_text("real = True", encoding="utf-8")
    if before:
        out, err = python("import sys, lib, qnt; print(qnt.real)", tmp_path)
        assert (out, err) == ("True\n", "")
    else:
        out, _ = python(
            f"import sys, lib; sys.path.insert(0, {str(tmp_path)!r}); import qnt; print(qnt.real)"
        )
        assert out == "True\n"


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import qnt.optimizer", "qnt.optimizer"),
        ("from qnt import optimizer", "qnt.optimizer"),
        ("from qnt.data import futures_load_data", "qnt.data.futures_load_data"),
        ("import qnt.data.futures", "qnt.data.futures"),
        ("from qnt.ta import pivot_points", "qnt.ta.pivot_points"),
        ("from qnt.state import forget", "qnt.state.forget"),
        ("from qnt.output import write_avro", "qnt.output.write_avro"),
        ("from qnt.backtester import build_plots_dash", "qnt.backtester.build_plots_dash"),
    ],
)
def test_importing_what_is_not_covered_names_it_and_who_has_it(statement, name):
    assert re.match(rf"'?{name}'? is not covered by the stand-in", error(statement))
    assert "the real library has it" in error(statement)


MODULES = ["data", "data.stocks", "data.common", "output", "state", "log", "backtester"]
MODULES += ["ta", "stats", "graph", "filter", "exposure"]


@pytest.mark.parametrize("module", MODULES)
def test_using_what_is_not_covered_names_it_and_who_has_it(module):
    message = error(f"import qnt.{module} as m; m.no_such_thing()", AttributeError)
    assert message.startswith(f"qnt.{module}.no_such_thing is not covered by the stand-in")
    assert "the real library has it" in message


def test_a_type_of_data_that_is_not_covered():
    message = error("import qnt.data; qnt.data.load_data_by_type('futures')", NotImplementedError)
    assert 'load_data_by_type("futures") is not covered' in message
    assert "Here are stocks_nasdaq100, stocks_s&p500, crypto_daily_long" in message


def test_other_missing_modules_are_none_of_its_business():
    message = error("import no_such_module_anywhere")
    assert message == "No module named 'no_such_module_anywhere'"


@long
@pytest.mark.parametrize("tool", ["notebook", "rehearsal"])
def test_a_notebook_elsewhere_finds_it(tool, tmp_path):
    cells = [nbformat.v4.new_code_cell("import qnt.ta as qnta\nimport qnt.data as qndata\nqnta.ema")]
    if tool == "notebook":
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
        nbformat.write(notebook, tmp_path / "rule.ipynb")
        run_notebook(tmp_path / "rule.ipynb", tmp_path / "out")
    else:
        (tmp_path / "work").mkdir()
        notebook = nbformat.v4.new_notebook(cells=cells)
        copy_submission(SimpleNamespace(path=tmp_path / "rule.ipynb", content=notebook), tmp_path / "work")
        run_python(cells[0].source, cwd=tmp_path / "work", PYTHONPATH="")
