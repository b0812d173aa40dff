"""Backtests, day by day.

A strategy is run on each day of the past with the data known by then.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.offline import uncovered

from . import _passes as passes
from . import graph, stats
from . import output as qnout
from . import state as qnstate
from ._passes import extract_time_series as extract_time_series
from ._passes import is_submitted as is_submitted
from ._passes import standard_window as standard_window
from ._passes import unpack_result
from .data import load_data_by_type
from .data.common import set_max_datetime
from .log import log_err, log_info


def backtest_ml(
    *,
    train: Callable,
    predict: Callable,
    train_period: int = 4 * 365,
    retrain_interval: int = 365,
    predict_each_day: bool = False,
    retrain_interval_after_submit: int | None = None,
    competition_type: str,
    load_data: Callable | None = None,
    lookback_period: int = 365,
    test_period: int = 365 * 15,
    start_date: Any = None,
    end_date: Any = None,
    window: Callable | None = None,
    analyze: bool = True,
    build_plots: bool = True,
    collect_all_states: bool = False,
    check_correlation: bool = False,
) -> Any:
    """Backtest a strategy that trains a model.

    The model is trained and retrained, and predicts day by day or block by block. The weights are then
    analysed.

    All periods are calendar days. Weights are written with `qnt.output.write`, `(day, model, state)` with
    `qnt.state.write`: once for the last day, and once more for the whole test. As a submission (SUBMISSION_ID
    is set, MULTI_PASS_MODE_ENABLED is not) it stops after the last day and returns the weights as `predict`
    did.

    Parameters
    ----------
    train : data -> model
    predict : (model, data) -> weights, or (model, data, state) -> (weights, state), told apart by the number
        of positional arguments that it declares. Weights have dims (time, asset) and the same assets in
        every call
    train_period, lookback_period : lengths of the windows for `train` and `predict`
    retrain_interval, retrain_interval_after_submit : length of a block, which starts with a training; the
        second is for submissions
    predict_each_day : call `predict` for each day; otherwise once for each block, with a window longer by it
    competition_type : what is traded: see `qnt.data.load_data_by_type`
    load_data : calendar days -> data, or (data, days)
    test_period, start_date, end_date : the test ends on `end_date`, by default the last day, and begins on
        `start_date`, or lasts `test_period`
    window : (data, day, calendar days) -> the part of the data that may be seen on that day
    analyze, build_plots, check_correlation : check the weights, show statistics and plots: see
        `analyze_results`
    collect_all_states : return the state after each call of `predict` instead of the last one

    Returns
    -------
    Weights, or (weights, state) where there is a state. IndexError where `predict` returns other assets, or
    another order of them, than in its first call, and where no data are loaded.
    """
    load = load_data or passes.loader(competition_type)
    cut = passes.copying(window)
    call = passes.with_state(predict, 3)
    interval = retrain_interval_after_submit if is_submitted() else None
    interval = retrain_interval if interval is None else interval

    log_info("Run the last iteration...")
    data, days = extract_time_series(load(max(train_period, lookback_period)))
    today = passes.last(days, competition_type)
    created: Any = None
    model = state = None
    if is_submitted() and (passes.takes_state(predict, 3) or interval > 1):
        created, model, state = passes.saved()
    retrain = model is None or interval == 1 or today >= created + np.timedelta64(interval, "D")
    if retrain:
        model, created = train(cut(data, today, train_period)), today
    output, state = unpack_result(call(model, cut(data, today, lookback_period), state))
    row = passes.row(output, today)
    data = load_data_by_type(competition_type, assets=row.asset.values.tolist(), tail=60)
    passes.clean_and_write(row, data, competition_type)
    if (retrain and interval > 1) or state is not None:
        qnstate.write((created, model, state))
    if is_submitted() and not passes.is_multi_pass_mode_enabled():
        return output if state is None else (output, [state] if collect_all_states else state)

    try:
        log_info("---")
        start_date, test_period = passes.check_range(start_date, end_date, test_period, competition_type)

        log_info("Run First Iteration...")  # surfaces most errors before the long run
        set_max_datetime(start_date)
        data, days = extract_time_series(load(max(train_period, lookback_period)))
        today = passes.last(days, competition_type)
        model = train(cut(data, today, train_period))
        unpack_result(call(model, cut(data, today, lookback_period), None))

        log_info("---")
        set_max_datetime(end_date)
        log_info("Run all iterations...")
        log_info("Load data...")
        data, _ = extract_time_series(load(test_period + train_period + lookback_period))
        _, days = extract_time_series(load(test_period))
        passes.last(days, competition_type)

        log_info("Backtest...")
        kept, states, state = passes.BlockRows(days), [], None
        with passes.progress(len(days)) as bar:
            for first, last in passes.blocks(days, interval):
                model = train(cut(data, first, train_period))
                inside = days[(days >= first) & (days <= last)]
                if predict_each_day:
                    steps = [(day, day, lookback_period) for day in inside]
                else:
                    steps = [(first, last, lookback_period + interval)]
                for begin, end, period in steps:
                    output, state = unpack_result(call(model, cut(data, end, period), state))
                    states.append(state)
                    kept.put(output, begin, end, skip_absent=predict_each_day)
                    bar.update(len(inside) // len(steps))

        data = load_data_by_type(competition_type, min_date=str(days[0] - np.timedelta64(60, "D"))[:10])
        result = passes.clean_and_write(kept.all(), data, competition_type)
        qnstate.write((first, model, state))
        if analyze:
            log_info("---")
            analyze_results(result, data, competition_type, build_plots, start_date, check_correlation)
        if state is None:
            return result
        return result, states if collect_all_states else state
    finally:
        set_max_datetime(None)


def backtest(
    *,
    competition_type: str,
    strategy: Callable,
    load_data: Callable | None = None,
    lookback_period: int = 365,
    test_period: int = 365 * 15,
    start_date: Any = None,
    end_date: Any = None,
    window: Callable | None = None,
    step: int = 1,
    analyze: bool = True,
    build_plots: bool = True,
    collect_all_states: bool = False,
    check_correlation: bool = False,
) -> Any:
    """Backtest a strategy day by day.

    The strategy is called for every day of a test, and the weights are analysed. All other arguments are as
    in `backtest_ml`.

    Parameters
    ----------
    strategy : data -> weights, or (data, state) -> (weights, state), told apart by the number of positional
        arguments that it declares. Weights have dims (asset), or (time, asset) of which the row of the day
        is used
    step : number of trading days from one call to the next; the days between get no weights

    Returns
    -------
    Weights; (weights, state) where `strategy` takes a state; None where there was no day to test. TypeError
    where the weights are not an array of these dims.
    """
    load = load_data or passes.loader(competition_type)
    stateful = passes.takes_state(strategy, 2)
    call = passes.with_state(strategy, 2)
    single_pass = is_submitted() and not passes.is_multi_pass_mode_enabled()

    log_info("Run last pass...")
    log_info("Load data...")
    data = load(lookback_period)
    rules = stats.rules_of_data(competition_type)
    if not isinstance(data, tuple) and data.name not in (competition_type, rules and rules.data_name):
        log_err(
            "WARNING! The data type and the competition type are mismatched. "
            f"Data type: {data.name}, competition type: {competition_type}"
        )
    data, _ = extract_time_series(data)
    log_info("Run strategy...")
    state = qnstate.read() if single_pass and stateful else None
    result, state = unpack_result(call(data, state))
    log_info("Load data for cleanup...")
    data = load_data_by_type(competition_type, assets=result.asset.values.tolist(), tail=60)
    # As on the platform, the name of the data decides: shorts stay in a last pass of a long-only competition.
    result = passes.clean_and_write(result, data, competition_type, "Write result...", as_named=True)
    qnstate.write(state)
    if single_pass:
        return (result, [state] if collect_all_states else state) if stateful else result

    log_info("---")
    try:
        start_date, test_period = passes.check_range(start_date, end_date, test_period, competition_type)

        log_info("Run first pass...")
        set_max_datetime(start_date)
        log_info("Load data...")
        data, _ = extract_time_series(load(lookback_period))
        log_info("Run strategy...")
        unpack_result(call(data, None))

        log_info("---")
        set_max_datetime(end_date)
        log_info("Load full data...")
        data, days = extract_time_series(load(test_period + lookback_period))
        if len(days) < 1:
            log_err("Time series is empty")
            return None

        log_info("---")
        log_info("Run iterations...\n")
        cut = passes.copying(window)
        tested = np.sort(days)
        tested = tested[tested >= start_date][::step]
        kept, states, state = passes.DayRows(tested), [], None
        with passes.progress(len(tested)) as bar:
            for day in tested:
                output, state = unpack_result(call(cut(data, day, lookback_period), copy.deepcopy(state)))
                kept.put(output, day)
                states.append(state)
                bar.update()
        log_info("Iterations complete.")
        if kept.array is None:
            log_err(f"There is no day to test from {str(start_date)[:10]} on.")
            return None

        log_info("Load data for cleanup and analysis...")
        data = load_data_by_type(competition_type, min_date=str(days[0] - np.timedelta64(60, "D"))[:10])
        result = passes.clean_and_write(kept.array, data, competition_type, "Write result...")
        state = states if collect_all_states else state
        qnstate.write(state)
        if analyze:
            log_info("---")
            analyze_results(result, data, competition_type, build_plots, start_date, check_correlation)
        return (result, state) if stateful else result
    finally:
        set_max_datetime(None)


def analyze_results(
    output: xr.DataArray,
    data: xr.DataArray,
    kind: str,
    build_plots: bool,
    start: Any = None,
    check_correlation: bool = True,
) -> None:
    """Print the checks and statistics of weights.

    The findings are from `qnt.output.check`, and the statistics are the last ones. A notebook shows tables
    and plots. Outside a notebook there are no plots, while the real library starts a web server to show them.

    Parameters
    ----------
    output : clean weights, dims (time, asset)
    data : market data of these days and of some 60 days before them
    kind : the competition
    start : statistics begin on this day
    """
    log_info("Analyze results...")
    if output.size == 0:
        log_err("ERROR! Output is empty!")
        return
    log_info("Check...")
    qnout.check(output, data, kind, check_correlation)
    log_info("---")
    log_info("Align...")
    output = qnout.align(output, data, start)
    log_info("Calc global stats...")
    statistics = stats.calc_stat(data, output).sel(time=slice(output.time.values[0], None))
    if build_plots and graph.is_notebook():
        _show(output.to_pandas(), statistics)
    else:
        log_info(statistics.to_pandas().tail())


def _show(weights: pd.DataFrame, statistics: xr.DataArray) -> None:
    from IPython.display import display

    log_info("---")
    log_info("Build plots...")
    log_info("---")
    log_info("Output:")
    display(weights.iloc[-10:, :10])
    log_info("Stats:")
    display(statistics.to_pandas().tail(10))
    graph.make_major_plots(statistics)
    log_info("---")


__getattr__ = uncovered(__name__)
