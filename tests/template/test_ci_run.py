import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.systems import needs_bash

SCRIPT = Path(__file__).parents[2] / ".ci" / "run"
pytestmark = [needs_bash, pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")]
BY_NOBODY = {
    f"GIT_{who}_{what}": "nobody@nowhere" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


@pytest.fixture
def project(tmp_path):
    """A repository with the script, and shared/ beside it."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "market.nc").write_text("prices", encoding="utf-8")
    (tmp_path / "temp").mkdir()
    folder = tmp_path / "project"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(SCRIPT, folder / ".ci")
    (folder / "committed").write_text("", encoding="utf-8")
    return folder


def run(project, readme, **environment):
    """Commit the README and run the script as a build server would."""
    (project / "README.md").write_text(readme, encoding="utf-8")
    git = ["git", "-C", str(project)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True, env=os.environ | BY_NOBODY)
    (project / "uncommitted").write_text("", encoding="utf-8")
    return subprocess.run(
        ["bash", str(project / ".ci" / "run")],
        env=os.environ | {"TMPDIR": str(project.parent / "temp")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_the_fenced_command_in_a_fresh_clone(project):
    command = (
        "ls && cat ../shared/market.nc && python3 -c 'import sys; print(sys.version_info[:2])' # -m pytest"
    )
    done = run(
        project, f"Say -m pytest.\n\n```bash\necho no\n{command}\n```\n\n```\necho -m pytest again\n```\n"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"$ {command}"
    assert lines[1:3] == ["README.md", "committed"]
    assert re.fullmatch(r"prices\(3, 1[123]\)", lines[3])
    assert len(lines) == 4


def test_whose_checkout_it_is_does_not_matter(project):
    done = run(project, "```\nls # -m pytest\n```\n", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[-2:] == ["README.md", "committed"]


def test_without_git_the_folder_is_tested_as_it_is(project):
    (project / ".venv").mkdir()
    (project / ".git").write_text("no repository", encoding="utf-8")
    (project / "README.md").write_text("```\nls -A # -m pytest\n```\n", encoding="utf-8")
    done = subprocess.run(["bash", str(project / ".ci" / "run")], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.startswith(".ci/run tests the folder as it is, since git cannot clone it: fatal: ")
    assert done.stdout.split()[-4:] == [".ci", ".git", "README.md", "committed"]


@pytest.mark.parametrize(("given", "expected"), [("", "1"), ("0", "0"), ("all", "all")])
def test_the_long_tests_are_on_unless_the_switch_says_otherwise(project, given, expected):
    done = run(project, "```\necho $LONG_TESTS # -m pytest\n```\n", LONG_TESTS=given)
    assert done.stdout.splitlines()[1:] == [expected]


def test_the_exit_code_is_passed_on_and_nothing_is_left_behind(project):
    done = run(project, "```\nfalse || exit 5 # -m pytest\n```\n")
    assert done.returncode == 5
    assert list((project.parent / "temp").iterdir()) == []


def test_a_step_that_fails_is_a_failure(project):
    assert run(project, "```\nfalse && echo never -m pytest\n```\n").returncode == 1


def test_nothing_waits_for_input(project):
    done = run(project, "```\ncat && echo -m pytest\n```\n")
    assert done.stdout.splitlines()[1:] == ["-m pytest"]


@pytest.mark.parametrize("readme", ["nothing", "python -m pytest\n", "```\nmake test\n```\n"])
def test_a_readme_without_the_command_is_a_failure(project, readme):
    done = run(project, readme)
    assert done.returncode == 1
    assert "README.md has no fenced line with '-m pytest' to run" in done.stderr


def test_a_machine_without_a_fitting_python_is_told(project, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "git", "mktemp", "dirname", "rm", "awk", "mkdir"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = run(project, "```\necho -m pytest\n```\n", PATH=str(tools))
    assert done.returncode == 1
    assert done.stderr == ".ci/run needs Python 3.11, 3.12 or 3.13 on the PATH\n"
