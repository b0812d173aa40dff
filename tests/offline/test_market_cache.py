import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lib.offline import market_cache, synthetic

DAY = np.datetime64("2020-01-15")


@pytest.fixture(scope="module")
def market():
    return synthetic.generate(4, "2020-01-01", "2020-02-28", seed=3)


@pytest.fixture
def path(market, tmp_path):
    path = tmp_path / "deep" / "market"
    market_cache.write(path, market)
    return path


def test_a_window_is_read_as_written(market, path):
    days, assets, values = market_cache.read(path, DAY, DAY + 14)
    assert (days == market.time.values.astype("datetime64[D]")).all()
    assert assets.tolist() == market.asset.values.tolist()
    np.testing.assert_array_equal(values, market.sel(time=slice("2020-01-15", "2020-01-29")).values)
    values[:] = 0  # the caller's own


def test_everything_is_read_as_written(market, path):
    days, _, _ = market_cache.read(path)
    np.testing.assert_array_equal(market_cache.read(path, days[0], days[-1])[2], market.values)


@pytest.mark.parametrize(
    "window", [(None, None), (DAY + 900, DAY + 999), (DAY - 900, DAY - 800), (DAY, DAY - 1)]
)
def test_a_window_without_days(path, window):
    assert market_cache.read(path, *window)[2].shape == (8, 0, 6)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        market_cache.read(tmp_path / "nothing")


@pytest.mark.parametrize("length", [0, 10, 19, 20, 21, 500, -10_000, -1])
def test_a_file_cut_short_is_noticed(path, length):
    content = path.read_bytes()
    path.write_bytes(content[:length])
    with pytest.raises(market_cache.Damaged):
        market_cache.read(path, DAY, DAY + 90)


@pytest.mark.parametrize("place", [0, 9, 15, 100, 700, -1, -3000, -9000])
def test_a_changed_byte_is_noticed(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 64
    path.write_bytes(content)
    with pytest.raises(market_cache.Damaged):
        market_cache.read(path, np.datetime64("2020-01-01"), np.datetime64("2020-02-28"))


def test_damage_outside_the_window_does_not_matter(market, path):
    path.write_bytes(path.read_bytes()[:-1])
    values = market_cache.read(path, DAY, DAY + 14)[2]
    np.testing.assert_array_equal(values, market.sel(time=slice("2020-01-15", "2020-01-29")).values)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(market, path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(market_cache.os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        market_cache.write(path, market * 2)
    monkeypatch.undo()
    assert os.listdir(path.parent) == [path.name]
    np.testing.assert_array_equal(
        market_cache.read(path, DAY, DAY)[2], market.sel(time="2020-01-15").values[:, None]
    )


def test_what_a_killed_writer_left_is_swept_after_an_hour(market, path):
    old, new = path.parent / "old.part", path.parent / "new.part"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    market_cache.write(path, market)
    assert sorted(os.listdir(path.parent)) == ["market", "new.part"]


def test_a_writer_killed_half_way_leaves_the_old_file(market, path):
    """The child is stopped for good between the last byte written and the renaming."""
    code = (
        "import os, sys, pathlib\n"
        "from lib.offline import market_cache, synthetic\n"
        "market_cache.os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "market_cache.write(pathlib.Path(sys.argv[1]), synthetic.generate(4, '2020-01-01', '2020-01-31'))\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert child.returncode == -9, child.stderr.decode()
    assert len(list(path.parent.glob("*.part"))) == 1
    assert len(market_cache.read(path)[0]) == market.sizes["time"]


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("QNT_OFFLINE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert market_cache.folders()[0] == tmp_path / ".cache" / "qnt-offline"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert market_cache.folders()[0] == tmp_path / "xdg" / "qnt-offline"
    monkeypatch.setenv("QNT_OFFLINE_CACHE", "~/here")
    assert market_cache.folders()[0] == tmp_path / "here"
    assert market_cache.folders()[1].name.startswith("qnt-offline-")
