"""The report of a conversion: what was read, what was dropped and why, and what does not look right."""

from collections.abc import Sequence

SECTIONS = ("Read", "Dropped", "Prices", "Liquidity", "Plausibility")
EXAMPLES = 3


class Report:
    """Findings by section, in the order in which they were added."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {section: [] for section in SECTIONS}

    def add(self, section: str, text: str, examples: Sequence[str] = ()) -> None:
        """Add a line, with the first few of its examples."""
        shown = "; ".join(examples[:EXAMPLES])
        more = f"; and {len(examples) - EXAMPLES:,} more" if len(examples) > EXAMPLES else ""
        self._lines[section].append(text + (f": {shown}{more}" if examples else ""))

    def lines(self, section: str) -> list[str]:
        """Lines of a section."""
        return list(self._lines[section])

    def __str__(self) -> str:
        """The report as text, every section by name; an empty one says "nothing"."""
        return "\n".join(
            "\n  ".join([section, *(self._lines[section] or ["nothing"])]) for section in SECTIONS
        )
