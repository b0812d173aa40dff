"""The analysis after a backtest: checks of the weights, their statistics and plots."""

from typing import Any

import pandas as pd
import xarray as xr

from . import graph, stats
from . import output as qnout
from .log import log_err, log_info


def analyze_results(
    output: xr.DataArray,
    data: xr.DataArray,
    kind: str,
    build_plots: bool,
    start: Any = None,
    check_correlation: bool = True,
) -> None:
    """Print the findings of `qnt.output.check` and the last statistics; in a notebook show tables and plots.

    Outside a notebook there are no plots; the real library starts a web server to show them.

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
