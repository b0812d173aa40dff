"""The trials of the look-ahead check: a question is asked again while one thing is changed."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lib.engine.models import TrainedModels
from lib.lookahead.answers import Answer, Difference, answer_to, answers_to, difference
from lib.lookahead.leak_report import Leak
from lib.lookahead.questions import Questions, depends_on_examples_only, questions_about
from lib.lookahead.surroundings import data_limit, in_child, other_future
from lib.lookahead.windows import random_gaps
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
            features = [stage for stage in self.base if stage.startswith("feature ")]
            longer = self._answers(self.data, row, features)
        with other_future(self.data, row, self.rng):
            noisy = self._answers(self.data, row)
        for stage, base in self.base.items():
            found = difference(base, noisy[stage]) or difference(base, longer.get(stage, base))
            if found:
                yield self._leak(stage, self._kind(stage, row, noisy[stage], longer.get(stage)), row, found)

    def dates(self, row: int) -> Iterator[Leak]:
        """Whether an answer changes when the same prices stand under other dates; `future` comes first."""
        past = self.data[:, : row + 1]
        with data_limit(past.time.values[-1]):
            answers = self._answers(past.assign_coords(time=past.time.values + CYCLE), row)
        for stage, base in self.base.items():
            found = difference(base, answers[stage])
            if found:
                yield self._leak(stage, "dates", row, found)

    def memory(self, rows: list[int]) -> list[tuple[int, Leak]] | None:
        """Whether an answer changes after questions about the last day, with which a backtest begins.

        Each row's answers come from processes in which nothing was asked before, so nothing may have been
        asked in this one. None where there are no such processes.
        """
        if not rows:
            return []
        if not depends_on_examples_only(self.make(self.data)):
            import torch  # noqa: F401 -- here once, not in every process
        after = in_child(lambda: {row: self._after_last_day(row) for row in reversed(rows)})
        found: list[tuple[int, Leak]] = []
        for row in rows:
            alone = in_child(partial(self._alone, row, 1))
            if after is None or alone is None:
                return None
            base = {stage: answers[0] for stage, answers in alone.items()}
            differences = {stage: difference(base[stage], after[row][stage]) for stage in base}
            if not any(differences.values()):
                continue
            again = in_child(partial(self._alone, row, REPEATS)) or {}
            for stage, different in differences.items():
                if different and stage in again:
                    random = any(difference(base[stage], answer) for answer in again[stage])
                    found.append((row, self._leak(stage, "random" if random else "memory", row, different)))
        return found

    def _after_last_day(self, row: int) -> dict[str, Answer]:
        past, last = self.data[:, : row + 1], self.data.sizes["time"] - 1
        strategy = self.make(past)
        answers_to(questions_about(strategy, self.data, last, np.zeros(self.data.shape[1:], bool)))
        return answers_to(questions_about(strategy, past, row, self.gaps[row]))

    def _alone(self, row: int, times: int) -> dict[str, list[Answer]]:
        """By stage the answers to the same question, asked so many times in a row."""
        past = self.data[:, : row + 1]
        with data_limit(past.time.values[-1]):
            questions = [questions_about(self.make(past), past, row, self.gaps[row]) for _ in range(times)]
            return {stage: [answer_to(each[stage]) for each in questions] for stage in questions[0]}

    def _kind(self, stage: str, row: int, noisy: Answer, longer: Answer | None) -> str:
        """The kind of leak, where the answer of a stage changes with later days or with noise in them."""
        past = self.data[:, : row + 1]
        with data_limit(past.time.values[-1]):
            if self.repeated[stage] < SURE_AFTER:
                again = [self._answers(past, row, [stage])[stage] for _ in range(REPEATS)]
                if any(difference(again[0], other) for other in again[1:]):
                    return "random"
                if difference(self.base[stage], again[0]):
                    return "memory"
                self.repeated[stage] += 1
        # A feature that is the same whatever the later days hold reads only how many there are.
        return "dates" if longer is not None and not difference(longer, noisy) else "future"

    def _questions(self, data: "xr.DataArray", row: int) -> Questions:
        return questions_about(self.make(data), data, row, self.gaps[row], self.trained)

    def _answers(
        self, data: "xr.DataArray", row: int, stages: Iterable[str] | None = None
    ) -> dict[str, Answer]:
        """By stage the answers about a row of changed data; the error, where no strategy can be made."""
        stages = self.stages if stages is None else stages
        questions = answer_to(lambda: self._questions(data, row))
        if isinstance(questions, str):
            return dict.fromkeys(stages, questions)
        return {stage: answer_to(questions[stage]) for stage in stages}

    def _leak(self, stage: str, kind: str, row: int, found: Difference) -> Leak:
        day = self.data.time.values[row - found.days_before].astype("M8[D]")
        asset = self.data.asset.values[found.asset].item()
        return Leak(stage, kind, day, asset, found.size, error=found.error)
