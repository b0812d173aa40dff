"""The refusal of a price source, and the place in it that a sentence names."""

from dataclasses import dataclass

import numpy as np


class PricesError(ValueError):
    """A price source cannot be converted: the message names file, line and ticker, and what to do."""

    def __init__(self, message: str):
        """Keep the message on one line, even if names in a file contain line breaks."""
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True)
class Origin:
    """Source of a table's rows: row i of the table stands in line `first + i` of it.

    Parameters
    ----------
    name : str
        Path of the file, or what to call a frame.
    unit : "line" or "row"
        What a text file, or a Parquet file or frame, is counted in.
    first : int
        Number of the table's first row.
    """

    name: str
    unit: str = "row"
    first: int = 1

    def place(self, row: int, ticker: object = None) -> str:
        """Name a row: "prices.csv, line 17, AAPL"."""
        return ", ".join(
            [self.name, f"{self.unit} {self.first + row}", *([] if ticker is None else [str(ticker)])]
        )

    def refuse(
        self, bad: np.ndarray, rows: np.ndarray, tickers: np.ndarray | None, sentence: str, cells=None
    ) -> None:
        """Raise PricesError about the first row that is `bad`, if one is.

        `sentence` may hold `{cell!r}`, the row's value in `cells`.
        """
        if not bad.any():
            return
        at = int(np.argmax(bad))
        place = self.place(int(rows[at]), None if tickers is None else tickers[at])
        cell = None if cells is None else cells[at]
        cell = cell.item() if isinstance(cell, np.generic) else cell
        raise PricesError(f"{place}: {sentence.format(cell=cell)}")
