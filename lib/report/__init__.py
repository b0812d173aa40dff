"""Tables and figures of trainings, weights and backtests. Nothing here runs in a submission."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from lib.report.backtest_log import BacktestLog


def is_submission() -> bool:
    """Return True if this is a submission.

    The platform sets `SUBMISSION_ID` in the environment of a submission.
    """
    return os.environ.get("SUBMISSION_ID", "") != ""


def show_weights(weights: "xr.DataArray", state: Any) -> None:
    """Show the weights of the last day.

    The weights of the state stand beside them. Nothing is shown in a submission.

    Parameters
    ----------
    weights : xarray.DataArray
        (time, asset), as `strategy.predict` returned them.
    state : State or None
        The state that was passed to `strategy.predict`. Of another kind of state no positions are shown.
    """
    if is_submission():
        return
    from lib.report.display import show_table, show_text
    from lib.report.tables import COLUMNS, weights_sentence, weights_table

    show_text(weights_sentence(weights))
    table = weights_table(weights, state)
    if len(table):
        show_table(table, COLUMNS)


def show_training(models: Any, data: "xr.DataArray") -> None:
    """Show the losses of each training.

    The losses are shown as a table and as a figure. For a model other than the published network a table of
    the features' importance follows. Nothing is shown in a submission.

    Parameters
    ----------
    models : TrainedModels
        What `strategy.train_model` returned. A sentence stands for models of another type.
    data : xarray.DataArray
        What they were trained on.
    """
    if is_submission():
        return
    from lib.engine.models import TrainedModels
    from lib.report.backtest_log import foreign_models
    from lib.report.display import show_figures, show_table, show_text, source_of
    from lib.report.figures import loss_figure
    from lib.report.outputs import has_classes, in_sample_outputs, training_set_of_models
    from lib.report.tables import COLUMNS, importance_table, training_sentence, training_table

    if not isinstance(models, TrainedModels):
        show_text(foreign_models(models))
        return
    training_set = training_set_of_models(models, data)
    in_sample = in_sample_outputs(models, training_set)
    show_table(training_table(models, in_sample), COLUMNS)
    show_text(training_sentence(models, in_sample))
    if any(fit.losses for fit in models.fits.values()):
        show_figures(loss_figure(models, has_classes(in_sample), source_of(data)))
    if training_set is not None and len(models) and models.strategy.model != "LSTM":
        show_table(importance_table(models, training_set), COLUMNS)


def show_backtest_trainings(log: "BacktestLog", data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the trainings of a backtest.

    Their results out of sample and the differences of their outputs are shown too. A sentence stands for
    models of another type than `TrainedModels`, and for weights of another backtest. Nothing is shown in a
    submission.

    Parameters
    ----------
    log : BacktestLog
        The log of the backtest.
    data : xarray.DataArray
        (field, time, asset): the data of the backtest, from the first training window on.
    weights : xarray.DataArray
        (time, asset), as `backtest_ml` returned them.
    """
    if is_submission():
        return
    from lib.report.display import show_table, show_text
    from lib.report.tables import COLUMNS, out_of_sample_sentence

    missing = log.fault(weights) or log.without_table(weights)
    if missing:
        show_text(missing)
        return
    show_table(log.table(data, weights), COLUMNS)
    show_text(out_of_sample_sentence(log.evaluated(data, weights)))
    show_outputs(log, data, weights)


def show_outputs(log: "BacktestLog", data: "xr.DataArray", weights: "xr.DataArray") -> None:
    """Show the outputs of a backtest's models.

    A figure draws the outcome by output, and the spread of outputs across assets. There is no figure if all
    outputs are the same. Nothing is shown in a submission. The parameters are the same as for
    `show_backtest_trainings`.
    """
    if is_submission():
        return
    import pandas as pd

    from lib.report.display import show_figures, show_text, source_of
    from lib.report.figures import outputs_figure
    from lib.report.outputs import traded_outputs
    from lib.report.tables import outputs_sentence

    trainings = log.evaluated(data, weights)
    if not trainings:
        return
    in_sample, later = (
        pd.concat(tables, ignore_index=True)
        for tables in zip(*((each.in_sample, each.out_of_sample) for each in trainings), strict=True)
    )
    traded = traded_outputs(trainings)
    show_text(outputs_sentence(traded, later))
    if len(in_sample["output"].unique()) > 1 and traded.sizes["time"] > 1:
        show_figures(outputs_figure(in_sample, later, traded, source_of(data)))


def show_backtest(
    data: "xr.DataArray",
    weights: "xr.DataArray",
    competition_type: str | None = None,
    log: "BacktestLog | None" = None,
    before: str | None = None,
    keep: str = "",
) -> None:
    """Show the report of a backtest.

    The report has the contest's rules, the performance beside benchmarks, and the value that the model adds.
    Nothing is shown in a submission.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs; with
        `log`, the lookback period before them: `strategy.load_range`.
    weights : xarray.DataArray
        (time, asset), as `backtest_ml` returned them.
    competition_type : str, optional
        Whose rules are checked. Default: that of the strategy in `log`; without it the name of the data,
        which the platform's loaders set.
    log : BacktestLog, optional
        The log of the backtest. With it the report has a line without the model, and is on the weights that
        the strategy returned: `backtest_ml` cuts positions above the limit, a submission does not.
    before : str, optional
        Show an earlier run on the same market and days as a line and column "before", with the difference:
        "last" for the last one with other weights, or the name of one that was kept. The present run is kept
        for the next, in ``runs/report``. Default: none.
    keep : str, optional
        A name under which this run is kept, for `before` of later ones.

    Notes
    -----
    ``quantstats.reports.full(qnt.stats.calc_relative_return(data, weights).to_series())`` shows more of the
    same returns, as does ``pyfolio.create_full_tear_sheet``; neither is needed here.

    Raises
    ------
    ValueError
        A competition whose rules are not known, or no run was kept under the name in `before`.
    """
    if is_submission():
        return
    from lib.common.competitions import rules_of
    from lib.common.rules import check_rules, rules_table
    from lib.report.display import show_figures, show_heat_map, show_table, show_text, source_of
    from lib.report.evaluation import EQUAL, STRATEGY, evaluate
    from lib.report.figures import contributions_figure, holdings_figure, performance_figure
    from lib.report.tables import COLUMNS
    from lib.stats.performance import drawdowns, monthly_returns, performance_table
    from lib.stats.portfolios import contributions
    from lib.stats.sharpe import annual_sharpe_ratio

    of_log = None if log is None else log.strategy.competition_type
    rules = rules_of(competition_type or of_log or str(data.name))
    if log is not None and (fault := log.fault(weights)):
        show_text(fault)
        return
    found, source = evaluate(data, weights, rules, log, before, keep), source_of(data)
    data = data.sel(time=slice(None, weights.time.values[-1]))
    mine = found.portfolios[STRATEGY]
    first, last = (str(day)[:10] for day in weights.time.values[[0, -1]])
    show_text(f"The contest's rules, checked on the days from {first} to {last}:")
    ratio = annual_sharpe_ratio(mine.returns, rules)
    show_table(rules_table(check_rules(data, found.weights, ratio, rules)))
    if not found.measures:
        return
    show_text("Performance after costs:")
    show_table(performance_table(found.portfolios, found.measures, EQUAL))
    for sentence in filter(None, (found.sentence, found.change_sentence)):
        show_text(sentence)
    lines = {name: each.returns for name, each in found.portfolios.items()}
    show_figures(performance_figure(lines, rules, source))
    if not (mine.weights != 0).any():
        return
    months = monthly_returns(mine.returns[1:])  # what is bought on the first day earns from the next one on
    if months.notna().sum().sum() > 2:  # a month, and the year
        show_text("Returns of the strategy by month:")
        show_heat_map(months)
    worst = drawdowns(mine.returns)
    if len(worst) > 1:
        show_text("The deepest drawdowns of the strategy:")
        show_table(worst, COLUMNS)
    show_figures(
        contributions_figure(contributions(data, mine.weights), source),
        holdings_figure(found.weights, mine.turnover, source),
    )
