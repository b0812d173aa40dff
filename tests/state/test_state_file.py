"""The content of a file is a state, or refused: a table of faults, hostile and random files."""

import gzip
import os
import pickle
import re
import sys
import tempfile
import types
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib import state as state_module
from lib.state import State, StateError, StateWarning, state_read, state_write
from tests.state.conftest import AFRESH, DAY, NEW, OLD, packed
from tests.switches import ALL, LONG

UNTIMED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=1000 if ALL else 200 if LONG else 25,
)


class Canary:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def good() -> bytes:
    return packed(OLD)


def with_record(**change) -> bytes:
    """A file whose record is altered, which State itself would not write."""
    record = OLD.__reduce__()[1][0] | change

    class Forged:
        def __reduce__(self):
            return OLD.__reduce__()[0], (record,)

    return packed(Forged())


def dated(instructions: bytes) -> bytes:
    """A file in whose record the instructions write the date."""
    text = pickle.dumps(str(DAY), 2)[2:-3]
    content = pickle.dumps(OLD, 2)
    assert content.count(text) == 1
    return packed(content.replace(text, instructions))


RESTORE_CALLED = b"\x80\x02clib.state.positions\nrestore\n%bR."


def renamed(name: bytes) -> bytes:
    """A file in which another function is called with the record."""
    content = pickle.dumps(OLD, 2)
    assert content.count(b"lib.state.positions\nrestore\n") == 1
    return packed(content.replace(b"lib.state.positions\nrestore\n", name))


def flipped(place: int) -> bytes:
    data = bytearray(good())
    data[place] ^= 0xFF
    return bytes(data)


def published() -> dict:
    row = xr.DataArray(
        [0.1], dims=["asset"], coords={"asset": ["NAS:AAPL"], "time": pd.Timestamp("2024-12-27")}
    )
    return {"previous_weights": row}


# --- faults of a file: the user reads a StateError, the file is kept as it is, nothing in it runs ---


@dataclass(frozen=True)
class Fault:
    """A file at the path, and what the user reads about it."""

    name: str
    content: bytes | Callable[[Path], bytes]
    says: str

    def plant(self, path: Path) -> bytes:
        content = self.content if isinstance(self.content, bytes) else self.content(path)
        path.write_bytes(content)
        return content


def hostile(protocol: int) -> Callable[[Path], bytes]:
    return lambda path: packed(pickle.dumps(Canary(path.parent / "canary"), protocol))


def hostile_models(path: Path) -> bytes:
    return packed((DAY, Canary(path.parent / "canary"), OLD))


BIG_TEXT = "x" * 10_000
FILE_FAULTS = [
    Fault("empty file", b"", "it is empty"),
    Fault("cut in the middle", good()[:100], "cut short"),
    Fault("cut by one byte", good()[:-1], "cut short"),
    Fault("cut in the header", good()[:5], "cut short"),
    Fault("header damaged", flipped(0), "not a gzip file, or a damaged one"),
    Fault("content damaged", flipped(60), "damaged"),
    Fault("sum damaged", flipped(-6), "damaged one .CRC"),
    Fault("length damaged", flipped(-2), "damaged one .Incorrect length"),
    Fault("not packed", pickle.dumps(OLD), "not a gzip file"),
    Fault("text", b"date: 2024-12-27\n", "not a gzip file"),
    Fault("bytes behind the end", good() + b"more", "not a gzip file, or a damaged one"),
    Fault("two files in one", good() + good(), "broken one .more bytes after"),
    Fault("packed nothing", packed(b""), "not a pickle, or a broken one"),
    Fault("packed text", packed(b"date: 2024-12-27\n"), "not a pickle, or a broken one|asks for"),
    Fault("pickle cut", packed(pickle.dumps(OLD)[:-20]), "not a pickle, or a broken one"),
    Fault("published template's state", packed(published()), r"asks for .*xarray|asks for numpy"),
    Fault("published template's file", packed((DAY, None, published())), r"asks for .*xarray|asks for numpy"),
    Fault("plain dict", packed({"date": "2024-12-27", "weights": {}}), "holds a dict, not a state"),
    Fault("number", packed(0.5), "holds a float, not a state"),
    Fault("tuple of two", packed((DAY, OLD)), "holds a tuple, not a state"),
    Fault("a date alone", packed(DAY), "holds a Call, not a state"),
    Fault("call of another function", renamed(b"numpy\ndtype\n"), "holds a Call, not a state"),
    Fault("call without a record", packed(RESTORE_CALLED % b")"), "holds a Call, not a state"),
    Fault("call with two records", packed(RESTORE_CALLED % b"NN\x86"), "holds a Call, not a state"),
    Fault("array", packed(np.zeros(3)), r"asks for numpy\._?core\.multiarray\._reconstruct"),
    Fault("hostile", hostile(4), r"asks for \w+\.mkdir\. Nothing in it was run"),
    Fault("hostile, old protocol", hostile(1), r"asks for \w+\.mkdir\. Nothing in it was run"),
    Fault(
        "hostile models beside a good state", hostile_models, r"asks for \w+\.mkdir\. Nothing in it was run"
    ),
    Fault("class of this project", packed(StateError), r"asks for lib\.state\.positions\.StateError"),
    Fault(
        "unfolds without end", packed(b"\x80\x02]q\x00(" + b"h\x00" * 99 + b"e."), "a part that occurs twice"
    ),
    Fault("nested without end", packed(b"\x80\x02" + b"]" * 9999 + b"a" * 9998 + b"."), "holds a list"),
    Fault(
        "parameters nested without end", with_record(fingerprint={"a": [[[[[[[[[[0]]]]]]]]]]}), "parameter a "
    ),
    Fault(
        "newer version", with_record(version=4), "newer version .*record 4, .* up to 3.* Update the project"
    ),
    Fault("absurd version", with_record(version=2**2000), "newer version .*record a value of type int"),
    Fault(
        "date nested without end", dated(b"]" * 50_000 + b"a" * 49_999), "a value of type list is not a date"
    ),
    Fault("date as endless text", with_record(date=BIG_TEXT), "'x{59} is not a date"),
    Fault("no version", with_record(version=None), "record is damaged: it has no version"),
    Fault("unknown field", with_record(models=[]), "record is damaged: missing or unknown 'models'"),
    Fault("record that is none", packed(pickle.dumps(OLD).replace(b"version", b"versiom")), "has no version"),
    Fault("weight not a number", with_record(weights={"A": float("nan")}), "weights say nan for A"),
    Fault("weight without end", with_record(weights={"A": float("-inf")}), "weights say -inf for A"),
    Fault("weight too large", with_record(weights={"A": -1e9}), "weights say -1000000000.0 for A"),
    Fault(
        "weight as text", with_record(weights={"A": "0.1"}), "weights say '0.1' for A, which is not a number"
    ),
    Fault("weight as endless text", with_record(weights={"A": BIG_TEXT}), "for A, which is not a number"),
    Fault("weights above the capital", with_record(weights={"A": 0.9, "B": 0.9}), r"add up to 1\.8"),
    Fault("weights before damaged", with_record(before={"A": 7}), "weights carried in say 7 for A"),
    Fault("weights in a list", with_record(weights=[0.1]), "weights are not a mapping"),
    Fault("asset without a name", with_record(weights={"": 0.1}), "which is not a name"),
    Fault(
        "asset that upsets a terminal",
        with_record(weights={"\x1b[2J": 0.1}),
        r"'\\x1b\[2J', which is not a name",
    ),
    Fault("date that is none", with_record(date="2024-02-30"), "'2024-02-30' is not a date"),
    Fault("date far away", with_record(date="9999-12-31"), "date 9999-12-31 is not between"),
    Fault("date as a number", with_record(date=20084), "20084 is not a date"),
    Fault("date that moves", with_record(date="today"), "'today' is not a date"),
    Fault("parameters damaged", with_record(fingerprint={"a": b"x"}), "parameter a "),
]


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
def test_a_faulty_file_is_an_error_that_says_so_and_stays(fault, path, capsys):
    content = fault.plant(path)
    with pytest.raises(StateError, match=fault.says) as caught:
        state_read(path)
    assert str(caught.value).startswith(f"State file {path}: ")
    assert re.search(AFRESH, str(caught.value))
    assert len(str(caught.value)) < 500
    assert "first day" not in capsys.readouterr().out
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name], "something ran"


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
def test_a_faulty_file_is_kept_aside_where_it_is_written_over(fault, path):
    content = fault.plant(path)
    with pytest.warns(StateWarning, match="kept in") if content else nullcontext():
        state_write(NEW, path)
    assert state_read(path) == NEW
    aside = path.with_name(f"{path.name}.unreadable")
    assert sorted(os.listdir(path.parent)) == [path.name, aside.name][: 1 + bool(content)]
    assert not content or aside.read_bytes() == content


def test_the_canary_would_have_sung(path):
    hostile(4)(path)
    pickle.loads(gzip.decompress(hostile(4)(path)))
    assert (path.parent / "canary").is_dir()


def test_a_file_that_unpacks_without_end_is_refused(path, monkeypatch):
    monkeypatch.setattr(state_module, "LARGEST", 3 << 20)
    path.write_bytes(gzip.compress(bytes(5 << 20), 1))
    with pytest.raises(StateError, match="unpacks to more than 3 MiB"):
        state_read(path)
    path.write_bytes(packed(("x" * (2 << 20), None, OLD)))
    assert state_read(path) == OLD


@pytest.mark.parametrize("date", [DAY, DAY.astype("M8[ns]"), None])
@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("home", ["lib.engine.models", "lib.trained_models", "lib.training"])
def test_a_file_of_backtest_ml_is_read_without_its_models(path, monkeypatch, date, protocol, home):
    def _load_models(content):
        raise AssertionError("models were decoded")

    _load_models.__module__, _load_models.__qualname__ = home, "_load_models"
    monkeypatch.setitem(sys.modules, home, types.SimpleNamespace(_load_models=_load_models))

    class TrainedModels:
        def __reduce__(self):
            return _load_models, (b"models",)

    for state in OLD, None:
        with gzip.open(path, "wb") as file:
            pickle.dump((date, TrainedModels(), state), file, protocol)
        assert state_read(path) == state


def test_a_function_may_be_named_twice(path):
    content = pickle.dumps((DAY, DAY + 1, OLD))
    assert content.count(b"scalar") == 1, "the second date recalls the name of the first"
    path.write_bytes(packed(content))
    assert state_read(path) == OLD


def test_older_names_of_numpy_are_known(path):
    content = pickle.dumps((DAY, None, OLD))
    assert b"numpy._core" in content or b"numpy.core" in content
    for name in b"numpy._core.multiarray", b"numpy.core.multiarray":
        stream = re.sub(rb".numpy\._?core\.multiarray", bytes([len(name)]) + name, content)
        path.write_bytes(packed(stream[:2] + stream[11:]))  # without the frame, whose length is another
        assert state_read(path) == OLD


# --- any state, any file ---

NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
ROWS = st.dictionaries(NAMES, st.floats(-1, 1), max_size=30).map(
    lambda row: {asset: weight / max(1.0, sum(map(abs, row.values()))) for asset, weight in row.items()}
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(-1e18, 1e18) | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
DATES = st.integers(-25_567, 84_005).map(lambda days: np.datetime64(days, "D"))
STATES = st.builds(State, DATES, ROWS, ROWS, st.dictionaries(NAMES, VALUES, max_size=12))


@pytest.fixture(scope="module")
def scratch():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "state.pickle.gz"


@settings(UNTIMED, max_examples=400 if ALL else 100 if LONG else 25)
@given(state=STATES)
def test_any_state_comes_back_as_it_was(scratch, state):
    scratch.unlink(missing_ok=True)
    state_write(state, scratch)
    assert state_read(scratch) == state
    scratch.write_bytes(packed((state.date, None, state)))
    assert state_read(scratch) == state
    assert pickle.loads(pickle.dumps(state)) == state


def read_or_refused(path: Path) -> None:
    try:
        state = state_read(path)
    except StateError:
        return
    assert state is None or pickle.loads(pickle.dumps(state)) == state


@UNTIMED
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused_or_a_state(scratch, content):
    scratch.write_bytes(content)
    read_or_refused(scratch)
    scratch.write_bytes(packed(content))
    read_or_refused(scratch)


@UNTIMED
@given(data=st.data(), inside=st.booleans())
def test_any_damage_is_refused_or_leaves_a_state(scratch, data, inside):
    whole = pickle.dumps((DAY, None, OLD)) if inside else good()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        length = data.draw(st.integers(0, 8))
        damaged[place : place + length] = data.draw(st.binary(max_size=8))
        damaged = damaged or bytearray(b"\0")
    scratch.write_bytes(packed(bytes(damaged)) if inside else bytes(damaged))
    read_or_refused(scratch)


def test_every_single_byte_matters(path):
    """Damage to any byte of the file is noticed, except in the header's remarks about itself."""
    for place in range(10, len(good()), 1 if LONG else 7):
        path.write_bytes(flipped(place))
        with pytest.raises(StateError):
            state_read(path)
