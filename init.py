"""The installer: it adds what is missing of requirements.txt and reports which qnt will be imported.

Run it once, as `python init.py` or, in a notebook, as `%run init.py`. `python init.py --tests` also installs
the tools that the tests need.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 11), (3, 13)  # torch 2.13.0 and the platform's library have builds for these
MODULES = {"pytest-xdist": "xdist"}  # modules that are not named like their package
PLUMBING = ("pip", "setuptools", "wheel")  # a new environment has old versions, and packages require newer
SILENCE = 10  # seconds without output after which a line says that the work goes on
PROGRESS = ("Downloading", "Using cached", "Building", "Installing", "Attempting", "WARNING: Retrying")
SIZE = (  # measured on Linux with the CPU build of torch, which is half of it
    "All packages take 1.6 GB on disk, the tools for the tests 0.1 GB more. On Linux, torch from PyPI adds "
    "several GB for NVIDIA graphics cards."
)
OFFLINE_WORDS = (  # how pip and its libraries report that there is no network
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ProxyError",
    "Network is unreachable",
    "Temporary failure in name resolution",
    "Connection refused",
)


def main(arguments=()) -> None:
    """Install, check and report; end with a sentence and exit code 1 where that is impossible.

    The only argument is "--tests": install the tools for the tests too.
    """
    unknown = [argument for argument in arguments if argument != "--tests"]
    if unknown:
        give_up(f"init.py has no option {unknown[0]}: call it as init.py or as init.py --tests")
    check_python(sys.version_info[:3])
    text = (HERE / "requirements.txt").read_text(encoding="utf-8")
    required = read_requirements(text, tests="--tests" in arguments)
    present = [requirement for requirement in required if is_satisfied(requirement)]
    missing = [requirement for requirement in required if requirement not in present]
    if missing:
        install(missing, present)
        print("Checking that everything can be imported.", flush=True)
        check_by_importing([module_of(requirement) for requirement in required])
        names = ", ".join(f"{item.name} {metadata.version(item.name)}" for item in missing)
        print(f"Installed {names}.")
        if present:
            print(f"{len(present)} of {len(required)} packages were there already and were not changed.")
        if any(module_of(requirement) in sys.modules for requirement in missing):
            print("Restart the kernel: it still runs the old version of some of them.")
    else:
        # Importing torch and the rest takes many seconds. They were imported after they were installed, so it
        # is enough that their modules are still where Python looks.
        check_findable(required)
        print(f"All {len(required)} packages are there already: nothing was changed.")
    print(which_qnt())


def check_python(version: tuple[int, ...]) -> None:
    """End with a sentence unless this is a Python that everything here has builds for."""
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        python = "py -3.13" if os.name == "nt" else "python3.13"
        give_up(
            f"This is Python {'.'.join(map(str, version))}, and Python 3.11, 3.12 or 3.13 is needed. "
            f"Make the environment anew with one of these, for example: {python} -m venv --clear .venv"
        )


def read_requirements(text: str, tests: bool) -> list:
    """Return the requirements that apply to this Python, with or without the tools for the tests."""
    if not tests:
        text = text.partition("\n# To test\n")[0]
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    found = [
        packaging("requirements").Requirement(line) for line in lines if line and not line.startswith("#")
    ]
    return [requirement for requirement in found if not requirement.marker or requirement.marker.evaluate()]


def is_satisfied(requirement) -> bool:
    """Return whether the requirement allows the installed version; pre-releases count."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def install(missing: list, present: list) -> None:
    """Install what is missing with pip; packages that are there keep their version."""
    names = ", ".join(map(str, missing))
    print(f"Installing {names}.\n{SIZE}", flush=True)
    held = installed_versions()
    for name in [*PLUMBING, *map(canonical, missing)]:
        held.pop(name, None)
    done = pip_install(missing, held)
    if done.returncode and "ResolutionImpossible" in done.stdout:
        print(
            "That conflicts with other packages: only those in requirements.txt keep their version.",
            flush=True,
        )
        done = pip_install(missing, {name: held[name] for name in map(canonical, present)})
    if done.returncode:
        give_up(failure(names, done.stdout))
    for requirement in missing:
        if not is_satisfied(requirement):
            give_up(f"pip reported success, but {requirement} is not there:\n{end(done.stdout)}")


def pip_install(missing: list, held: dict[str, str]) -> subprocess.CompletedProcess:
    """Call pip, with the `held` packages as constraints."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text("".join(f"{name}=={held[name]}\n" for name in sorted(held)), encoding="utf-8")
        options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "3"]
        done = run_visibly("-m", "pip", "install", *options, "--constraint", str(path), *map(str, missing))
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
    """Return the canonical spelling of a package's name."""
    return packaging("utils").canonicalize_name(requirement.name)


def failure(names: str, output: str) -> str:
    """Return what could not be installed, why, as far as pip reports it, and what to do."""
    if any(word in output for word in OFFLINE_WORDS):
        why = "No package index can be reached: connect this machine to the network"
    elif "externally-managed-environment" in output:
        why = "This Python belongs to the operating system: make one of your own (python -m venv .venv)"
    else:
        why = "pip failed: fix what its last lines below name"
    return f"Could not install {names}. {why} and run init.py again.\n{end(output)}"


def end(output: str) -> str:
    """Return the last lines of pip's output."""
    return "\n".join(f"    {line}" for line in output.strip().splitlines()[-12:])


def module_of(requirement) -> str:
    """Return the name by which a package is imported."""
    return MODULES.get(requirement.name, requirement.name.replace("-", "_"))


def check_by_importing(modules: list[str]) -> None:
    """Import each module in a fresh process, so that this one stays small and keeps what it has loaded."""
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = run_visibly("-c", code, *modules)
    if done.returncode:
        give_up(f"Everything is installed, but importing it fails:\n{end(done.stdout)}")


def check_findable(required: list) -> None:
    """End with a sentence where a package is registered as installed but its module is gone."""
    lost = [item.name for item in required if importlib.util.find_spec(module_of(item)) is None]
    if lost:
        again = f"{Path(sys.executable).name} -m pip install --force-reinstall --no-deps {' '.join(lost)}"
        give_up(f"Installed, but Python does not find {', '.join(lost)}. Install again: {again}")


def which_qnt() -> str:
    """Return which library `import qnt` will find, and what it needs."""
    spec = importlib.util.find_spec("qnt")
    if spec is None or spec.origin is None or HERE / "lib" / "offline" in Path(spec.origin).parents:
        own = os.environ.get("QNT_OFFLINE_MARKET")
        market = (
            f"the market file {Path(own).name}"
            if own
            else "a synthetic market (random numbers, not real prices)"
        )
        return f"qnt is not installed: its stand-in will be used, with {market}."
    try:
        version = metadata.version("qnt")
    except metadata.PackageNotFoundError:
        version = "(version unknown)"
    key = os.environ.get("API_KEY")
    if not key:
        advice = "Set API_KEY first, to the key of your Quantiacs profile"
    else:
        advice = 'API_KEY is "default": enough to import it' if key == "default" else "API_KEY is set"
    return f"qnt {version} is installed and will be used. {advice}."


def packaging(part: str):
    """Return a module of the `packaging` library: its own, or the copy that pip carries."""
    for home in ("packaging", "pip._vendor.packaging"):
        try:
            return importlib.import_module(f"{home}.{part}")
        except ImportError:
            continue
    return give_up(f"This Python has no pip. Give it one: {Path(sys.executable).name} -m ensurepip --upgrade")


def run_visibly(*arguments: str) -> subprocess.CompletedProcess:
    """Run this Python again and return its output; meanwhile print pip's progress, and a sign of life."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=forward, args=(process.stdout, lines), daemon=True).start()
    kept, started, shown = [], time.monotonic(), time.monotonic()
    while True:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            line = ""
        if line is None:
            break
        kept.append(line)
        if line.strip().startswith(PROGRESS):
            print(f"  {line.strip()[:150]}", flush=True)
            shown = time.monotonic()
        elif time.monotonic() - shown >= SILENCE:
            shown = time.monotonic()
            print(f"  working for {shown - started:.0f} s", flush=True)
    return subprocess.CompletedProcess(process.args, process.wait(), "".join(kept))


def forward(stream, lines: queue.Queue) -> None:
    """Put each line of a stream into a queue, and None at its end."""
    for line in stream:
        lines.put(line)
    stream.close()
    lines.put(None)


def give_up(sentence: str):
    """End with a sentence and exit code 1; a notebook shows the sentence."""
    raise SystemExit(sentence)


if __name__ == "__main__":
    main(sys.argv[1:])
