"""The backtest of a strategy that is trained and then predicts, each on the data known by that day."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _passes as passes
from . import _rows as rows
from . import state as qnstate
from ._analysis import analyze_results
from ._passes import extract_time_series, is_submitted, unpack_result
from .data import load_data_by_type
from .data.common import set_max_datetime
from .log import log_info


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
    """Train and retrain a model, predict with it day by day or block by block, and analyse the weights.

    All periods are calendar days. Weights are written with `qnt.output.write`, `(day, model, state)` with
    `qnt.state.write`: once for the last day, and once more for the whole test. As a submission
    (SUBMISSION_ID is set, MULTI_PASS_MODE_ENABLED is not) it stops after the last day and returns the
    weights as `predict` did.

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
    today = passes.last(days)
    created: Any = None
    model = state = None
    if is_submitted() and (passes.takes_state(predict, 3) or interval > 1):
        created, model, state = passes.saved()
    retrain = model is None or interval == 1 or today >= created + np.timedelta64(interval, "D")
    if retrain:
        model, created = train(cut(data, today, train_period)), today
    output, state = unpack_result(call(model, cut(data, today, lookback_period), state))
    row = rows.row(output, today)
    data = load_data_by_type(competition_type, assets=row.asset.values.tolist(), tail=60)
    passes.clean_and_write(row, data, competition_type)
    if (retrain and interval > 1) or state is not None:
        qnstate.write((created, model, state))
    if is_submitted() and not passes.is_multi_pass_mode_enabled():
        return output if state is None else (output, [state] if collect_all_states else state)

    try:
        log_info("---")
        start_date, test_period = passes.check_range(start_date, end_date, test_period)

        log_info("Run First Iteration...")  # surfaces most errors before the long run
        set_max_datetime(start_date)
        data, days = extract_time_series(load(max(train_period, lookback_period)))
        today = passes.last(days)
        model = train(cut(data, today, train_period))
        unpack_result(call(model, cut(data, today, lookback_period), None))

        log_info("---")
        set_max_datetime(end_date)
        log_info("Run all iterations...")
        log_info("Load data...")
        data, _ = extract_time_series(load(test_period + train_period + lookback_period))
        _, days = extract_time_series(load(test_period))
        passes.last(days)

        log_info("Backtest...")
        kept, states, state = rows.BlockRows(days), [], None
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
