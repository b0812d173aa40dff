"""The sizings, from the models' outputs of a day to raw weights: yours to change.

A sizing takes the outputs (asset,) of the selected assets that are liquid on the day, and the strategy, and
returns their raw weights (asset,), finite and 0 or more. Only their proportions to each other and to the
weights of the day before matter: they are blended with those, and scaled down where their sum is above 1.
"""

from typing import TYPE_CHECKING

import numpy as np

from lib.common.registry import Choices

if TYPE_CHECKING:
    from lib.parameters import Parameters

sizing = Choices("sizing")


@sizing
def as_output(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the outputs as they are: the published sizing.

    Outputs near one half add up to far more than 1, so that scaling turns them into nearly equal weights.
    """
    return outputs


@sizing
def above_half(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Weight each output by its part above one half, as a share of the sum of these parts."""
    return _shares(np.maximum(outputs - 0.5, 0.0))


@sizing
def ranked(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Weight each output by its rank, 1 for the lowest, as a share of the sum; ties share a mean rank."""
    _, place, count = np.unique(outputs, return_inverse=True, return_counts=True)
    return _shares((np.cumsum(count) - (count - 1) / 2)[place])


def _shares(parts: np.ndarray) -> np.ndarray:
    total = parts.sum()
    return parts / total if total > 0 else parts
