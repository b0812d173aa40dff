"""The backtest of a strategy that is called on each day with the data known by then."""

import copy
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
from .log import log_err, log_info


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
    """Call a strategy for every day of a test and analyse the weights.

    All other arguments are as in `backtest_ml`.

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
    if not isinstance(data, tuple) and data.name != competition_type:
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
    result = passes.clean_and_write(result, data, competition_type, "Write result...")
    qnstate.write(state)
    if single_pass:
        return (result, [state] if collect_all_states else state) if stateful else result

    log_info("---")
    try:
        start_date, test_period = passes.check_range(start_date, end_date, test_period)

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
        kept, states, state = rows.DayRows(tested), [], None
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
