"""The trials of the look-ahead check.

A question is computed again while one thing is changed.
"""

import io
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

import numpy as np

from lib.common import market_data
from lib.common.market_data import data_limit
from lib.common.references import is_of_user_file
from lib.lookahead.findings import Leak
from lib.lookahead.questions import (
    Answer,
    Difference,
    Questions,
    answer_to,
    answers_to,
    depends_on_examples_only,
    difference,
    questions_about,
    random_gaps,
)
from lib.lookahead.tables import Known, known_to
from lib.strategy import Strategy, loads_own_data

if TYPE_CHECKING:
    import xarray as xr

    from lib.engine.models import TrainedModels

REPEATS = 3  # questions asked again where an answer differs: two random selections may agree by chance
SURE_AFTER = 2  # days on which a stage repeated itself, after which it is not asked again
# dates so far apart that the calendar repeats, days of the week and leap years included
CYCLE = np.timedelta64(28 * 365 + 7, "D")
# modules that read files of the platform or of the project, or code
NO_READS = ("qnt", "importlib", "lib.offline", "lib.engine")
SECONDS = 300  # that a child process may take
Result = TypeVar("Result")


class Trials:
    """The trials of a strategy on some rows.

    `make(data)` returns the strategy. The rows are days of `data` (field, time, asset).
    """

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
        strategy = make(data)
        self.known: Known = known_to(strategy, data, [("strategy", make)])
        self.read: set[str] = set()  # files and connections that functions opened
        self.loads = loads_own_data(strategy)
        self.stages = tuple(["load_data"] * self.loads + list(self._questions(data, rows[0])))

    def future(self, row: int) -> Iterator[Leak]:
        """Yield findings where later days change an answer.

        The later days are replaced by noise, and the library loads all it has.
        """
        past = self.data[:, : row + 1]
        day = past.time.values[-1]
        self.trained.clear()  # of no use on another day
        with recorded_files(self.read), data_limit(day):
            # An error is the user's to see here: nothing was changed yet.
            self.base = {stage: _asked(stage, ask, day) for stage, ask in self._questions(past, row).items()}
            features = [stage for stage in self.base if stage.startswith("feature ")]
            longer = self._answers(self.data, row, features)
        with other_future(self.data, row, self.rng), self.known.changed_after(day, self.rng):
            noisy = self._answers(self.data, row)
        for stage, base in self.base.items():
            found = difference(base, noisy[stage]) or difference(base, longer.get(stage, base))
            if found:
                kind = self._kind(stage, row, noisy[stage], longer.get(stage), found)
                cause = self._cause(stage, row) if kind == "future" and self.known.tables else ""
                yield self._leak(stage, kind, row, found, cause)

    def loading(self, row: int) -> Iterator[Leak]:
        """Yield a leak where `load_data` reads later days.

        An overridden `load_data` then returns other values when it can load later days.
        """
        day = self.data.time.values[row]
        strategy = self.make(self.data[:, : row + 1])
        period = max(strategy.lookback_period, strategy.train_period)
        with data_limit(day):
            alone = strategy.load_data(period)
        days = int((self.data.time.values[-1] - day) / np.timedelta64(1, "D"))
        more = strategy.load_data(period + days)
        base = alone.transpose(*market_data.LAYOUT).sel(time=slice(None, day))
        if not base.size:
            return
        # an asset that only the longer load has is none of this day's
        both = base.get_index("asset").intersection(more.get_index("asset"))
        times = base.get_index("time").intersection(more.get_index("time"))
        base = base.sel(asset=both, time=times)
        more = more.transpose(*market_data.LAYOUT).sel(asset=both, time=times)
        found = difference(base.values, more.reindex(field=base.field.values).values)
        if found:
            when = base.time.values[base.sizes["time"] - 1 - found.days_before].astype("M8[D]")
            yield Leak("load_data", "future", when, str(both[found.asset]), found.size)

    def dates(self, row: int) -> Iterator[Leak]:
        """Yield findings where other dates change an answer.

        `future` must run first.
        """
        past = self.data[:, : row + 1]
        moved = past.assign_coords(time=past.time.values + CYCLE)
        with data_limit(past.time.values[-1]), loads_shifted(type(self.make(past)), CYCLE):
            answers = self._answers(moved, row)
        for stage, base in self.base.items():
            found = difference(base, answers[stage])
            if found:
                yield self._leak(stage, "dates", row, found)

    def memory(self, rows: list[int]) -> list[tuple[int, Leak]] | None:
        """Return findings where earlier calls change an answer.

        The earlier calls are about the last day, with which a backtest begins. The answers for each row come
        from copies of this process, so no answer may have been computed in it before. The result is None if
        such a copy gives no answer.
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
        """Return repeated answers for one row by stage.

        Each question is computed `times` times in a row.
        """
        past = self.data[:, : row + 1]
        with data_limit(past.time.values[-1]):
            questions = [questions_about(self.make(past), past, row, self.gaps[row]) for _ in range(times)]
            return {stage: [answer_to(each[stage]) for each in questions] for stage in questions[0]}

    def _kind(self, stage: str, row: int, noisy: Answer, longer: Answer | None, found: Difference) -> str:
        """Return the kind of a finding.

        `longer` is the answer with the later days, None for stages other than features. `noisy` is the answer
        with noise on these days.
        """
        past = self.data[:, : row + 1]
        day = past.time.values[-1]
        with data_limit(day):
            if self.repeated[stage] < SURE_AFTER:
                again = [self._answers(past, row, [stage])[stage] for _ in range(REPEATS)]
                if any(difference(again[0], other) for other in again[1:]):
                    return "random"
                if difference(self.base[stage], again[0]):
                    return "memory"
                self.repeated[stage] += 1
        # A feature that is the same whatever the later days hold reads only how many there are.
        if longer is not None and not difference(longer, noisy):
            return "dates"
        if longer is not None and found.whole_window:
            # Does it know the days after its window, or does it spread the end of its window over it?
            with other_future(self.data, row, self.rng), self.known.changed_after(day, self.rng):
                cut = self._answers(self.data, row, [stage], later=0)[stage]
            return "future" if difference(self.base[stage], cut) else "window"
        return "future"

    def _cause(self, stage: str, row: int) -> str:
        """Return the table that causes a leak.

        Its later entries alone change the answer. The name is empty if no table does so.
        """
        past = self.data[:, : row + 1]
        for table in self.known.tables:
            with table.changed_after(past.time.values[-1], self.rng):
                if difference(self.base[stage], self._answers(past, row, [stage])[stage]):
                    return table.name
        return ""

    def _questions(self, data: "xr.DataArray", row: int, **options: Any) -> Questions:
        return questions_about(self.make(data), data, row, self.gaps[row], self.trained, **options)

    def _answers(
        self, data: "xr.DataArray", row: int, stages: Iterable[str] | None = None, **options: Any
    ) -> dict[str, Answer]:
        """Return the answers on changed data by stage.

        The error is the answer if no strategy can be made.
        """
        stages = self.base if stages is None else stages
        questions = answer_to(lambda: self._questions(data, row, **options))
        if isinstance(questions, str):
            return dict.fromkeys(stages, questions)
        return {stage: answer_to(questions[stage]) for stage in stages}

    def _leak(self, stage: str, kind: str, row: int, found: Difference, cause: str = "") -> Leak:
        day = self.data.time.values[row - found.days_before].astype("M8[D]")
        asset = self.data.asset.values[found.asset].item() if found.asset >= 0 else ""
        return Leak(stage, kind, day, asset, found.size, error=found.error, cause=cause)


def _asked(stage: str, ask: Callable[[], Answer], day: np.datetime64) -> Answer:
    try:
        return ask()
    except Exception as error:
        error.add_note(f"The {stage} fails on {str(day)[:10]}, before the look-ahead check changes anything.")
        raise


# ---- temporary changes around a question ----


@contextmanager
def other_future(data: "xr.DataArray", row: int, rng: np.random.Generator) -> Iterator[None]:
    """Replace all values after a row by noise.

    The noise lies around the mean up to the row. The values are changed in place, and restored at the end of
    the ``with``.
    """
    later = data.values[:, row + 1 :]
    kept = later.copy()
    mean = np.nanmean(
        np.where(np.isinf(data.values), np.nan, data.values)[:, : row + 1], axis=1, keepdims=True
    )
    try:
        later[:] = np.where(np.isnan(mean), 1, mean) * rng.lognormal(0, 0.5, later.shape)
        later[data.get_index("field").get_loc("is_liquid")] = rng.random(later.shape[1:]) < 0.5
        later[:, rng.random(later.shape[1:]) < 0.1] = np.nan
        yield
    finally:
        later[:] = kept


_shifting: ContextVar[bool] = ContextVar("shifting", default=False)


@contextmanager
def loads_shifted(kind: type[Strategy], by: np.timedelta64) -> Iterator[None]:
    """Shift the dates of data that strategies load.

    Within the ``with``, a load of `load_data` or `load_range` that ends on a moved day returns the same
    prices as before the days moved, under the moved dates.
    """

    def moved(method: Any, owner: type) -> Callable:
        def load(self: Strategy, *arguments: Any) -> "xr.DataArray":
            function = method.__get__(self, owner)
            end = market_data.data_end()
            if _shifting.get() or end is None:
                return function(*arguments)
            token = _shifting.set(True)
            try:
                with market_data.ending_on(np.datetime64(end, "D") - by):
                    loaded = function(*arguments)
                return loaded.assign_coords(time=loaded.time.values + by)
            finally:
                _shifting.reset(token)

        return load

    with ExitStack() as stack:
        for owner in kind.__mro__:
            for name in ("load_data", "load_range"):
                if issubclass(owner, Strategy) and name in vars(owner):
                    stack.enter_context(patch.object(owner, name, moved(vars(owner)[name], owner)))
        yield


_recording: ContextVar[set[str] | None] = ContextVar("recording", default=None)
_hooked: list[bool] = []


@contextmanager
def recorded_files(found: set[str]) -> Iterator[None]:
    """Record files and connections that functions open.

    Their names are added to `found`. Reads by the platform's library, by an import or by Python itself do not
    count, nor do reads in other threads.
    """
    if not _hooked:
        sys.addaudithook(_record)  # which cannot be removed again; outside of the ``with`` it does nothing
        _hooked.append(True)
    token = _recording.set(found)
    try:
        yield
    finally:
        _recording.reset(token)


def _record(event: str, arguments: tuple) -> None:
    if event not in ("open", "socket.connect", "sqlite3.connect", "subprocess.Popen"):
        return
    found = _recording.get()
    if found is None:
        return
    what = arguments[0]
    if event == "open":
        if not isinstance(what, str | bytes):
            return
        written = isinstance(arguments[1], str) and not set(arguments[1]).isdisjoint("wax")
        name = os.fsdecode(what)
        if written or name.startswith(("/proc", "/dev", "/sys")) or name.endswith((".py", ".pyc")):
            return
    frame: Any = sys._getframe(1)
    while frame is not None:  # from the innermost call outwards
        module = frame.f_globals.get("__name__", "")
        if module.startswith(NO_READS) or module == __name__:
            return
        if is_of_user_file(frame.f_code.co_filename):
            found.add(os.path.basename(os.fsdecode(what)) if event == "open" else event)
            return
        frame = frame.f_back


def in_child(function: Callable[[], Result]) -> Result | None:
    """Return a function's result from a child process.

    The child is a copy of this process, which keeps nothing of the call. The result is None where processes
    cannot be copied safely (all systems but Linux), or where the copy dies or takes more than `SECONDS`.
    """
    if sys.platform != "linux":
        return None
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(function, writer))
    child.start()
    writer.close()
    try:
        return reader.recv() if reader.poll(SECONDS) else None
    except EOFError:  # the copy died
        return None
    finally:
        reader.close()
        child.kill()
        child.join()


def _send(function: Callable[[], Any], writer: Connection) -> None:
    sys.stdout = sys.stderr = io.StringIO()
    if "torch" in sys.modules:  # its pool of threads is not copied with the process
        sys.modules["torch"].set_num_threads(1)
    writer.send(function())
