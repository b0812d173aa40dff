import functools
import gzip
import inspect
import json
import pickle

import numpy as np
import pytest
import qnt.backtester as qnbt
import qnt.data as qndata
import qnt.data.common as common
import qnt.graph
import xarray as xr

from tests.conftest import REAL
from tests.odd_markets import labels, make
from tests.vectors import text, vector
from tests.written import read_written

KIND = "stocks_nasdaq100"
MODEL = "a model"


class Watched:
    """The functions of a strategy, and the calls they have seen."""

    def __init__(self):
        self.calls = []

    def load_data(self, days):
        data = qndata.stocks.load_ndx_data(tail=days)
        return self.note("load", int(days), data=data, assets=True)

    def train(self, data):
        self.note("train", data=data)
        return MODEL

    def predict(self, model, data, state):
        assert model == MODEL
        state = (state or 0) + 1
        self.note("predict", data=data, state=state)
        return (data.sel(field="is_liquid") / 40).fillna(0), state

    def strategy(self, data, state):
        weights, state = self.predict(MODEL, data, state)
        return weights.isel(time=-1), state

    def note(self, name, *numbers, data, assets=False, state=None):
        days = labels(data, "time")
        extra = [len(data.asset)] if assets else []
        extra += [state] if state is not None else []
        self.calls.append([name, *numbers, days[0], days[-1], len(days), *extra])
        return data

    def named(self, name):
        return [call for call in self.calls if call[0] == name]

    def ml(self, **changes):
        given = {"load_data": self.load_data, "train": self.train, "predict": self.predict}
        given |= {"train_period": 100, "retrain_interval": 30, "lookback_period": 155, "analyze": False}
        given |= {"start_date": "2024-12-16", "predict_each_day": True, "competition_type": KIND}
        return qnbt.backtest_ml(**(given | changes))

    def plain(self, **changes):
        given = {
            "load_data": self.load_data,
            "strategy": self.strategy,
            "lookback_period": 60,
            "analyze": False,
        }
        return qnbt.backtest(**(given | {"start_date": "2024-12-16", "competition_type": KIND} | changes))


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def submitted(monkeypatch):
    monkeypatch.setenv("SUBMISSION_ID", "1")


def read_state(path="state.out.pickle.gz"):
    with gzip.open(path) as file:
        return pickle.load(file)


def write_state(state, monkeypatch):
    with gzip.open("in.gz", "wb") as file:
        pickle.dump(state, file)
    monkeypatch.setenv("IN_STATE_PATH", "in.gz")


def same(found, wanted):
    assert found.dims == wanted.dims
    for dim in found.dims:
        assert labels(found, dim) == labels(wanted, dim)
    np.testing.assert_allclose(found.values, wanted.values, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "each_day"), [("each_day", True), ("batch", False)])
def test_calls_states_and_result_are_the_platforms(name, each_day, watched):
    result, states = watched.ml(start_date="2024-09-02", predict_each_day=each_day, collect_all_states=True)
    stored = json.loads(text(f"backtest_ml_calls_{name}.json"))
    assert watched.calls == stored["calls"]
    assert states == stored["states"]
    same(result, vector(f"backtest_ml_result_{name}"))
    assert result.name == KIND


def test_files_of_a_backtest(watched):
    result, state = watched.ml(retrain_interval=10)
    same(read_written("fractions.nc.gz"), result)
    assert read_state() == (np.datetime64("2024-12-26", "ns"), MODEL, state)
    assert state == len(result.time)


def test_messages_of_a_backtest(watched, capsys):
    watched.ml(analyze=True, build_plots=False)
    lines = capsys.readouterr().out.splitlines()
    steps = ["Run the last iteration...", "---", "Run First Iteration...", "---", "Run all iterations..."]
    steps += ["Load data...", "Backtest...", "---", "Analyze results...", "Check...", "---", "Align..."]
    steps += ["Calc global stats..."]
    assert [line for line in lines if line in steps] == steps
    assert lines[-1].startswith("[5 rows x 11 columns]") or "2024-12-30" in lines[-1]


def test_signatures():
    ml = inspect.signature(qnbt.backtest_ml).parameters
    assert all(p.kind is p.KEYWORD_ONLY for p in ml.values())
    defaults = {name: p.default for name, p in ml.items() if p.default is not p.empty}
    assert [name for name in ml if name not in defaults] == ["train", "predict", "competition_type"]
    assert defaults == {
        "train_period": 1460,
        "retrain_interval": 365,
        "predict_each_day": False,
        "retrain_interval_after_submit": None,
        "load_data": None,
        "lookback_period": 365,
        "test_period": 5475,
        "start_date": None,
        "end_date": None,
        "window": None,
        "analyze": True,
        "build_plots": True,
        "collect_all_states": False,
        "check_correlation": False,
    }
    plain = inspect.signature(qnbt.backtest).parameters
    assert all(p.kind is p.KEYWORD_ONLY for p in plain.values())
    ml_only = {"train", "predict", "train_period", "predict_each_day"}
    ml_only |= {"retrain_interval", "retrain_interval_after_submit"}
    assert set(plain) == set(ml) - ml_only | {"strategy", "step"}


def test_windows_are_deep_copies(watched):
    def train(data):
        watched.train(data)
        assert (data.sel(field="split_cumprod").fillna(1) == 1).all()
        data[:] = -1
        return MODEL

    def predict(model, data, state):
        assert (data.sel(field="split_cumprod").fillna(1) == 1).all()
        answer = watched.predict(model, data.copy(), state)
        data[:] = -1
        return answer

    watched.ml(train=train, predict=predict)


def test_state_is_left_out_where_predict_takes_none(watched):
    result = watched.ml(predict=lambda model, data: watched.predict(model, data, None)[0])
    assert isinstance(result, xr.DataArray)
    assert {call[-1] for call in watched.named("predict")} == {1}


def test_a_decorated_predict_loses_its_state(watched, capsys):
    @functools.wraps(watched.predict)
    def predict(*args):
        assert len(args) == 2
        return watched.predict(*args, None)

    _, state = watched.ml(predict=predict)
    assert state == 1  # the last call's, for none was handed on
    assert REAL or "predict takes *args and so is called without its state" in capsys.readouterr().err


@pytest.mark.parametrize("each_day", [True, False])
@pytest.mark.parametrize(
    "change", [lambda w: w.isel(asset=slice(None, None, -1)), lambda w: w.isel(asset=slice(1, None))]
)
def test_other_assets_or_another_order_is_an_error(change, each_day, watched):
    def predict(model, data, state):
        weights, state = watched.predict(model, data, state)
        return (weights if state == 1 else change(weights)), state

    with pytest.raises(IndexError, match="dimension coordinate 'asset' conflicts") as error:
        watched.ml(predict=predict, predict_each_day=each_day, retrain_interval=5)
    assert REAL or "Return all assets of the data every time" in str(error.value)


def test_weights_without_the_last_day_are_an_error(watched):
    def predict(model, data):
        return watched.predict(model, data, None)[0].isel(time=slice(0, -1))

    with pytest.raises(UnboundLocalError) as error:
        watched.ml(predict=predict)
    assert REAL or "no weights for 2024-12-30" in str(error.value)


@pytest.mark.parametrize("answer", [None, 5, xr.DataArray([1.0], {"asset": ["NAS:S001"]}, ["asset"])])
def test_weights_that_are_none_are_an_error(answer, watched):
    with pytest.raises(AttributeError) as error:
        watched.ml(predict=lambda model, data: answer)
    assert REAL or "predict has to return weights with the dims (time, asset)" in str(error.value)


def test_days_without_weights_are_zero(watched):
    def predict(model, data, state):
        weights, state = watched.predict(model, data, state)
        return (weights.isel(time=slice(0, -1)) if state == 3 else weights), state

    result, _ = watched.ml(predict=predict)
    assert (abs(result).sum("asset") == 0).values.nonzero()[0].tolist() == [2]


def test_no_weights_at_all_is_an_error(watched):
    def predict(model, data):
        weights = watched.predict(model, data, None)[0]
        return weights if len(watched.named("predict")) < 2 else weights.isel(time=[])

    with pytest.raises(AttributeError) as error:
        watched.ml(predict=predict)
    assert REAL or "no weights for any day" in str(error.value)


@pytest.mark.offline_only
def test_a_market_in_which_nothing_is_ever_liquid_gets_its_own_sentence(watched, use_market):
    use_market(make("nothing_liquid"))
    with pytest.raises(IndexError, match=r"in the market file market\.nc no asset is ever liquid"):
        watched.ml(load_data=None)


def test_end_date_limits_the_test_but_not_the_last_iteration(watched):
    result, _ = watched.ml(start_date="2024-12-02", end_date="2024-12-13")
    assert labels(result, "time")[-1] == "2024-12-13"
    assert watched.calls[0][3] == "2024-12-30"
    assert str(common.parse_date(None)) == "2024-12-30"  # the limit is lifted afterwards


def test_limit_is_lifted_after_an_error(watched):
    def train(data):
        watched.train(data)
        assert len(watched.named("train")) < 2
        return MODEL

    with pytest.raises(AssertionError):
        watched.ml(train=train)
    assert str(common.parse_date(None)) == "2024-12-30"


def test_test_period_without_start_date(watched):
    result, _ = watched.ml(start_date=None, test_period=12)
    assert labels(result, "time")[0] == "2024-12-18"  # one day more than the period, as of old


def test_days_of_their_own(watched):
    def load(days):
        data = watched.load_data(days)
        return data, data.time.values[::2]

    result, state = watched.ml(load_data=load)
    assert state < len(result.time)


def test_weights_for_other_days_than_their_own_are_an_error(watched):
    def load(days):
        data = watched.load_data(days)
        return data, data.time.values[::-2][::-1]

    with pytest.raises(KeyError) as error:
        watched.ml(load_data=load, predict_each_day=False)
    assert REAL or "no day of the test" in str(error.value)


def test_window_of_their_own(watched):
    seen = []

    def window(data, day, period):
        seen.append(period)
        return qnbt.standard_window(data, day, 20)

    watched.ml(window=window)
    assert seen[:4] == [100, 155, 100, 155]
    assert max(call[3] for call in watched.named("predict")) <= 15


def test_default_loader(watched, capsys):
    result, _ = watched.ml(load_data=None)
    assert labels(result, "time")[-1] == "2024-12-30"


def test_no_data_at_the_start_is_an_error(watched):
    with pytest.raises(IndexError) as error:
        Watched.ml(
            watched, start_date="1999-01-04", load_data=lambda days: qndata.stocks.load_ndx_data(tail=days)
        )
    assert REAL or "No data were loaded up to 1999-01-04" in str(error.value)


def test_start_after_the_end_is_an_error(watched):
    said = (
        r"min_date must be less"
        if REAL
        else "start_date 2025-01-31 is after the last day of the test, 2024-12-30"
    )
    with pytest.raises(Exception, match=said):
        watched.ml(start_date="2025-01-31")


@pytest.mark.usefixtures("submitted")
class TestSubmission:
    def test_stops_after_the_last_day(self, watched):
        output, state = watched.ml()
        assert [call[0] for call in watched.calls] == ["load", "train", "predict"]
        assert len(output.time) > 100  # what predict returned, not what was written
        assert labels(read_written("fractions.nc.gz"), "time") == ["2024-12-30"]
        assert (state, read_state()[2]) == (1, 1)

    def test_state_and_model_are_read(self, watched, monkeypatch):
        write_state((np.datetime64("2024-12-20", "ns"), MODEL, 41), monkeypatch)
        _, states = watched.ml(collect_all_states=True)
        assert states == [42]
        assert watched.named("train") == []
        assert read_state() == (np.datetime64("2024-12-20", "ns"), MODEL, 42)

    @pytest.mark.parametrize("changes", [{"retrain_interval": 10}, {"retrain_interval_after_submit": 1}])
    def test_model_is_trained_again_when_due(self, changes, watched, monkeypatch):
        write_state((np.datetime64("2024-12-20", "ns"), "an old model", 41), monkeypatch)
        _, state = watched.ml(**changes)
        assert state == 42
        assert len(watched.named("train")) == 1
        assert read_state() == (np.datetime64("2024-12-30", "ns"), MODEL, 42)

    def test_without_state_and_trained_daily_nothing_is_read_or_written(self, watched, tmp_path, capsys):
        output = watched.ml(predict=lambda m, d: watched.predict(m, d, None)[0], retrain_interval=1)
        assert isinstance(output, xr.DataArray)
        assert [path.name for path in tmp_path.iterdir()] == ["fractions.nc.gz"]
        assert "Can't load state" not in capsys.readouterr().err

    def test_a_foreign_state_is_an_error(self, watched, monkeypatch):
        write_state(41, monkeypatch)
        with pytest.raises(TypeError) as error:
            watched.ml()
        assert REAL or "IN_STATE_PATH holds int, not the (day, model, state)" in str(error.value)

    def test_multi_pass_mode_runs_it_all(self, watched, monkeypatch):
        monkeypatch.setenv("MULTI_PASS_MODE_ENABLED", "1")
        write_state((np.datetime64("2024-12-20", "ns"), MODEL, 41), monkeypatch)
        result, state = watched.ml()
        assert watched.named("predict")[0][-1] == 42
        assert (len(result.time), state) == (11, 11)

    def test_plain(self, watched, monkeypatch):
        write_state(41, monkeypatch)
        result, state = watched.plain()
        assert (labels(result, "time"), state, read_state()) == (["2024-12-30"], 42, 42)
        same(read_written("fractions.nc.gz"), result)
        _, states = watched.plain(collect_all_states=True)
        assert states == [42]

    def test_plain_without_state(self, watched, tmp_path):
        assert isinstance(watched.plain(strategy=lambda data: watched.strategy(data, None)[0]), xr.DataArray)
        assert [path.name for path in tmp_path.iterdir()] == ["fractions.nc.gz"]

    def test_plain_in_multi_pass_mode_reads_no_state(self, watched, monkeypatch):
        monkeypatch.setenv("MULTI_PASS_MODE_ENABLED", "1")
        write_state(41, monkeypatch)
        assert watched.plain()[1] == 11


class TestPlain:
    def test_calls_files_and_result(self, watched, capsys):
        result, state = watched.plain()
        days = labels(result, "time")
        assert [call[0] for call in watched.calls] == ["load", "predict"] * 2 + ["load"] + ["predict"] * len(
            days
        )
        assert [call[1] for call in watched.named("load")] == [60, 60, 14 + 60]
        assert [call[2] for call in watched.named("predict")] == ["2024-12-30", "2024-12-16", *days]
        assert [call[-1] for call in watched.named("predict")] == [1, 1, *range(1, len(days) + 1)]
        assert state == read_state() == len(days)
        same(read_written("fractions.nc.gz"), result)
        lines = capsys.readouterr().out.splitlines()
        steps = [
            "Run last pass...",
            "Load data...",
            "Run strategy...",
            "Load data for cleanup...",
            "Write result...",
        ]
        steps += [
            "---",
            "Run first pass...",
            "Load data...",
            "Run strategy...",
            "---",
            "Load full data...",
            "---",
        ]
        steps += ["Run iterations...", "Iterations complete.", "Load data for cleanup and analysis..."]
        steps += ["Write result..."]
        assert [line for line in lines if line in steps] == steps

    def test_states_are_collected_and_copied(self, watched):
        def strategy(data, state):
            state = state or []
            state.append(len(state))
            return watched.strategy(data, None)[0], state

        result, states = watched.plain(strategy=strategy, collect_all_states=True)
        assert [len(state) for state in states] == list(range(1, len(result.time) + 1))
        assert read_state() == states

    def test_step_leaves_days_out(self, watched):
        result, state = watched.plain(step=4)
        assert state == 3
        invested = abs(result).sum("asset").values > 0
        assert invested.nonzero()[0].tolist() == [0, 4, 8]

    def test_weights_with_time(self, watched):
        result, _ = watched.plain(strategy=lambda data, state: watched.predict(MODEL, data, state))
        same(result, watched.plain()[0])

    def test_assets_in_another_order_stay_by_position(self, watched, capsys):
        def strategy(data, state):
            weights, state = watched.strategy(data, state)
            return (weights.isel(asset=slice(None, None, -1)) if state == 3 else weights), state

        watched.plain(strategy=strategy)
        assert (
            REAL
            or "From 2024-12-18 on weights are not for the assets of the first call"
            in capsys.readouterr().err
        )

    @pytest.mark.parametrize("answer", [3, xr.DataArray([1.0], {"nonsense": [1]}, ["nonsense"])])
    def test_no_weights_are_an_error(self, answer, watched):
        def strategy(data, state):
            weights, state = watched.strategy(data, state)
            return (answer if len(watched.named("predict")) > 2 else weights), state

        with pytest.raises(TypeError) as error:
            watched.plain(strategy=strategy)
        assert REAL or "weights" in str(error.value)

    def test_nothing_to_test_is_said(self, watched, capsys):
        assert watched.plain(load_data=lambda days: (watched.load_data(days), np.array([], "M8[ns]"))) is None
        assert "Time series is empty" in capsys.readouterr().err

    def test_another_competition_than_the_data_is_said(self, watched, capsys):
        watched.plain(competition_type="stocks_s&p500")
        wanted = (
            "WARNING! The data type and the competition type are mismatched. Data type: stocks_nasdaq100, "
        )
        assert wanted + "competition type: stocks_s&p500" in capsys.readouterr().err


class TestAnalysis:
    def test_empty_output_is_said(self, capsys):
        data = qndata.stocks.load_ndx_data(tail=60)
        empty = data.sel(field="close").isel(asset=[])
        qnbt.analyze_results(output=empty, data=data, kind=KIND, build_plots=False)
        assert "ERROR! Output is empty!" in capsys.readouterr().err

    def test_outside_a_notebook_plots_are_left_out_quietly(self, watched, monkeypatch, capsys):
        if REAL:  # it would start a web server
            monkeypatch.setattr(qnbt, "build_plots_dash", lambda *arguments: None)
        result, _ = watched.ml(analyze=True)
        assert REAL or "2024-12-30" in capsys.readouterr().out.splitlines()[-3]
        assert labels(result, "time")[-1] == "2024-12-30"

    def test_a_notebook_shows_tables_and_plots(self, watched, monkeypatch, capsys):
        shown, plotted = [], []
        graph = qnbt if REAL else qnt.graph
        monkeypatch.setattr(graph, "is_notebook", lambda: True)
        monkeypatch.setattr(graph, "make_major_plots", plotted.append)
        monkeypatch.setattr("IPython.display.display", shown.append)
        watched.ml(analyze=True)
        captured = capsys.readouterr()
        assert [table.shape for table in shown] == [(10, 10), (10, 11)]
        assert labels(plotted[0], "time")[-1] == "2024-12-30"
        assert captured.out.splitlines()[-4:] == ["---", "Output:", "Stats:", "---"]
        assert REAL or "11/11" in captured.err  # a notebook shows progress
