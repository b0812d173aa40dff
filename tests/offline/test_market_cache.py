import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

from lib.offline import market as cache
from lib.offline import synthetic
from tests.switches import long

SMALL = (1, "2020-01-02", "2020-01-06")


@pytest.fixture(scope="module")
def market():
    return synthetic.generate(*SMALL, seed=3)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Return the folder of kept markets."""
    monkeypatch.setenv("QNT_OFFLINE_CACHE", str(tmp_path / "deep" / "cache"))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "temp"))
    return tmp_path / "deep" / "cache"


@pytest.fixture
def made(folder, market):
    """A maker of the market that counts its calls; the market is kept already."""

    def make():
        make.calls += 1
        return market

    make.calls = 0
    cache.kept("some", make)
    return make


def test_it_is_made_once_and_read_as_made(made, market):
    read = cache.kept("some", made)
    xr.testing.assert_identical(read, market.rename(None))
    assert read.values.flags.c_contiguous
    assert made.calls == 1


def test_another_name_is_another_market(made, market):
    xr.testing.assert_equal(cache.kept("other", lambda: market * 2), market * 2)
    xr.testing.assert_equal(cache.kept("some", made), market)


def test_damage_anywhere_is_noticed_or_harmless(made, market, folder):
    """Every byte changed in turn, and the file cut at every tenth length."""
    sound = (folder / "some.npz").read_bytes()
    changed = [sound[:k] + bytes([sound[k] ^ 64]) + sound[k + 1 :] for k in range(len(sound))]
    cut = [sound[:k] for k in range(0, len(sound), 10)]
    noticed = 0
    for spoiled in changed + cut:
        try:
            read = cache._read(io.BytesIO(spoiled))
        except Exception:
            noticed += 1
        else:
            assert read.identical(market.rename(None))
    assert noticed > len(sound) / 2  # to change a date or the like of the zip file does no harm


@pytest.mark.parametrize(
    ("old", "new"), [(b"(8, 125, 6)", b"(8, 115, 6)"), (b"<f8", b"<f4"), (b"v\x00{", b"f\x00{")]
)
def test_a_header_that_names_fewer_or_earlier_numbers_is_noticed(tmp_path, old, new):
    """So much is left over then that its checksum is compared only where it is read to the end."""
    file = tmp_path / "some.npz"
    cache._write(file, synthetic.generate(4, "2020-01-01", "2020-06-30"))
    sound = file.read_bytes()
    assert sound.count(old)
    file.write_bytes(sound.replace(old, new))
    with pytest.raises(cache.zipfile.BadZipFile, match="Bad CRC"):
        cache._read(file)


@pytest.mark.parametrize(
    "spoil", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw[9:], lambda raw: raw[:-9]]
)
def test_a_damaged_file_is_made_anew(made, market, folder, spoil):
    file = folder / "some.npz"
    file.write_bytes(spoil(file.read_bytes()))
    xr.testing.assert_equal(cache.kept("some", made), market)
    assert made.calls == 2
    xr.testing.assert_equal(cache.kept("some", made), market)
    assert made.calls == 2


def test_without_a_writable_folder_the_temporary_one_is_used(made, folder, tmp_path):
    (folder / "some.npz").unlink()
    folder.rmdir()
    folder.write_text("in the way", encoding="utf-8")
    for _ in range(2):
        cache.kept("some", made)
    assert made.calls == 2
    (temporary,) = (tmp_path / "temp").iterdir()
    assert os.listdir(temporary) == ["some.npz"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(made, market, folder, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    file = folder / "some.npz"
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full_disk)
        with pytest.raises(OSError, match="No space left"):
            cache._write(file, market * 2)
    assert os.listdir(folder) == ["some.npz"]
    xr.testing.assert_equal(cache._read(file), market)


@long
def test_a_writer_killed_half_way_leaves_the_old_file(made, market, folder):
    """The child is killed between last byte and renaming; a later writer removes the rest."""
    code = (
        "import os, sys, pathlib\n"
        "from lib.offline import market as cache, synthetic\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "cache._write(pathlib.Path(sys.argv[1]), synthetic.generate(4, '2020-01-01', '2020-01-31'))\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(folder / "some.npz")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert abs(child.returncode) == 9, child.stderr.decode()
    (leftover,) = folder.glob(".*.part")
    xr.testing.assert_equal(cache.kept("some", made), market)
    assert made.calls == 1
    os.utime(leftover, (1e9, 1e9))
    cache._write(folder / "some.npz", market)
    assert os.listdir(folder) == ["some.npz"]


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("QNT_OFFLINE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folders()[0] == tmp_path / ".cache" / "qnt-offline"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folders()[0] == tmp_path / "xdg" / "qnt-offline"
    monkeypatch.setenv("QNT_OFFLINE_CACHE", "~/here")
    assert cache.folders()[0] == tmp_path / "here"
    assert cache.folders()[1].name.startswith("qnt-offline-")
