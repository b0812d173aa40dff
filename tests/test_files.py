"""Whatever happens while a file is replaced, the path holds the old content or the new one."""

import builtins
import errno
import fcntl
import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import files as atomic_file
from lib.files import replace_file

OLD, NEW = b"old", b"new" * 1000
LEFTOVER = ".f.0123456789abcdef.part"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "f").write_bytes(OLD)
    return tmp_path / "f"


def names(path):
    return sorted(os.listdir(path.parent))


def fail_with(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


def test_new_content_is_there_and_nothing_else(path):
    assert replace_file(str(path), NEW)
    assert path.read_bytes() == NEW
    assert names(path) == ["f"]


def test_a_relative_path_is_one_in_this_folder(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    replace_file("f", NEW)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("step", ["open", "os.chmod", "os.fsync", "os.replace", "os.stat"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_step_that_fails_leaves_the_old(path, monkeypatch, step, code):
    owner = builtins if step == "open" else os
    monkeypatch.setattr(owner, step.removeprefix("os."), fail_with(code))
    with pytest.raises(OSError, match=os.strerror(code)):
        replace_file(str(path), NEW)
    monkeypatch.undo()
    assert path.read_bytes() == OLD
    assert names(path) == ["f"]


def test_a_disk_that_is_full_amid_the_write_leaves_the_old(path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OSError, match="too large"):
            replace_file(str(path), NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == OLD
    assert names(path) == ["f"]


def test_an_interrupted_cell_leaves_the_old(path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_file(str(path), NEW)
    assert path.read_bytes() == OLD
    assert names(path) == ["f"]


def test_the_order_is_content_then_name_then_folder(path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        steps.append(
            f"folder {path.read_bytes() == NEW}" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content"
        )
        assert steps[-1] != "content" or os.fstat(descriptor).st_size == len(NEW)
        fsync(descriptor)

    def note_replace(*paths):
        steps.append("name")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    replace_file(str(path), NEW)
    assert steps == ["content", "name", "folder True"]


@pytest.mark.parametrize(
    ("code", "confirmed"), [(errno.EIO, False), (errno.EINVAL, True), (errno.ENOTSUP, True)]
)
def test_a_folder_that_is_not_confirmed_is_told(path, monkeypatch, code, confirmed):
    fsync = os.fsync

    def fail_on_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            fail_with(code)()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_on_folders)
    assert replace_file(str(path), NEW) is confirmed
    assert path.read_bytes() == NEW


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        replace_file(str(tmp_path / "gone" / "f"), NEW)


def test_folders_and_devices_are_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in "folder", "pipe":
        with pytest.raises(OSError, match=r"folder is there|not a regular file"):
            replace_file(str(tmp_path / name), NEW)
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_link_stays_and_its_target_changes(path):
    (path.parent / "sub").mkdir()
    link, ahead = path.parent / "sub" / "link", path.parent / "sub" / "ahead"
    link.symlink_to("../f")
    ahead.symlink_to("../later")
    replace_file(str(link), NEW)
    replace_file(str(ahead), NEW)
    assert link.is_symlink()
    assert ahead.is_symlink()
    assert path.read_bytes() == (path.parent / "later").read_bytes() == NEW
    assert sorted(os.listdir(path.parent / "sub")) == ["ahead", "link"]


def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic"):
        replace_file(str(tmp_path / "a"), NEW)
    assert (tmp_path / "a").is_symlink()


def test_permissions_are_those_of_a_plain_open(path):
    before = os.umask(0o027)
    try:
        replace_file(str(path.parent / "new"), NEW)
        assert stat.S_IMODE(os.stat(path.parent / "new").st_mode) == 0o640
        path.chmod(0o604)
        replace_file(str(path), NEW)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o604
    finally:
        os.umask(before)


def test_leftovers_are_removed_and_nothing_like_them(path):
    others = [".g.0123456789abcdef.part", ".f.0123456789abcdef.partly", ".f.notes.part", "f.part"]
    for name in [LEFTOVER, ".f.fedcba9876543210.part", *others]:
        (path.parent / name).write_bytes(b"half")
    replace_file(str(path), NEW)
    assert names(path) == sorted(["f", *others])


def test_the_file_of_a_writer_that_lives_is_left_alone(path):
    (path.parent / LEFTOVER).write_bytes(b"half")
    other = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    replace_file(str(path), NEW)
    assert names(path) == [LEFTOVER, "f"]
    os.close(other)
    replace_file(str(path), OLD)
    assert names(path) == ["f"]


def test_a_cleaning_writer_is_waited_for_and_a_stranger_is_not(path, monkeypatch):
    other = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    waits = []
    monkeypatch.setattr(atomic_file.time, "sleep", waits.append)
    replace_file(str(path), NEW)
    assert path.read_bytes() == NEW
    assert len(waits) == atomic_file.TRIES

    monkeypatch.setattr(atomic_file.time, "sleep", lambda seconds: fcntl.flock(other, fcntl.LOCK_UN))
    fcntl.flock(other, fcntl.LOCK_EX)
    replace = os.replace

    def nobody_may_clean(*paths):
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        replace(*paths)

    monkeypatch.setattr(os, "replace", nobody_may_clean)
    replace_file(str(path), OLD)
    os.close(other)
    assert path.read_bytes() == OLD


def test_a_writer_holds_its_lock_until_the_name_is_changed(path, monkeypatch):
    replace = os.replace

    def another_writer_first(temporary, target):
        monkeypatch.setattr(os, "replace", replace)
        replace_file(str(path), b"another")
        assert os.path.exists(temporary)
        replace(temporary, target)

    monkeypatch.setattr(os, "replace", another_writer_first)
    replace_file(str(path), NEW)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("what", ["locks", "a list of the folder", "fcntl", "a folder to open"])
def test_where_something_cannot_be_had_writing_goes_on(path, monkeypatch, what):
    (path.parent / LEFTOVER).write_bytes(b"half")
    if what == "locks":
        monkeypatch.setattr(fcntl, "flock", fail_with(errno.ENOLCK))
    elif what == "a list of the folder":
        monkeypatch.setattr(os, "listdir", fail_with(errno.EACCES))
    elif what == "fcntl":
        monkeypatch.setattr(atomic_file, "fcntl", None)
    else:
        monkeypatch.setattr(os, "open", fail_with(errno.EACCES))
    assert replace_file(str(path), NEW)
    monkeypatch.undo()
    assert path.read_bytes() == NEW
    assert names(path) == [LEFTOVER, "f"]


def test_a_file_that_is_there_already_is_not_taken_for_ones_own(path, monkeypatch):
    (path.parent / LEFTOVER).write_bytes(b"of another writer")
    other = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    monkeypatch.setattr(atomic_file.secrets, "token_hex", lambda size: "0123456789abcdef")
    with pytest.raises(FileExistsError):
        replace_file(str(path), NEW)
    os.close(other)
    assert path.read_bytes() == OLD
    assert (path.parent / LEFTOVER).read_bytes() == b"of another writer"


def test_writers_at_the_same_time_do_not_disturb_each_other(path):
    def write_often(letter):
        for _ in range(50):
            replace_file(str(path), letter * 5000)

    letters = [b"a", b"b", b"c"]
    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write_often, letter) for letter in letters]
        seen = {path.read_bytes()}
        while not all(writer.done() for writer in writers):
            seen.add(path.read_bytes())
    assert [writer.exception() for writer in writers] == [None] * 3
    assert seen <= {OLD, *(letter * 5000 for letter in letters)}
    assert names(path) == ["f"]
