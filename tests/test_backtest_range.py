from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from lib import Strategy, check_range
from lib.common.command_line import parse_day
from lib.common.errors import UserError
from tests.conftest import LAST_DAY
from tests.vectors import vector

FIRST_DAY = str(vector("market").time.values[0])[:10]
STRATEGY = Strategy(train_period=60, lookback_period=90)
EARLIEST = str(parse_day("first", FIRST_DAY) + 90)


def test_days_of_the_market_pass(capfd: pytest.CaptureFixture) -> None:
    assert check_range(STRATEGY, "2024-06-03") == ("2024-06-03", None)
    assert check_range(STRATEGY, "2024-06-01", "2024-06-30") == ("2024-06-01", "2024-06-30")
    assert check_range(STRATEGY, EARLIEST, "2021-04-05") == (EARLIEST, "2021-04-05")
    assert check_range(STRATEGY, LAST_DAY)[0] == LAST_DAY
    assert "Data loaded" not in capfd.readouterr().out


def test_a_load_of_the_same_range_has_what_the_first_day_needs() -> None:
    data = STRATEGY.load_range(*check_range(STRATEGY, "2024-06-03", "2024-06-28"))
    assert data.dims == ("field", "time", "asset")
    begin = np.datetime64("2024-06-03") - 150
    assert data.time.values[0] >= begin > data.time.values[0] - np.timedelta64(7, "D")
    assert str(data.time.values[-1])[:10] == "2024-06-28"


@pytest.mark.parametrize(("train", "lookback", "before"), [(10, 5, 60), (100, 155, 255)])
def test_a_load_begins_with_the_first_training_or_the_costs(train: int, lookback: int, before: int) -> None:
    data = Strategy(train_period=train, lookback_period=lookback).load_range("2024-06-03")
    begin = np.datetime64("2024-06-03") - before
    assert data.time.values[0] >= begin > data.time.values[0] - np.timedelta64(7, "D")
    assert str(data.time.values[-1])[:10] == LAST_DAY


FAULTS: dict[str, tuple[tuple[Any, Any], str]] = {
    "a word": (("yesterday", None), "start_date is 'yesterday': it must be a date such as 2024-01-31"),
    "a malformed end": (("2024-06-03", "2024-13-01"), "end_date is '2024-13-01': it must be a date"),
    "none": ((None, None), "start_date is None"),
    "a reversed range": (("2024-06-03", "2024-06-01"), r"end_date \(2024-06-01\) is before start_date"),
    "after the data": (("2025-03-01", None), f"start_date is 2025-03-01, but the data end on {LAST_DAY}"),
    "before the data": (("1999-01-01", None), f"the data begin on {FIRST_DAY}.*can be {EARLIEST} or later"),
    "a weekend": (("2024-06-01", "2024-06-02"), "no trading day from 2024-06-01 to 2024-06-02"),
    "too near the beginning": ((FIRST_DAY, None), f"90 calendar days of data: start_date can be {EARLIEST}"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_range_without_data_is_refused_and_what_is_possible_is_named(fault: str) -> None:
    (start, end), sentence = FAULTS[fault]
    with pytest.raises(ValueError, match=sentence):
        check_range(STRATEGY, start, end)


def test_a_market_without_anything_liquid(use_market: Callable[[xr.DataArray], None]) -> None:
    market = vector("market")
    market.loc[{"field": "is_liquid"}] = 0.0
    use_market(market)
    with pytest.raises(ValueError, match="There are no data for stocks_nasdaq100"):
        check_range(STRATEGY, "2024-06-03")


def test_an_end_after_the_data_is_refused_or_cut_to_the_last_day() -> None:
    near, far = (str(parse_day("end", LAST_DAY) + days) for days in (3, 40))
    assert check_range(STRATEGY, "2024-06-03", near)[1] == LAST_DAY
    with pytest.raises(ValueError, match=f"end_date is {far}, but the data end on {LAST_DAY}"):
        check_range(STRATEGY, "2024-06-03", far)


@pytest.mark.parametrize("value", [2024, True, 1.5, np.int64(20240101)], ids=str)
def test_a_number_is_no_date(value: Any) -> None:
    with pytest.raises(ValueError, match="it must be a date such as"):
        check_range(STRATEGY, value)


def test_a_market_that_ended_long_ago_is_named(use_market: Callable) -> None:
    use_market(vector("market").sel(time=slice(None, "2023-06-30")))
    with pytest.raises(ValueError, match="the data end on 2023-06-30: start earlier"):
        check_range(STRATEGY, "2024-06-03")
    assert check_range(STRATEGY, "2023-05-02") == ("2023-05-02", None)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            Exception("can't download assets"),
            "Quantiacs' data cannot be loaded .can't download assets.. Set API",
        ),
        (SystemExit(1), "Quantiacs' library ended the process. Set API_KEY"),
    ],
    ids=["data", "key"],
)
def test_data_that_cannot_be_loaded_end_in_advice(error, sentence, monkeypatch):
    """Without a network, and without a key."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("qnt.data.load_data_by_type", fail)
    with pytest.raises(UserError, match=sentence):
        check_range(Strategy(), "2024-06-03")
