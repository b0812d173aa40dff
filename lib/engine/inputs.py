"""The inputs of models, checked, as training sets.

They are the user's selection, features and target, applied to data. Windows are calendar days, and the days
that a feature needs before its first value are trading days.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.common.errors import WrongValueError
from lib.common.market_data import check_data, field
from lib.common.registry import find, label, name_of, needs_universe
from lib.engine.learners import dtype_of, kind_of
from lib.features import feature, target
from lib.universe import selection

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters

    Array = np.ndarray | xr.DataArray

KEEP = "It must keep each of them, in order, with NaN where it has no value."
LONGEST = 4_000  # trading days tried to find out how many a feature needs
HOLIDAYS = 10  # most calendar days in a row on which a market is closed


class TrainingSet(NamedTuple):
    """The examples of one training window.

    They are the selected assets with their features and targets.
    """

    window: tuple[np.datetime64, np.datetime64]  # first and last day
    assets: list[str]
    x: np.ndarray  # features (asset, time, feature)
    y: np.ndarray  # targets (asset, time)
    known: np.ndarray  # days with all features and a target, (asset, time)
    horizon: int  # last days whose target is not known yet
    warnings: list[str]  # sentences on features that leave few days

    @property
    def examples(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the examples of each asset's known days.

        The result has by asset the sequence (time, feature) and the target (time,).
        """
        return {
            asset: (self.x[k][self.known[k]], self.y[k][self.known[k]]) for k, asset in enumerate(self.assets)
        }


def training_set_of(data: "xr.DataArray", strategy: "Parameters") -> TrainingSet:
    """Return the training set of a training window.

    The strategy's selection, features and target are applied to the data. The errors are the same as of
    `train_model`.
    """
    data = check_data(data)
    return set_of_assets(data, strategy, select_assets(data, strategy))


def set_of_assets(data: "xr.DataArray", strategy: "Parameters", assets: list[str]) -> TrainingSet:
    """Return the training set of given assets.

    `training_set_of` does the same for the selected assets.
    """
    first, last = data.time.values[[0, -1]].astype("M8[D]")
    if not assets:
        none = np.empty((0, 0))
        return TrainingSet((first, last), [], none[..., None], none, none.astype(bool), 0, [])
    x, known = model_inputs(data, strategy, assets)
    check_model_window(data, strategy, "train_period")
    rule = kind_of(strategy) == "rule"  # which does not train on the days
    sentences = [] if rule else check_training_window(x, data, strategy, assets)
    target = target_values(data, strategy, assets)
    labelled = np.isfinite(target).any(axis=1)
    horizon = int(labelled[::-1].argmax()) if labelled.any() else 0
    y = with_unknown(target, strategy).T.astype(x.dtype)
    return TrainingSet((first, last), assets, x, y, known & np.isfinite(y), horizon, sentences)


def stacked(
    examples: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    """Yield groups of assets with equally long sequences.

    Each item has the names of the assets, their stacked sequences and their stacked targets.
    """
    for assets in equally_long({asset: x for asset, (x, _) in examples.items()}):
        x, y = (np.stack([examples[asset][part] for asset in assets]) for part in (0, 1))
        yield assets, x, y


def in_chunks(function: Callable[..., list], x: np.ndarray, y: np.ndarray, most: int) -> list:
    """Apply a function to chunks of assets.

    A chunk has at most `most` assets, and the results of all chunks are chained. Chunks have equal sizes,
    since a small one takes hardly less time.
    """
    chunks = max(1, -(-len(x) // most))
    parts = zip(np.array_split(x, chunks), np.array_split(y, chunks), strict=True)
    return [result for part in parts for result in function(*part)]


def equally_long(inputs: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Group assets by the length of their sequences."""
    by_length: dict[int, list[str]] = {}
    for asset, x in inputs.items():
        by_length.setdefault(len(x), []).append(asset)
    return list(by_length.values())


def select_assets(data: "xr.DataArray", strategy: "Parameters") -> list[str]:
    """Select the assets to train and trade.

    They are in the order of `data` (field, time, asset). Only assets that are liquid on the last day are
    offered to the strategy's `selection`. The result is empty where no asset is liquid.

    Raises
    ------
    ValueError
        `data` is not in the platform's layout, or the selection does not return one bool per asset.
    """
    data = check_data(data)
    liquid = field(data, "is_liquid")[-1] > 0  # NaN is not
    if not liquid.any():
        return []
    offered = data.isel(asset=np.flatnonzero(liquid))
    chosen = np.asarray(find("selection", strategy.selection, selection)(offered, strategy))
    if chosen.dtype != bool or chosen.shape != (offered.sizes["asset"],):
        raise WrongValueError(
            f"selection must return one True or False for each of the {offered.sizes['asset']} assets given, "
            f"not an array of {chosen.dtype} with shape {chosen.shape}."
        )
    return offered.get_index("asset")[chosen].tolist()


def feature_names(strategy: "Parameters") -> list[str]:
    """Return the names of the strategy's features.

    A name is written as in the strategy. A function is given by its own name.
    """
    return [label(item) for item in strategy.features]


def feature_values(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> np.ndarray:
    """Compute the strategy's features of every day.

    They are (feature, time, asset), float64. The assets are all of `data`, or the names in `assets`, in their
    order. A day without a value is NaN or infinite; training and prediction leave it out.
    """
    return np.stack([one_feature(item, data, strategy, assets) for item in strategy.features])


def one_feature(
    item: str | Callable, data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> np.ndarray:
    """Compute one feature of every day.

    It is (time, asset), float64; see `feature_values`.
    """
    return _values_of(find("feature", item, feature), "feature", data, strategy, assets)


def get_target_classes(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> "xr.DataArray":
    """Compute the target of every day with labels.

    It has dims (time, asset), is float64, and has the same assets as `feature_values`. A day whose future is
    not known is 0, as published; with `leave_out_unknown` it is NaN and not trained on.
    """
    import xarray as xr

    data = check_data(data)
    values = with_unknown(target_values(data, strategy, assets), strategy)
    coords = {"time": data.time, "asset": data.asset if assets is None else assets}
    return xr.DataArray(values, dims=("time", "asset"), coords=coords)


def target_values(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> np.ndarray:
    """Compute the target of every day in numpy.

    It is (time, asset), float64, and NaN where the future is not known.
    """
    return _values_of(find("target", strategy.target, target), "target", data, strategy, assets)


def with_unknown(target: np.ndarray, strategy: "Parameters") -> np.ndarray:
    """Return a target with its label for unknown days.

    The future of an unknown day is not known. The strategy labels it 0, or leaves it NaN with
    `leave_out_unknown`.
    """
    return target if strategy.leave_out_unknown else np.where(np.isnan(target), 0.0, target)


def _values_of(
    function: Callable, kind: str, data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None
) -> np.ndarray:
    """Return the checked values of a feature or target.

    It is applied to `assets` of the data, or to all if it is marked with `whole_universe`.
    """
    places = slice(None) if assets is None else data.get_index("asset").get_indexer(assets)
    if assets is None or needs_universe(function):
        return _checked(function(data, strategy), data, kind, function)[:, places]
    chosen = data.isel(asset=places)
    return _checked(function(chosen, strategy), chosen, kind, function)


def model_inputs(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the models' inputs and their finite days.

    The inputs are features (asset, time, feature), float32 for a network and float64 for an estimator or a
    rule. The second array (asset, time) is True where all features are finite. The assets are all of `data`,
    or the names in `assets`, in their order.
    """
    with np.errstate(over="ignore"):
        values = feature_values(data, strategy, assets).transpose(2, 1, 0)
        x: np.ndarray = np.ascontiguousarray(values, dtype=dtype_of(strategy))
    return x, np.asarray(np.isfinite(x).all(axis=2))


def _checked(array: "Array", data: "xr.DataArray", kind: str, function: Callable) -> np.ndarray:
    """Check the array of a feature or target.

    Its dims, days and assets must be the same as in `data`. The result is (time, asset), float64.
    """
    place = f"{kind} {name_of(function)}"
    if not isinstance(array, np.ndarray):
        if set(getattr(array, "dims", ())) != {"time", "asset"}:
            got: Any = getattr(array, "dims", type(array).__name__)
            raise WrongValueError(f"{place} must return an array with dims time and asset, not {got}.")
        array = array.transpose("time", "asset")
        if any(not array.get_index(dim).equals(data.get_index(dim)) for dim in array.dims):
            raise WrongValueError(f"{place} returns other days or assets than it was given. {KEEP}")
        array = array.values
    if array.shape != data.shape[1:]:
        raise WrongValueError(
            f"{place} returns an array {array.shape} for {data.shape[1:]} days and assets. {KEEP}"
        )
    return array.astype(np.float64, copy=False)


# ---- the warm-up of features within the windows ----


def check_training_window(
    x: np.ndarray, data: "xr.DataArray", strategy: "Parameters", assets: list[str]
) -> list[str]:
    """Check that the features leave enough training days.

    The models should train on at least half of the window's days. `x` is (asset, time, feature). A sentence
    is returned for each feature that begins later.

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
    """Check that the lookback window suffices for the features.

    Each feature must be able to have a value on the last day. The check belongs to data in which no asset has
    all features on this day.

    Raises
    ------
    ValueError
        A feature needs more days than the window has.
    """
    if _is_complete(data, strategy.lookback_period):
        for item in strategy.features:
            _refuse(item, "lookback_period", data, strategy, assets)


def check_model_window(data: "xr.DataArray", strategy: "Parameters", name: str) -> None:
    """Check that the data hold the model's window.

    `name` is the parameter that limits the days of data.

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
    """Raise an error if a feature needs longer data.

    Such a feature has a value on the last day of longer data only.
    """
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
    """Return the trading days that a feature needs.

    They end with the first value of the feature. The result is None where the feature has no value in any
    case. The data are repeated, in front of themselves, until the feature has a value.
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
    """Convert a number of trading days to calendar days.

    `period` calendar days hold `days` trading days. The result has `HOLIDAYS` days more.
    """
    return -(-trading_days * period // days) + HOLIDAYS


def _is_complete(data: "xr.DataArray", period: int) -> bool:
    """Return True if the data span the whole period.

    They do not if they begin more than `HOLIDAYS` days late.
    """
    first, last = data.time.values[[0, -1]].astype("M8[D]")
    return bool((last - first).astype(int) >= period - HOLIDAYS)
