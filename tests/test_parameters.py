"""Parameters keep their ranges and kinds however a subclass declares them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lib import Strategy


@dataclass(frozen=True)
class Postponed(Strategy):
    """A subclass in a module with postponed annotations, with a default and a parameter of its own."""

    top_assets: int = 6
    stop: float = 0.2


@pytest.mark.parametrize("kind", [Strategy, Postponed])
def test_whole_numbers_stay_whole_in_a_subclass(kind):
    assert type(kind(top_assets=3, max_weight=1).top_assets) is int
    assert type(kind(max_weight=1).max_weight) is float
    with pytest.raises(TypeError, match=r"top_assets must be a whole number from 1 to 1000, not 2\.5"):
        kind(top_assets=2.5)
    with pytest.raises(ValueError, match="top_assets is 0"):
        kind(top_assets=0)
    with pytest.raises(TypeError, match="log_price must be True or False, not 1"):
        kind(log_price=1)
    assert Postponed().as_dict()["stop"] == 0.2
