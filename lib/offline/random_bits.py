"""How to draw random numbers that are the same on every machine and in every version of numpy?"""

import numpy as np
from numpy.random import PCG64


def bits(seed: int, purpose: int) -> PCG64:
    """One stream per purpose, so that a change to one leaves the others as they are."""
    return PCG64([seed, purpose])


def uniform(source: PCG64, *shape: int) -> np.ndarray:
    """Evenly between 0 and 1, 1 excluded."""
    # numpy promises to keep the raw bits of a bit generator, but not what Generator makes of them.
    return (source.random_raw(shape) >> np.uint64(11)) * 2.0**-53


def normal(source: PCG64, *shape: int) -> np.ndarray:
    """Nearly standard normal: a sum of twelve uniform numbers, log and cos being no two machines' same."""
    total = uniform(source, *shape)
    for _ in range(11):
        total += uniform(source, *shape)
    return total - 6


def draw(source: PCG64, flags: np.ndarray, count: int) -> list[int]:
    """Some of the positions where `flags` is true, at most `count` of them."""
    among = np.flatnonzero(flags)
    order = np.argsort(uniform(source, len(among)), kind="stable")
    return among[order[: max(0, count)]].tolist()
