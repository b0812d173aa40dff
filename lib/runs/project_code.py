"""The project's modules that a run uses, found by reading their imports, and a fingerprint of their text."""

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from lib.runs import provenance

PROJECT = Path(__file__).parents[2]
START = "lib.compare.run_one"  # what a worker runs
# Python loads these packages before their modules, but what they contain has no say in a run's result.
NOT_FOLLOWED = {"lib", "lib.compare", "lib.contest"}


def reached(modules: Iterable[str] = ()) -> list[str]:
    """Return the files of `START`, of `modules`, and of all that these import in turn.

    `modules` holds dotted names; a name inside a module stands for the module, one outside the project for
    nothing. The paths are sorted and relative to the project's folder. Imports inside functions and for type
    hints count too; what is imported by a computed name (`importlib.import_module`) is not seen.
    """
    files: set[str] = set()
    left = [START, *modules]
    while left:
        name = left.pop()
        path = _file(name)
        if path is None:
            name = name.rpartition(".")[0]  # of `from module import function`
            path = _file(name)
        if path is None or (relative := path.relative_to(PROJECT).as_posix()) in files:
            continue
        files.add(relative)
        packages = name.split(".")[:-1]
        left += {".".join(packages[: k + 1]) for k in range(len(packages))} - NOT_FOLLOWED
        left += _imported(name if path.name == "__init__.py" else ".".join(packages), path.read_bytes())
    if provenance.is_stand_in():
        files |= {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "lib/offline").rglob("*.py")}
    return sorted(files)


def snapshot(modules: frozenset[str]) -> tuple[list[str], str]:
    """Return the files that `reached` finds, and their `fingerprint`."""
    files = reached(modules)
    return files, fingerprint(files)


def fingerprint(files: Iterable[str]) -> str:
    """Return 16 hex digits that change with the text of these files, and with the engine of the backtest."""
    digest = hashlib.sha256(provenance.engine().encode())
    for file in files:
        path = PROJECT / file
        text = path.read_bytes().replace(b"\r\n", b"\n") if path.exists() else b"(missing)"
        digest.update(f"\0{file}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()[:16]


def in_project(module: str) -> bool:
    """Whether a module's file lies in the project's folder."""
    return _file(module) is not None


def _file(module: str) -> Path | None:
    if not module or module.partition(".")[0] == "qnt":  # the platform's library, or all of its stand-in
        return None
    path = PROJECT.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@functools.lru_cache(maxsize=1024)
def _imported(package: str, text: bytes) -> list[str]:
    """Dotted names that a module of `package` imports; those of `from a import b` read "a.b"."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # importing it raises the error
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, package) if node.level else base
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names
