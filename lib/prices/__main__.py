"""`python -m lib.prices SOURCE … --output market.nc`: price files to a market file."""

import argparse
from pathlib import Path

from lib.common.command_line import print_any_text
from lib.common.competitions import COMPETITIONS
from lib.common.files import replace_file
from lib.prices.columns import parse_renames
from lib.prices.conversion import DEFAULT_COMPETITION, PRICE_KINDS, convert_files
from lib.prices.findings import PricesError


def main(arguments: list[str] | None = None) -> None:
    """Convert, print the report and write the file; a refusal is one sentence and exit code 1."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.prices",
        description="Convert CSV or Parquet files of prices to a NetCDF file that QNT_OFFLINE_MARKET takes.",
    )
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a long file, a folder of one file per ticker, or wide files",
    )
    add("--output", required=True, metavar="MARKET.nc", help="the file to write, replaced whole")
    add("--members", metavar="FILE", help="columns ticker, from, to: first and last day of each member")
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
        "volume, dividends and splits",
    )
    given = parser.parse_args(arguments)
    output = Path(given.output)
    try:
        if output.is_dir() or not output.resolve().parent.is_dir():
            fault = "is a folder" if output.is_dir() else "lies in a folder that does not exist"
            raise PricesError(f"{output}: {fault}; --output takes the name of a file, like market.nc.")
        market, report = convert_files(
            given.sources, given.members, given.prices, parse_renames(given.rename), given.competition
        )
    except PricesError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:  # a folder that may not be listed
        raise SystemExit(f"{error.filename}: cannot be read: {error.strerror}.") from None
    try:
        replace_file(str(output), bytes(market.to_netcdf(engine="scipy")))
    except OSError as error:
        raise SystemExit(f"{output}: could not be written: {error}. What was there is untouched.") from None
    print_any_text()  # a ticker may hold any character
    print(f"{report}\nWritten: {output}. To run on it, set QNT_OFFLINE_MARKET={output}")


if __name__ == "__main__":
    main()
