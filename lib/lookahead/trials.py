"""The trials of the look-ahead check: a question is asked again while one thing is changed."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lib.engine.models import TrainedModels
from lib.lookahead.answers import Answer, Difference, answer_to, answers_to, difference
from lib.lookahead.leak_report import Leak
from lib.lookahead.questions import Questions, questions_about, random_gaps
from lib.lookahead.surroundings import data_limit, in_child, other_future
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

REPEATS = 3  # questions asked again where an answer differs: two random selections may agree by chance
SURE_AFTER = 2  # days on which a stage repeated itself, after which it is not asked again
# dates so far apart that the calendar repeats, days of the week and leap years included
CYCLE = np.timedelta64(28 * 365 + 7, "D")


class Trials:
    """The trials of a strategy, `make(data)`, on some rows of `data` (field, time, asset)."""

    def __init__(
        self,
        make: Callable[["xr.DataArray"], Strategy],
        data: "xr.DataArray",
        rows: list[int],
        rng: np.random.Generator,
    ):
        self.make, self.data, self.rng = make, data, rng
        self.gaps = {row: random_gaps(data, row, rng) for row in rows}
        self.base: dict[str, Answer] = {}
        self.trained: dict[str, TrainedModels] = {}
        self.repeated: Counter[str] = Counter()
        self.stages = tuple(self._questions(data, rows[0]))

    def future(self, row: int) -> Iterator[Leak]:
        """Whether an answer changes when later days are noise and the library loads all it has."""
        past = self.data[:, : row + 1]
        self.trained.clear()  # of no use on another day
        with data_limit(past.time.values[-1]):
            # An error is the user's to see here: nothing was changed yet.
            self.base = {stage: ask() for stage, ask in self._questions(past, row).items()}
        with other_future(self.data, row, self.rng):
            answers = answers_to(self._questions(self.data, row))
        for stage, base in self.base.items():
            found = difference(base, answers[stage])
            if found:
                yield self._leak(stage, self._kind(stage, row, base, answers[stage]), row, found)

    def dates(self, row: int) -> Iterator[Leak]:
        """Whether an answer changes when the same prices stand under other dates; `future` comes first."""
        past = self.data[:, : row + 1]
        moved = past.assign_coords(time=past.time.values + CYCLE)
        with data_limit(past.time.values[-1]):
            answers = answers_to(self._questions(moved, row))
        for stage, base in self.base.items():
            found = difference(base, answers[stage])
            if found:
                yield self._leak(stage, "dates", row, found)

    def memory(self, rows: list[int]) -> list[tuple[int, Leak]] | None:
        """Whether an answer changes after questions about the last day, with which a backtest begins.

        Each row's answers come from processes in which nothing was asked before, so nothing may have been
        asked in this one. None where there are no such processes.
        """
        after = in_child(lambda: {row: self._after_last_day(row) for row in reversed(rows)})
        found: list[tuple[int, Leak]] = []
        for row in rows:
            bases = in_child(partial(self._alone, row, 1))
            if after is None or bases is None:
                return None
            differences = {stage: difference(bases[0][stage], after[row][stage]) for stage in self.stages}
            if not any(differences.values()):
                continue
            again = in_child(partial(self._alone, row, REPEATS))
            for stage, different in differences.items():
                if different and again is not None:
                    random = any(difference(bases[0][stage], answers[stage]) for answers in again)
                    kind = "random" if random else "memory"
                    found.append((row, self._leak(stage, kind, row, different)))
        return found

    def _after_last_day(self, row: int) -> dict[str, Answer]:
        past, last = self.data[:, : row + 1], self.data.sizes["time"] - 1
        strategy = self.make(past)
        self.gaps[last] = np.zeros(self.data.shape[1:], bool)
        answers_to(self._questions(self.data, last, strategy))
        return answers_to(self._questions(past, row, strategy))

    def _alone(self, row: int, times: int) -> list[dict[str, Answer]]:
        past = self.data[:, : row + 1]
        strategy = self.make(past)
        with data_limit(past.time.values[-1]):
            return [answers_to(self._questions(past, row, strategy)) for _ in range(times)]

    def _kind(self, stage: str, row: int, base: Answer, answer: Answer) -> str:
        """What it means that an answer differs from `base` when the days after it do."""
        past = self.data[:, : row + 1]
        if self.repeated[stage] < SURE_AFTER:
            with data_limit(past.time.values[-1]):
                again = [answer_to(self._questions(past, row)[stage]) for _ in range(REPEATS)]
            if any(difference(again[0], other) for other in again[1:]):
                return "random"
            if difference(base, again[0]):
                return "memory"
            self.repeated[stage] += 1
        with data_limit(past.time.values[-1]):
            longer = answer_to(self._questions(self.data, row)[stage])
        # the same with other prices in the later days: it reads only that there are some
        return "future" if difference(longer, answer) else "dates"

    def _questions(self, data: "xr.DataArray", row: int, strategy: Strategy | None = None) -> Questions:
        strategy = self.make(data) if strategy is None else strategy
        return questions_about(strategy, data, row, self.gaps[row], self.trained)

    def _leak(self, stage: str, kind: str, row: int, found: Difference) -> Leak:
        day = self.data.time.values[row - found.days_before].astype("M8[D]")
        asset = self.data.asset.values[found.asset].item()
        return Leak(stage, kind, day, asset, found.size, error=found.error)
