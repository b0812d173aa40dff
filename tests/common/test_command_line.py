import argparse
import io
import os
from pathlib import Path

import numpy as np
import pytest

from lib.common.command_line import (
    add_output,
    environment,
    parse_day,
    parse_settings,
    parse_value,
    print_any_text,
    run_command,
)


def test_settings_are_literals_or_text():
    words = [
        "top_assets=6",
        "features=['trend']",
        "start_date=2024-10-01",
        "model=GRU",
        "end_date=None",
        "a=b=c",
    ]
    assert parse_settings(words) == {
        "top_assets": 6,
        "features": ["trend"],
        "start_date": "2024-10-01",
        "model": "GRU",
        "end_date": None,
        "a": "b=c",
    }


@pytest.mark.parametrize("word", ["top_assets", "=6", "6"])
def test_a_word_of_another_form_is_refused(word):
    with pytest.raises(ValueError, match=f"'{word}' must have the form NAME=VALUE"):
        parse_settings([word])


def test_a_name_that_is_set_twice_is_refused():
    with pytest.raises(ValueError, match="seed is set twice"):
        parse_settings(["seed=1", "seed=2"])


def test_an_expression_stays_text():
    assert parse_value("__import__('os')") == "__import__('os')"


def test_days():
    assert parse_day("start", None) is None
    for value in ("2024-01-31", np.datetime64("2024-01-31T12", "ns")):
        assert parse_day("start", value) == np.datetime64("2024-01-31", "D")


@pytest.mark.parametrize(
    "value", ["yesterday", "today", "now", "2024-13-01", "", "NaT", "31.01.2024", "2024-01", 3.5]
)
def test_what_is_no_day_is_refused(value):
    with pytest.raises(ValueError, match=r"start_date is .*: it must be a date such as 2024-01-31"):
        parse_day("start_date", value)


def test_the_environment_is_as_before_whatever_happens(monkeypatch):
    monkeypatch.setenv("KEPT", "before")
    monkeypatch.setenv("UNSET", "before")
    monkeypatch.delenv("NEW", raising=False)

    def fail():
        with environment({"KEPT": "now", "UNSET": None, "NEW": "now"}):
            assert (os.environ["KEPT"], os.environ["NEW"], "UNSET" in os.environ) == ("now", "now", False)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (os.environ["KEPT"], os.environ["UNSET"], "NEW" in os.environ) == ("before", "before", False)


def test_a_character_that_the_terminal_lacks_is_no_error(monkeypatch):
    """Windows gives a pipe an encoding of its own, without the marks of the verdicts."""
    pipe = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(pipe, encoding="cp1252", write_through=True))
    with pytest.raises(UnicodeEncodeError):
        print("✓ passed")
    print_any_text()
    print("✓ passed")
    assert pipe.getvalue().strip() == b"? passed"
    monkeypatch.setattr("sys.stdout", io.StringIO())  # has no encoding to ask for, as in a notebook
    print_any_text()


def test_a_setting_of_another_encoding_is_decoded():
    assert parse_settings([b"note=\xc3\xa4".decode("ascii", "surrogateescape")]) == {"note": "\xe4"}


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_folder_is_refused(text, capsys):
    parser = argparse.ArgumentParser()
    add_output(parser, "runs", "the results")
    assert parser.parse_args([]).output == Path("runs")
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--output", text])
    assert "it is empty: name a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Stopped by hand."),
        (KeyboardInterrupt("stopped: go on"), 130, "stopped: go on"),
        (OSError(28, "No space left on device", "a/b"), 2, "a/b: No space left on device."),
        (OSError(28, "No space left on device"), 2, "No space left on device."),
        (ValueError(), 2, "ValueError"),
    ],
    ids=["Ctrl-C", "Ctrl-C that says more", "a file", "no file", "no message"],
)
def test_an_error_ends_a_command_with_a_sentence(error, code, said, capsys):
    def fail():
        raise error

    assert run_command(fail) == code
    assert capsys.readouterr().err == f"{said}\n"
