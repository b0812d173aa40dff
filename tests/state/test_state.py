"""The state survives: faults around its file, a writer killed at random moments."""

import builtins
import contextlib
import errno
import gzip
import json
import os
import pickle
import resource
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
    again = State(
        DAY, dict(reversed(OLD.weights.items())), OLD.carried_in, dict(reversed(PARAMETERS.items()))
    )
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
