"""The days of a rehearsal, and the names that a pass sees."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import qnt.data as qndata

from lib.rehearsal import market
from tests.markets import random_market

KIND = "stocks_nasdaq100"


@pytest.fixture
def asked(monkeypatch):
    """Let the loader answer a random market, and keep what it was asked for."""
    data = random_market(0, days=40)
    data.loc[{"field": "is_liquid"}] = 1
    calls = []

    def load(kind, **window):
        calls.append(window)
        return data

    monkeypatch.setattr(market, "_load", load)
    return SimpleNamespace(data=data, calls=calls)


def test_the_precheck_runs_the_last_day_the_second_and_quantiles_between(asked):
    days = asked.data.time.values.astype("M8[D]")
    assert market.precheck_days(KIND, None).tolist() == days[[1, 20, 39]].tolist()
    assert market.precheck_days(KIND, None, passes=5).tolist() == days[[1, 10, 20, 30, 39]].tolist()
    assert market.precheck_days(KIND, None, passes=2).tolist() == days[[1, 39]].tolist()
    assert asked.calls[0] == {"min_date": "2006-01-01", "max_date": None}


def test_days_on_which_nothing_is_liquid_do_not_count(asked):
    asked.data.loc[{"field": "is_liquid", "time": asked.data.time[:2]}] = np.nan
    assert market.precheck_days(KIND, None)[0] == asked.data.time.values[3].astype("M8[D]")
    assert market.last_days(KIND, 2, np.datetime64("2024-12-30")).tolist() == (
        asked.data.time.values[-2:].astype("M8[D]").tolist()
    )


def test_what_there_is_not_is_refused(asked):
    with pytest.raises(ValueError, match="only 40 trading days up to the end"):
        market.last_days(KIND, 41, None)
    with pytest.raises(ValueError, match="before the first day in sample, 2006-01-01"):
        market.precheck_days(KIND, np.datetime64("2005-06-01"))


@pytest.mark.parametrize("table", [None, "server_id,user_id\n17,NAS:001\n"])
def test_prices_carry_the_names_that_the_pass_saw(table, asked, tmp_path, monkeypatch):
    """The library shows other names in this process than in the folder of the pass."""
    here = {"16": "NAS:000", "17": "NAS:001"}
    there = {name: server_id for server_id, name in here.items()}
    library = SimpleNamespace(
        USE_ID_TRANSLATION=True,
        translate_server_id_to_user_id=lambda name: here.get(name, name),
        translate_user_id_to_server_id=lambda name: there.get(name, name),
    )
    monkeypatch.setattr(market, "_translation", lambda: library)
    if table:
        (tmp_path / market.TABLE).write_text(table, encoding="utf-8")
    shown = market.shown_names(tmp_path)
    assert shown == ({"17": "NAS:001"} if table else {})
    day = np.datetime64("2024-12-30")
    data = market.prices(KIND, day, day, ["16", shown.get("17", "17"), "99"], tmp_path)
    assert asked.calls[-1]["assets"] == ["NAS:000", "NAS:001", "99"]
    assert data.asset.values.tolist()[:3] == ["16", "NAS:001" if table else "17", "NAS:002"]
    library.USE_ID_TRANSLATION = False
    assert market.shown_names(tmp_path) == {}


def test_the_host_is_named_without_a_day():
    assert not market.host().endswith("/")
    assert "/last/" not in market.host()


def test_the_folder_of_the_librarys_cache_is_made_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(qndata.common, "CACHE_DIR", "data-cache", raising=False)
    monkeypatch.setattr(qndata, "load_data_by_type", lambda kind, **window: os.listdir("data-cache"))
    assert market._load(KIND) == []
