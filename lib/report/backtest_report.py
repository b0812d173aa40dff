"""The report of a backtest: the rules, what the model adds, and the performance beside two benchmarks."""

from typing import TYPE_CHECKING, NamedTuple

from lib.common import rules as rules_check
from lib.common.competitions import rules_of
from lib.report.without_model import without_model
from lib.stats.added_value import AddedValue, Measures, added_value, in_words, measured
from lib.stats.performance import drawdowns, monthly_returns, performance_table
from lib.stats.portfolios import Portfolio, contributions, equal_weights, portfolio

if TYPE_CHECKING:
    import xarray as xr

    from lib.common.competitions import Competition
    from lib.report.training_log import TrainingLog

STRATEGY, WITHOUT, EQUAL = "strategy", "without the model", "equal weights"
NOT_THESE = (
    "The weights are not what the strategy makes of these trainings: there is no line without the model."
)
NOTHING = "The strategy never holds anything: no output is large enough for its sizing."


class Evaluation(NamedTuple):
    """The portfolios of a report by name, their measures, and what the model adds where that is known."""

    portfolios: dict[str, Portfolio]
    measures: dict[str, Measures]
    value: AddedValue | None
    sentence: str


def evaluate(
    data: "xr.DataArray", weights: "xr.DataArray", rules: "Competition", training: "TrainingLog | None"
) -> Evaluation:
    """Compute the strategy beside itself without the model, and beside equal weights.

    Parameters as for `lib.report.show_backtest`; without `training`, or for a single day, `value` is None.
    """
    portfolios = {STRATEGY: portfolio(data, weights, rules)}
    days = portfolios[STRATEGY].returns.time.values
    bare = without_model(training, data, weights) if training is not None and len(days) > 1 else None
    if bare is not None:
        portfolios[WITHOUT] = portfolio(data, bare.weights, rules)
    portfolios[EQUAL] = portfolio(data, equal_weights(data, days), rules)
    if len(days) < 2:
        return Evaluation(portfolios, {}, None, "")
    measures = measured({name: each.returns for name, each in portfolios.items()})
    if bare is None:
        return Evaluation(portfolios, measures, None, NOT_THESE if training is not None else "")
    if not (portfolios[STRATEGY].weights != 0).any():
        return Evaluation(portfolios, measures, None, NOTHING)
    pair = [portfolios[name] for name in (STRATEGY, WITHOUT)]
    value = added_value(
        measures[STRATEGY],
        measures[WITHOUT],
        [each.returns for each in pair],
        [each.weights for each in pair],
    )
    return Evaluation(portfolios, measures, value, in_words(value, bare.replaced))


def show(
    data: "xr.DataArray",
    weights: "xr.DataArray",
    competition_type: str | None,
    training: "TrainingLog | None",
) -> None:
    """Show everything; see `lib.report.show_backtest`."""
    from lib.report.contributions_figure import contributions_figure
    from lib.report.display import show_figures, show_heat_map, show_table, show_text, source_of
    from lib.report.figures import holdings_figure, performance_figure

    rules = rules_of(competition_type or str(data.name))
    data = data.sel(time=slice(None, weights.time.values[-1]))
    found = evaluate(data, weights, rules, training)
    mine, source = found.portfolios[STRATEGY], source_of(data)
    checks = rules_check.check_rules(data, weights, rules_check.sharpe_ratio_of(mine.returns), rules)
    first, last = (str(day)[:10] for day in weights.time.values[[0, -1]])
    show_text(f"The contest's rules, checked on the days from {first} to {last}:")
    show_table(rules_check.as_table(checks))
    if not found.measures:
        return
    held = bool((mine.weights != 0).any())
    show_text("Performance after costs:")
    show_table(performance_table(found.portfolios, found.measures, EQUAL))
    if found.sentence:
        show_text(found.sentence)
    show_figures(performance_figure({name: each.returns for name, each in found.portfolios.items()}, source))
    if not held:
        return
    months = monthly_returns(mine.returns[1:])  # what is bought on the first day earns from the next one on
    if months.notna().sum().sum() > 2:  # a month, and the year
        show_text("Returns of the strategy by month:")
        show_heat_map(months)
    worst = drawdowns(mine.returns)
    if len(worst) > 1:
        show_text("The deepest drawdowns of the strategy:")
        show_table(worst)
    show_figures(
        contributions_figure(contributions(data, mine.weights), source), holdings_figure(weights, source)
    )
