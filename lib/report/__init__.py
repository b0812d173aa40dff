"""Tables and figures of trainings, weights and backtests. Nothing here runs in a submission."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from lib.engine.models import TrainedModels
    from lib.report.training_log import TrainingLog
    from lib.state import State


def is_submission() -> bool:
    """Whether the platform runs this as a submission: `SUBMISSION_ID` is set."""
    return os.environ.get("SUBMISSION_ID", "") != ""


def print_stats(data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the statistics of the last days and the equity on a log scale; in a submission, nothing.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset), prices of all days of the weights, and some 60 days before them for the costs.
    weights : xarray.DataArray
        (time, asset). What the weights of a day earn is known from the next day on, so a single day has no
        statistics: a sentence says so.
    """
    if is_submission():
        return
    from lib.report.display import show_figures, show_table, show_text

    if weights.sizes["time"] < 2:
        show_text("A single day has no statistics: what its weights earn is known from the next day on.")
        return
    import qnt.stats as qns

    from lib.report.figures import equity_figure

    stats = qns.calc_stat(data, weights).sel(time=slice(weights.time.values[0], None))
    show_table(stats.to_pandas().tail())
    show_figures(equity_figure(stats.sel(field="equity"), source_of(data)))


def show_weights(weights: "xr.DataArray", state: "State | None") -> None:
    """Show the weights of the last day beside those of the state; in a submission, nothing.

    Parameters
    ----------
    weights : xarray.DataArray
        (time, asset), as `strategy.predict` returned them.
    state : State or None
        The state that was passed to `strategy.predict`.
    """
    if is_submission():
        return
    from lib.report.display import show_table, show_text
    from lib.report.weights_table import in_words, weights_table

    show_text(in_words(weights))
    table = weights_table(weights, state)
    if len(table):
        show_table(table)


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
    from lib.report.loss_figure import loss_figure
    from lib.report.training_table import in_words, training_table

    show_table(training_table(models))
    show_text(in_words(models))
    if models.fits:
        show_figures(loss_figure(models, source_of(data)))


def show_backtest_trainings(log: "TrainingLog", data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the trainings of a backtest and their accuracy out of sample; in a submission, nothing.

    Parameters as for `lib.report.training_log.TrainingLog.table`.
    """
    if is_submission():
        return
    from lib.report.display import show_table, show_text
    from lib.report.training_table import out_of_sample_in_words

    table = log.table(data, weights)
    show_table(table)
    show_text(out_of_sample_in_words(table))


def show_backtest(data: "xr.DataArray", weights: "xr.DataArray", competition_type: str | None = None) -> None:
    """Show a backtest, and which of the contest's rules it meets; in a submission, nothing.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs.
    weights : xarray.DataArray
        (time, asset), as `backtest_ml` returned them.
    competition_type : str, optional
        Whose rules are checked. Default: the name of the data, which the platform's loaders set.

    Raises
    ------
    ValueError
        A competition whose rules are not known.
    """
    if is_submission():
        return
    import qnt.stats as qns

    from lib.report import contest
    from lib.report.display import show_figures, show_table, show_text
    from lib.report.figures import holdings_figure, performance_figure

    rules = contest.rules_of(competition_type or str(data.name))
    data = data.sel(time=slice(None, weights.time.values[-1]))
    returns = contest.returns_as_filtered(data, weights, rules)
    checks = contest.check_rules(data, weights, contest.sharpe_ratio_of(returns), rules)
    first, last = (str(day)[:10] for day in weights.time.values[[0, -1]])
    show_text(f"The contest's rules, checked on the days from {first} to {last}:")
    show_table(contest.as_table(checks))
    source = source_of(data)
    if returns.sizes["time"] > 1:
        benchmark = qns.calc_relative_return(data, equal_weights(data, returns.time.values))
        show_figures(performance_figure(returns, benchmark, source))
    if (weights.fillna(0) != 0).any():
        show_figures(holdings_figure(weights, source))


def equal_weights(data: "xr.DataArray", days: "np.ndarray") -> "xr.DataArray":
    """Equal weights, (time, asset), of all assets that are liquid and have a price; their sum is 1 or 0."""
    liquid, price = (data.sel(field=name).reindex(time=days) for name in ("is_liquid", "close"))
    held = ((liquid > 0) & (price > 0)).transpose("time", "asset").astype(float)  # NaN is neither
    return held / held.sum("asset").clip(min=1)


def source_of(data: "xr.DataArray") -> str:
    """Return what the prices are, where the loader noted it; every figure repeats it."""
    return str(data.attrs.get("source", ""))
