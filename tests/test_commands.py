"""All commands share one interface: the same options with the same texts, defaults, and Ctrl-C."""

import argparse
import importlib
import re

import pytest

import init
from lib.common.command_line import STOPPED

COMMANDS = {
    "lib.notebook": "lib.notebook",
    "lib.report": "lib.report.__main__",
    "lib.compare": "lib.compare.__main__",
    "lib.contest": "lib.contest.__main__",
    "lib.lookahead": "lib.lookahead.__main__",
    "lib.rehearsal": "lib.rehearsal.__main__",
    "lib.prices": "lib.prices.__main__",
}
# options whose texts differ between commands only by the default or by the things that they name
SAME = ("--notebook", "--set", "--end", "--backend", "--scheduler")


class Parsed(Exception):
    """Ends a command as soon as its parser is made."""


@pytest.fixture(scope="module")
def parsers():
    """The parser of each command by name."""
    made = []

    def keep(parser, *_, **__):
        made.append(parser)
        raise Parsed

    mains = [importlib.import_module(module).main for module in COMMANDS.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", keep)
        for main in [*mains, init.main]:
            with pytest.raises(Parsed):
                main([])
    return dict(zip([*COMMANDS, "init.py"], made, strict=True))


def test_every_option_is_explained_with_its_default(parsers):
    for name, parser in parsers.items():
        for action in parser._actions:
            text = (action.help or "") % {"default": action.default}
            if action.nargs == 0 or action.required:  # a switch is off by default
                assert text, (name, action.dest)
            else:
                assert "(default: " in text, (name, action.dest, text)
                if action.default not in ("", None, []) and action.dest != "notebook":
                    assert f"(default: {action.default})" in text, (name, text)


def test_an_option_is_spelled_and_explained_alike_everywhere(parsers):
    texts = {}
    for parser in parsers.values():
        for action in parser._actions:
            for option in action.option_strings:
                what = re.sub(r" *\(default: .*", "", action.help)
                texts.setdefault(option, set()).add((what, action.metavar))
    for option in SAME:
        assert len(texts[option]) == 1, texts[option]
    assert {metavar for _, metavar in texts["--days"]} == {"N"}


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_ends_a_command_with_a_sentence(name, monkeypatch, capsys):
    module = importlib.import_module(COMMANDS[name])

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    for work in ("strategy_of", "convert_files", "parse_settings"):
        if hasattr(module, work):
            monkeypatch.setattr(module, work, interrupt)
    words = ["prices.csv", "--output", "market.nc"] if name == "lib.prices" else []
    assert module.main(words) == STOPPED
    assert "topped" in capsys.readouterr().err
