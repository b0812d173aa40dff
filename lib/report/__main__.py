"""A backtest from the command line, with what the model adds to it.

python -m lib.report --start 2022-09-01 --end 2023-10-17 --set retrain_interval=1
"""

import argparse
import sys
from collections.abc import Sequence

from lib.backtest import backtest, check_range, leaving_no_files
from lib.common.command_line import add_range, add_settings, parse_settings, print_any_text
from lib.common.competitions import COMPETITIONS
from lib.report.backtest_report import EQUAL, Evaluation, evaluate
from lib.report.outputs import all_judged, spread_in_words
from lib.report.training_log import TrainingLog
from lib.stats.performance import performance_table
from lib.strategy import Strategy


def evaluated(strategy: Strategy, start: str, end: str | None) -> tuple[Evaluation, str]:
    """Backtest a strategy and evaluate it; the second value says how much the outputs of a day differ."""
    import qnt.log as qnlog

    training = TrainingLog(strategy.train_model)
    with leaving_no_files(), qnlog.Settings(info=False):
        weights, _ = backtest(strategy, start, end, train=training)
        data = strategy.load_range(start, end)
    found = evaluate(data, weights, COMPETITIONS[strategy.competition_type], training)
    _, out_of_sample, traded = all_judged(training.outputs(data, weights), data)
    return found, spread_in_words(traded, out_of_sample)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a wrong parameter or date ends it with a sentence and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m lib.report", description=__doc__.partition("\n")[0])
    add_settings(parser, "parameters of the strategy, such as sizing=ranked")
    add_range(parser, "first day of the backtest", "last day; default: the last there is")
    given = parser.parse_args(arguments)
    print_any_text()
    try:
        strategy = Strategy(**parse_settings(given.set))
        start, end = check_range(strategy, given.start, given.end)
    except (TypeError, ValueError) as error:
        raise SystemExit(str(error)) from None
    found, spread = evaluated(strategy, start, end)
    if not found.measures:
        raise SystemExit("A single day has no statistics: end later.")
    print(performance_table(found.portfolios, found.measures, EQUAL).to_string())
    print(f"\n{found.sentence}\n{spread}".replace("**", ""))


if __name__ == "__main__":
    main(sys.argv[1:])
