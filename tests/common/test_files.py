"""Replacing a file: whatever happens meanwhile, the path holds the old content or the new one."""

import builtins
import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.common import files
from lib.common.errors import sentence_of
from lib.common.files import replace_file, valid_text
from tests.switches import LONG
from tests.systems import needs_limits, needs_links, needs_permissions, needs_pipes

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
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        replace_file(str(path), NEW)
    monkeypatch.undo()
    assert sentence_of(caught.value) == f"{path}: {os.strerror(code)}."  # not the temporary file
    assert path.read_bytes() == OLD
    assert names(path) == ["f"]


@needs_limits
def test_a_disk_that_is_full_amid_the_write_leaves_the_old(path):
    import resource

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


@needs_pipes
def test_folders_and_devices_are_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("folder", "a folder is there"), ("pipe", "not a regular file")):
        with pytest.raises(OSError, match=reason) as caught:
            replace_file(str(tmp_path / name), NEW)
        assert sentence_of(caught.value) == f"{tmp_path / name}: {reason}."
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


@needs_links
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


@needs_links
def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic"):
        replace_file(str(tmp_path / "a"), NEW)
    assert (tmp_path / "a").is_symlink()


@needs_permissions
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


def test_old_leftovers_are_removed_and_nothing_like_them(path):
    old = [LEFTOVER, ".f.fedcba9876543210.part"]
    others = [".g.0123456789abcdef.part", ".f.0123456789abcdef.partly", "f.part"]
    for name in [*old, *others]:
        (path.parent / name).write_bytes(b"half")
        os.utime(path.parent / name, (1e9, 1e9))
    replace_file(str(path), NEW)
    assert names(path) == sorted(["f", *others])


def test_the_file_of_a_writer_that_may_live_is_left_alone(path):
    (path.parent / LEFTOVER).write_bytes(b"half")
    replace_file(str(path), NEW)
    assert names(path) == [LEFTOVER, "f"]


def test_names_with_wildcards_are_only_names(tmp_path):
    folder = tmp_path / "[a]"
    folder.mkdir()
    for name in ".[f].1.part", ".f.1.part":
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (1e9, 1e9))
    replace_file(folder / "[f]", NEW)
    assert sorted(os.listdir(folder)) == [".f.1.part", "[f]"]


def test_a_file_that_another_program_holds_open_is_waited_for(path, monkeypatch):
    replace, waits = os.replace, []

    def refuse_twice(*paths):
        if len(waits) < 2:
            fail_with(errno.EACCES)()
        replace(*paths)

    monkeypatch.setattr(files.time, "sleep", waits.append)
    monkeypatch.setattr(os, "replace", refuse_twice)
    assert replace_file(path, NEW)
    assert path.read_bytes() == NEW
    assert waits == [files.PAUSE] * 2


def test_a_file_that_stays_open_elsewhere_is_an_error_that_says_so(path, monkeypatch):
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(os, "replace", fail_with(errno.EACCES))
    with pytest.raises(PermissionError, match="Permission denied; close any other program"):
        replace_file(path, NEW)
    assert path.read_bytes() == OLD
    assert names(path) == ["f"]


@pytest.mark.parametrize("name", ["new/", "f/", "./"])
def test_a_path_that_ends_in_a_slash_names_no_file(path, name):
    with pytest.raises(IsADirectoryError, match="ends in a slash"):
        replace_file(f"{path.parent}/{name}", NEW)
    assert names(path) == ["f"]
    assert path.read_bytes() == OLD


@pytest.mark.parametrize(("code", "confirmed"), [(errno.EACCES, True), (errno.EMFILE, False)])
def test_a_folder_that_cannot_be_opened_does_not_undo_the_write(path, monkeypatch, code, confirmed):
    monkeypatch.setattr(os, "open", fail_with(code))
    assert replace_file(path, NEW) is confirmed
    assert path.read_bytes() == NEW


def test_a_leftover_that_vanishes_meanwhile_is_no_error(path, monkeypatch):
    monkeypatch.setattr(files.glob, "glob", lambda pattern: [str(path.parent / LEFTOVER)])
    assert replace_file(path, NEW)
    assert path.read_bytes() == NEW


def test_the_temporary_file_of_another_writer_is_neither_used_nor_removed(path, monkeypatch):
    (path.parent / LEFTOVER).write_bytes(b"of another writer")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0123456789abcdef")
    with pytest.raises(FileExistsError):
        replace_file(path, NEW)
    assert path.read_bytes() == OLD
    assert (path.parent / LEFTOVER).read_bytes() == b"of another writer"


def test_writers_at_the_same_time_do_not_disturb_each_other(path):
    def write_often(letter):
        for _ in range(300 if LONG else 30):
            replace_file(str(path), letter * 5000)

    letters = [b"a", b"b"]
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write_often, letter) for letter in letters]
        seen = {path.read_bytes()}
        while not all(writer.done() for writer in writers):
            seen.add(path.read_bytes())
    assert [writer.exception() for writer in writers] == [None] * 2
    assert seen <= {OLD, *(letter * 5000 for letter in letters)}
    assert names(path) == ["f"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"m\xc3\xa4rkt", "m\xe4rkt"), (b"m\xe4rkt", "m\ufffdrkt"), (b"market", "market")],
    ids=["UTF-8", "another encoding", "ASCII"],
)
def test_a_name_that_python_could_not_decode_can_be_written(name, shown):
    """Replace surrogates, which every byte above 127 is under ``LANG=C``."""
    for encoding in ("ascii", "utf-8"):
        assert valid_text(name.decode(encoding, "surrogateescape")) == shown
    assert valid_text(shown) == shown
