"""The command line of the comparison, `python -m lib.compare`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.common.command_line import (
    EXIT_CODES,
    FAILED,
    OF_NOTEBOOK,
    OK,
    add_notebook,
    add_output,
    add_range,
    add_settings,
    add_workers,
    parse_settings,
    run_command,
)
from lib.common.errors import WrongValueError, quantity
from lib.common.interrupts import STOPPED
from lib.compare import FOLDER, ComparisonStopped, execute_notebooks, run_variants, variants
from lib.compare import table as tables
from lib.compare.luck import luck_sentences
from lib.compare.single_run import RunWarning, tried, variants_of
from lib.notebook_strategy import strategy_of
from lib.runs.store import Record
from lib.strategy import Strategy

EXAMPLES = """\
examples:
  python -m lib.compare --grid top_assets=6,12 hidden_size=16,34 --start 2023-12-29
  python -m lib.compare --grid target=next_open_up,tradable_open_up --seeds 5 --start 2023-12-29
  python -m lib.compare mine.json --set epochs=2 --start 2023-12-29   # mine.json: [{"top_assets": 6}, {}]
  python -m lib.compare --oddities --seeds 5 --start 2022-12-30
  python -m lib.compare --grid sizing=as_output,ranked --shuffles 20 --universes 20 --start 2022-12-30
Repeat it after an interruption, or with more variants: what is finished is not run again.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    The code is 0 if every run finished, 1 if not.
    """
    given = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("always", RunWarning)
        warnings.showwarning = _print_warning  # type: ignore[assignment]
        return run_command(lambda: _compare(given))


def _compare(given: argparse.Namespace) -> int:
    settings, folder, stopped = parse_settings(given.set), given.output, False
    options: dict[str, Any] = {name: _count(name, getattr(given, name)) for name in ("shuffles", "universes")}
    notebook = strategy_of(given.notebook, settings)
    base = notebook.strategy
    chosen = _variants(given, settings, base)
    first, last = given.start or notebook.start_date, given.end
    if not given.start and not given.end:
        last = notebook.end_date
    where: dict[str, Any] = {name: getattr(given, name) for name in ("workers", "backend", "scheduler")}
    print(notebook.headline)
    try:
        records = run_variants(chosen, first, last, base=base, folder=folder, **options, **where)
        if given.notebooks:
            execute_notebooks(variants_of(records), folder, given.notebook, base, **where)
    except ComparisonStopped as stop:
        records, stopped = stop.records, True
        print(stop, file=sys.stderr)
    written = _show(records, folder, base)
    if stopped:
        return STOPPED
    return OK if written and all(record["status"] == "finished" for record in records) else FAILED


def _variants(given: argparse.Namespace, settings: dict[str, Any], base: Strategy) -> list[variants.Variant]:
    """Return all variants of the command line.

    Each set of the files or of `--oddities` is combined with every set of the grid and every seed.
    """
    listed = [variant for path in given.files for variant in variants.read_variants(path)] or [{}]
    odd = variants.ODDITIES if given.oddities else [{}]
    choices = variants.grid(variants.parse_choices(given.grid))
    seeds = [{"seed": base.seed + k} for k in range(_count("seeds", given.seeds))] or [{}]
    combined = variants.combine([settings], listed, odd, choices, seeds)  # refuses what is set twice
    return [{name: value for name, value in each.items() if name not in settings} for each in combined]


def _count(name: str, number: int | None) -> int:
    """Return the number given for an option.

    The number is 0 if the option is absent, and must otherwise be 1 or more.
    """
    if number is not None and number < 1:
        raise WrongValueError(f"--{name} is {number}: it must be 1 or more.")
    return number or 0


def _show(records: list[Record], folder: Path, base: Strategy) -> bool:
    """Print the results and write table and plot.

    The table and its summary over seeds are printed. The return value is True if table and plot could be
    written.
    """
    unchanged = variants.base_name(base, variants.OF_NOTEBOOK)
    table = tables.comparison_table(records, tried(folder, records), base, unchanged)
    market, start, end = (records[0][name] for name in ("market_name", "start", "end"))
    title = (
        f"{quantity(len(table), 'variant')}, {start} to {end}; {table['trials'].max()} tried on these days"
    )
    print(f"{title}\nPrices: {market}\n")
    print(tables.printed_table(table, tables.RESULTS))
    print(f"\nDeflated: the probability that luck alone does not explain it ({tables.DEFLATED_SOURCE}).")
    asked = variants_of(records)
    if len({record["parameters"]["seed"] for record in asked}) > 1:
        summary = tables.seed_markdown(tables.seed_summary(asked, base, unchanged))
        print(f"\nMean ± standard deviation over the seeds:\n\n{summary}")
    print(f"\nIs it luck?\n\n{tables.printed_table(table, tables.LUCK)}")
    for sentence in luck_sentences(records, table):
        print(f"\n{sentence}")
    print(f"\n{tables.conclusion(table)}")
    try:
        tables.save_table(table, folder / "table.parquet")
        tables.save_figure(tables.comparison_figure(table, title, market), folder / "plot.html")
    except OSError as error:
        print(f"Table and plot cannot be written to {folder}: {error.strerror or error}.", file=sys.stderr)
        return False
    print(f"\nTable, plot and runs: {folder}")
    return True


def _print_warning(message: Warning | str, *_: Any) -> None:
    print(message, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.compare",
        description="Backtest many variants of the notebook's strategy in parallel, and keep each result.",
        epilog=f"{EXAMPLES}\ncolumns of the table:\n{tables.column_texts()}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_notebook(parser)
    add = parser.add_argument
    combined = "values of parameters, of which each combination is a variant (default: none)"
    add("files", nargs="*", metavar="FILE.json", help="lists of sets of parameters (default: none)")
    add("--grid", nargs="+", action="extend", default=[], metavar="NAME=VALUE,VALUE", help=combined)
    add_settings(parser)
    odd = "the published strategy, each of its oddities corrected alone, and all of them together"
    add("--oddities", action="store_true", help=odd)
    add(
        "--seeds",
        type=int,
        metavar="N",
        help="run each variant with N seeds, from the notebook's on (default: 1)",
    )
    shuffled = "N further runs of each variant, trained on shuffled targets: a p-value (default: none)"
    add("--shuffles", type=int, metavar="N", help=shuffled)
    parts = (
        "N further runs of each, on random halves of the assets and of the days: quartiles (default: none)"
    )
    add("--universes", type=int, metavar="N", help=parts)
    add_range(parser, *OF_NOTEBOOK)
    add_output(parser, FOLDER, "the runs, table.parquet and plot.html")
    add_workers(parser, "runs")
    add("--notebooks", action="store_true", help="also execute the notebook for each run, into the folder")
    return parser


if __name__ == "__main__":  # a worker process imports this file too
    sys.exit(main())
