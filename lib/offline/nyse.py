"""On which days is the New York stock exchange open?"""

import datetime as dt

import numpy as np

Day = str | dt.date | np.datetime64

ONE_DAY = dt.timedelta(days=1)
# Closures that follow no rule: mourning for a president, the hurricane of 2012.
UNPLANNED = {"2007-01-02", "2012-10-29", "2012-10-30", "2018-12-05"}


def as_day(date: Day) -> np.datetime64:
    """Drop the time of day: datetime64[D]."""
    return np.datetime64(np.asarray(date, dtype="datetime64[D]").item(), "D")


def trading_days(start: Day, end: Day) -> np.ndarray:
    """Trading days from `start` to `end`, both included.

    Parameters
    ----------
    start, end : str, datetime.date or numpy.datetime64

    Returns
    -------
    numpy.ndarray
        datetime64[D], ascending; empty where `end` is before `start`. Right for 2005-2024; other years follow
        the same rules but miss their unplanned closures.
    """
    first, last = as_day(start), as_day(end)
    if last < first:
        return np.array([], dtype="datetime64[D]")
    years = range(first.astype(object).year, last.astype(object).year + 1)
    holidays = np.array(sorted(UNPLANNED.union(*map(_holidays, years))), dtype="datetime64[D]")
    days = np.arange(first, last + 1)
    return days[np.is_busday(days, holidays=holidays)]


def _holidays(year: int) -> set[str]:
    days = [
        _nth_weekday(year, 1, 0, 3),  # Martin Luther King
        _nth_weekday(year, 2, 0, 3),  # Presidents' Day
        _easter(year) - 2 * ONE_DAY,  # Good Friday
        _nth_weekday(year, 6, 0, 1) - 7 * ONE_DAY,  # Memorial Day: the last Monday of May
        _observed(dt.date(year, 7, 4)),
        _nth_weekday(year, 9, 0, 1),  # Labor Day
        _nth_weekday(year, 11, 3, 4),  # Thanksgiving
        _observed(dt.date(year, 12, 25)),
    ]
    new_year = dt.date(year, 1, 1)
    # A New Year's Day on a Saturday is not made up for: the Friday belongs to the old year's books.
    days += [new_year + ONE_DAY] if new_year.weekday() == 6 else [new_year]
    if year >= 2022:
        days.append(_observed(dt.date(year, 6, 19)))
    return {day.isoformat() for day in days}


def _observed(day: dt.date) -> dt.date:
    return day + {5: -1, 6: 1}.get(day.weekday(), 0) * ONE_DAY


def _nth_weekday(year: int, month: int, weekday: int, n: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (n - 1)) * ONE_DAY


def _easter(year: int) -> dt.date:
    """Easter Sunday by the method of Meeus, Jones and Butcher."""
    century, of_century = divmod(year, 100)
    correction = century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15
    moon = (19 * (year % 19) + correction) % 30
    sunday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (year % 19 + 11 * moon + 22 * sunday) // 451
    month, day = divmod(moon + sunday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)
