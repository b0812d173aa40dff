import os
from pathlib import Path

import pytest

from tests.processes import run_python

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.offline_only


def python(code, *more_paths):
    return run_python(code, PYTHONPATH=os.pathsep.join([str(ROOT), *map(str, more_paths)]))


def error(statement, kind=ImportError):
    with pytest.raises(kind) as raised:
        exec(statement, {})
    return str(raised.value)


def test_one_line_says_who_answers_and_on_which_market():
    out, err = python("import lib, lib.offline; lib.offline.install(); import qnt.data, qnt.output")
    assert out == ""
    line = "qnt is not installed: lib/offline answers in its place, on the market file market.nc."
    assert err.splitlines() == [line]


def test_installing_twice_is_harmless():
    code = "import sys, lib.offline as o; n = len(sys.path), len(sys.meta_path); o.install()"
    python(f"{code}; assert n == (len(sys.path), len(sys.meta_path)); assert sys.path[-1] == o.HERE")


@pytest.mark.parametrize("before", [True, False], ids=["installed", "nearer"])
def test_an_installed_qnt_is_preferred(before, tmp_path):
    (tmp_path / "qnt").mkdir()
    (tmp_path / "qnt" / "__init__.py").write_text("real = True", encoding="utf-8")
    if before:
        out, err = python("import sys, lib, qnt; print(qnt.real, 'lib.offline' in sys.modules)", tmp_path)
        assert (out, err) == ("True False\n", "")
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
    assert error(statement).startswith(f"{name} is not covered by lib/offline")
    assert "the real library has it" in error(statement)


MODULES = ["data", "data.stocks", "data.common", "output", "state", "log", "backtester"]
MODULES += ["ta", "stats", "graph", "filter", "exposure"]


@pytest.mark.parametrize("module", MODULES)
def test_using_what_is_not_covered_names_it_and_who_has_it(module):
    message = error(f"import qnt.{module} as m; m.no_such_thing()", AttributeError)
    assert message.startswith(f"qnt.{module}.no_such_thing is not covered by lib/offline")
    assert "the real library has it" in message


def test_a_type_of_data_that_is_not_covered():
    message = error("import qnt.data; qnt.data.load_data_by_type('futures')", NotImplementedError)
    assert 'load_data_by_type("futures") is not covered' in message
    assert "Here are stocks_nasdaq100 and stocks_s&p500." in message


def test_tools_that_look_around_find_plain_modules():
    code = "import inspect, pickle, lib, qnt.data, qnt.output"
    code += "; assert not hasattr(qnt.data, 'crypto'); assert not hasattr(qnt.output, '__wrapped__')"
    code += "; inspect.getmembers(qnt.output); inspect.getmodule(qnt.output.clean)"
    code += "; assert pickle.loads(pickle.dumps(qnt.output.clean)) is qnt.output.clean"
    python(code)


def test_a_module_that_was_not_imported_yet():
    code = "import lib, qnt\ntry:\n    qnt.output\nexcept AttributeError as error:\n    print(error)"
    assert (
        python(code)[0]
        == "qnt.output is a module that is not yet imported: write `import qnt.output` first.\n"
    )


def test_other_missing_modules_are_none_of_its_business():
    message = error("import no_such_module_anywhere")
    assert message == "No module named 'no_such_module_anywhere'"


def test_importing_all_of_it_compiles_and_draws_nothing():
    modules = ", ".join(f"qnt.{module}" for module in MODULES)
    looked_for = ("numba", "plotly", "torch", "IPython")
    code = f"import sys, lib, {modules}; print([name for name in {looked_for} if name in sys.modules])"
    assert python(code)[0] == "[]\n"
