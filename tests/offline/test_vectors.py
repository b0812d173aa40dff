"""The kept answers of the platform are whole, small, described, and each is asked for by a test."""

from pathlib import Path

import numpy as np
import pytest

from tests import vectors

TESTS = Path(__file__).parents[1]
FILES = sorted(path for path in vectors.CONFORMANCE.iterdir() if path.name != "README.md")
NAMES = [path.stem for path in FILES if path.suffix == ".nc"]


def test_folder_is_small():
    assert sum(path.stat().st_size for path in FILES) < 5e6


@pytest.mark.parametrize("name", NAMES)
def test_every_array_loads(name):
    array = vectors.vector(name)
    assert array.size > 0
    assert np.isfinite(array.values).any()


def test_every_call_returns_an_array_of_its_own():
    spoiled = vectors.vector("output_clean")
    spoiled[:] = 7
    assert vectors.vector("output_clean").max() < 1


def test_texts():
    assert "=====" in vectors.text("output_check_messages.txt")


def test_unknown_names_fail():
    with pytest.raises(FileNotFoundError):
        vectors.vector("no_such_vector")


def test_every_file_is_described():
    readme = (vectors.CONFORMANCE / "README.md").read_text(encoding="utf-8")
    prefixes = (
        "ta_",
        "output_align_",
        "backtest_ml_calls_",
        "backtest_ml_result_",
        "stats_calc_stat_one_day",
    )
    described = [path.name for path in FILES if path.stem in readme or path.stem.startswith(prefixes)]
    assert described == [path.name for path in FILES]


def test_every_file_is_used():
    sources = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    text = "".join(path.read_text(encoding="utf-8") for path in [*sources, TESTS / "conftest.py"])
    names = {path.name: path.stem for path in FILES}
    composed = [name for name in names.values() if name.startswith("backtest_ml_")]  # "..._{each_day,batch}"
    assert [name for name, stem in names.items() if stem not in text and stem not in composed] == []
