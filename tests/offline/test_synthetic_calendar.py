import datetime as dt

import numpy as np
import pandas as pd
import pytest

from lib.offline import synthetic


def test_days_per_year_are_those_of_the_exchange():
    days = synthetic.trading_days("2005-01-01", "2024-12-31")
    counts = days.year.value_counts()
    unusual = {
        2006: 251,
        2007: 251,
        2008: 253,
        2012: 250,
        2017: 251,
        2018: 251,
        2020: 253,
        2022: 251,
        2023: 250,
    }
    assert counts.to_dict() == dict.fromkeys(range(2005, 2025), 252) | unusual


@pytest.mark.parametrize(
    "closed",
    [
        "2005-03-25",  # Good Friday
        "2007-01-02",  # President Ford
        "2011-12-26",  # Christmas on a Sunday
        "2012-10-29",  # hurricane
        "2015-07-03",  # 4 July on a Saturday
        "2018-12-05",  # President Bush
        "2022-06-20",  # Juneteenth on a Sunday
        "2023-01-02",  # New Year's Day on a Sunday
        "2024-01-15",  # Martin Luther King
        "2024-02-19",  # Presidents' Day
        "2024-05-27",  # Memorial Day
        "2024-09-02",  # Labor Day
        "2024-11-28",  # Thanksgiving
    ],
)
def test_holidays_are_closed_and_their_neighbours_open(closed):
    day = pd.Timestamp(closed)
    around = synthetic.trading_days(day - pd.Timedelta(days=7), day + pd.Timedelta(days=7))
    assert day not in around
    assert len(around) >= 7


@pytest.mark.parametrize("open_day", ["2021-12-31", "2010-12-31", "2021-06-18", "2024-06-18", "2024-11-29"])
def test_days_that_look_like_holidays_but_are_open(open_day):
    assert synthetic.trading_days(open_day, open_day).tolist() == [pd.Timestamp(open_day)]


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2005, 3, 27), (2008, 3, 23), (2011, 4, 24), (2019, 4, 21), (2024, 3, 31)]
)
def test_good_friday_moves_with_easter(year, month, day):
    friday = dt.date(year, month, day) - dt.timedelta(days=2)
    assert len(synthetic.trading_days(friday, friday)) == 0
    assert len(synthetic.trading_days(friday - dt.timedelta(days=7), friday)) == 5


def test_an_empty_range_has_no_days():
    assert synthetic.trading_days("2024-01-05", "2024-01-04").tolist() == []


@pytest.mark.parametrize(("day", "days"), [("2024-07-03", 1), ("2024-07-04", 0), ("2024-07-06", 0)])
def test_a_time_of_day_is_dropped(day, days):
    assert len(synthetic.trading_days(f"{day}T09:30", np.datetime64(f"{day}T16:00:00.000000001"))) == days
