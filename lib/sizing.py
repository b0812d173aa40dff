"""The sizings, from a day's outputs to raw weights: yours to change.

A sizing takes the outputs (asset,) of the selected assets that are liquid on the day, and the strategy. It
returns their raw weights (asset,), finite and 0 or more. The engine blends them with the weights of the day
before, and scales the result down where its sum is above 1: only proportions matter.
"""

from typing import TYPE_CHECKING

import numpy as np

from lib.common.registry import Choices

if TYPE_CHECKING:
    from lib.parameters import Parameters

sizing = Choices("sizing")


@sizing
def as_output(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the outputs unchanged: the published sizing.

    Outputs near one half add up to far more than 1, so that scaling turns them into nearly equal weights.
    """
    return outputs


@sizing
def above_half(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the shares of the outputs' excess over one half.

    Each excess is divided by the sum of all; the shares are 0 where no output is above one half.
    """
    return _shares(np.maximum(outputs - 0.5, 0.0))


@sizing
def ranked(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the shares of the outputs' ranks.

    Each rank, 1 for the lowest, is divided by the sum of the ranks; equal outputs share a mean rank.
    """
    _, place, count = np.unique(outputs, return_inverse=True, return_counts=True)
    return _shares((np.cumsum(count) - (count - 1) / 2)[place])


def _shares(parts: np.ndarray) -> np.ndarray:
    total = parts.sum()
    return parts / total if total > 0 else parts
