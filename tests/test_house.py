"""The structure of lib/: imports run downwards only, without a circle."""

import ast
import functools
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
# from the top down: a module imports only what stands below its own line, or modules of its own folder
ORDER = [
    ["lib/__init__.py"],
    ["lib/contest/", "lib/compare/", "lib/rehearsal/", "lib/lookahead/", "lib/prices/"],
    ["lib/report/"],
    ["lib/notebook.py"],
    ["lib/notebook_strategy.py"],
    ["lib/runs/"],
    ["lib/backtest.py"],
    ["lib/strategy.py"],
    ["lib/engine/"],
    ["lib/features.py", "lib/universe.py", "lib/model.py", "lib/sizing.py"],
    ["lib/state", "lib/offline/", "lib/stats/"],
    ["lib/parameters.py"],
    ["lib/indicators"],
    ["lib/common/"],
]


@functools.cache
def parsed(text):
    """The statements of a module's text; copies of lib/ differ in one file only."""
    return ast.parse(text)


def modules(root):
    """Every module of lib/ by its dotted name."""
    found = {}
    for path in sorted((root / "lib").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def statements(text):
    """The imports in a module's text, inside functions too."""
    return [node for node in ast.walk(parsed(text)) if isinstance(node, ast.Import | ast.ImportFrom)]


def imports(root):
    """Return the modules of lib/ that each imports, inside functions and for type hints too."""
    known = modules(root)
    return {name: set(_imported(name, path, known)) - {name} for name, path in known.items()}


def _imported(name, path, known):
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in statements(path.read_text("utf-8")):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        else:
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            candidates = [f"{base}.{alias.name}" for alias in node.names] + [base]
            if candidates[0] in known or any(c in known for c in candidates[:-1]):
                candidates = candidates[:-1]  # `from package import module` is an import of the module
        for candidate in candidates:
            candidate = (
                candidate.replace("qnt.", "lib.offline.qnt.") if name.startswith("lib.offline") else candidate
            )
            if candidate in known:
                yield candidate
            elif candidate.rpartition(".")[0] in known and isinstance(node, ast.ImportFrom):
                yield candidate.rpartition(".")[0]


def circle(graph):
    """Modules of one circle in the order in which they import each other; empty where there is none."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        path.append(name)
        for other in sorted(graph[name]):
            if found := visit(other):
                return found
        done.add(path.pop())
        return []

    return next((found for name in graph if (found := visit(name))), [])


def floor(path):
    """The line of ORDER on which a module stands."""
    for number, line in enumerate(ORDER):
        if any(path == place or (not place.endswith(".py") and path.startswith(place)) for place in line):
            return number
    raise AssertionError(f"{path} has no place in ORDER")


def upward(root):
    """Imports of a module that stands above, or beside in another folder."""
    paths = {name: path.relative_to(root).as_posix() for name, path in modules(root).items()}

    def room(path):
        return path.split("/")[1]

    return [
        f"{name} imports {other}"
        for name, others in imports(root).items()
        for other in sorted(others)
        if room(paths[name]) != room(paths[other]) and floor(paths[other]) <= floor(paths[name])
    ]


def test_there_is_no_circle():
    assert circle(imports(PROJECT)) == []


def test_imports_run_downwards():
    assert upward(PROJECT) == []


def test_only_the_package_itself_knows_the_stand_in():
    """`lib.offline` is named only by lib/__init__.py, which installs it, and by what describes the prices."""
    allowed = {"lib", "lib.runs.provenance"}
    users = {
        name
        for name, others in imports(PROJECT).items()
        if not name.startswith("lib.offline") and any(other.startswith("lib.offline") for other in others)
    }
    assert users <= allowed


def test_lib_does_not_import_the_tests():
    for path in modules(PROJECT).values():
        text = path.read_text("utf-8")
        assert "import tests" not in text, path
        assert "from tests" not in text, path


@pytest.fixture
def copy(tmp_path):
    for path in (PROJECT / "lib").rglob("*.py"):
        target = tmp_path / path.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


PLANTED = {
    "at the top": ("lib/engine/inputs.py", "from lib.engine import training\n"),
    "inside a function": (
        "lib/engine/inputs.py",
        "\n\ndef f():\n    from lib.engine.training import train_model\n",
    ),
    "relative": ("lib/engine/inputs.py", "from .training import train_model\n"),
    "by its whole name": ("lib/engine/inputs.py", "import lib.engine.training\n"),
    "of the engine by a user's file": ("lib/features.py", "from lib.engine.inputs import model_inputs\n"),
    "for type hints": (
        "lib/engine/lbfgs.py",
        "if TYPE_CHECKING:\n    from lib.strategy import Strategy\n",
    ),
    "of the facade by the engine": ("lib/engine/lbfgs.py", "def f():\n    from lib import strategy\n"),
}


@pytest.mark.parametrize("place", PLANTED)
def test_a_planted_circle_is_found(place, copy):
    file, line = PLANTED[place]
    path = copy / file
    path.write_text(path.read_text("utf-8") + line, "utf-8")
    assert circle(imports(copy)) or upward(copy)
    if file == "lib/engine/inputs.py":
        assert {"lib.engine.inputs", "lib.engine.training"} <= set(circle(imports(copy)))


# names that a protocol asks for: every command has a main; indicators are named as in qnt.ta
SHARED = {"main"}


def names_defined_twice(root):
    """Public functions and classes that two modules of lib/ define, without those that stand for qnt's."""
    homes = {}
    for name, path in modules(root).items():
        if not name.startswith(("lib.offline", "lib.indicators")):
            for node in parsed(path.read_text("utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, set()).add(name)
    return {name: sorted(found) for name, found in homes.items() if len(found) > 1 and name not in SHARED}


def test_a_public_name_means_one_thing():
    assert names_defined_twice(PROJECT) == {}


def test_a_name_that_is_defined_twice_is_found(copy):
    path = copy / "lib/engine/lbfgs.py"
    path.write_text(path.read_text("utf-8") + "\n\ndef state_read():\n    pass\n", "utf-8")
    assert list(names_defined_twice(copy)) == ["state_read"]
