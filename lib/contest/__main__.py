"""The command line of the contest's verdict, `python -m lib.contest`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from lib.common.command_line import (
    EXIT_CODES,
    FAILED,
    OK,
    UNKNOWN,
    add_notebook,
    add_output,
    add_range,
    add_settings,
    add_workers,
    parse_settings,
    run_command,
)
from lib.contest import RUNS, ContestWarning, PassError, Verdict, contest
from lib.notebook_strategy import strategy_of

DESCRIPTION = "Run the strategy on every day of the contest, and check whether it would be admitted."
EPILOG = f"""\
examples:
  python -m lib.contest --set top_assets=6
  python -m lib.contest --set features="['trend', 'rsi']" --workers 4
  python -m lib.contest --backend dask --scheduler tcp://10.0.0.1:8786
Call it again after an interruption, or with a later end: days that are finished are not repeated.
{EXIT_CODES}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdict and return its exit code.

    The code is 0 for admitted, 1 for not admitted, 3 if the verdict is unknown.
    """
    given = _parser().parse_args(arguments)
    return run_command(lambda: _judge(given))


def _judge(given: argparse.Namespace) -> int:
    where = {"workers": given.workers, "backend": given.backend, "scheduler": given.scheduler}
    chosen = strategy_of(given.notebook, parse_settings(given.set))
    print(chosen.headline, flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always", ContestWarning)
        warnings.showwarning = _print_warning  # type: ignore[assignment]
        try:
            verdict = contest(
                chosen.strategy,
                given.start,
                given.end,
                folder=given.output,
                title=chosen.headline,
                scaled=given.scaled,
                **where,
            )
        except PassError as error:
            print(error, file=sys.stderr)
            return FAILED
    print(verdict)
    print(f"\nWritten to {given.output}: verdict.html, verdict.json, weights.nc.gz")
    return _code(verdict)


def _code(verdict: Verdict) -> int:
    if any(check.holds is False for check in verdict.checks):
        return FAILED
    return OK if verdict.admitted else UNKNOWN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.contest",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_notebook(parser)
    add_range(parser, "the competition's first day in sample", "the last there is")
    add_settings(parser)
    add_workers(parser, "days")
    parser.add_argument(
        "--scaled",
        action="store_true",
        help="compare with the benchmark at the volatility of the payout too (10 %% in the crypto contests)",
    )
    add_output(parser, RUNS, "the days' results, verdict.html, verdict.json and weights.nc.gz")
    return parser


def _print_warning(message: Any, *_: Any) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":  # a worker process imports this file too
    sys.exit(main())
