"""Tables and figures of trainings, weights and backtests. Nothing here runs in a submission."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from lib.report.display import show_figures, show_table, show_text, source_of

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
    from lib.report.display import show_figures, show_table, show_text, source_of
    from lib.report.loss_figure import loss_figure
    from lib.report.training_table import in_words, training_table

    show_table(training_table(models))
    show_text(in_words(models))
    if any(fit.losses for fit in models.fits.values()):
        show_figures(loss_figure(models, source_of(data)))


def show_backtest_trainings(log: "TrainingLog", data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the trainings of a backtest, their accuracy out of sample, and what their outputs say.

    In a submission, nothing. Parameters as for `lib.report.training_log.TrainingLog.table`.
    """
    if is_submission():
        return
    from lib.report.display import show_table, show_text
    from lib.report.training_table import out_of_sample_in_words

    table = log.table(data, weights)
    show_table(table)
    show_text(out_of_sample_in_words(table))
    show_outputs(log, data, weights)


def show_outputs(log: "TrainingLog", data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the outcome by output, in and out of sample, and how much outputs differ across assets.

    In a submission, nothing; no figure where all outputs are the same. Parameters as for
    `lib.report.training_log.TrainingLog.table`.
    """
    if is_submission():
        return
    from lib.report.display import show_figures, show_text, source_of
    from lib.report.outputs import all_judged, spread_in_words
    from lib.report.outputs_figure import outputs_figure

    in_sample, out_of_sample, traded = all_judged(log.outputs(data, weights), data)
    show_text(spread_in_words(traded, out_of_sample))
    if in_sample["output"].nunique() > 1 and traded.sizes["time"] > 1:
        show_figures(outputs_figure(in_sample, out_of_sample, traded, source_of(data)))


def show_backtest(
    data: "xr.DataArray",
    weights: "xr.DataArray",
    competition_type: str | None = None,
    training: "TrainingLog | None" = None,
) -> None:
    """Show a backtest, which of the contest's rules it meets, and what the model adds.

    In a submission, nothing.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs; with
        `training`, the lookback period before them: `strategy.load_range`.
    weights : xarray.DataArray
        (time, asset), as `backtest_ml` returned them.
    competition_type : str, optional
        Whose rules are checked. Default: the name of the data, which the platform's loaders set.
    training : TrainingLog, optional
        The log of the backtest; with it the report has a line without the model.

    Notes
    -----
    ``quantstats.reports.full(qnt.stats.calc_relative_return(data, weights).to_series())`` shows more of the
    same returns, as does ``pyfolio.create_full_tear_sheet``; neither is needed here.

    Raises
    ------
    ValueError
        A competition whose rules are not known.
    """
    if not is_submission():
        from lib.report import backtest_report

        backtest_report.show(data, weights, competition_type, training)
