"""Install the missing packages of requirements.txt, and report which qnt is imported.

Run it once, as `python init.py` or, in a notebook, as `%run init.py`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from importlib import metadata
from pathlib import Path

DESCRIPTION = "Install the missing packages of requirements.txt, and report which qnt is imported."
HERE = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 11), (3, 13)  # torch 2.13.0 and the platform's library have builds for these
MODULES = {"pytest-xdist": "xdist", "scikit-learn": "sklearn"}  # modules not named like their package
PROGRESS = ("Downloading", "Using cached", "Building", "Installing", "Attempting", "WARNING: Retrying")
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"  # PyTorch's own index
PATIENCE = 5  # seconds to wait for it
CARDS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")  # devices of NVIDIA cards; the last one under WSL
# measured on Linux, Python 3.11; the tests' tools take 0.1 GB more on disk
SIZE = "All packages together: about 360 MB to download, 190 MB of it torch; 1.6 GB on disk."
FOR_CARDS = (
    "torch comes from PyPI, with libraries for NVIDIA graphics cards: several GB more. "
    "`init.py --torch cpu` takes PyTorch's build without them."
)
OFFLINE = "No package index can be reached: connect this machine to the network"
SIGNS = ("NewConnectionError", "NameResolutionError", "Connection refused", "Network is unreachable")
HINTS = dict.fromkeys(SIGNS, OFFLINE) | {  # by a word in pip's output
    "externally-managed-environment": "This Python belongs to the operating system: make one of your own "
    "(python -m venv .venv)",
    "": "pip failed: fix what its last lines below name",
}


def main(arguments=()) -> None:
    """Install the missing packages, check and report.

    `arguments` are those of the command line. An error ends it with a sentence and exit code 1.
    """
    given = parse(arguments)
    check_python(sys.version_info[:3])
    text = (HERE / "requirements.txt").read_text(encoding="utf-8")
    required = read_requirements(text, tests=given.tests)
    missing = [requirement for requirement in required if not is_satisfied(requirement)]
    if missing:
        loaded = [item.name for item in missing if module_of(item) in sys.modules]
        install(missing, [item for item in required if item not in missing], given.torch)
        names = ", ".join(f"{item.name} {metadata.version(item.name)}" for item in missing)
        print(f"Installed {names}; {len(required) - len(missing)} of {len(required)} were there already.")
        if loaded:
            print(f"Restart the kernel: it still runs the old version of {', '.join(loaded)}.")
    else:
        print(f"All {len(required)} packages are there already: nothing was changed.")
    print(which_qnt())


def parse(arguments) -> argparse.Namespace:
    """Parse the arguments of the command line.

    An unknown one ends it with a sentence and exit code 2.
    """
    parser = argparse.ArgumentParser("init.py", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--tests", action="store_true", help="also install what the tests need")
    parser.add_argument(
        "--torch",
        choices=["cpu", "pypi"],
        help="source of torch on Linux: PyTorch's index of builds for the CPU, or PyPI, which adds libraries "
        "for NVIDIA cards (default: cpu where no such card is present and that index is reached, else pypi)",
    )
    return parser.parse_args(list(arguments))


def check_python(version: tuple[int, ...]) -> None:
    """Exit with a message unless this Python is supported.

    A supported version has builds of all packages.
    """
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        python = "py -3.13" if os.name == "nt" else "python3.13"
        give_up(
            f"This is Python {'.'.join(map(str, version))}, and Python 3.11, 3.12 or 3.13 is needed. "
            f"Make the environment anew with one of these, for example: {python} -m venv --clear .venv"
        )


def read_requirements(text: str, tests: bool) -> list:
    """Return the requirements that apply to this Python.

    `tests` includes the packages that only the tests need.
    """
    try:
        from pip._vendor.packaging.requirements import Requirement  # packaging itself may be missing
    except ImportError:
        give_up(f"This Python has no pip. Install it: {Path(sys.executable).name} -m ensurepip --upgrade")
    if not tests:
        text = text.partition("\n# To test\n")[0]
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = [Requirement(line) for line in lines if line]
    return [item for item in found if not item.marker or item.marker.evaluate()]


def is_satisfied(requirement) -> bool:
    """Return True if an allowed version is installed.

    Its module must be found too; pre-releases count.
    """
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    allowed = requirement.specifier.contains(version, prereleases=True)
    return allowed and importlib.util.find_spec(module_of(requirement)) is not None


def module_of(requirement) -> str:
    """Return the import name of a package."""
    return MODULES.get(requirement.name, requirement.name.replace("-", "_"))


def install(missing: list, present: list, torch: str | None = None) -> None:
    """Install packages with pip and test their import.

    The versions of the packages in `present` are kept. `torch` is the option of this name.
    """
    names = ", ".join(map(str, missing))
    with_torch = sys.platform == "linux" and any(item.name == "torch" for item in missing)
    cpu_build = with_torch and takes_cpu_build(torch)
    print(f"Installing {names}.\n{SIZE}", flush=True)
    code = 1
    if cpu_build:
        code, output = pip_install(missing, present, "--extra-index-url", CPU_BUILDS)
    if code and not (cpu_build and torch):
        if with_torch:
            print(FOR_CARDS, flush=True)
        code, output = pip_install(missing, present)
    if code:
        why = next(hint for word, hint in HINTS.items() if word in output)
        give_up(f"Could not install {names}. {why} and run init.py again.\n{end(output)}")
    importlib.invalidate_caches()
    lost = [str(item) for item in missing if not is_satisfied(item)]
    if lost:
        again = f"{Path(sys.executable).name} -m pip install --force-reinstall --no-deps {' '.join(lost)}"
        give_up(f"pip reported success, but {', '.join(lost)} cannot be found. Install it again: {again}")
    print("Checking that everything can be imported.", flush=True)
    imports = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    code, output = run("-c", imports, *map(module_of, [*present, *missing]))
    if code:
        give_up(f"Everything is installed, but importing it fails:\n{end(output)}")


def takes_cpu_build(choice: str | None) -> bool:
    """Return True if torch's CPU build is wanted.

    It comes from PyTorch's index. By default it is wanted on a machine without an NVIDIA card that reaches
    the index within `PATIENCE` seconds.
    """
    if choice == "pypi" or (choice is None and any(map(os.path.exists, CARDS))):
        return False
    reached = is_reachable(f"{CPU_BUILDS}/torch/")
    if choice == "cpu" and not reached:
        give_up(f"{CPU_BUILDS} cannot be reached: connect this machine, or leave --torch cpu out.")
    return reached


def is_reachable(address: str) -> bool:
    """Return True if a page can be read.

    The page must answer within `PATIENCE` seconds.
    """
    answers = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as page:
                answers.append(page.status)
        except (OSError, ValueError):
            pass

    asking = threading.Thread(target=ask, daemon=True)  # a name server may keep it waiting for longer
    asking.start()
    asking.join(PATIENCE)
    return answers == [200]


def pip_install(missing: list, present: list, *cpu_builds: str) -> tuple[int, str]:
    """Run pip to install packages.

    The result is its exit code and its output. `cpu_builds` are the options that name the index of CPU
    builds.
    """
    options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "3"]
    wanted = list(map(str, missing))
    if cpu_builds:
        wanted = [f"{item}+cpu" if item.startswith("torch==") else item for item in wanted]
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "constraints.txt"
        lines = [f"{item.name}=={metadata.version(item.name)}\n" for item in present]
        held.write_text("".join(lines), encoding="utf-8")
        return run("-m", "pip", "install", *options, *cpu_builds, "--constraint", str(held), *wanted)


def run(*arguments: str) -> tuple[int, str]:
    """Run this Python again and print pip's progress.

    Return its exit code and its output.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    )
    lines = []
    with process:
        for line in process.stdout or ():
            lines.append(line)
            if line.strip().startswith(PROGRESS):
                print(f"  {line.strip()[:150]}", flush=True)
    return process.returncode, "".join(lines)


def end(output: str) -> str:
    """Return the last lines of an output, indented."""
    return "\n".join(f"    {line}" for line in output.strip().splitlines()[-12:])


def which_qnt() -> str:
    """Return a sentence on the `qnt` in use.

    The library is the one that `import qnt` finds. The sentence also shows if an API key is needed.
    """
    spec = importlib.util.find_spec("qnt")
    if spec is None or spec.origin is None or HERE / "lib" / "offline" in Path(spec.origin).parents:
        own = os.environ.get("QNT_OFFLINE_MARKET")
        synthetic = "a synthetic market (random numbers, not real prices)"
        market = f"the market file {Path(own).name}" if own else synthetic
        return f"qnt is not installed: its stand-in will be used, with {market}."
    try:
        version = metadata.version("qnt")
    except metadata.PackageNotFoundError:
        version = "(version unknown)"
    key = os.environ.get("API_KEY")
    advice = "API_KEY is set" if key else "Set API_KEY first, to the key of your Quantiacs profile"
    if key == "default":
        advice = 'API_KEY is "default": enough to import it'
    return f"qnt {version} is installed and will be used. {advice}."


def give_up(sentence: str):
    """Exit with a message and exit code 1.

    A notebook shows the message.
    """
    raise SystemExit(sentence)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        print("Stopped by hand: run init.py again, and it installs what is missing.", file=sys.stderr)
        raise SystemExit(130) from None
