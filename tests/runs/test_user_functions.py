"""Functions of the user's own are found among the parameters, given or named."""

import functools

from lib.features import feature
from lib.runs.user_functions import functions_of, registered
from lib.strategy import Strategy
from tests.compare.shared import Ratio, two_days


def test_functions_among_names():
    assert functions_of(Strategy()) == {}
    assert functions_of(Strategy(features=["trend", two_days], target=two_days)) == {
        "features": [None, two_days],
        "target": [two_days],
    }
    ratio, power = Ratio(3), functools.partial(two_days, power=2)
    assert functions_of(Strategy(features=(ratio, power), selection=ratio)) == {
        "features": [ratio, power],
        "selection": [ratio],
    }


def test_functions_that_the_user_registered(monkeypatch):
    assert registered(Strategy()) == {}
    monkeypatch.setitem(feature, "two_days", two_days)
    assert registered(Strategy(features=["trend", "two_days(power=2)"])) == {
        "features": {"two_days": two_days}
    }
