"""Trading days of the New York stock exchange."""

import datetime as dt

import numpy as np
import pandas as pd
from pandas.tseries import holiday as rules
from pandas.tseries.holiday import Holiday

Day = str | dt.date | np.datetime64

CALENDAR = rules.AbstractHolidayCalendar(
    "NYSE",
    rules=[
        # The exchange does not observe a New Year's Day that is a Saturday.
        Holiday("New Year", month=1, day=1, observance=rules.sunday_to_monday),
        rules.USMartinLutherKingJr,
        rules.USPresidentsDay,
        rules.GoodFriday,
        rules.USMemorialDay,
        Holiday("Juneteenth", month=6, day=19, start_date="2022-01-01", observance=rules.nearest_workday),
        Holiday("Independence Day", month=7, day=4, observance=rules.nearest_workday),
        rules.USLaborDay,
        rules.USThanksgivingDay,
        Holiday("Christmas", month=12, day=25, observance=rules.nearest_workday),
        Holiday("Mourning for President Ford", year=2007, month=1, day=2),
        Holiday("Hurricane Sandy", year=2012, month=10, day=29),
        Holiday("Hurricane Sandy", year=2012, month=10, day=30),
        Holiday("Mourning for President Bush", year=2018, month=12, day=5),
    ],
)


def trading_days(start: Day, end: Day) -> pd.DatetimeIndex:
    """Return the trading days from `start` to `end`, both included; none where `end` is before `start`.

    Exact for 2005-2024. Other years from 1998 on follow the same rules but lack unplanned closures.
    """
    first, last = pd.Timestamp(start).normalize(), pd.Timestamp(end)
    return pd.bdate_range(first, last).difference(CALENDAR.holidays(first, last))
