import numpy as np
import pytest
import xarray as xr

from lib.report.weights_table import in_words, weights_table
from lib.state import State

DAY = np.datetime64("2024-06-04")


@pytest.fixture
def weights() -> xr.DataArray:
    """The last day counts: C has the largest position, B none, and D is not known."""
    time = np.array([DAY - 1, DAY], dtype="M8[ns]")
    values = [[0.3, 0.3, 0.3, 0.0], [0.1, 0.0, -0.2, np.nan]]
    return xr.DataArray(values, {"time": time, "asset": ["A", "B", "C", "D"]}, ("time", "asset"))


def state(date: np.datetime64) -> State:
    return State(date, {"A": 0.05, "B": 0.1}, {"A": 0.08}, {})


def test_without_a_state(weights: xr.DataArray) -> None:
    table = weights_table(weights, None)
    assert table["weight"].to_dict() == {"C": -0.2, "A": 0.1}
    assert list(table.index) == ["C", "A"]
    assert list(table) == ["weight"]


def test_beside_the_day_before(weights: xr.DataArray) -> None:
    table = weights_table(weights, state(DAY - 1))
    assert table.index.tolist() == ["C", "A", "B"]
    assert table["weight_before"].tolist() == [0, 0.05, 0.1]
    assert table["change"].tolist() == pytest.approx([-0.2, 0.05, -0.1])


def test_a_day_that_is_run_again_is_compared_with_what_was_carried_into_it(weights: xr.DataArray) -> None:
    table = weights_table(weights, state(DAY))
    assert table["weight_before"].to_dict() == {"C": 0, "A": 0.08}


def test_no_positions(weights: xr.DataArray) -> None:
    assert weights_table(weights * 0, None).empty
    assert in_words(weights * 0) == "0 positions on 2024-06-04, 0.0% of the capital."


def test_in_words(weights: xr.DataArray) -> None:
    assert in_words(weights) == "2 positions on 2024-06-04, 30.0% of the capital."
