"""Tables that functions refer to are found, changed after a day, and left as they were."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.common.market_data import field
from lib.lookahead.tables import known_to, noise_like
from tests.lookahead.planted import small
from tests.markets import random_market

MARKET = random_market(3, days=40, assets=4)
DAYS = pd.DatetimeIndex(MARKET.time.values)
NAMES = MARKET.asset.values.tolist()
CLOSE = np.nan_to_num(field(MARKET, "close"), nan=50.0)
FRAME = pd.DataFrame(CLOSE, DAYS, NAMES)
ROW = 25

TABLES = {
    "array": lambda: MARKET.sel(field="close").copy(deep=True),
    "array by asset first": lambda: MARKET.sel(field="close").transpose("asset", "time").copy(deep=True),
    "dataset": lambda: MARKET.to_dataset("field").copy(deep=True),
    "frame": lambda: FRAME.copy(),
    "frame by asset": lambda: FRAME.T.copy(),
    "frame of mixed types": lambda: FRAME.assign(n=range(40), up=CLOSE[:, 0] > 50, name=NAMES * 10),
    "frame with a column of dates": lambda: FRAME.rename_axis("day").reset_index(),
    "series": lambda: FRAME[NAMES[0]].copy(),
    "series of whole numbers": lambda: pd.Series(np.arange(40), DAYS),
    "series with a time zone": lambda: FRAME[NAMES[0]].tz_localize("UTC"),
    "series by day and asset": lambda: MARKET.sel(field="close").to_series().copy(),
    "frame by period": lambda: FRAME.to_period("D"),
    "series by text": lambda: pd.Series(CLOSE[:, 0].copy(), [f"{day:%Y-%m-%d}" for day in DAYS]),
    "series by number": lambda: pd.Series(CLOSE[:, 0].copy(), [int(f"{day:%Y%m%d}") for day in DAYS]),
    "values": lambda: CLOSE.copy(),
    "values by asset": lambda: CLOSE.T.copy(),
    "differences": lambda: np.diff(CLOSE, axis=0),
    "list": lambda: CLOSE[:, 0].tolist(),
    "dict of numbers": lambda: dict(zip(DAYS, CLOSE[:, 0].tolist(), strict=True)),
    "dict of dates": lambda: dict(zip(DAYS.date, CLOSE[:, 0].tolist(), strict=True)),
    "dict of texts": lambda: {f"{day:%Y-%m-%d}": NAMES[k % 4] for k, day in enumerate(DAYS)},
    "dict of values": lambda: {day: CLOSE[k].copy() for k, day in enumerate(DAYS)},
}


def refers_to(value, name="table"):
    def feature(data, strategy):
        return (field(data, "close"), table)

    table = value
    return small(features=[feature])


def content(value):
    """All entries by their place in time, as text."""
    if isinstance(value, dict):
        return [repr(item) for item in value.values()]
    if isinstance(value, xr.Dataset):
        value = value.to_dataarray("field").transpose("time", ...)
    if isinstance(value, xr.DataArray) and value.dims == ("asset", "time"):
        value = value.transpose()
    if isinstance(value, pd.DataFrame) and not isinstance(value.index, pd.PeriodIndex):
        value = value.T if NAMES[0] in value.index else value
    if isinstance(value, np.ndarray) and value.shape[0] == 4:
        value = value.T
    if isinstance(value, pd.Series) and isinstance(value.index, pd.MultiIndex):
        value = value.unstack("asset")  # noqa: PD010
    rows = value if isinstance(value, list) else getattr(value, "values", value)
    return [repr(row) for row in rows]


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_changed_after_the_day_and_restored(kind):
    table, before = TABLES[kind](), TABLES[kind]()
    known = known_to(refers_to(table), MARKET)
    assert known.tables, known
    assert not known.closed
    with known.changed_after(DAYS[ROW].to_datetime64(), np.random.default_rng(0)):
        changed, same = content(table), content(before)
        first = ROW + 1 - (kind == "differences")
        assert changed[:first] == same[:first]
        assert (
            sum(a != b for a, b in zip(changed[first:], same[first:], strict=True)) > (len(same) - first) / 3
        )
    assert content(table) == content(before)
    if isinstance(table, pd.Series | pd.DataFrame | xr.DataArray | np.ndarray):
        assert str(getattr(table, "dtypes", None)) == str(getattr(before, "dtypes", None))


def test_a_table_that_ends_before_the_data_is_left_alone():
    known = known_to(refers_to(pd.Series([1.0, 2.0], pd.DatetimeIndex(["2001-01-01", "2001-01-02"]))), MARKET)
    assert known.tables == []


NAMED = {
    "a mean": (3.14159265, "constants"),
    "a vector": (np.array([0.1, 0.2, 0.3]), "constants"),
    "a name": (NAMES[0], "constants"),
    "names": ([NAMES[0], NAMES[2]], "constants"),
    "a series by asset": (pd.Series([1.0, 2.0], NAMES[:2]), "constants"),
    "a tuple": (tuple(CLOSE[:, 0].tolist()), "closed"),
    "a generator": ((row for row in CLOSE), "closed"),
    "an open file": (open(__file__, "rb"), "closed"),  # noqa: SIM115
}
NOT_NAMED = {"a period": 20, "a share": 0.05, "a word": "close", "words": ["close", "open"], "none": None}


@pytest.mark.parametrize("kind", NAMED)
def test_what_cannot_be_changed_is_named(kind):
    value, where = NAMED[kind]
    known = known_to(refers_to(value), MARKET)
    assert known.tables == []
    assert any("`table" in name and "feature feature" in name for name in getattr(known, where)), known


@pytest.mark.parametrize("kind", NOT_NAMED)
def test_what_one_writes_by_hand_is_not_named(kind):
    known = known_to(refers_to(NOT_NAMED[kind]), MARKET)
    assert (known.tables, known.constants, known.closed) == ([], [], [])


def test_the_published_strategy_refers_to_nothing():
    known = known_to(small(), MARKET)
    assert (known.tables, known.constants, known.closed) == ([], [], [])


def test_circles_of_references_end():
    holder = {}
    holder["self"] = [holder, FRAME.copy()]
    assert [table.name for table in known_to(refers_to(holder), MARKET).tables] == ["table['self'][1]"]


def test_a_strategy_too_large_to_follow_is_named(monkeypatch):
    monkeypatch.setattr("lib.lookahead.tables.MOST_OBJECTS", 50)
    known = known_to(refers_to([{"deep": [object]} for _ in range(100)]), MARKET)
    assert "not followed to the end" in known.closed[0]


@pytest.mark.parametrize("dtype", [float, np.float32, np.int64, np.uint8, bool, object])
def test_noise_has_the_form_of_what_it_replaces(dtype):
    pool = (np.arange(60).reshape(20, 3) % 7 + 1).astype(dtype)
    noise = noise_like(pool, pool[:5], np.random.default_rng(1))
    assert (noise.shape, noise.dtype) == ((5, 3), pool.dtype)
    assert (noise != pool[:5]).any()
