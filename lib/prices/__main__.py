"""The command line of the conversion of prices.

``python -m lib.prices SOURCE … --output market.nc`` turns price files into a market file.
"""

import argparse
import sys
from pathlib import Path

from lib.common.command_line import OK, run_command
from lib.common.competitions import COMPETITIONS
from lib.common.errors import sentence_of
from lib.common.files import replace_file
from lib.prices import DEFAULT_COMPETITION, PRICE_KINDS, convert_files
from lib.prices.columns import parse_renames
from lib.prices.findings import PricesError


def main(arguments: list[str] | None = None) -> int:
    """Convert price files to a market file.

    The report is printed. A refusal is one sentence and exit code 2.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lib.prices",
        description="Convert CSV or Parquet files of prices to a NetCDF file that QNT_OFFLINE_MARKET takes.",
        epilog="exit code: 0 written, 2 a source was refused, 130 stopped by hand (Ctrl-C)",
    )
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a long file, a folder of one file per ticker, or wide files",
    )
    add("--output", required=True, metavar="MARKET.nc", help="the file to write, replaced whole (no default)")
    add(
        "--members",
        metavar="FILE",
        help="table with columns ticker, from, to: the days of each member (default: none)",
    )
    add(
        "--prices", choices=PRICE_KINDS, help="whether the prices are adjusted for splits (default: detected)"
    )
    add(
        "--competition",
        choices=COMPETITIONS,
        default=DEFAULT_COMPETITION,
        help="whose fields and calendar the market has (default: %(default)s)",
    )
    add(
        "--rename",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN=NAME",
        help='what a column holds, such as "Schluss=close"; names are date, ticker, open, high, low, close, '
        "volume, dividends and splits (default: found by name)",
    )
    given = parser.parse_args(arguments)
    return run_command(lambda: _convert(given))


def _convert(given: argparse.Namespace) -> int:
    output = Path(given.output)
    fault = "is a folder" if output.is_dir() else "lies in a folder that does not exist"
    if not given.output.strip():
        fault = "is empty"
    if output.is_dir() or not output.resolve().parent.is_dir():
        raise PricesError(f"--output {given.output} {fault}: it takes the name of a file, like market.nc.")
    market, report = convert_files(
        given.sources, given.members, given.prices, parse_renames(given.rename), given.competition
    )
    try:
        replace_file(output, bytes(market.to_netcdf(engine="scipy")))
    except OSError as error:
        raise PricesError(f"{sentence_of(error)} The file that was there is untouched.") from error
    print(f"{report}\nWritten: {output}. To run on it, set QNT_OFFLINE_MARKET={output}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
