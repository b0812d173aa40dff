"""An edited notebook is what every command judges: its parameters, its functions and its methods."""

import json

import nbformat
import pytest

from lib.common.command_line import PROJECT
from lib.compare.__main__ import main as compare_main
from lib.contest.__main__ import main as contest_main
from lib.lookahead.__main__ import main as lookahead_main
from lib.rehearsal.__main__ import main as rehearsal_main
from lib.report.__main__ import main as report_main
from tests.conftest import REAL
from tests.switches import long, longest

START, END = "2024-12-16", "2024-12-18"
FUNCTIONS = '''
import qnt.ta as qnta

from lib import Strategy


def slow(data, strategy):
    """A feature with an indicator of the platform's library."""
    close = data.sel(field="close")
    return close / qnta.sma(close, 10) - 1
'''
SUBCLASS = '''
class Alphabet(Strategy):
    """Equal weights in the first assets of the alphabet, without a model."""

    def predict(self, models, data, state):
        weights, state = super().predict(models, data, state)
        liquid = data.sel(field="is_liquid").isel(time=[-1], drop=True) > 0
        chosen = liquid & (liquid.cumsum("asset") <= 3)
        return weights * 0 + chosen * 0.05, state
'''


@pytest.fixture
def notebook(tmp_path):
    """The shipped notebook with other parameters, a feature of its own, and a method of its own."""
    edited = nbformat.read(PROJECT / "strategy.ipynb", 4)
    cells = {cell.id: cell for cell in edited.cells}
    source = cells["parameters"].source
    for before, after in (
        ("top_assets = None", "top_assets = 4"),
        ("hidden_size = 34", "hidden_size = 4"),
        ('features = ["trend"]', 'features = ["trend", slow]'),
        ('start_date = "2022-12-30"', f'start_date = "{START}"'),
        ("end_date = None", f'end_date = "{END}"'),
    ):
        assert before in source
        source = source.replace(before, after)
    cells["parameters"].source = source
    cells["strategy"].source = "strategy = Alphabet.from_names(globals())"
    place = edited.cells.index(cells["parameters"])
    edited.cells.insert(place, nbformat.v4.new_code_cell(FUNCTIONS, id="functions"))
    edited.cells.insert(place + 3, nbformat.v4.new_code_cell(SUBCLASS, id="subclass"))
    path = tmp_path / "mine.ipynb"
    nbformat.write(edited, path)
    return str(path)


HEADLINE = "mine.ipynb: top_assets=4, hidden_size=4, features=[trend, slow], own predict"


def first_line(capsys):
    return capsys.readouterr().out.splitlines()[0]


def test_the_contest_judges_it(notebook, here, tmp_path, capsys):
    words = ["--notebook", notebook, "--start", START, "--end", END, "--output", str(tmp_path / "out")]
    assert contest_main([*words, "--set", "hidden_size=3"]) in (1, 3)
    headline = HEADLINE.replace("hidden_size=4", "hidden_size=3")
    assert first_line(capsys) == headline
    verdict = json.loads((tmp_path / "out/verdict.json").read_text("utf-8"))
    assert verdict["title"] == headline
    found = {rule["rule"]: rule["found"] for rule in verdict["rules"]}
    assert found["largest position"] == "0.0500"
    assert not found["originality"].startswith("a copy")


def test_the_report_is_of_it(notebook, capsys):
    assert report_main(["--notebook", notebook]) == 0  # on the notebook's own days
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == HEADLINE
    assert "Sharpe ratio" in printed


@long
def test_the_comparison_varies_it(notebook, tmp_path, capsys):
    words = ["--notebook", notebook, "--grid", "hidden_size=3,4", "--output", str(tmp_path / "out")]
    assert compare_main([*words, "--workers", "1", "--backend", "threading"]) == 0
    assert first_line(capsys) == HEADLINE
    kept = [json.loads(path.read_text("utf-8")) for path in (tmp_path / "out").glob("*.json")]
    assert {record["parameters"]["hidden_size"] for record in kept} == {3, 4}
    assert {record["parameters"]["top_assets"] for record in kept} == {4}
    assert len({record["weights_sha256"] for record in kept}) == 1  # its predict needs no model


def test_the_look_ahead_check_looks_at_it(notebook, capsys):
    assert lookahead_main(["--notebook", notebook, "--days", "1"]) == 0
    assert first_line(capsys) == HEADLINE


@longest
def test_the_rehearsal_runs_it(notebook, capsys):
    assert rehearsal_main(["--notebook", notebook, "--days", "1"]) == 0
    assert "PASSED" in capsys.readouterr().out


@long
@pytest.mark.skipif(REAL, reason="one engine is enough")
def test_a_leak_in_its_predict_is_found(notebook, capsys):
    path = nbformat.read(notebook, 4)
    cell = next(cell for cell in path.cells if cell.get("id") == "subclass")
    cell.source = cell.source.replace(
        "chosen * 0.05, state",
        "chosen * 0.05 * float(market.sel(field='close').mean() % 1), state",
    ).replace("class Alphabet", "market = Strategy().load_data(400)\n\n\nclass Alphabet")
    nbformat.write(path, notebook)
    assert lookahead_main(["--notebook", notebook, "--days", "1"]) in (1, 3)
