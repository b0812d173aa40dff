"""The command line of the contest's verdict, `python -m lib.contest`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from lib.common.command_line import add_range, add_settings, parse_settings, print_any_text
from lib.contest import FOLDER, ContestWarning, PassError, RunStopped, contest
from lib.strategy import Strategy

STOPPED = 130  # as a shell reports Ctrl-C
DESCRIPTION = "Run the strategy on every day of the contest, and check whether it would be admitted."
EPILOG = """\
examples:
  python -m lib.contest --set top_assets=6
  python -m lib.contest --set features="['trend', 'rsi']" --workers 4
  python -m lib.contest --backend dask --scheduler tcp://10.0.0.1:8786
Call it again after an interruption, or with a later end: days that are finished are not repeated.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdict; 0 if the strategy would be admitted, 1 if not or if nothing could be run."""
    given = _parser().parse_args(arguments)
    print_any_text()
    where = {"workers": given.workers, "backend": given.backend, "scheduler": given.scheduler}
    with warnings.catch_warnings():
        warnings.simplefilter("always", ContestWarning)
        warnings.showwarning = _print_warning  # type: ignore[assignment]
        try:
            if given.workers is not None and given.workers < 1:
                raise ValueError(f"--workers is {given.workers}: it must be 1 or more.")
            strategy = Strategy(**parse_settings(given.set))
            verdict = contest(strategy, given.start, given.end, folder=given.output, **where)
        except RunStopped as stop:
            print(stop, file=sys.stderr)
            return STOPPED
        except (TypeError, ValueError, OSError, PassError) as error:
            print(error, file=sys.stderr)
            return 1
    print(verdict)
    print(f"\nWritten to {given.output}: verdict.html, verdict.json, weights.nc.gz")
    return 0 if verdict.admitted else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.contest",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_range(
        parser,
        "first day (default: the competition's first day in sample)",
        "last day (default: the last there is)",
    )
    add_settings(parser, "parameters of the strategy, such as top_assets=6")
    add = parser.add_argument
    add("--workers", type=int, metavar="N", help="days at once (default: all cores, or all of the cluster)")
    add(
        "--backend",
        default="loky",
        help="loky (this machine, the default), threading or dask",
    )
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster that is running")
    add("--output", default=FOLDER, metavar="FOLDER", help=f"default: {FOLDER}")
    return parser


def _print_warning(message: Any, *_: Any) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":  # a worker process imports this file too
    sys.exit(main())
