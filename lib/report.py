"""What came of it: tables and plots. Nothing here runs in a submission."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def is_submission() -> bool:
    """Whether the platform runs this as a submission: `SUBMISSION_ID` is set."""
    return os.environ.get("SUBMISSION_ID", "") != ""


def print_stats(data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the statistics of the last days and the equity on a log scale; in a submission, nothing.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset), prices of all days to judge.
    weights : xarray.DataArray
        (time, asset).
    """
    if is_submission():
        return
    import qnt.graph as qngraph
    import qnt.stats as qns
    from IPython.display import display

    stats = qns.calc_stat(data, weights).to_pandas()
    display(stats.tail())
    equity = stats["equity"]
    figure = qngraph.make_plot_filled(equity.index, equity, name="PnL (Equity)", type="log")
    if figure is not None:
        display(figure)
