"""The command line of the rehearsal, `python -m lib.rehearsal`."""

import argparse
import sys
from collections.abc import Sequence

from lib import rehearsal
from lib.common.command_line import (
    EXIT_CODES,
    FAILED,
    OK,
    add_end,
    add_notebook,
    add_settings,
    parse_settings,
    run_command,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rehearsal and return the exit code.

    The command line describes the rehearsal. The report is printed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lib.rehearsal",
        description="Rehearse a submission of the notebook.",
        epilog=EXIT_CODES,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--days",
        type=int,
        default=5,
        metavar="N",
        help="number of trading days, one pass each, up to the last day (default: 5)",
    )
    which.add_argument(
        "--dates",
        choices=["precheck"],
        help="the days that the platform's precheck runs (default: see --days)",
    )
    add_end(parser, "the last there is")
    add_notebook(parser)
    add_settings(parser)
    parser.add_argument("--twice", action="store_true", help="run each pass twice and compare")
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="run in a new environment that only init.ipynb prepared (needs the network)",
    )
    options = parser.parse_args(arguments)

    def rehearse() -> int:
        found = rehearsal.rehearse(
            options.notebook,
            options.dates or options.days,
            options.end,
            parse_settings(options.set),
            options.twice,
            options.fresh,
        )
        print(found, flush=True)
        return OK if found.passed else FAILED

    return run_command(rehearse)


if __name__ == "__main__":  # a worker process imports this file too
    sys.exit(main())
