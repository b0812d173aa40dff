"""The state in its file: faults around it, later states kept aside, a writer killed at random moments."""

import builtins
import contextlib
import errno
import gzip
import json
import os
import pickle
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

from lib.state import State, StateError, StateWarning, state_read, state_write, states_table
from tests.processes import run_python
from tests.state.conftest import AFRESH, DAY, NEW, OLD, PARAMETERS, packed
from tests.switches import ALL, long
from tests.systems import needs_fork, needs_limits, needs_links, needs_permissions, needs_pipes


@pytest.fixture(autouse=True)
def _no_paths_set(monkeypatch, tmp_path):
    monkeypatch.delenv("IN_STATE_PATH", raising=False)
    monkeypatch.delenv("OUT_STATE_PATH", raising=False)
    monkeypatch.chdir(tmp_path)


# --- faults around the file ---


def test_a_missing_file_is_the_first_day_said_once(path, capsys):
    assert state_read(path) is None
    out, err = capsys.readouterr()
    assert out == f"No state at {path}: first day, starts without positions.\n"
    assert err == ""


@pytest.mark.parametrize(
    ("plant", "says"),
    [("mkdir", "folder|directory"), pytest.param("mkfifo", "pipe|regular", marks=needs_pipes)],
)
def test_a_folder_or_a_pipe_at_the_path(path, plant, says):
    getattr(os, plant)(path)
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
        StateError, match=rf"cannot be read \({os.strerror(code)}\)\. Fix that and read it again\. {AFRESH}"
    ):
        state_read(path)
    assert capsys.readouterr().out == ""


def test_a_disk_that_fails_amid_reading(path, monkeypatch):
    state_write(OLD, path)
    monkeypatch.setattr(stat, "S_ISREG", fail_with(errno.EIO))
    with pytest.raises(StateError, match=r"cannot be read .Input/output error"):
        state_read(path)


@needs_links
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
        planted.setattr("lib.common.files.PAUSE", 0)
        with pytest.raises(StateError, match="What was there is untouched") as caught:
            state_write(NEW, path)
    assert f"could not be written to {path} ({os.strerror(code)}" in str(caught.value)
    assert "run state_write again" in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert capsys.readouterr().out.count("saved") == 1, "the failed write must not say saved"
    state_write(NEW, path)
    assert state_read(path) == NEW


@needs_limits
def test_a_disk_that_is_full_amid_the_state(path):
    state_write(OLD, path)
    import resource

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
    with pytest.raises(StateError, match="its folder does not exist"):
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


@needs_permissions
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
    os.utime(leftover, (1e9, 1e9))
    state_write(OLD, path)
    assert not leftover.exists()


def killed(writer: str, kills: int, folder: Path) -> dict[str, int]:
    script = Path(__file__).with_name("state_kill.py")
    command = [sys.executable, "-W", "ignore", str(script), writer, str(kills), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@long
@needs_fork
def test_no_state_is_lost_in_kills_at_random_moments(tmp_path):
    kills = 300 if ALL else 100
    report = killed("atomic", kills, tmp_path)
    assert report["kills"] == kills
    assert report["lost"] == 0
    assert report["interrupted"] > 0, "no kill came in the middle of a write"
    assert report["survived"] > 0, "no write was finished before a kill"
    assert report["files"] == 1, "leftovers stayed"


@long
@needs_fork
def test_the_kills_catch_a_writer_that_writes_in_place(tmp_path):
    assert killed("in_place", 15, tmp_path)["lost"] > 0


# --- what a write would lose is kept beside the file ---


def beside(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file != path}


def test_a_later_state_is_kept_aside_once_and_both_are_named(path):
    state_write(NEW, path)
    newer = path.read_bytes()
    later, now = (
        rf"later state of 2024-12-30 is kept in {path}\.2024-12-30\.$",
        "now holds: State of 2024-12-27",
    )
    for _ in range(2):  # a second time: the later state was moved back, and the data lag again
        with pytest.warns(StateWarning, match=f"{now}.*{later}"):
            state_write(OLD, path)
        assert state_read(path) == OLD
        assert beside(path) == {"state.pickle.gz.2024-12-30": newer}
        assert state_read(f"{path}.2024-12-30") == NEW
        state_write(OLD, path)
        assert beside(path) == {"state.pickle.gz.2024-12-30": newer}, "the same day again changes nothing"
        path.write_bytes(newer)
    another = State(NEW.date, {"NAS:AAPL": 0.2}, {}, {})
    state_write(another, path)
    with pytest.warns(StateWarning, match=r"2024-12-30-2\.$"):
        state_write(OLD, path)
    assert state_read(f"{path}.2024-12-30") == NEW
    assert state_read(f"{path}.2024-12-30-2") == another


def test_no_positions_do_not_overwrite_a_state(path):
    state_write(OLD, path)
    with pytest.warns(StateWarning, match=rf"no positions yet; .* is kept in {path}\.2024-12-27\.$"):
        state_write(None, path)
    assert state_read(path) is None
    assert state_read(f"{path}.2024-12-27") == OLD


def test_an_earlier_state_no_positions_and_an_empty_file_are_replaced(path):
    for content in b"", packed(None), packed(OLD), packed((DAY, None, OLD)), packed(NEW):
        path.write_bytes(content)
        state_write(NEW, path)
        assert state_read(path) == NEW
        assert beside(path) == {}


def test_a_later_state_in_a_file_of_backtest_ml_is_kept_with_its_models(path):
    path.write_bytes(packed((DAY, None, NEW)))
    with pytest.warns(StateWarning, match="2024-12-30"):
        state_write(OLD, path)
    assert beside(path) == {"state.pickle.gz.2024-12-30": packed((DAY, None, NEW))}


def test_files_that_hold_no_state_are_kept_too(path):
    for name, content in (
        ("unreadable", b"notes"),
        ("unreadable-2", packed(OLD)[:-1]),
        ("unreadable", b"notes"),
    ):
        path.write_bytes(content)
        with pytest.warns(StateWarning, match=rf"no complete state is kept in {path}\.{name}\.$"):
            state_write(NEW, path)
        assert beside(path)[f"{path.name}.{name}"] == content
    assert len(beside(path)) == 2


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_cannot_be_kept_is_not_overwritten(path, monkeypatch, step):
    state_write(NEW, path)
    monkeypatch.setattr(os, step, fail_with(errno.ENOSPC))
    with pytest.raises(StateError, match=r"No space left.*untouched"):
        state_write(OLD, path)
    monkeypatch.undo()
    assert state_read(path) == NEW
    assert beside(path) == {}


def test_the_later_state_is_kept_before_it_is_overwritten(path, monkeypatch):
    state_write(NEW, path)
    replace = os.replace

    def stop_at_the_second(temporary, target):
        if Path(target) == path:
            raise KeyboardInterrupt
        replace(temporary, target)

    monkeypatch.setattr(os, "replace", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        state_write(OLD, path)
    assert state_read(path) == state_read(f"{path}.2024-12-30") == NEW


def test_what_is_too_large_or_may_not_be_read_is_not_overwritten(path, monkeypatch):
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr("lib.state.LARGEST", 99)
    with pytest.raises(StateError, match=r"could not be written .*it has more than .* untouched"):
        state_write(NEW, path)
    with pytest.raises(StateError, match=r"State file .*it has more than"):
        state_read(path)
    monkeypatch.undo()
    monkeypatch.setattr(os, "open", fail_with(errno.EACCES))
    with pytest.raises(StateError, match=r"could not be written .*Permission denied"):
        state_write(NEW, path)
    assert path.read_bytes() == b"x" * 100


def test_a_path_that_ends_in_a_slash_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("OUT_STATE_PATH", f"{tmp_path}/new/")
    with pytest.raises(StateError, match=r"could not be written .*ends in a slash.*add a file's name"):
        state_write(OLD)
    assert os.listdir(tmp_path) == []


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
    again = State(
        DAY, dict(reversed(OLD.weights.items())), OLD.carried_in, dict(reversed(PARAMETERS.items()))
    )
    state_write(again, path)
    assert path.read_bytes() == before
    assert before[4:8] == bytes(4), "the time of writing is left out"
    assert gzip.decompress(before)[:2] == b"\x80\x04", "every Python of the platform reads this protocol"


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


@long
def test_reading_a_state_loads_no_torch(path):
    state_write(OLD, path)
    code = (
        "import sys; from lib.state import state_read; "
        "assert state_read(sys.argv[1]).weights; assert 'torch' not in sys.modules"
    )
    run_python(code, path)


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
    assert f"IN_STATE_PATH names {tmp_path / 'in.gz'}, which does not exist" in capsys.readouterr().out
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
