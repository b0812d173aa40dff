"""The command line of the verdict, without a run."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib import Strategy
from lib.common.rules import RuleCheck
from lib.contest import ContestWarning, PassError, Verdict
from lib.contest import __main__ as command


class Told(Verdict):
    """A verdict of one line."""

    def __str__(self):
        return "the verdict"


def verdict(*holds):
    checks = tuple(RuleCheck(f"rule {k}", "", "", each) for k, each in enumerate(holds))
    empty = dict.fromkeys(("sharpe_ratio", "interval", "relatives", "by_year", "returns", "others", "notes"))
    return Told(checks=checks, **empty)


@pytest.fixture
def asked(monkeypatch):
    """Record the call of `contest`, and run nothing."""
    found = SimpleNamespace(answer=verdict(True))

    def contest(*given, **options):
        found.given, found.options = given, options
        for _ in range(2):
            warnings.warn("a damaged file", ContestWarning, stacklevel=2)
        if isinstance(found.answer, Exception):
            raise found.answer
        return found.answer

    monkeypatch.setattr(command, "contest", contest)
    return found


def test_every_option_reaches_the_contest_and_every_warning_the_user(asked, tmp_path, capsys):
    words = ["--set", "top_assets=6", "--start", "2024-01-02", "--end", "2024-02-01", "--scaled"]
    words += ["--workers", "2", "--backend", "dask", "--scheduler", "tcp://x:1", "--output", str(tmp_path)]
    assert command.main(words) == 0
    assert asked.given == (Strategy(top_assets=6), "2024-01-02", "2024-02-01")
    where = {"workers": 2, "backend": "dask", "scheduler": "tcp://x:1"}
    title = "strategy.ipynb: top_assets=6"
    assert asked.options == {"folder": tmp_path, "title": title, "scaled": True, **where}
    printed = capsys.readouterr()
    written = f"Written to {tmp_path}: verdict.html, verdict.json, weights.nc.gz"
    assert printed.out == f"{title}\nthe verdict\n\n{written}\n"
    assert printed.err == "a damaged file\na damaged file\n"


def test_without_options_the_notebook_runs_on_all_days(asked):
    command.main([])
    assert asked.given == (Strategy(), None, None)
    assert (asked.options["folder"], asked.options["scaled"]) == (Path("runs/contest"), False)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (verdict(True, True), 0),
        (verdict(True, False), 1),
        (verdict(None, False), 1),
        (verdict(None, True), 3),
        (PassError("A pass failed"), 1),
    ],
    ids=["admitted", "not admitted", "not admitted, one unknown", "unknown", "a pass failed"],
)
def test_the_exit_code_is_the_verdict(answer, code, asked, capsys):
    asked.answer = answer
    assert command.main([]) == code
    assert ("A pass failed\n" in capsys.readouterr().err) is isinstance(answer, PassError)


def test_the_help_has_every_option_with_its_form(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    parser = command._parser()
    assert parser.format_usage() == (
        "usage: python -m lib.contest [-h] [--notebook FILE] [--start DATE] [--end DATE] "
        "[--set NAME=VALUE [NAME=VALUE ...]] [--workers N] [--backend BACKEND] [--scheduler ADDRESS] "
        "[--scaled] [--output FOLDER]\n"
    )
    assert all(action.help for action in parser._actions)
    text = parser.format_help()
    assert command.DESCRIPTION in text
    assert command.EPILOG in text
