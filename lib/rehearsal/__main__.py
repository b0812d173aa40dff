"""The command line of the rehearsal, `python -m lib.rehearsal`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib import rehearsal
from lib.common.command_line import add_settings, parse_settings, print_any_text
from lib.notebook.cells import PROJECT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rehearsal that the command line asks for, print its report, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.rehearsal", description="Rehearse a submission of the notebook."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--days", type=int, default=5, metavar="N", help="the last N trading days, one pass each (default: 5)"
    )
    which.add_argument("--dates", choices=["precheck"], help="the days that the platform's precheck runs")
    parser.add_argument("--end", metavar="DATE", help="the last day (default: the last one there is)")
    parser.add_argument(
        "--notebook",
        type=Path,
        default=PROJECT / "strategy.ipynb",
        metavar="FILE",
        help="default: strategy.ipynb",
    )
    add_settings(parser, "new values of the notebook's parameters, such as top_assets=6")
    parser.add_argument("--twice", action="store_true", help="run each pass twice and compare")
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="run in a new environment that only init.ipynb prepared (needs the network)",
    )
    options = parser.parse_args(arguments)
    print_any_text()
    try:
        found = rehearsal.rehearse(
            options.notebook,
            options.dates or options.days,
            options.end,
            parse_settings(options.set),
            options.twice,
            options.fresh,
        )
    except (TypeError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(found, flush=True)
    return 0 if found.passed else 1


if __name__ == "__main__":  # a worker process imports this file too
    sys.exit(main())
