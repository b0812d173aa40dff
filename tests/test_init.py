import functools
import http.server
import importlib.util
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import threading
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pip as pip_module
import pytest

import init
from lib.offline import market
from tests.switches import long, longest

ROOT = Path(init.__file__).parent
FIND_SPEC = importlib.util.find_spec
TO_RUN, REQUIREMENTS = (
    init.read_requirements((ROOT / "requirements.txt").read_text("utf-8"), tests) for tests in (False, True)
)
TEXT = (
    "# To run\ntorch==2.13.0  # a reason\nnumpy>=1.26,<2.3\nxarray>=2024.11\n\n# To test\npytest-xdist>=3\n"
)


class FakePip:
    """A stand-in for `init.run` that records every call and installs what it is asked for."""

    def __init__(self, installed):
        self.installed, self.calls, self.constraints, self.imported = installed, [], [], []
        self.indexes = []  # where torch came from, by call
        self.imports_fail = ""  # the output of an import that fails
        self.answers = []  # (exit code, output) of the next calls; none left: success

    def __call__(self, *arguments):
        if arguments[0] == "-c":
            self.imported.append(list(arguments[2:]))
            return int(bool(self.imports_fail)), self.imports_fail
        assert arguments[:3] == ("-m", "pip", "install")
        held = arguments.index("--constraint") + 1
        self.constraints.append(Path(arguments[held]).read_text("utf-8").splitlines())
        self.calls.append(list(arguments[held + 1 :]))
        self.indexes.append(init.CPU_BUILDS if init.CPU_BUILDS in arguments else "PyPI")
        code, output = self.answers.pop(0) if self.answers else (0, "Successfully installed")
        if code == 0:
            for item in arguments[held + 1 :]:
                version = re.search(r"[=>]=([\d.]+(?:\+cpu)?)", item)[1]
                self.installed[re.match(r"[\w-]+", item)[0]] = version
        return code, output


@pytest.fixture
def installed(monkeypatch):
    """The packages of a made-up environment: name to version."""
    packages = {
        "torch": "2.13.0+cpu",
        "numpy": "2.2.6",
        "xarray": "2025.1",
        "pytest-xdist": "3.8",
        "Other_One": "7",
    }

    def version(name):
        if name not in packages:
            raise metadata.PackageNotFoundError(name)
        return packages[name]

    def distributions():
        return [
            SimpleNamespace(metadata={"Name": name}, version=version) for name, version in packages.items()
        ]

    fake = SimpleNamespace(
        version=version, distributions=distributions, PackageNotFoundError=metadata.PackageNotFoundError
    )
    monkeypatch.setattr(init, "metadata", fake)
    return packages


@pytest.fixture
def pip(installed, monkeypatch, tmp_path):
    """A pip that never runs, in a project of four requirements."""
    (tmp_path / "requirements.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(init, "HERE", tmp_path)
    monkeypatch.setattr(init, "is_reachable", lambda address: False)
    monkeypatch.delenv("SUBMISSION_ID", raising=False)
    monkeypatch.setattr(init.importlib.util, "find_spec", lambda name: None if name == "qnt" else "found")
    fake = FakePip(installed)
    monkeypatch.setattr(init, "run", fake)
    return fake


def test_where_everything_is_there_pip_is_not_called(pip, capsys):
    init.main(["--tests"])
    assert (pip.calls, pip.imported) == ([], [])
    out = capsys.readouterr().out
    assert out.startswith("All 4 packages are there already: nothing was changed.\nqnt is not installed")


def test_only_what_is_missing_is_installed_and_the_rest_is_held(pip, installed, capsys):
    del installed["torch"]
    installed["numpy"] = "1.25.2"
    installed["pip"] = "23.2.1"
    init.main(["--tests"])
    assert pip.calls == [["torch==2.13.0", "numpy<2.3,>=1.26"]]
    assert pip.constraints == [["xarray==2025.1", "pytest-xdist==3.8"]]
    assert pip.imported == [["xarray", "xdist", "torch", "numpy"]]
    assert "Installed torch 2.13.0, numpy 1.26; 2 of 4 were there already." in capsys.readouterr().out


def test_the_second_run_changes_nothing(pip, installed, capsys):
    installed.clear()
    init.main()
    capsys.readouterr()
    calls = len(pip.calls)
    init.main()
    assert len(pip.calls) == calls
    assert "nothing was changed" in capsys.readouterr().out


def test_an_upgrade_of_something_loaded_asks_for_a_restart(pip, installed, capsys):
    installed["numpy"] = "1.25.2"
    init.main()
    assert "Restart the kernel" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "tools"), [([], []), (["--tests"], ["pytest-xdist>=3"])])
def test_the_tools_for_the_tests_are_installed_on_demand(pip, installed, arguments, tools):
    installed.clear()
    init.main(arguments)
    assert pip.calls == [["torch==2.13.0", "numpy<2.3,>=1.26", "xarray>=2024.11", *tools]]


def test_the_size_is_named_before_pip_starts(pip, installed, capsys):
    del installed["torch"]
    pip.answers = [(1, "no")]
    with pytest.raises(SystemExit):
        init.main()
    assert re.match(r"Installing torch==2.13.0.\n.*MB to download.* GB on disk", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("option", "system", "card", "reached", "source"),
    [
        (None, "linux", False, True, "cpu"),
        (None, "linux", False, False, "PyPI"),
        (None, "linux", True, True, "PyPI"),
        ("pypi", "linux", False, True, "PyPI"),
        ("cpu", "linux", True, True, "cpu"),
        ("cpu", "linux", False, False, "refused"),
        (None, "win32", False, True, "PyPI"),
        ("cpu", "darwin", False, True, "PyPI"),
    ],
)
def test_where_torch_comes_from(option, system, card, reached, source, pip, installed, monkeypatch, capsys):
    del installed["torch"]
    monkeypatch.setattr(init.sys, "platform", system)
    monkeypatch.setattr(init, "CARDS", [os.devnull] if card else ["/no/such/device"])
    monkeypatch.setattr(init, "is_reachable", lambda address: reached)
    arguments = ["--torch", option] if option else []
    if source == "refused":
        with pytest.raises(SystemExit, match="cannot be reached: connect this machine, or leave --torch cpu"):
            init.main(arguments)
        return
    init.main(arguments)
    cpu = source == "cpu"
    assert pip.calls == [["torch==2.13.0+cpu" if cpu else "torch==2.13.0"]]
    assert pip.indexes == [init.CPU_BUILDS if cpu else "PyPI"]
    assert ("several GB" in capsys.readouterr().out) == (system == "linux" and not cpu)


@pytest.mark.parametrize("option", [None, "cpu"])
def test_a_cpu_build_that_fails_is_replaced_unless_it_was_asked_for(option, pip, installed, monkeypatch):
    del installed["torch"]
    monkeypatch.setattr(init.sys, "platform", "linux")
    monkeypatch.setattr(init, "CARDS", [])
    monkeypatch.setattr(init, "is_reachable", lambda address: True)
    pip.answers = [(1, "No matching distribution found for torch==2.13.0+cpu")]
    if option:
        with pytest.raises(SystemExit, match="Could not install torch"):
            init.main(["--torch", option])
    else:
        init.main()
    assert pip.indexes == [init.CPU_BUILDS, *([] if option else ["PyPI"])]


@pytest.fixture
def index(tmp_path):
    """A package index on this machine with a tiny torch, built for the CPU; its address."""
    folder = tmp_path / "index" / "torch"
    folder.mkdir(parents=True)
    make_wheel(folder, "torch", "2.13.0+cpu")
    (name,) = (path.name for path in folder.iterdir())
    (folder / "index.html").write_text(f'<a href="{name.replace("+", "%2B")}">{name}</a>', encoding="utf-8")
    handler = functools.partial(QuietHandler, directory=folder.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_an_index_that_answers_is_reachable(index):
    assert init.is_reachable(f"{index}/torch/")
    assert not init.is_reachable(f"{index}/numpy/")
    assert not init.is_reachable("http://127.0.0.1:9/torch/")


def test_an_index_that_is_silent_is_given_up_within_seconds(monkeypatch):
    monkeypatch.setattr(init, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not init.is_reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/torch/")


@long
@pytest.mark.skipif(sys.platform != "linux", reason="torch from PyPI is large on Linux only")
@pytest.mark.parametrize("reached", [True, pytest.param(False, marks=longest)])
def test_torch_from_a_real_index(reached, project, index):
    make_wheel(project / "wheels", "torch", "2.13.0")
    code = (ROOT / "init.py").read_text("utf-8").replace('"/dev/', '"/no/such/')
    address = index if reached else "http://127.0.0.1:9"
    (project / "init.py").write_text(code.replace(init.CPU_BUILDS, address), encoding="utf-8")
    (project / "requirements.txt").write_text("torch==2.13.0\n", encoding="utf-8")
    settings = {"PIP_NO_INDEX": "", "PIP_INDEX_URL": index} if reached else {}
    done = in_process(make_environment(project / "env"), project, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Installed torch 2.13.0{'+cpu' * reached}; 0 of 1" in done.stdout
    assert ("several GB" in done.stdout) != reached


@pytest.mark.parametrize("arguments", [["--test"], ["--torch", "gpu"]])
def test_an_unknown_option_is_refused(arguments, pip, capsys):
    with pytest.raises(SystemExit) as caught:
        init.main(arguments)
    assert (caught.value.code, pip.calls) == (2, [])
    assert arguments[-1] in capsys.readouterr().err


def test_progress_is_printed_while_pip_works(capsys):
    lines = ["Collecting a", "  Downloading a-1.0.whl (7 MB)", "last words"]
    code = f"print(*{lines}, sep=chr(10)); raise SystemExit(3)"
    code, output = init.run("-c", code)
    assert capsys.readouterr().out == "  Downloading a-1.0.whl (7 MB)\n"
    assert code == 3
    assert output.split("\n") == [*lines, ""]


FAILURES = {
    "NewConnectionError('Network is unreachable')": "No package index can be reached: connect this machine",
    "error: externally-managed-environment": "This Python belongs to the operating system: make one",
    "ERROR: No space left on device": "pip failed: fix what its last lines below name",
}


@pytest.mark.parametrize("output", FAILURES)
def test_a_failing_pip_is_explained_and_quoted(pip, installed, output):
    installed["numpy"] = "1.25.2"
    pip.answers = [(1, "first line\n" + "noise\n" * 30 + output)]
    with pytest.raises(SystemExit) as caught:
        init.main()
    sentence = str(caught.value.code)
    assert sentence.startswith("Could not install numpy<2.3,>=1.26. " + FAILURES[output])
    assert sentence.endswith(output)
    assert "first line" not in sentence


def test_a_pip_that_claims_success_is_not_believed(pip, installed):
    del installed["torch"]
    pip.installed = {}
    with pytest.raises(SystemExit, match=r"pip reported success, but torch==2.13.0 cannot be found"):
        init.main()


def test_what_is_installed_but_cannot_be_imported_is_named(pip, installed):
    del installed["torch"]
    pip.imports_fail = "No module named 'no_such_module'"
    with pytest.raises(SystemExit, match=r"importing it fails:\n(.|\n)*no_such_module"):
        init.main()


def test_a_package_whose_files_are_gone_is_installed_again(pip, monkeypatch):
    gone = {"xdist", "qnt"}
    monkeypatch.setattr(init.importlib.util, "find_spec", lambda name: None if name in gone else "found")
    with pytest.raises(SystemExit, match=r"pytest-xdist>=3 cannot be found.*--force-reinstall"):
        init.main(["--tests"])


def test_a_python_without_pip(monkeypatch):
    monkeypatch.setitem(sys.modules, "pip._vendor.packaging.requirements", None)
    with pytest.raises(SystemExit, match=r"no pip.*-m ensurepip"):
        init.read_requirements("", True)


@pytest.mark.parametrize(
    ("version", "satisfied"),
    [("2.13.0", True), ("2.13.0+cpu", True), ("2.13.1", False), ("2.12.9", False), ("2.13.0rc1", False)],
)
def test_what_satisfies_an_exact_version(installed, version, satisfied):
    installed["torch"] = version
    assert init.is_satisfied(init.read_requirements("torch==2.13.0", True)[0]) is satisfied


def test_requirements_for_other_systems_do_not_apply():
    text = 'tqdm>=4\ncolorama>=0.4; sys_platform == "no_such_system"\nnumpy; python_version >= "3.11"'
    assert [item.name for item in init.read_requirements(text, True)] == ["tqdm", "numpy"]


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 14, 0), (2, 7, 18)])
def test_another_python_is_refused(version):
    with pytest.raises(
        SystemExit, match=rf"This is Python {version[0]}\.{version[1]}.*3\.11, 3\.12 or 3\.13"
    ):
        init.check_python(version)


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 9)])
def test_these_pythons_are_welcome(version):
    init.check_python(version)


class TestWhichQnt:
    @pytest.fixture(autouse=True)
    def no_qnt(self, monkeypatch):
        monkeypatch.setattr(init.importlib.util, "find_spec", lambda name: None)
        for name in ("API_KEY", "QNT_OFFLINE_MARKET"):
            monkeypatch.delenv(name, raising=False)

    @pytest.fixture
    def real_qnt(self, monkeypatch, tmp_path):
        """An installed library, as Python's own search finds it."""
        monkeypatch.setattr(init.importlib.util, "find_spec", FIND_SPEC)
        (tmp_path / "qnt").mkdir()
        (tmp_path / "qnt" / "__init__.py").write_text(
            "raise AssertionError('looked at, not imported')", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "qnt", raising=False)
        monkeypatch.setattr(
            init, "metadata", SimpleNamespace(version=self.version, PackageNotFoundError=KeyError)
        )
        self.known = {"qnt": "0.0.507"}
        return self.known

    def version(self, name):
        return self.known[name]

    @pytest.mark.parametrize("own", [None, "/some/where/mine.nc"])
    def test_not_installed(self, monkeypatch, own):
        if own:
            monkeypatch.setenv("QNT_OFFLINE_MARKET", own)
        # init.py must be quick, so it does not import the market; but it must say the same
        assert init.which_qnt() == (
            f"qnt is not installed: its stand-in will be used, with {market.describe()}."
        )

    def test_the_stand_in_is_not_taken_for_the_library(self, monkeypatch):
        own = SimpleNamespace(origin=str(ROOT / "lib" / "offline" / "qnt" / "__init__.py"))
        monkeypatch.setattr(init.importlib.util, "find_spec", lambda name: own)
        assert init.which_qnt().startswith("qnt is not installed")

    def test_installed_without_a_key(self, real_qnt):
        advice = "Set API_KEY first, to the key of your Quantiacs profile."
        assert init.which_qnt() == f"qnt 0.0.507 is installed and will be used. {advice}"

    @pytest.mark.parametrize(
        ("key", "advice"),
        [("abc", "API_KEY is set."), ("default", 'API_KEY is "default": enough to import it.')],
    )
    def test_installed_with_a_key(self, real_qnt, monkeypatch, key, advice):
        monkeypatch.setenv("API_KEY", key)
        assert init.which_qnt() == f"qnt 0.0.507 is installed and will be used. {advice}"

    def test_installed_without_a_version(self, real_qnt):
        real_qnt.clear()
        assert init.which_qnt().startswith("qnt (version unknown) is installed")


def test_requirements_are_named_bounded_and_without_extras():
    assert [str(item) for item in REQUIREMENTS if item.name == "torch"] == ["torch==2.13.0"]
    for item in REQUIREMENTS:
        assert item.specifier, f"{item} has no lower bound"
        assert not item.extras, f"{item}: init.py would not see whether its extra is there"
    assert {"torch", "numpy", "papermill", "h5netcdf"} <= {item.name for item in TO_RUN}
    assert not {"pytest", "ruff", "mypy"} & {item.name for item in TO_RUN}


def test_every_requirement_has_the_module_that_init_looks_for():
    lost = [item.name for item in REQUIREMENTS if init.is_satisfied(item) and not found(init.module_of(item))]
    assert lost == []


def found(module):
    return importlib.util.find_spec(module) is not None


def test_init_imports_nothing_but_the_standard_library():
    imports = re.findall(r"^(?:from|import) (\w+)", (ROOT / "init.py").read_text("utf-8"), re.MULTILINE)
    assert set(imports) <= sys.stdlib_module_names


def test_the_notebook_is_one_clean_cell_that_runs_init():
    notebook = nbformat.read(ROOT / "init.ipynb", as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    (cell,) = notebook.cells
    assert (cell.cell_type, cell.id) == ("code", "init")
    assert "init.main()" in cell.source
    assert (cell.outputs, cell.execution_count) == ([], None)


@long
@pytest.mark.parametrize("fails", [pytest.param(False, marks=longest), True])
def test_a_failure_in_the_notebook_is_one_for_the_evaluator_too(fails, tmp_path):
    shutil.copy(ROOT / "init.ipynb", tmp_path)
    (tmp_path / "init.py").write_text(
        f"def main():\n    if {fails}:\n        raise SystemExit('no')\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "init.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails


def in_process(python, folder, **environment):
    """Run init.py of a folder as a person would, with a pip that knows nothing but `wheels`."""
    settings = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "wheels"),
        **environment,
    }
    return subprocess.run(
        [str(python), "init.py"],
        cwd=folder,
        env={key: value for key, value in (os.environ | settings).items() if key != "PYTHONPATH" and value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path):
    """A folder with init.py, a list of requirements to be written, and wheels."""
    shutil.copy(ROOT / "init.py", tmp_path)
    (tmp_path / "wheels").mkdir()
    return tmp_path


def make_wheel(folder, name, version, *needs):
    info = f"{name}-{version}.dist-info"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {n}" for n in needs),
    ]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_environment(folder):
    """An empty one, but for the pip of this one: to install a pip anew takes many seconds."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("[Ll]ib/**/site-packages")
    shutil.copytree(Path(pip_module.__file__).parent, packages / "pip")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@long
def test_in_a_real_environment(project):
    """Kept, missing and too old, with the real pip; then again, and then without network."""
    wheels = project / "wheels"
    for version in ("1.0", "2.0"):
        make_wheel(wheels, "kept", version)
        make_wheel(wheels, "bystander", version)
    make_wheel(wheels, "wanted", "1.0", "kept", "bystander>=2")
    python = make_environment(project / "env")

    (project / "requirements.txt").write_text("kept==1.0\nbystander>=1,<2\n", encoding="utf-8")
    first = in_process(python, project)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Installed kept 1.0, bystander 1.0; 0 of 2 were there already.\n" in first.stdout

    (project / "requirements.txt").write_text("kept>=1\nwanted>=1\n", encoding="utf-8")
    second = in_process(python, project)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Installed wanted 1.0; 1 of 2 were there already.\n" in second.stdout

    (project / "requirements.txt").write_text("kept==1.0\nwanted==1.0\nbystander==2.0\n", encoding="utf-8")
    third = in_process(python, project)
    assert third.stdout.startswith("All 3 packages are there already: nothing was changed.\n")
    assert third.returncode == 0

    (project / "requirements.txt").write_text("kept>=1\nmissing-one>=3\n", encoding="utf-8")
    unplugged = {"PIP_NO_INDEX": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    fourth = in_process(python, project, **unplugged)
    assert fourth.returncode == 1
    assert fourth.stderr.startswith("Could not install missing-one>=3. No package index can be")
    assert "Traceback" not in fourth.stderr


def test_here_and_now_it_changes_nothing():
    if not all(map(init.is_satisfied, REQUIREMENTS)):
        pytest.skip("this environment lacks some of requirements.txt, and a test must not install them")
    command = [sys.executable, "init.py", "--tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f"All {len(REQUIREMENTS)} packages are there already: nothing was changed.\nqnt "
    )
    assert done.stderr == ""


def test_a_stop_by_hand_is_a_sentence(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.metadata.version", stop)
    monkeypatch.setattr(sys, "argv", ["init.py"])
    with pytest.raises(SystemExit, match="130"):
        runpy.run_path(str(Path(init.__file__)), run_name="__main__")
    assert capsys.readouterr().err.startswith("Stopped by hand: run init.py again")
