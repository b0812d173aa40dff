"""Prepares an environment: installs what is missing of requirements.txt, and says which qnt will answer.

Run it once, as `python init.py` or, in a notebook, as `%run init.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 11), (3, 13)  # torch 2.13.0 and the platform's library have builds for these
MODULES = {"pytest-xdist": "xdist"}  # where a package's module is not called like the package
PLUMBING = ("pip", "setuptools", "wheel")  # a new environment has old ones, and packages ask for newer
OFFLINE_WORDS = (  # pip's and its libraries' words for "no network"
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ProxyError",
    "Network is unreachable",
    "Temporary failure in name resolution",
    "Connection refused",
)


def main() -> None:
    """Install, check, report; end with a sentence and exit code 1 where that is impossible."""
    check_python(sys.version_info[:3])
    wanted = read_requirements((HERE / "requirements.txt").read_text(encoding="utf-8"), is_submission())
    present = [requirement for requirement in wanted if is_satisfied(requirement)]
    missing = [requirement for requirement in wanted if requirement not in present]
    if missing:
        install(missing, present)
        check_by_importing([module_of(requirement) for requirement in wanted])
        names = ", ".join(f"{item.name} {metadata.version(item.name)}" for item in missing)
        print(f"Installed {names}.")
        if present:
            print(f"{len(present)} of {len(wanted)} packages were there already and were left alone.")
        if any(module_of(requirement) in sys.modules for requirement in missing):
            print("Restart the kernel: it still runs the old version of some of them.")
    else:
        # Importing torch and the rest takes many seconds. They were imported when they were installed; that
        # their modules are still where Python looks is all that can be told at once.
        check_findable(wanted)
        print(f"All {len(wanted)} packages are there already: nothing was changed.")
    print(which_qnt())


def check_python(version: tuple[int, ...]) -> None:
    """End with a sentence unless this is a Python that everything here has builds for."""
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        give_up(
            f"This is Python {'.'.join(map(str, version))}, and Python 3.11, 3.12 or 3.13 is needed. "
            "Start init.py with one of these, for example: python3.11 init.py"
        )


def is_submission() -> bool:
    """Whether the contest's evaluator is running this."""
    return bool(os.environ.get("SUBMISSION_ID"))


def read_requirements(text: str, only_to_run: bool = False) -> list:
    """Return the requirements that apply to this Python; as a submission none of the tools for testing."""
    if only_to_run:
        text = text.partition("\n# To test\n")[0]
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    found = [
        packaging("requirements").Requirement(line) for line in lines if line and not line.startswith("#")
    ]
    return [requirement for requirement in found if not requirement.marker or requirement.marker.evaluate()]


def is_satisfied(requirement) -> bool:
    """Whether the installed version is one that the requirement allows; pre-releases count."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def install(missing: list, present: list) -> None:
    """Install what is missing with pip, and hold what is there at the version that it has."""
    names = ", ".join(map(str, missing))
    print(f"Installing {names}. This can take some minutes.", flush=True)
    held = installed_versions()
    for name in [*PLUMBING, *map(canonical, missing)]:
        held.pop(name, None)
    done = pip_install(missing, held)
    if done.returncode and "ResolutionImpossible" in done.stdout:
        print("That does not fit everything installed here: only what requirements.txt names stays as it is.")
        done = pip_install(missing, {name: held[name] for name in map(canonical, present)})
    if done.returncode:
        give_up(failure(names, done.stdout))
    for requirement in missing:
        if not is_satisfied(requirement):
            give_up(f"pip ended well, but {requirement} is not there. Its last words:\n{end(done.stdout)}")


def pip_install(missing: list, held: dict[str, str]) -> subprocess.CompletedProcess:
    """Call pip, with the `held` packages as constraints."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text("".join(f"{name}=={held[name]}\n" for name in sorted(held)), encoding="utf-8")
        options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "3"]
        done = run("-m", "pip", "install", *options, "--constraint", str(path), *map(str, missing))
    importlib.invalidate_caches()
    return done


def installed_versions() -> dict[str, str]:
    """Return the version of every installed package, by its canonical name."""
    installed: dict[str, str] = {}
    for distribution in metadata.distributions():
        name, version = distribution.metadata["Name"], distribution.version
        try:
            packaging("version").Version(version)
            # Of two with the same name Python imports the first.
            installed.setdefault(packaging("utils").canonicalize_name(name), version)
        except (AttributeError, TypeError, ValueError):  # a leftover of a removed package: pip would stumble
            continue
    return installed


def canonical(requirement) -> str:
    """Return the name under which a package is known, however it is spelled."""
    return packaging("utils").canonicalize_name(requirement.name)


def failure(names: str, output: str) -> str:
    """Say what could not be installed, why as far as pip tells, and what to do."""
    if any(word in output for word in OFFLINE_WORDS):
        why = "No package index can be reached: connect this machine to the network"
    elif "externally-managed-environment" in output:
        why = "This Python belongs to the operating system: make one of your own (python -m venv .venv)"
    else:
        why = "pip failed, its last words are below: mend what they name"
    return f"Missing and not to be installed: {names}. {why} and run init.py again.\n{end(output)}"


def end(output: str) -> str:
    """Return the last lines of pip's output."""
    return "\n".join(f"    {line}" for line in output.strip().splitlines()[-12:])


def module_of(requirement) -> str:
    """Return the name by which a package is imported."""
    return MODULES.get(requirement.name, requirement.name.replace("-", "_"))


def check_by_importing(modules: list[str]) -> None:
    """Import each module in a fresh process, so that this one stays small and keeps what it has loaded."""
    done = run(
        "-c", "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *modules
    )
    if done.returncode:
        give_up(f"Everything is installed, but importing it fails:\n{end(done.stdout)}")


def check_findable(wanted: list) -> None:
    """End with a sentence where a package is registered as installed but its module is gone."""
    lost = [item.name for item in wanted if importlib.util.find_spec(module_of(item)) is None]
    if lost:
        again = f"{Path(sys.executable).name} -m pip install --force-reinstall --no-deps {' '.join(lost)}"
        give_up(f"Installed, but not to be found by Python: {', '.join(lost)}. Install again: {again}")


def which_qnt() -> str:
    """Say which library will answer `import qnt`, and what it needs."""
    spec = importlib.util.find_spec("qnt")
    if spec is None or (spec.origin and HERE / "lib" / "offline" in Path(spec.origin).parents):
        own = os.environ.get("QNT_OFFLINE_MARKET")
        market = (
            f"the market file {Path(own).name}"
            if own
            else "a synthetic market (random numbers, not real prices)"
        )
        return f"qnt is not installed: lib/offline will answer in its place, on {market}."
    try:
        version = metadata.version("qnt")
    except metadata.PackageNotFoundError:
        version = "(version unknown)"
    key = os.environ.get("API_KEY")
    if not key:
        advice = "Set API_KEY first, to the key of your Quantiacs profile"
    else:
        advice = 'API_KEY is "default": enough to import it' if key == "default" else "API_KEY is set"
    return f"qnt {version} is installed and will answer. {advice}."


def packaging(part: str):
    """Return a module of the `packaging` library: its own, or the copy that pip carries."""
    for home in ("packaging", "pip._vendor.packaging"):
        try:
            return importlib.import_module(f"{home}.{part}")
        except ImportError:
            continue
    return give_up(f"This Python has no pip. Give it one: {Path(sys.executable).name} -m ensurepip --upgrade")


def run(*arguments: str) -> subprocess.CompletedProcess:
    """Run this Python again, with both of its outputs kept as one text."""
    return subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def give_up(sentence: str):
    """End with the sentence and exit code 1; a notebook shows the sentence."""
    raise SystemExit(sentence)


if __name__ == "__main__":
    main()
