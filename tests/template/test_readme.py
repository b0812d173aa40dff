"""Whatever the README and those of lib/ show is run: commands, examples, the tree."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path, PureWindowsPath

import nbformat
import numpy as np
import pytest

from lib import Strategy, lookahead
from lib.backtest import backtest
from tests.conftest import REAL
from tests.prices import sources
from tests.prices.test_notebook_on_prices import COMMANDS as FROM_CSV_TO_NOTEBOOK
from tests.switches import ALL, long, longest
from tests.systems import link_or_copy
from tests.vectors import CRYPTO

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "lib").rglob("README.md"))]
TEXTS = {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
README = TEXTS["README.md"]


def blocks(language, texts=TEXTS):
    """The fenced blocks of a language, in all documents."""
    fences = (re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for text in texts.values())
    return [text for found in fences for kind, text in found if kind == language]


def once(items):
    return list(dict.fromkeys(items))


EXAMPLES = blocks("python")
COMMANDS = once(line for text in blocks("bash") for line in text.splitlines())
TREE = next(text for text in blocks("") if text.startswith("strategy.ipynb"))
VERDICT = next(text for text in blocks("", {"": README}) if text.startswith("rule"))
PUBLISHED_FILES = "raw.githubusercontent.com/quantiacs/toolbox/main/qnt/tests/data/"
REAL_MARKET = PROJECT.parent / "shared" / "real" / "market.nc"  # one of these files
INSTALLS = "python3 -m venv .venv && .venv/bin/python init.py"  # what tests/test_init.py and .ci/run run
# what takes minutes is run for as short as it can be
SHORTER = {
    "lib.rehearsal": ["--days", "1"],
    "lib.notebook": ["--start", "2024-12-16"],
    "lib.compare": ["--start", "2024-12-16", "--end", "2024-12-31"],
    "lib.contest": ["--start", "2024-12-27"],
    "lib.report": ["--start", "2024-12-16", "--end", "2024-12-31"],
    "lib.prices": [],
    "lib.lookahead": ["--days", "2"],
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
ENVIRONMENT |= {"PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])}

own_functions = [text for text in EXAMPLES if re.search("^(def|class) ", text, re.MULTILINE)]
others = [text for text in EXAMPLES if text not in own_functions]


def module_of(command):
    """The module that a command calls, and "" for a download or an installation."""
    return "" if "-m venv" in command else next(iter(re.findall(r"-m (\S+)", command)), "")


RUN = [command for command in COMMANDS if module_of(command)]
# much like another command, or as `--keep`, which the run with `--before` starts with
ALIKE = ("runs/published", "--keep published", "report --start 2024-06-28", "set retrain_interval=1")
SLOW = {command: longest for command in RUN if ALIKE[0] in command or command.endswith(ALIKE[1:])}


def run_code(text):
    """The names that an example leaves; as a module of its own would."""
    module = sys.modules["example"] = types.ModuleType("example")
    exec(compile(text, "README.md", "exec"), module.__dict__)
    return module.__dict__


def test_links_lead_to_files_and_headings():
    for name, text in TEXTS.items():
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]+)#?([^)]*)\)", text):
            path = (PROJECT / name).parent / target
            assert path.exists(), f"{name} links to {target}"
            if heading:
                titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in [title.lower().replace(" ", "-") for title in titles], f"{name}: {heading}"


def test_every_command_is_run_by_a_test():
    assert {module_of(command) for command in RUN} == set(SHORTER)
    rest = [command for command in COMMANDS if command not in RUN]
    downloads = [command for command in rest if PUBLISHED_FILES in command]
    installs = [command for command in rest if command.startswith(INSTALLS)]
    clones = [command for command in rest if command.startswith("git clone ")]
    assert sorted(downloads + installs + clones) == sorted(rest)
    assert {command.removeprefix(INSTALLS) for command in installs} == {
        "",
        " --tests && .venv/bin/python -m pytest",
    }


def test_the_way_from_prices_to_the_notebook_is_the_tested_one():
    def without_range(command):
        return re.sub(r"^QNT_OFFLINE_MARKET=\S+ | --start \S+", "", command)

    shown = next(text for text in blocks("bash", {"": README}) if "prices.csv" in text).splitlines()
    assert [without_range(line) for line in shown] == [without_range(line) for line in FROM_CSV_TO_NOTEBOOK]
    market = shown[0].split()[-1]
    assert shown[1].startswith(f"QNT_OFFLINE_MARKET={market} ")
    assert f'`$env:QNT_OFFLINE_MARKET = "{market}"`' in README


@long
@pytest.mark.parametrize("command", [pytest.param(c, id=c[-40:], marks=SLOW.get(c, ())) for c in RUN])
def test_a_command_does_what_it_should(command, tmp_path):
    part, words = module_of(command), shlex.split(command)
    environment = ENVIRONMENT.copy()
    crypto = "crypto" in command
    if crypto:
        if REAL:
            pytest.skip("QNT_OFFLINE_MARKET is read where qnt is not installed")
        environment |= {"QNT_OFFLINE_MARKET": str(CRYPTO / "market.nc")}
    if words[0].startswith("QNT_OFFLINE_MARKET="):
        name, market = words.pop(0).split("=")
        if market == "market.nc":
            pytest.skip("tests/prices/test_notebook_on_prices.py runs it")
        if REAL or not REAL_MARKET.exists():
            pytest.skip("needs the published file, and QNT_OFFLINE_MARKET is read where qnt is not installed")
        environment |= {name: str(REAL_MARKET)}
        environment.pop("DATA_BASE_URL")
        shorter = ["--start", "2023-10-02", *(["--end", "2023-10-17"] if part == "lib.report" else [])]
    else:
        shorter = SHORTER[part] + (["--seeds", "1"] if "--seeds" in words else [])
        if "--universes" in words:  # random halves of the days need 60 of them
            shorter = ["--start", "2024-10-15", "--shuffles", "1", "--universes", "1"]
    for name in ("strategy.ipynb", "lib", "tests", "pyproject.toml"):
        link_or_copy(PROJECT / name, tmp_path / name)
    if part == "lib.prices":
        sources.long_csv(tmp_path)
        (tmp_path / "Stock-Time-Series-Analysis" / "data").mkdir(parents=True)
        sources.long_csv(tmp_path / "Stock-Time-Series-Analysis" / "data")
        (tmp_path / "members.csv").write_text("ticker,from,to\nAAA,2024-01-01,\n", encoding="utf-8")
    assert words[0] == ".venv/bin/python"
    if "--before" in words:  # the run that an earlier command keeps
        keep = ["-m", part, "--keep", words[words.index("--before") + 1], *shorter]
        subprocess.run(
            [sys.executable, *keep], cwd=tmp_path, env=environment, check=True, capture_output=True
        )
    done = subprocess.run(
        [sys.executable, *words[1:], *shorter], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    expected = 1 if part == "lib.contest" else 0  # the template itself is a copy
    assert done.returncode == expected, done.stdout[-3000:] + done.stderr[-3000:]
    output = Path(words[words.index("--output") + 1]) if "--output" in words else Path()
    if part == "lib.contest" and crypto:
        assert "The benchmark is equal weights of the ten liquid" in done.stdout
        assert "Scaled in hindsight to at most 10% volatility" in done.stdout
    elif part == "lib.contest":
        check_verdict(done.stdout)
    elif part == "lib.notebook":
        written = {path.name for path in (tmp_path / output).iterdir()}
        assert written == {"strategy.ipynb", "strategy.html", "fractions.nc.gz", "state.out.pickle.gz"}
    elif part == "lib.compare":
        assert re.search("hidden_size|whole_sequence|ranked", done.stdout)
        assert (tmp_path / "runs").is_dir()
    elif part == "lib.prices":
        assert (tmp_path / output).is_file()
    elif part == "lib.report":
        assert "The model adds" in done.stdout
    elif part == "lib.lookahead":
        assert "No look-ahead found" in done.stdout
    if part in ("lib.contest", "lib.compare", "lib.report", "lib.lookahead"):
        assert done.stdout.startswith("strategy.ipynb: ")


def check_verdict(printed):
    """The rules in README's verdict, what they require and the order are those that the command prints."""
    shown, real = ([line.split("  ") for line in text.splitlines()] for text in (VERDICT, printed))
    rules = [line[0] for line in shown if len(line) > 1]
    assert rules == [line[0] for line in real if line[0] in rules]
    for line in VERDICT.splitlines()[1:6]:
        assert re.split(r"  +", line)[2] in printed
    assert "It is a copy. It would not be admitted" in VERDICT
    assert "It is a copy. It would not be admitted" in printed


def test_the_windows_commands_are_the_same_ones():
    """Compare commands for PowerShell, which cannot run here, with those for bash."""
    lines = [line for text in blocks("powershell") for line in text.splitlines()]
    assert len(lines) == 2
    for line in lines:
        assert "&&" not in line  # PowerShell 5, which Windows has, does not know it
        for part in line.split("; "):
            program, *arguments = part.split(" ")
            assert program in ("py", r".venv\Scripts\python")
            assert not [word for word in arguments if "\\" in word]
            unix = [PureWindowsPath(program).as_posix().replace("Scripts", "bin"), *arguments]
            assert any(" ".join(unix).replace("py -3", "python3") in command for command in COMMANDS), part
    assert (PROJECT / "init.py").is_file()


@long
def test_saved_outputs_can_be_cleared(tmp_path):
    command = re.search(r"`\.venv/bin/(python -m nbconvert [^`]*)`", README).group(1)
    notebook = nbformat.read(PROJECT / "strategy.ipynb", 4)
    clean = nbformat.writes(notebook)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text="x" * 1000)], 3
    nbformat.write(notebook, tmp_path / "strategy.ipynb")
    words = [sys.executable, *shlex.split(command)[1:]]
    subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)
    after = nbformat.read(tmp_path / "strategy.ipynb", 4)
    assert [(c.id, c.source) for c in after.cells] == [
        (c.id, c.source) for c in nbformat.reads(clean, 4).cells
    ]
    assert not any(c.get("outputs") or c.get("execution_count") for c in after.cells)


@long
@pytest.mark.parametrize(
    "text",
    own_functions,
    ids=["feature", "functions", "model", "rule", "sizing", "method"],
)
def test_an_example_trades_and_does_not_know_the_future(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strategy = run_code(text)["strategy"]
    weights, state = backtest(strategy, "2024-12-20")
    assert (weights > 0).any()
    assert not np.array_equal(weights[-1], published_weights().reindex_like(weights[-1]))
    assert state.parameters == strategy.as_dict()
    report = lookahead.check(strategy, strategy.load_data(400), days=3 if ALL else 1)
    assert not report.leaks, str(report)


def published_weights():
    strategy = Strategy()
    models = strategy.train_model(strategy.load_data(100))
    return strategy.predict(models, strategy.load_data(155), None)[0][0]


@pytest.mark.parametrize("text", others, ids=["prices", "state"])
def test_any_other_example_runs(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_code(text)
    assert capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1  # the market, or the state


@long
def test_all_examples_together_pass_the_rehearsal(tmp_path):
    """Put them into the notebook as a reader would."""
    notebook = nbformat.read(PROJECT / "strategy.ipynb", 4)
    place = [cell.id for cell in notebook.cells].index("strategy")
    code = "\n".join(re.sub(r"^strategy = .*\n", "", text, flags=re.MULTILINE) for text in own_functions)
    code += (
        "\nstrategy = Strategy(features=features, target=beats_the_median, model=GRU,"
        " selection=much_traded_and_calm, sizing=best_third)"
    )
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(code))
    nbformat.write(notebook, tmp_path / "strategy.ipynb")
    notebook = str(tmp_path / "strategy.ipynb")
    words = [sys.executable, "-m", "lib.rehearsal", "--days", "1", "--notebook", notebook]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_tree_names_every_file_and_folder():
    shown = {line.split()[0].rstrip(",") for line in TREE.splitlines()} | set(
        re.findall(r"lib/\w+(?:\.py|/)", TREE)
    )
    assert not [name for name in shown if not (PROJECT / name).exists()]
    top = {path.name for path in (PROJECT / "lib").iterdir() if path.suffix == ".py" or path.is_dir()}
    folders = {name for name in top if any((PROJECT / "lib" / name).glob("*.py"))}
    files = {name for name in top if name.endswith(".py") and "__" not in name}
    assert {f"lib/{name}/" for name in folders} | {f"lib/{name}" for name in files} == {
        name for name in shown if name.startswith("lib/")
    }


@pytest.mark.skipif(not (PROJECT / ".git").exists() or not shutil.which("git"), reason="no git checkout")
def test_the_top_level_is_what_it_should_be():
    done = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert {name.split("/")[0] for name in done.stdout.splitlines() if not name.startswith(".")} == {
        "LICENSE",
        "README.md",
        "init.ipynb",
        "init.py",
        "lib",
        "pyproject.toml",
        "qnt",
        "requirements.txt",
        "strategy.ipynb",
        "tests",
    }
