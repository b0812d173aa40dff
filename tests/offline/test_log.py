import sys

import pytest
import qnt.log as log


def say():
    log.log_info("info", 1)
    log.log_err("error", 2)


@pytest.mark.parametrize(
    ("settings", "out", "err"),
    [
        ({}, "info 1\n", "error 2\n"),
        ({"info": False}, "", "error 2\n"),
        ({"err": False}, "info 1\n", ""),
        ({"err2info": True}, "info 1\nerror 2\n", ""),
    ],
)
def test_settings_hold_inside_only(settings, out, err, capsys):
    with log.Settings(**settings):
        say()
    assert capsys.readouterr() == (out, err)
    say()
    assert capsys.readouterr() == ("info 1\n", "error 2\n")


def test_settings_nest(capsys):
    with log.Settings(info=False):
        with log.Settings(err=False):
            say()
        say()
    assert capsys.readouterr() == ("", "error 2\n")


def test_settings_end_with_an_error(capsys):
    with pytest.raises(ZeroDivisionError), log.Settings(info=False):
        1 / 0  # noqa: B018
    say()
    assert capsys.readouterr() == ("info 1\n", "error 2\n")


def test_messages_are_flushed(monkeypatch):
    flushed = []
    monkeypatch.setattr(sys.stdout, "flush", lambda: flushed.append("out"))
    monkeypatch.setattr(sys.stderr, "flush", lambda: flushed.append("err"))
    say()
    assert flushed == ["out", "err"]
