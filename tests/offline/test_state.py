import gzip
import pickle

import numpy as np
import pytest
import qnt.state as state

STATE = (np.datetime64("2024-12-30", "ns"), {"NAS:A": 1.5}, [1, 2])


def test_written_and_read_back(monkeypatch, tmp_path, capsys):
    path = tmp_path / "state.gz"
    monkeypatch.setenv("OUT_STATE_PATH", str(path))
    monkeypatch.setenv("IN_STATE_PATH", str(path))
    state.write(STATE)
    assert state.read() == STATE
    assert capsys.readouterr() == ("State saved.\nState loaded.\n", "")
    assert pickle.loads(gzip.decompress(path.read_bytes())) == STATE


@pytest.mark.offline_only
def test_default_paths_are_no_news(tmp_path, capsys):
    state.write(STATE)
    (tmp_path / "state.out.pickle.gz").rename("state.in.pickle.gz")
    assert state.read() == STATE
    assert capsys.readouterr().err == ""


def test_path_as_argument(tmp_path):
    (tmp_path / "other.gz").write_bytes(gzip.compress(pickle.dumps(7)))
    assert state.read("other.gz") == 7


def test_none_is_not_written(tmp_path, capsys):
    state.write(None)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("content", [None, b"no gzip", gzip.compress(b"no pickle", mtime=0)])
def test_what_cannot_be_read_is_none_and_said(content, tmp_path, capsys):
    if content is not None:
        (tmp_path / "bad.gz").write_bytes(content)
    assert state.read("bad.gz") is None
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Can't load state. ")


def test_what_does_not_pickle_is_an_error():
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        state.write(lambda: None)
