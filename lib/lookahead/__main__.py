"""The command line of the look-ahead check, `python -m lib.lookahead`."""

import argparse
import sys
from collections.abc import Sequence

from lib.backtest import advice_on_loading
from lib.common.command_line import (
    EXIT_CODES,
    FAILED,
    OK,
    UNKNOWN,
    add_notebook,
    add_settings,
    parse_settings,
    run_command,
)
from lib.common.errors import WrongValueError
from lib.lookahead import check
from lib.notebook_strategy import strategy_of

DESCRIPTION = "Check whether the notebook's strategy uses what comes after a day to decide on that day."
EPILOG = f"""\
examples:
  python -m lib.lookahead --days 5
  python -m lib.lookahead --notebook other.ipynb --set features="['trend', 'rsi']"
{EXIT_CODES}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the look-ahead check and return its exit code.

    The report is printed. The code is 0 if no look-ahead is found, 1 if some is found, and 3 if neither can
    be shown.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lib.lookahead",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_notebook(parser)
    add_settings(parser)
    add = parser.add_argument
    add("--days", type=int, default=20, metavar="N", help="number of random days to try (default: 20)")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the choice of days and of the noise (default: 0)",
    )
    period = "calendar days of data to choose the days from (default: 1095)"
    add("--period", type=int, default=3 * 365, metavar="DAYS", help=period)
    given = parser.parse_args(arguments)
    return run_command(lambda: _check(given))


def _check(given: argparse.Namespace) -> int:
    for name, least in (("days", 1), ("seed", 0), ("period", 1)):
        if getattr(given, name) < least:
            raise WrongValueError(f"--{name} is {getattr(given, name)}: it must be {least} or more.")
    made = strategy_of(given.notebook, parse_settings(given.set))
    print(made.headline, flush=True)
    with advice_on_loading():
        data = made.strategy.load_data(given.period)
    try:
        report = check(made.strategy, data, days=given.days, seed=given.seed)
    except Exception as error:
        notes = getattr(error, "__notes__", [])
        if not notes:  # not of the strategy's own making
            raise
        print(f"{' '.join(notes)} {type(error).__name__}: {error}", file=sys.stderr)
        return UNKNOWN
    print(report)
    if report.leaks:
        return FAILED
    return OK if report.complete else UNKNOWN


if __name__ == "__main__":
    sys.exit(main())
