"""Parameters of a notebook are refused before it runs, and only where its strategy would refuse them."""

import pytest

from lib.notebook.cells import assignments, check_parameters

KNOWN = {"top_assets": 12, "features": ["trend"], "sizing": "as_output", "start_date": "2024-01-31"}
CODE = "strategy = Strategy.from_names(globals())"


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"top_asset": 3}, TypeError, r"mine\.ipynb has no parameter 'top_asset': did you mean 'top_assets'"),
        ({"top_assets": 0}, ValueError, "top_assets is 0: it must be a whole number"),
        ({"top_assets": "many"}, TypeError, "top_assets must be a whole number"),
        ({"features": ["trendy"]}, ValueError, "did you mean 'trend'"),
        ({"sizing": "rank"}, ValueError, "did you mean 'ranked'"),
        ({"start_date": "soon"}, ValueError, "start_date is 'soon': it must be a date"),
    ],
)
def test_what_the_strategy_would_refuse(settings, error, sentence, tmp_path):
    with pytest.raises(error, match=sentence):
        check_parameters(tmp_path / "mine.ipynb", KNOWN, settings, CODE)


def test_the_strategy_of_the_parameters(tmp_path):
    strategy = check_parameters(tmp_path / "mine.ipynb", KNOWN, {"top_assets": 3, "sizing": "ranked"}, CODE)
    assert (strategy.top_assets, strategy.sizing) == (3, "ranked")


@pytest.mark.parametrize("name", ["features", "sizing"])
def test_functions_that_the_notebook_defines_may_be_named(name, tmp_path):
    code = f"{CODE}\ndef mine(outputs, strategy, n=3):\n    return outputs"
    assert check_parameters(tmp_path / "mine.ipynb", KNOWN, {name: "mine(n=4)"}, code)
    with pytest.raises(ValueError, match="'mine"):
        check_parameters(tmp_path / "mine.ipynb", KNOWN, {name: "mine(n=4)"}, CODE)


def test_names_in_the_notebook_itself_may_come_from_a_module_that_it_imports(tmp_path):
    assert check_parameters(tmp_path / "mine.ipynb", KNOWN | {"features": ["imported"]}, {}, CODE)


def test_another_strategy_has_rules_of_its_own(tmp_path):
    known = {"top_assets": "many"}
    assert check_parameters(tmp_path / "mine.ipynb", known, {}, "predict = print") is None
    (tmp_path / "lib").mkdir()
    assert check_parameters(tmp_path / "mine.ipynb", known, {}, CODE) is None


def test_what_a_cell_assigns():
    assert assignments("a = 1  # one\nb = [2, 'x']\nc = a + 1\nd.e = 3\nf, g = 4, 5") == {
        "a": 1,
        "b": [2, "x"],
    }
    assert assignments("a = = 1") == {}
