"""The state survives: a table of faults, a writer killed at random moments, hostile and random files."""

import builtins
import contextlib
import errno
import gzip
import json
import os
import pickle
import re
import resource
import stat
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib import state as state_module
from lib.state import State, StateError, StateWarning, state_read, state_write, states_table

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DAY = np.datetime64("2024-12-27")
PARAMETERS = {"competition_type": "stocks_nasdaq100", "top_assets": 12, "learning_rate": 0.08}
OLD = State(DAY, {"NAS:AAPL": 0.1, "NAS:MSFT": 0.05}, {"NAS:AAPL": 0.02}, PARAMETERS)
NEW = State(DAY + 3, {"NAS:MSFT": 0.1}, OLD.weights, PARAMETERS)


@pytest.fixture(autouse=True)
def _no_paths_set(monkeypatch, tmp_path):
    monkeypatch.delenv("IN_STATE_PATH", raising=False)
    monkeypatch.delenv("OUT_STATE_PATH", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pickle.gz"


class Canary:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def packed(content: Any) -> bytes:
    return gzip.compress(content if isinstance(content, bytes) else pickle.dumps(content), mtime=0)


def good() -> bytes:
    return packed(OLD)


def with_record(**change) -> bytes:
    """A file whose record is altered, which State itself would not write."""
    record = OLD.__reduce__()[1][0] | change

    class Forged:
        def __reduce__(self):
            return OLD.__reduce__()[0], (record,)

    return packed(Forged())


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


AFRESH = r"To start afresh, move it away\.$"
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
    Fault("two files in one", good() + good(), "broken one .more bytes behind"),
    Fault("packed nothing", packed(b""), "not a pickle, or a broken one"),
    Fault("packed text", packed(b"date: 2024-12-27\n"), "not a pickle, or a broken one|asks for"),
    Fault("pickle cut", packed(pickle.dumps(OLD)[:-20]), "not a pickle, or a broken one"),
    Fault("published template's state", packed(published()), r"asks for .*xarray|asks for numpy"),
    Fault("published template's file", packed((DAY, None, published())), r"asks for .*xarray|asks for numpy"),
    Fault("plain dict", packed({"date": "2024-12-27", "weights": {}}), "holds a dict, not a state"),
    Fault("number", packed(0.5), "holds a float, not a state"),
    Fault("tuple of two", packed((DAY, OLD)), "holds a tuple, not a state"),
    Fault("a date alone", packed(DAY), "holds a Call, not a state"),
    Fault("array", packed(np.zeros(3)), r"asks for numpy\._?core\.multiarray\._reconstruct"),
    Fault("hostile", hostile(4), r"asks for \w+\.mkdir\. Nothing in it was run"),
    Fault("hostile, old protocol", hostile(1), r"asks for \w+\.mkdir\. Nothing in it was run"),
    Fault(
        "hostile models beside a good state", hostile_models, r"asks for \w+\.mkdir\. Nothing in it was run"
    ),
    Fault("class of this project", packed(StateError), r"asks for lib\.state\.state_checks\.StateError"),
    Fault(
        "unfolds without end", packed(b"\x80\x02]q\x00(" + b"h\x00" * 99 + b"e."), "a part that occurs twice"
    ),
    Fault("nested without end", packed(b"\x80\x02" + b"]" * 9999 + b"a" * 9998 + b"."), "holds a list"),
    Fault(
        "parameters nested without end", with_record(fingerprint={"a": [[[[[[[[[[0]]]]]]]]]]}), "parameter a "
    ),
    Fault(
        "newer version", with_record(version=2), "newer version .*record 2, .* up to 1.* Update the project"
    ),
    Fault("no version", with_record(version=None), "record is damaged: it has no version"),
    Fault("unknown field", with_record(models=[]), "record is damaged: missing or unknown 'models'"),
    Fault("record that is none", packed(pickle.dumps(OLD).replace(b"version", b"versiom")), "has no version"),
    Fault("weight not a number", with_record(weights={"A": float("nan")}), "weights say nan for A"),
    Fault("weight without end", with_record(weights={"A": float("-inf")}), "weights say -inf for A"),
    Fault("weight too large", with_record(weights={"A": -1e9}), "weights say -1000000000.0 for A"),
    Fault("weight as text", with_record(weights={"A": "0.1"}), "weights say '0.1' for A, which is no number"),
    Fault("weight as endless text", with_record(weights={"A": BIG_TEXT}), "for A, which is no number"),
    Fault("weights above the capital", with_record(weights={"A": 0.9, "B": 0.9}), r"add up to 1\.8"),
    Fault("weights before damaged", with_record(before={"A": 7}), "weights before say 7 for A"),
    Fault("weights in a list", with_record(weights=[0.1]), "weights are no mapping"),
    Fault("asset without a name", with_record(weights={"": 0.1}), "which is no name"),
    Fault(
        "asset that upsets a terminal",
        with_record(weights={"\x1b[2J": 0.1}),
        r"'\\x1b\[2J', which is no name",
    ),
    Fault("date that is none", with_record(date="2024-02-30"), "'2024-02-30' is no date"),
    Fault("date far away", with_record(date="9999-12-31"), "date 9999-12-31 is not between"),
    Fault("date as a number", with_record(date=20084), "20084 is no date"),
    Fault("date that moves", with_record(date="today"), "'today' is no date"),
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
def test_a_faulty_file_can_be_moved_away_or_written_over(fault, path, capsys):
    fault.plant(path)
    state_write(NEW, path)
    assert state_read(path) == NEW
    path.rename(path.with_name("away"))
    assert state_read(path) is None


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


# --- faults around the file ---


def test_a_missing_file_is_the_first_day_said_once(path, capsys):
    assert state_read(path) is None
    out, err = capsys.readouterr()
    assert out == f"No state at {path}: first day, starts without positions.\n"
    assert err == ""


@pytest.mark.parametrize(("plant", "says"), [(os.mkdir, "folder|directory"), (os.mkfifo, "pipe|regular")])
def test_a_folder_or_a_pipe_at_the_path(path, plant, says):
    plant(path)
    kind = stat.S_IFMT(os.stat(path).st_mode)
    with pytest.raises(StateError, match=rf"cannot be read .*({says}).*{AFRESH}"):
        state_read(path)
    with pytest.raises(StateError, match=rf"could not be written .*({says})"):
        state_write(NEW, path)
    assert os.listdir(path.parent) == [path.name]
    assert stat.S_IFMT(os.stat(path).st_mode) == kind


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ELOOP])
def test_a_file_that_cannot_be_opened_is_no_first_day(path, monkeypatch, capsys, code):
    state_write(OLD, path)
    capsys.readouterr()
    monkeypatch.setattr(os, "open", fail_with(code))
    with pytest.raises(
        StateError, match=rf"cannot be read \({os.strerror(code)}\)\. Mend that and read it again\. {AFRESH}"
    ):
        state_read(path)
    assert capsys.readouterr().out == ""


def test_a_disk_that_fails_amid_reading(path, monkeypatch):
    state_write(OLD, path)
    monkeypatch.setattr(gzip.GzipFile, "read", fail_with(errno.EIO))
    with pytest.raises(StateError, match=r"cannot be read .Input/output error"):
        state_read(path)


def test_links(path):
    path.symlink_to("circle")
    (path.parent / "circle").symlink_to(path.name)
    with pytest.raises(StateError, match=r"cannot be read .*symbolic links"):
        state_read(path)
    with pytest.raises(StateError, match=r"could not be written .*symbolic links"):
        state_write(NEW, path)
    (path.parent / "circle").unlink()
    assert state_read(path) is None
    state_write(NEW, path)
    assert path.is_symlink()
    assert state_read(path.parent / "circle") == NEW


def test_a_path_that_can_be_none():
    with pytest.raises(StateError, match=r"cannot be read .*null"):
        state_read("a\0b")
    with pytest.raises(StateError, match=r"could not be written .*null"):
        state_write(OLD, "a\0b")


# --- faults of use ---


def test_a_state_of_other_parameters_another_universe_or_the_future(path):
    state_write(OLD, path)
    state = state_read(path)
    with pytest.raises(StateError, match="top_assets was 12, is 14"):
        state.carried_into(DAY + 1, {**PARAMETERS, "top_assets": 14})
    with pytest.raises(StateError, match="positions in the universe"):
        state.carried_into(DAY + 1, {**PARAMETERS, "competition_type": "stocks_s&p500"})
    with pytest.warns(StateWarning, match="dated 2024-12-27, after the data, which end on 2024-12-20"):
        assert state.carried_into(DAY - 7, PARAMETERS) == {}
    assert state_read(path) == OLD


@pytest.mark.parametrize("thing", [OLD.weights, {"previous_weights": None}, (DAY, None, OLD), "state", 0.1])
def test_only_a_state_is_kept(path, thing):
    state_write(OLD, path)
    with pytest.raises(StateError, match=f"not a {type(thing).__name__}: pass what predict returned"):
        state_write(thing, path)
    assert state_read(path) == OLD


# --- faults of writing: the old state is there, whole, and nothing else ---


def fail_with(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("step", ["open", "fsync", "chmod", "replace"])
def test_a_write_that_fails_leaves_the_old_state(path, monkeypatch, capsys, step, code):
    state_write(OLD, path)
    before = path.read_bytes()
    with monkeypatch.context() as planted:
        planted.setattr(builtins if step == "open" else os, step, fail_with(code))
        with pytest.raises(StateError, match="What was there is untouched") as caught:
            state_write(NEW, path)
    assert f"could not be written to {path} ({os.strerror(code)})" in str(caught.value)
    assert "run state_write again" in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert capsys.readouterr().out.count("saved") == 1, "the failed write must not say saved"
    state_write(NEW, path)
    assert state_read(path) == NEW


def test_a_disk_that_is_full_amid_the_state(path):
    state_write(OLD, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        with contextlib.redirect_stdout(None), pytest.raises(StateError, match=r"File too large.*untouched"):
            state_write(NEW, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert state_read(path) == OLD
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_has_vanished(tmp_path):
    with pytest.raises(StateError, match="its folder is not there"):
        state_write(NEW, tmp_path / "gone" / "state.pickle.gz")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def nobody():
    """Let a test that runs as the superuser, who may do everything, be somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def forbidden():
    """A folder that can be looked into but not written, with a state and a file that may not be read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # where everybody may go
        state_write(OLD, Path(folder) / "state.pickle.gz")
        state_write(OLD, Path(folder) / "secret.pickle.gz")
        os.chmod(Path(folder) / "secret.pickle.gz", 0o000)
        os.chmod(folder, 0o555)
        yield Path(folder)
        os.chmod(folder, 0o755)


@pytest.mark.usefixtures("nobody")
def test_a_folder_that_may_not_be_written_and_a_file_that_may_not_be_read(forbidden):
    with pytest.raises(StateError, match=r"could not be written .*Permission denied.*untouched"):
        state_write(NEW, forbidden / "state.pickle.gz")
    assert state_read(forbidden / "state.pickle.gz") == OLD
    assert sorted(os.listdir(forbidden)) == ["secret.pickle.gz", "state.pickle.gz"]
    with pytest.raises(StateError, match=r"cannot be read .Permission denied"):
        state_read(forbidden / "secret.pickle.gz")


def test_an_interrupted_cell_leaves_the_old_state(path, monkeypatch):
    state_write(OLD, path)

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as planted:
        planted.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            state_write(NEW, path)
    assert state_read(path) == OLD
    assert os.listdir(path.parent) == [path.name]


def test_a_name_that_the_disk_does_not_confirm_is_told(path, monkeypatch):
    fsync = os.fsync

    def fail_on_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            fail_with(errno.EIO)()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_on_folders)
    with pytest.warns(StateWarning, match="the disk did not confirm it"):
        state_write(NEW, path)
    assert state_read(path) == NEW


def test_what_a_killed_writer_left_is_not_read_and_is_removed(path):
    leftover = path.with_name(f".{path.name}.0123456789abcdef.part")
    leftover.write_bytes(packed(NEW))
    assert state_read(path) is None
    state_write(OLD, path)
    assert state_read(path) == OLD
    assert not leftover.exists()


def killed(writer: str, kills: int, folder: Path) -> dict[str, int]:
    script = Path(__file__).with_name("state_kill.py")
    command = [sys.executable, "-W", "ignore", str(script), writer, str(kills), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has neither fork nor SIGKILL")


@needs_fork
def test_no_state_is_lost_in_240_kills_at_random_moments(tmp_path):
    report = killed("atomic", 240, tmp_path)
    assert report["kills"] == 240
    assert report["lost"] == 0
    assert report["amid"] > 0, "no kill came in the middle of a write"
    assert report["survived"] > 0, "no write was finished before a kill"
    assert report["files"] == 1, "leftovers stayed"


@needs_fork
def test_the_kills_catch_a_writer_that_writes_in_place(tmp_path):
    assert killed("in_place", 40, tmp_path)["lost"] > 0


# --- where there is no fault ---


def test_what_is_written_is_read(path, capsys):
    state_write(OLD, path)
    assert state_read(path) == OLD
    line = "State of 2024-12-27: 2 positions, 15.0% of the capital"
    assert capsys.readouterr().out == f"State saved to {path}: {line}.\nState read from {path}: {line}.\n"


def test_no_positions_yet_is_kept_and_is_no_first_day(path, capsys):
    state_write(None, path)
    assert state_read(path) is None
    assert capsys.readouterr().out.endswith(f"State read from {path}: no positions yet.\n")


def test_the_same_state_gives_the_same_bytes(path):
    state_write(OLD, path)
    before = path.read_bytes()
    again = State(DAY, dict(reversed(OLD.weights.items())), OLD.before, dict(reversed(PARAMETERS.items())))
    state_write(again, path)
    assert path.read_bytes() == before


def test_the_file_is_what_the_library_pickles_and_reads(path):
    state_write(OLD, path)
    with gzip.open(path) as file:
        assert pickle.load(file) == OLD


def test_the_librarys_own_functions_read_and_write_it_too(path, monkeypatch, capsys):
    monkeypatch.setenv("API_KEY", os.environ.get("API_KEY", "default"))
    monkeypatch.setenv("OUT_STATE_PATH", str(path))
    monkeypatch.setenv("IN_STATE_PATH", str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, while Python compiles it
        import qnt.state as qnstate

    state_write(OLD)
    assert qnstate.read() == OLD
    for content in OLD, (DAY.astype("M8[ns]"), None, OLD):
        qnstate.write(content)
        assert state_read() == OLD


@pytest.mark.parametrize("date", [DAY, DAY.astype("M8[ns]"), None])
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_file_of_backtest_ml_is_read_without_its_models(path, monkeypatch, date, protocol):
    def _load_models(content):
        raise AssertionError("models were decoded")

    _load_models.__module__, _load_models.__qualname__ = "lib.training", "_load_models"
    monkeypatch.setitem(sys.modules, "lib.training", types.SimpleNamespace(_load_models=_load_models))

    class Models:
        def __reduce__(self):
            return _load_models, (b"models",)

    for state in OLD, None:
        with gzip.open(path, "wb") as file:
            pickle.dump((date, Models(), state), file, protocol)
        assert state_read(path) == state


def test_older_names_of_numpy_are_known(path):
    content = pickle.dumps((DAY, None, OLD))
    assert b"numpy._core" in content or b"numpy.core" in content
    for name in b"numpy._core.multiarray", b"numpy.core.multiarray":
        stream = re.sub(rb".numpy\._?core\.multiarray", bytes([len(name)]) + name, content)
        path.write_bytes(packed(stream[:2] + stream[11:]))  # without the frame, whose length is another
        assert state_read(path) == OLD


def test_reading_a_state_loads_no_torch(path):
    state_write(OLD, path)
    code = (
        "import sys; from lib.state import state_read; "
        "assert state_read(sys.argv[1]).weights; assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- which file ---


def test_by_default_the_file_is_in_this_folder(tmp_path):
    state_write(OLD)
    assert os.listdir(tmp_path) == ["state.out.pickle.gz"]
    assert state_read() == OLD


def test_out_state_path_is_written_and_read(tmp_path, monkeypatch):
    monkeypatch.setenv("OUT_STATE_PATH", str(tmp_path / "out.gz"))
    state_write(OLD)
    assert os.listdir(tmp_path) == ["out.gz"]
    assert state_read() == OLD


def test_in_state_path_goes_first_where_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IN_STATE_PATH", str(tmp_path / "in.gz"))
    state_write(NEW)
    assert state_read() == NEW
    assert f"IN_STATE_PATH names {tmp_path / 'in.gz'}, which is not there" in capsys.readouterr().out
    state_write(OLD, tmp_path / "in.gz")
    assert state_read() == OLD
    assert "not there" not in capsys.readouterr().out


def test_in_state_path_that_is_broken_is_not_passed_over(tmp_path, monkeypatch):
    state_write(NEW)
    for broken in tmp_path / "in.gz", tmp_path / "in.gz" / "below":
        (tmp_path / "in.gz").write_bytes(b"")
        monkeypatch.setenv("IN_STATE_PATH", str(broken))
        with pytest.raises(StateError, match=r"in\.gz"):
            state_read()


def test_an_empty_variable_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("IN_STATE_PATH", "")
    monkeypatch.setenv("OUT_STATE_PATH", "")
    state_write(OLD)
    assert state_read() == OLD
    assert os.listdir(tmp_path) == ["state.out.pickle.gz"]


# --- the table of states ---


def test_states_become_a_table_of_weights_by_day():
    table = states_table([None, NEW, OLD])
    assert table.dims == ("time", "asset")
    assert list(table.asset.values) == ["NAS:AAPL", "NAS:MSFT"]
    assert list(table.time.values) == [DAY.astype("M8[ns]"), (DAY + 3).astype("M8[ns]")]
    assert table.values.tolist() == [[0.1, 0.05], [0.0, 0.1]]


def test_of_two_states_of_a_day_the_later_counts():
    again = State(DAY, {"NAS:AAPL": 0.03}, {}, {})
    assert states_table([OLD, again]).values.tolist() == [[0.03]]


def test_no_states_are_an_empty_table():
    for none in [], [None], (state for state in ()):
        assert states_table(none).shape == (0, 0)
    assert states_table([State(DAY, {}, {}, {})]).shape == (1, 0)


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


@UNTIMED
@given(state=STATES)
def test_any_state_comes_back_as_it_was(scratch, state):
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
    """Any byte of the file that is damaged is noticed, save the header's remarks about itself."""
    for place in range(10, len(good())):
        path.write_bytes(flipped(place))
        with pytest.raises(StateError):
            state_read(path)
