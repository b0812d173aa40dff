"""The messages of a conversion.

They are the refusal of a source with its place, and the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.common.errors import WrongValueError

REPORT_SECTIONS = ("Read", "Dropped", "Prices", "Liquidity", "Plausibility")
SHOWN_EXAMPLES = 3


class PricesError(WrongValueError):
    """The error for a source that cannot be converted.

    Its message names file, line and ticker, and the remedy.
    """

    def __init__(self, message: str):
        """Keep the message on one line.

        Names in a file may contain line breaks.
        """
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True)
class NumberStyle:
    """Marks before decimals and between thousands.

    `thousands` is "" where there is no such mark.
    """

    decimal: str = "."
    thousands: str = ","


@dataclass(frozen=True)
class Origin:
    """Source of a table's rows.

    Row i of the table stands in line `first + i` of the source.

    Parameters
    ----------
    name : str
        Path of the file, or what to call a frame.
    unit : "line" or "row"
        What a text file, or a Parquet file or frame, is counted in.
    first : int
        Number of the table's first row.
    style : NumberStyle
        How its numbers are written.
    of_history : bool
        True where the columns are those of yfinance's ``history()`` by default.
    """

    name: str
    unit: str = "row"
    first: int = 1
    style: NumberStyle = NumberStyle()
    of_history: bool = False

    def place(self, row: int, ticker: object = None) -> str:
        """Name a row, such as "prices.csv, line 17, AAPL"."""
        return ", ".join(
            [self.name, f"{self.unit} {self.first + row}", *([] if ticker is None else [str(ticker)])]
        )

    def refuse(
        self, bad: np.ndarray, rows: np.ndarray, tickers: np.ndarray | None, sentence: str, cells=None
    ) -> None:
        """Raise PricesError about the first bad row.

        `bad` marks these rows, and without one nothing is raised. `sentence` may hold `{cell}`, the row's
        value in `cells`.
        """
        if not bad.any():
            return
        at = int(np.argmax(bad))
        place = self.place(int(rows[at]), None if tickers is None else tickers[at])
        cell = None if cells is None else cells[at]
        cell = cell.item() if isinstance(cell, np.generic) else cell
        raise PricesError(f"{place}: " + sentence.replace("{cell}", repr(cell)))


class ConversionReport:
    """Findings of a conversion by section.

    They are in the order in which they were added.
    """

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {section: [] for section in REPORT_SECTIONS}

    def add(self, section: str, text: str, examples: Sequence[str] = ()) -> None:
        """Add a line with its first few examples.

        Further examples are only counted.
        """
        shown = "; ".join(examples[:SHOWN_EXAMPLES])
        more = f"; and {len(examples) - SHOWN_EXAMPLES:,} more" if len(examples) > SHOWN_EXAMPLES else ""
        self._lines[section].append(text + (f": {shown}{more}" if examples else ""))

    def lines(self, section: str) -> list[str]:
        """Return the lines of a section."""
        return list(self._lines[section])

    def __str__(self) -> str:
        """Return the report as text.

        It names every section, and an empty one has the line "nothing".
        """
        return "\n".join(
            "\n  ".join([section, *(self._lines[section] or ["nothing"])]) for section in REPORT_SECTIONS
        )
