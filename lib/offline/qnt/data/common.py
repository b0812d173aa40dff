"""Names of fields and dimensions, and the limit of loads.

The limit is the last day that may be seen; environment variables set more.
"""

import datetime
import os
import re
from typing import Any
from urllib.parse import urljoin

import pandas as pd

from lib.offline import market, uncovered

from ..log import log_err

DEFAULT_TAIL = 6 * 365


class Fields:
    """Names on the axis `field`."""

    OPEN = "open"
    LOW = "low"
    HIGH = "high"
    CLOSE = "close"
    VOL = "vol"
    DIVS = "divs"
    SPLIT = "split"
    SPLIT_CUMPROD = "split_cumprod"
    IS_LIQUID = "is_liquid"
    OPEN_INTEREST = "oi"
    ROLL = "roll"


class Dimensions:
    """Names of the axes."""

    TIME = "time"
    FIELD = "field"
    ASSET = "asset"


f = Fields
ds = Dimensions


def get_env(key: str, def_val: str, silent: bool = False) -> str:
    """Return an environment variable or its default.

    A notice on stderr reports the default `def_val` unless `silent`.
    """
    if key in os.environ:
        return os.environ[key]
    if not silent:
        log_err(f"NOTICE: The environment variable {key} was not specified. The default value is '{def_val}'")
    return def_val


def parse_max_datetime_from_url(url: str) -> datetime.datetime | None:
    """Return the end of the data in an address.

    An address like `…/last/2024-12-30/` or `…/last/2024-12-30T10/` names the end. The result is None for any
    other.
    """
    end = re.match(r"^.+/(\d{4}-\d{2}-\d{2}(?:T\d{2})?)/?$", url)
    return pd.Timestamp(end.group(1)).to_pydatetime() if end else None


def parse_date(dt: Any = None, limit: bool = True, kind: str | None = None) -> datetime.date:
    """Return `dt` as a date within the limit.

    With `limit` the date is at most MAX_DATE_LIMIT. None stands for this limit, or for the market's end.
    """
    if dt is None and limit and MAX_DATE_LIMIT is not None:
        return MAX_DATE_LIMIT  # even where the market ended before: windows count back from the limit
    day = pd.Timestamp(market.last_day(kind) if dt is None else dt).date()
    return min(day, MAX_DATE_LIMIT) if limit and MAX_DATE_LIMIT is not None else day


def parse_date_and_hour(dt: Any = None, limit: bool = True, kind: str | None = None) -> datetime.datetime:
    """Return `dt` with its time of day.

    All else is as in `parse_date`. A market ends at the start of a day.
    """
    if dt is None and limit and MAX_DATETIME_LIMIT is not None:
        return MAX_DATETIME_LIMIT
    moment = pd.Timestamp(market.last_day(kind) if dt is None else dt).to_pydatetime()
    return min(moment, MAX_DATETIME_LIMIT) if limit and MAX_DATETIME_LIMIT is not None else moment


def record_last_day(max_date: Any) -> None:
    """Record the loading of the last day's data.

    The platform's record is the file LAST_DATA_PATH. It is written if this variable is set and `max_date` is
    None.
    """
    if max_date is None and "LAST_DATA_PATH" in os.environ:
        with open(os.environ["LAST_DATA_PATH"], "w", encoding="utf-8") as flag:
            flag.write("last")


def parse_tail(tail: datetime.timedelta | float) -> datetime.timedelta:
    """Return a number of calendar days as a timedelta."""
    return tail if isinstance(tail, datetime.timedelta) else datetime.timedelta(days=int(tail))


def set_max_datetime(dt: Any) -> None:
    """Set the end of the data.

    `dt` is anything that `pandas.Timestamp` reads. None restores the end that DATA_BASE_URL names.
    """
    global BASE_URL, MAX_DATETIME_LIMIT, MAX_DATE_LIMIT
    if dt is None:
        BASE_URL = ORIGIN_BASE_URL
    else:
        BASE_URL = urljoin(ORIGIN_BASE_URL.split("/last/")[0], f"/last/{pd.Timestamp(dt).isoformat()[:13]}/")
    MAX_DATETIME_LIMIT = parse_max_datetime_from_url(BASE_URL)
    MAX_DATE_LIMIT = None if MAX_DATETIME_LIMIT is None else MAX_DATETIME_LIMIT.date()


# Read once, as in the real library: later changes of the variable have no effect.
ORIGIN_BASE_URL = get_env("DATA_BASE_URL", "https://data-api.quantiacs.io/", silent=True)
BASE_URL: str
MAX_DATETIME_LIMIT: datetime.datetime | None
MAX_DATE_LIMIT: datetime.date | None
set_max_datetime(None)

__getattr__ = uncovered(__name__)
