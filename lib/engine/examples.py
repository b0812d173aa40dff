"""The examples of a training window: selected assets with their sequences and targets."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.market_data import check_data
from lib.engine.inputs import model_inputs, select_assets, target_values, with_unknown
from lib.engine.learners import kind_of
from lib.engine.warm_up import check_model_window, check_training_window

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters


class TrainingSet(NamedTuple):
    """The examples of one training window: the selected assets with their features and targets."""

    window: tuple[np.datetime64, np.datetime64]  # first and last day
    assets: list[str]
    x: np.ndarray  # features (asset, time, feature)
    y: np.ndarray  # targets (asset, time)
    known: np.ndarray  # days with all features and a target, (asset, time)
    horizon: int  # last days whose target is not known yet
    warnings: list[str]  # sentences on features that leave few days

    @property
    def examples(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return by asset the sequence (time, feature) and the target (time,) of its known days."""
        return {
            asset: (self.x[k][self.known[k]], self.y[k][self.known[k]]) for k, asset in enumerate(self.assets)
        }


def training_set_of(data: "xr.DataArray", strategy: "Parameters") -> TrainingSet:
    """Apply the strategy's selection, features and target to a training window; raises as `train_model`."""
    data = check_data(data)
    return set_of_assets(data, strategy, select_assets(data, strategy))


def set_of_assets(data: "xr.DataArray", strategy: "Parameters", assets: list[str]) -> TrainingSet:
    """Return the training set of given assets; see `training_set_of`."""
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
    """Yield assets whose sequences are equally long, with their sequences and targets stacked."""
    for assets in equally_long({asset: x for asset, (x, _) in examples.items()}):
        x, y = (np.stack([examples[asset][part] for asset in assets]) for part in (0, 1))
        yield assets, x, y


def in_chunks(function: Callable[..., list], x: np.ndarray, y: np.ndarray, most: int) -> list:
    """Apply `function` to chunks of at most so many assets, and chain the results.

    Chunks have equal sizes, since a small one is hardly sooner done.
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
