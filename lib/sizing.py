"""The sizings, from a day's outputs to raw weights: yours to change.

A sizing takes the outputs (asset,) of the selected assets that are liquid on the day, and the strategy. A
sizing of three arguments, (outputs, data, strategy), also takes the lookback window (field, time, asset) of
exactly these assets. It returns their raw weights (asset,); a negative one is a short position, which only
some competitions allow.

The engine blends raw weights with the positions of the day before, drops weights below `min_weight`, and
scales the rest down where their absolute values add up to more than 1: only proportions matter. A raw weight
of 0 closes a position by and by: with ``blend="mean"`` half of it is left. NaN closes it at once.
"""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lib.common.competitions import rules_of
from lib.common.errors import WrongTypeError, WrongValueError
from lib.common.market_data import field
from lib.common.registry import Choices, name_of

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

sizing = Choices("sizing")


@sizing
def as_output(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the outputs unchanged.

    This is the published sizing. Outputs near one half add up to far more than 1, so that scaling turns them
    into nearly equal weights. It is long only: a weight that is negative after its blend is dropped.
    """
    return outputs


@sizing
def signed(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the outputs unchanged, with short positions.

    A negative output makes a short position.
    """
    return outputs


@sizing
def above_half(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return shares of the outputs' excess over one half.

    Each excess is divided by the sum of all; the shares are 0 where no output is above one half.
    """
    return _shares(np.maximum(outputs - 0.5, 0.0))


@sizing
def ranked(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return the shares of the outputs' ranks.

    Each rank, 1 for the lowest, is divided by the sum of the ranks; equal outputs share a mean rank.
    """
    return _shares(_ranks(outputs))


@sizing
def long_short(outputs: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return long and short weights by rank.

    The upper half of the ranks has equal long weights, the lower half equal short weights. Each half has half
    of the capital. The middle one of an odd number has none; equal outputs share a rank, so that equal
    outputs of all assets make no position.
    """
    side = np.sign(_ranks(outputs) - (len(outputs) + 1) / 2)
    return (_shares((side > 0).astype(float)) - _shares((side < 0).astype(float))) / 2


@sizing
def inverse_volatility(
    outputs: np.ndarray, data: "xr.DataArray", strategy: "Parameters", days: int = 60
) -> np.ndarray:
    """Return the outputs divided by each asset's volatility.

    The results are shares of the sum of their absolute values. Volatility is the standard deviation of the
    last `days` daily returns, or of as many as the lookback window has. An asset whose price does not move
    has no weight.
    """
    with np.errstate(all="ignore"):
        close = field(data, "close")
        returns = close[1:] / close[:-1] - 1
        returns = np.where(np.isfinite(returns), returns, np.nan)[-days:]
        known = np.isfinite(returns).sum(axis=0)
        mean = np.nansum(returns, axis=0) / known
        volatility = np.sqrt(np.nansum((returns - mean) ** 2, axis=0) / known)
        parts = np.where(volatility > 0, outputs / volatility, 0.0)
    return _shares(parts)


def _ranks(outputs: np.ndarray) -> np.ndarray:
    """Return the ranks of the outputs.

    The lowest has rank 1, and equal outputs share a mean rank.
    """
    _, place, count = np.unique(outputs, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _shares(parts: np.ndarray) -> np.ndarray:
    total = np.abs(parts).sum()
    return parts / total if total > 0 else parts


def sees_window(function: Callable) -> bool:
    """Return True if a sizing takes the data.

    Such a sizing is a function of (outputs, data, strategy), another one of (outputs, strategy). Further
    parameters have defaults.

    Raises
    ------
    TypeError
        It takes another number of arguments.
    """
    signature = _signature if inspect.isfunction(function) else inspect.signature
    try:
        parameters = signature(function).parameters.values()
    except ValueError:  # of a function in C
        return False
    positional = [each for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    needed = sum(each.default is each.empty for each in positional)
    most = 2 if any(each.kind is each.VAR_POSITIONAL for each in parameters) else len(positional)
    if needed == 3 or needed <= 2 <= most:
        return needed == 3
    raise WrongTypeError(
        f"sizing {name_of(function)} must take (outputs, strategy) or (outputs, data, strategy); further "
        "parameters need defaults."
    )


_signature = functools.lru_cache(maxsize=64)(inspect.signature)  # needed on every day of a contest


def check_shorts(function: Callable, raw: np.ndarray, strategy: "Parameters") -> None:
    """Check that a sizing makes only allowed short positions.

    Negative raw weights raise an error in a long-only competition.
    """
    if (raw < 0).any() and rules_of(strategy.competition_type).long_only:
        raise WrongValueError(
            f"sizing {name_of(function)} returns negative weights, but {strategy.competition_type} is long "
            "only: return 0 or more, or choose another sizing or competition_type."
        )
