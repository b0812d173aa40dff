"""What came of it: tables, figures, a verdict. Nothing here runs in a submission."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from lib.engine.models import TrainedModels
    from lib.report.training_log import TrainingLog


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
        (time, asset). What the weights of a day earn is known from the next day on.
    """
    if is_submission():
        return
    import qnt.stats as qns

    from lib.report.display import show_figures, show_table
    from lib.report.figures import equity_figure

    stats = qns.calc_stat(data, weights).sel(time=slice(weights.time.values[0], None))
    show_table(stats.to_pandas().tail())
    show_figures(equity_figure(stats.sel(field="equity"), source_of(data)))


def show_training(models: "TrainedModels", data: "xr.DataArray") -> None:
    """Show how each training went, as a table and as loss by evaluation; in a submission, nothing.

    Parameters
    ----------
    models : TrainedModels
        What `strategy.train_model` returned.
    data : xarray.DataArray
        What they were trained on.
    """
    if is_submission():
        return
    from lib.report.display import show_figures, show_table, show_text
    from lib.report.figures import loss_figure
    from lib.report.training_table import in_words, training_table

    show_table(training_table(models))
    show_text(in_words(models))
    show_figures(loss_figure(models, source_of(data)))


def show_backtest_trainings(log: "TrainingLog", data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the trainings of a backtest, and what they were worth out of sample; in a submission, nothing.

    Parameters as for `lib.report.training_log.TrainingLog.table`.
    """
    if is_submission():
        return
    from lib.report.display import show_table, show_text
    from lib.report.training_table import worth_in_words

    table = log.table(data, weights)
    show_table(table)
    show_text(worth_in_words(table))


def show_backtest(data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show a backtest, and what the contest would say of it; in a submission, nothing.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs.
    weights : xarray.DataArray
        (time, asset), as `backtest_ml` returned them.
    """
    if is_submission():
        return
    import qnt.stats as qns

    from lib.report.contest import findings, verdict
    from lib.report.display import show_figures, show_text
    from lib.report.figures import holdings_figure, performance_figure

    data = data.sel(time=slice(None, weights.time.values[-1]))
    returns = qns.calc_relative_return(data, weights)
    benchmark = qns.calc_relative_return(data, equal_weights(data, weights.time.values))
    sharpe_ratio = qns.calc_sharpe_ratio_annualized(
        returns, len(returns), 1, qns.calc_avg_points_per_year(data)
    )
    show_text(verdict(findings(data, weights, float(sharpe_ratio[-1])), weights))
    source = source_of(data)
    show_figures(performance_figure(returns, benchmark, source), holdings_figure(weights, source))


def equal_weights(data: "xr.DataArray", days: "np.ndarray") -> "xr.DataArray":
    """The same weight, (time, asset), for each asset that is liquid and has a price; in all 1 a day, or 0."""
    liquid, price = (data.sel(field=name).reindex(time=days) for name in ("is_liquid", "close"))
    held = ((liquid > 0) & (price > 0)).transpose("time", "asset").astype(float)  # NaN is neither
    return held / held.sum("asset").clip(min=1)


def source_of(data: "xr.DataArray") -> str:
    """What the prices are, where whoever loaded them said so; every figure repeats it."""
    return str(data.attrs.get("source", ""))
