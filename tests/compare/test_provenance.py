"""Fingerprints change with what a run depends on, and with nothing else."""

import numpy as np
import pytest

from lib.compare import provenance
from lib.compare.provenance import (
    code_fingerprint,
    function_fingerprint,
    functions_fingerprint,
    market_fingerprint,
    versions,
)
from lib.strategy import Strategy
from tests.processes import run_python
from tests.vectors import vector

# loaded with the others, but without a say in what comes of a run
BYSTANDERS = {f"report/{name}" for name in ("__init__", "display", "figure_style", "sharpe")}
BYSTANDERS |= {f"state/{name}" for name in ("atomic_file", "safe_pickle", "state_checks", "state_file")}
BYSTANDERS |= {f"compare/{name}" for name in ("__init__", "comparison", "run_notebooks", "run_plot")}
BYSTANDERS |= {f"compare/{name}" for name in ("run_table", "variants", "workers")}
BYSTANDERS |= {"backtest_range", "cli", "errors", "notebook"}

USED = """
import sys
from lib.compare.run_one import execute, load_market
from lib.strategy import Strategy
from lib.compare.runs import plan
from lib.compare import provenance
strategy = Strategy(hidden_size=4, train_period=40, lookback_period=40)
data = load_market(strategy, "2024-12-02", "2024-12-04")
code, market = provenance.code_fingerprint(), provenance.market_fingerprint(data)
record = execute(strategy, plan(strategy, "2024-12-02", "2024-12-04", market, code))
assert record["status"] == "finished", record
files = {name: module.__file__ for name, module in sys.modules.items() if name.startswith("lib.")}
print(*(file.split("/lib/")[-1].removesuffix(".py") for name, file in files.items() if "offline" not in name))
"""


def missing(loaded, listed):
    """Modules that a run loads and the fingerprint of the code does not see."""
    return loaded - set(listed) - BYSTANDERS


def test_the_code_fingerprint_sees_every_module_that_a_run_loads():
    out, _ = run_python(USED)
    loaded = set(out.splitlines()[-1].split())
    assert missing(loaded, provenance.CODE) == set()
    for name in ("training", "prediction", "features", "kernel"):  # the check sees what is left out
        assert missing(loaded, [one for one in provenance.CODE if one != name]) == {name}
    assert all((provenance.HERE / f"{name}.py").is_file() for name in provenance.CODE)


def test_the_code_fingerprint_changes_with_the_code(tmp_path, monkeypatch):
    before = code_fingerprint()
    assert before == code_fingerprint()
    for file in provenance.HERE.rglob("*.py"):
        copy = tmp_path / file.relative_to(provenance.HERE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text("utf-8"), "utf-8")
    stand_in = provenance._stand_in()
    monkeypatch.setattr(provenance, "_stand_in", lambda: stand_in)
    monkeypatch.setattr(provenance, "HERE", tmp_path)
    assert code_fingerprint() == before
    _append(tmp_path / "features.py")
    after = code_fingerprint()
    assert after != before
    if stand_in:
        _append(tmp_path / "offline" / "qnt" / "stats.py")
        assert code_fingerprint() != after


def _append(path):
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")


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
    assert "torch" not in versions(Strategy())
    assert {"python", "qnt", "numpy", "pandas", "xarray"} <= versions(Strategy()).keys()


FACTOR = 2


def helper(x):
    return x + 1


def made(source, **others):
    """A function from source that only exists here, as in a notebook."""
    scope = {"__name__": "notebook", **others}
    exec(source, scope)
    return scope["feature"]


def lag(n):
    def feature(data, strategy):
        return data[n:]

    return feature


PLAIN = "def feature(data, strategy, days=3):\n    return data * 2"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made(PLAIN), made(PLAIN.replace("* 2", "* 3"))),
        (made(PLAIN), made(PLAIN.replace("days=3", "days=4"))),
        (made(PLAIN), made(PLAIN.replace("data * 2", "data.mean"))),
        (lag(1), lag(2)),
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
            made("class A:\n    k = 1\nclass feature(A): pass"),
            made("class A:\n    k = 2\nclass feature(A): pass"),
        ),
    ],
)
def test_a_function_that_was_edited_is_another(one, other):
    assert function_fingerprint(one) == function_fingerprint(one)
    assert function_fingerprint(one) != function_fingerprint(other)


def test_a_function_that_was_not_edited_is_the_same():
    assert function_fingerprint(made(PLAIN)) == function_fingerprint(made(PLAIN))
    assert function_fingerprint(made(PLAIN, unused=1)) == function_fingerprint(made(PLAIN, unused=2))
    assert function_fingerprint(lag(1)) == function_fingerprint(lag(1))


def test_only_functions_are_fingerprinted():
    assert functions_fingerprint(Strategy()) == {}
    mine = lag(1)
    prints = functions_fingerprint(Strategy(features=["trend", mine], target=helper))
    assert prints == {"features": ["", function_fingerprint(mine)], "target": function_fingerprint(helper)}
