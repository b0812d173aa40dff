"""One backtest: its figures are the platform's, nothing is left behind, nothing escapes."""

import os
import warnings

import numpy as np
import pytest
import qnt.backtester as qnbt
import qnt.data as qndata
import qnt.stats as qnstats

from lib.compare.run_one import FROM_STATS, _number, execute
from lib.runs import provenance
from lib.runs.store import plan
from lib.strategy import Strategy

START, END = "2024-12-02", "2024-12-13"
SMALL = Strategy(hidden_size=4, train_period=40, lookback_period=40)
FILES = ("OUTPUT_PATH", "OUT_STATE_PATH")


def planned(strategy, start=START, end=END):
    market = provenance.market_fingerprint(strategy.load_range(start, end))
    return plan(strategy, start, end, market)


@pytest.fixture(scope="module")
def record():
    return execute(SMALL, planned(SMALL))


def test_the_figures_are_those_of_the_platform(record, tmp_path, monkeypatch):
    for name in FILES:
        monkeypatch.setenv(name, str(tmp_path / name))
    weights, _ = qnbt.backtest_ml(
        **{"load_data": SMALL.load_data, "train": SMALL.train_model, "predict": SMALL.predict},
        **{"train_period": 40, "lookback_period": 40, "retrain_interval": 180, "predict_each_day": True},
        **{"competition_type": "stocks_nasdaq100", "start_date": START, "end_date": END},
        **{"analyze": False, "build_plots": False},
    )
    first = weights.time.values[0] - np.timedelta64(60, "D")
    data = qndata.load_data_by_type("stocks_nasdaq100", min_date=str(first)[:10], max_date=END)
    stats = qnstats.calc_stat(data, weights).sel(time=slice(weights.time.values[0], None))
    assert record["status"] == "finished"
    for name in FROM_STATS:
        assert record["figures"][name] == pytest.approx(float(stats.sel(field=name)[-1]), abs=1e-12)
    returns = stats.sel(field="relative_return").values
    np.testing.assert_allclose(record["returns"], returns, atol=1e-12)
    held = returns[returns != 0]
    assert record["figures"]["win_rate"] == (held > 0).mean()
    assert record["days"] == [START, END]


def test_nothing_is_left_behind_and_nothing_changed(record, monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUBMISSION_ID", "-1")  # would end the backtest after its first day
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "mine"))
    before = dict(os.environ)
    again = execute(SMALL, planned(SMALL))
    assert again["weights_sha256"] == record["weights_sha256"]
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []
    planned(SMALL)
    out, _ = capfd.readouterr()
    assert "Backtest..." not in out
    assert "Backtest..." in again["log"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"market": "0" * 16}, "give both the same market"),
        ({"code": "0" * 16}, "another version of the code"),
        ({"files": ["none.py"]}, "another version of the code"),
    ],
)
def test_a_worker_with_other_data_or_code_is_refused(change, sentence):
    assert sentence in execute(SMALL, planned(SMALL) | change)["message"]


def loud(data, strategy):
    print("about to fail")
    raise KeyError("earnings")


def leaves(data, strategy):
    raise SystemExit(3)


@pytest.mark.parametrize(("feature", "message"), [(loud, "KeyError: 'earnings'"), (leaves, "SystemExit: 3")])
def test_what_goes_wrong_is_in_the_record(feature, message):
    strategy = Strategy(features=[feature], train_period=40, lookback_period=40)
    record = execute(strategy, planned(strategy))
    assert (record["status"], record["message"]) == ("failed", message)
    assert "Traceback" in record["log"]
    assert "figures" not in record
    if feature is loud:
        assert "about to fail" in record["log"]


def nothing(data, strategy):
    return np.zeros(data.sizes["asset"], bool)


def test_a_strategy_that_never_trades_has_no_sharpe_ratio_and_is_finished():
    strategy = Strategy(selection=nothing, train_period=40, lookback_period=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record = execute(strategy, planned(strategy))
    assert record["status"] == "finished"
    assert record["figures"]["sharpe_ratio"] is None
    assert record["figures"]["win_rate"] is None
    assert record["figures"]["avg_turnover"] == 0


def test_what_is_not_finite_is_none():
    assert [_number(x) for x in (np.float64(1.5), np.nan, -np.inf)] == [1.5, None, None]
