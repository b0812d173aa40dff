"""Random numbers that are the same on every machine and in every version of numpy."""

import numpy as np
from numpy.random import PCG64


def bits(seed: int, purpose: int) -> PCG64:
    """Return the stream of raw bits for one purpose; streams do not depend on each other."""
    return PCG64([seed, purpose])


def uniform(source: PCG64, *shape: int) -> np.ndarray:
    """Return numbers uniform in [0, 1)."""
    # numpy promises to keep the raw bits of a bit generator, but not what Generator makes of them.
    return (source.random_raw(shape) >> np.uint64(11)) * 2.0**-53


def normal(source: PCG64, *shape: int) -> np.ndarray:
    """Return nearly standard normal numbers, sums of twelve uniform ones; log and cos differ by machine."""
    total = uniform(source, *shape)
    for _ in range(11):
        total += uniform(source, *shape)
    return total - 6


def draw(source: PCG64, flags: np.ndarray, count: int) -> list[int]:
    """Return up to `count` random positions at which `flags` is true."""
    among = np.flatnonzero(flags)
    order = np.argsort(uniform(source, len(among)), kind="stable")
    return among[order[: max(0, count)]].tolist()
