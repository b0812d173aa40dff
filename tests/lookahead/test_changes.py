"""Later days, the platform's limit and the process are changed temporarily."""

import os
import time
from contextlib import suppress

import numpy as np
import pytest
import qnt.data as qndata
from qnt.data import common

from lib.common.market_data import LIMITS, data_limit
from lib.lookahead import trials
from lib.lookahead.trials import in_child, other_future
from tests.markets import random_market
from tests.systems import on_linux

DAY = np.datetime64("2024-11-15")


def limits():
    return [getattr(common, name) for name in LIMITS]


def test_the_library_loads_nothing_after_the_limit():
    before = limits()
    with data_limit(DAY):
        assert qndata.stocks.load_ndx_data(tail=30).time.values[-1] == DAY
    assert limits() == before
    assert qndata.stocks.load_ndx_data(tail=30).time.values[-1] > DAY


def test_a_limit_that_was_set_stays_and_is_never_exceeded():
    try:
        common.set_max_datetime("2024-11-08")
        before = limits()
        with suppress(KeyboardInterrupt), data_limit(DAY):
            assert str(common.MAX_DATE_LIMIT) == "2024-11-08"
            raise KeyboardInterrupt
        assert limits() == before
    finally:
        common.set_max_datetime(None)


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_later_days_are_noise_for_a_while():
    market = random_market(4, days=40)
    before = market.copy(deep=True)
    with suppress(KeyboardInterrupt), other_future(market, 30, np.random.default_rng(0)):
        assert market[:, :31].identical(before[:, :31])
        assert (market[:, 31:] != before[:, 31:]).any(("time", "asset")).all()
        raise KeyboardInterrupt
    assert market.identical(before)


@on_linux
def test_a_copy_of_the_process_answers_and_leaves_nothing_behind(capfd):
    kept = []

    def answer():
        kept.append(1)
        print("computing")
        return {"values": np.arange(100_000), "kept": kept}

    for _ in range(2):
        result = in_child(answer)
        assert result is not None
        assert result["kept"] == [1]
        assert np.array_equal(result["values"], np.arange(100_000))
    assert kept == []
    assert capfd.readouterr() == ("", "")


@on_linux
@pytest.mark.parametrize("end", [lambda: os._exit(3), lambda: 1 / 0, lambda: lambda: 0], ids=range(3))
def test_a_copy_that_dies_has_no_answer(end, capfd):
    assert in_child(end) is None


@on_linux
def test_a_copy_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(trials, "SECONDS", 0.2)
    assert in_child(lambda: time.sleep(600)) is None
