"""A backtest outside the notebook takes the strategy's parameters and leaves nothing behind."""

import os

import pytest
import qnt.backtester as qnbt

from lib import Strategy
from lib.backtest import UNSET, WRITTEN, backtest, leaving_no_files

SMALL = Strategy(top_assets=3, hidden_size=4, retrain_interval=7)


def test_the_library_is_called_with_the_strategy_and_the_options(monkeypatch):
    monkeypatch.setattr(qnbt, "backtest_ml", lambda **arguments: (arguments, None))
    called, _ = backtest(SMALL, "2024-12-16", train=len, collect_all_states=True)
    assert called["predict"] == SMALL.predict
    assert (called["train"], called["collect_all_states"]) == (len, True)
    assert (called["retrain_interval"], called["start_date"], called["end_date"]) == (7, "2024-12-16", None)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (*UNSET, *WRITTEN):
        monkeypatch.setenv(name, str(tmp_path / name))
    with leaving_no_files():
        weights, state = backtest(SMALL, "2024-12-27")
        written = [os.environ[name] for name in WRITTEN]
        assert [os.path.exists(path) for path in written] == [True, True]
        assert not [name for name in UNSET if name in os.environ]
    assert weights.time.values[-1].astype("M8[D]") == state.date
    assert not [path for path in written if os.path.exists(path)]
    assert not [name for name in (*UNSET, *WRITTEN) if (tmp_path / name).exists()]
    assert os.environ["SUBMISSION_ID"] == str(tmp_path / "SUBMISSION_ID")


def test_the_environment_is_restored_after_an_error(monkeypatch):
    monkeypatch.setenv("OUTPUT_PATH", "mine")
    with pytest.raises(ZeroDivisionError), leaving_no_files():
        assert 1 / 0
    assert os.environ["OUTPUT_PATH"] == "mine"
