"""Ratios of medians, ours against the plain reference, printed as the table of the README."""

from collections import defaultdict

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print one line per group that has both sides, then what each size of a growth costs."""
    sides: dict[str, dict[str, float]] = defaultdict(dict)
    growth = []
    for bench in config._benchmarksession.benchmarks:
        side = bench.extra_info.get("side")
        if side:
            sides[bench.group][side] = bench.stats.median * bench.extra_info.get("times", 1)
        elif "size" in bench.extra_info:
            growth.append(
                f"| {bench.group} | {bench.extra_info['size']} | {bench.stats.median * 1000:.0f} ms |"
            )
    lines = ["| what | published | here | ratio |", "|---|---|---|---|"]
    for group, medians in sides.items():
        if len(medians) == 2:
            plain, ours = medians["published"], medians["here"]
            lines.append(f"| {group} | {plain * 1000:,.1f} ms | {ours * 1000:,.1f} ms | {plain / ours:.1f} |")
    terminalreporter.write_sep("=", "ratios")
    terminalreporter.write_line("\n".join(lines))
    if growth:
        terminalreporter.write_line(
            "\n".join(["", "| growth of training | size | median |", "|---|---|---|", *growth])
        )
