"""The check that features have values within the strategy's windows.

Windows are calendar days, and the days that a feature needs before its first value are trading days.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lib.common.errors import WrongValueError
from lib.common.registry import label
from lib.engine.inputs import one_feature

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

LONGEST = 4_000  # trading days tried to find out how many a feature needs
HOLIDAYS = 10  # most calendar days in a row on which a market is closed


def check_training_window(
    x: np.ndarray, data: "xr.DataArray", strategy: "Parameters", assets: list[str]
) -> list[str]:
    """Check that the models train on at least half of the window's days, `x` being (asset, time, feature).

    Return a sentence for each feature that begins later.

    Raises
    ------
    ValueError
        A feature needs more days than the window has, so that nothing can be trained.
    """
    days = x.shape[1]
    known = np.isfinite(x).any(axis=0)  # (time, feature)
    if known[days // 2].all() or not _is_complete(data, strategy.train_period):
        return []
    sentences = []
    for number, item in enumerate(strategy.features):
        if not known[:, number].any():
            _refuse(item, "train_period", data, strategy, assets)
            continue
        first = int(known[:, number].argmax())
        if first * 2 > days:
            period = _calendar_days(2 * first, days, strategy.train_period)
            sentences.append(
                f"Feature {label(item)} has no value on the first {first} of the {days} trading days of a "
                f"training window: the models train on {days - first} days. Set train_period to {period} or "
                "more to train on as many days as the feature needs, or shorten the feature."
            )
    return sentences


def check_lookback_window(data: "xr.DataArray", strategy: "Parameters", assets: list[str]) -> None:
    """Check that the features can have a value on the last day, where no asset has all of them.

    Raises
    ------
    ValueError
        A feature needs more days than the window has.
    """
    if _is_complete(data, strategy.lookback_period):
        for item in strategy.features:
            _refuse(item, "lookback_period", data, strategy, assets)


def check_model_window(data: "xr.DataArray", strategy: "Parameters", name: str) -> None:
    """Check that the days of data hold the model's window; `name` is the parameter that limits them.

    Raises
    ------
    ValueError
        The window is longer.
    """
    days, period = data.sizes["time"], getattr(strategy, name)
    if strategy.window > days and _is_complete(data, period):
        raise WrongValueError(
            f"window={strategy.window} trading days is longer than {name}={period} calendar days, which hold "
            f"{days} trading days: set {name} to {_calendar_days(strategy.window, days, period)} or more, or "
            "shorten the window."
        )


def _refuse(
    item: str | Callable, name: str, data: "xr.DataArray", strategy: "Parameters", assets: list[str]
) -> None:
    """Raise the error if the feature has a value on the last day of longer data only."""
    days, period = data.sizes["time"], getattr(strategy, name)
    needed = _days_needed(item, data, strategy, assets)
    if needed is None or needed <= days:
        return
    raise WrongValueError(
        f"Feature {label(item)} has its first value on trading day {needed}, but {name}={period} calendar "
        f"days hold only {days} trading days: set {name} to {_calendar_days(needed, days, period)} or more, "
        "or shorten the feature."
    )


def _days_needed(
    item: str | Callable, data: "xr.DataArray", strategy: "Parameters", assets: list[str]
) -> int | None:
    """Return the trading days up to the first value of a feature; None where it has none in any case.

    The data are repeated, in front of themselves, until the feature has a value.
    """
    days, last = data.sizes["time"], data.time.values[-1]
    times = 1
    while times * days < LONGEST:
        times *= 2
        longer = data.isel(time=np.tile(np.arange(days), times))
        ago = np.arange(times * days)[::-1] * np.timedelta64(1, "D")
        try:
            values = one_feature(item, longer.assign_coords(time=last - ago), strategy, assets)
        except Exception:  # of the user's own function, on data it was not made for
            return None
        if (known := np.isfinite(values).any(axis=1)).any():
            return int(known.argmax()) + 1
    return None


def _calendar_days(trading_days: int, days: int, period: int) -> int:
    """Return the calendar days that hold so many trading days, if `period` of them hold `days`."""
    return -(-trading_days * period // days) + HOLIDAYS


def _is_complete(data: "xr.DataArray", period: int) -> bool:
    """Return True if the data span the whole period, and do not begin later."""
    first, last = data.time.values[[0, -1]].astype("M8[D]")
    return bool((last - first).astype(int) >= period - HOLIDAYS)
