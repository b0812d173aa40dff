"""The command line of the report, ``python -m lib.report``.

python -m lib.report --start 2022-09-01 --end 2023-10-17 --set retrain_interval=1
"""

import argparse
import sys
from collections.abc import Sequence

import pandas as pd

from lib.backtest import check_range, leaving_no_files
from lib.common.command_line import (
    OF_NOTEBOOK,
    OK,
    add_notebook,
    add_range,
    add_settings,
    parse_settings,
    run_command,
)
from lib.common.competitions import COMPETITIONS
from lib.common.errors import WrongValueError
from lib.notebook_strategy import strategy_of
from lib.report.backtest_log import BacktestLog
from lib.report.evaluation import EQUAL, FOLDER, LAST, Evaluation, check_names, evaluate
from lib.report.outputs import traded_outputs
from lib.report.tables import outputs_sentence
from lib.stats.performance import performance_table
from lib.strategy import Strategy

DESCRIPTION = "Backtest the notebook's strategy, and show its performance and what the model adds to it."


def evaluated(
    strategy: Strategy, start: str, end: str | None, before: str | None = None, keep: str = ""
) -> tuple[Evaluation, str]:
    """Backtest and evaluate a strategy.

    The second value is a sentence on its outputs.
    """
    import qnt.log as qnlog

    log = BacktestLog(strategy)
    with leaving_no_files(), qnlog.Settings(info=False):
        weights, data = log.backtest(start, end), strategy.load_range(start, end)
    found = evaluate(data, weights, COMPETITIONS[strategy.competition_type], log, before, keep)
    trainings = log.evaluated(data, weights)
    if not trainings:
        return found, log.without_table(weights)
    later = pd.concat([training.out_of_sample for training in trainings])
    return found, outputs_sentence(traded_outputs(trainings), later)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    The exit codes are listed in `lib.common.command_line.EXIT_CODES`.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lib.report",
        description=DESCRIPTION,
        epilog="exit code: 0 done, 2 an input was refused, 130 stopped by hand (Ctrl-C)",
    )
    add_notebook(parser)
    add_settings(parser)
    add_range(parser, *OF_NOTEBOOK)
    add = parser.add_argument
    earlier = "earlier run to be shown beside this one: last, none, or a name of --keep (default: last)"
    add("--before", default=LAST, metavar="RUN", help=earlier)
    add("--keep", default="", metavar="NAME", help=f"keep this run in {FOLDER} under a name (default: none)")
    return run_command(lambda: _report(parser.parse_args(arguments)))


def _report(given: argparse.Namespace) -> int:
    before = None if given.before == "none" else given.before
    check_names(before, given.keep)
    made = strategy_of(given.notebook, parse_settings(given.set))
    print(made.headline)
    days = (made.start_date, given.end or made.end_date) if given.start is None else (given.start, given.end)
    start, end = check_range(made.strategy, *days)
    found, spread = evaluated(made.strategy, start, end, before, given.keep)
    if not found.measures:
        raise WrongValueError("A single day has no statistics: end later.")
    first, last = (str(day)[:10] for day in found.weights.time.values[[0, -1]])
    print(f"Backtest from {first} to {last}\n")
    print(performance_table(found.portfolios, found.measures, EQUAL).to_string())
    sentences = filter(None, (found.sentence, found.change_sentence, spread))
    print("\n" + "\n".join(sentences).replace("**", ""))
    return OK


if __name__ == "__main__":
    sys.exit(main())
