"""Answers to a question about a day, and the differences between two of them."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from lib.lookahead.questions import Questions

OF_SPREAD = 1e-6  # of an asset's standard deviation in the answer
OF_LARGEST = 1e-12  # of the largest number in the answer, where it was computed in double precision
OF_LARGEST_SINGLE = 1e-6  # the same, where every number is a single-precision one

Result = TypeVar("Result")
# Numbers (..., time, asset), or the error that was raised in their place.
Answer = np.ndarray | str


class Difference(NamedTuple):
    """The place where two answers first differ, and by how much at most."""

    days_before: int  # from the last day of the answer to the first day that differs
    asset: int
    size: float  # infinite where values only appear, vanish or could not be had
    error: str = ""


def answers_to(questions: Questions) -> dict[str, Answer]:
    """By stage the answers; an error of the user's functions takes the place of an answer."""
    return {stage: answer_to(ask) for stage, ask in questions.items()}


def answer_to(ask: Callable[[], Result]) -> Result | str:
    """What `ask` returns, or the error that it raised."""
    try:
        return ask()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def difference(base: Answer, answer: Answer) -> Difference | None:
    """The difference between two answers, None where they are the same up to rounding."""
    if isinstance(base, str) or isinstance(answer, str):
        return None if isinstance(base, type(answer)) and base == answer else _error(base, answer)
    with np.errstate(all="ignore"):
        size = np.abs(answer - base)
        same = (answer == base) | (np.isnan(answer) & np.isnan(base)) | (size <= _tolerance(base))
    if same.all():
        return None
    day, asset = np.argwhere(~same.reshape(-1, *same.shape[-2:]).all(axis=0))[0].tolist()
    largest = float(size[~same & np.isfinite(size)].max(initial=0)) or np.inf
    return Difference(base.shape[-2] - 1 - day, asset, largest)


def _error(base: Answer, answer: Answer) -> Difference:
    error = answer if isinstance(answer, str) else base
    return Difference(0, 0, np.inf, str(error))


def _tolerance(base: np.ndarray) -> np.ndarray:
    """The largest difference (asset,) that is rounding.

    A number computed from a whole window, by a Fourier transform for example, is rounded relative to the
    window's numbers, not to its own size, which may be near 0. So the tolerance follows the asset's standard
    deviation over the answer; its factor lies far above rounding (1e-16 times some hundred operations), and a
    leak of 1e-4 of a series lies 100 times above it. Numbers that hardly move, such as a rank that stays the
    same, are rounded relative to their size, or to the other assets'.
    """
    finite = np.where(np.isfinite(base), base, np.nan)
    known = ~np.isnan(finite)
    count = np.maximum(known.sum(axis=tuple(range(base.ndim - 1))), 1)
    numbers = np.where(known, finite, 0)
    largest = np.abs(numbers).max(initial=0)
    mean = numbers.sum(axis=tuple(range(base.ndim - 1))) / count
    squares = np.where(known, (numbers - mean) ** 2, 0).sum(axis=tuple(range(base.ndim - 1)))
    single = (numbers.astype(np.float32) == numbers).all()
    return OF_SPREAD * np.sqrt(squares / count) + (OF_LARGEST_SINGLE if single else OF_LARGEST) * largest
