"""The examples of a training window: selected assets with their sequences and targets."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.market_data import check_data
from lib.engine.inputs import get_target_classes, model_inputs, select_assets
from lib.engine.warm_up import check_training_window

if TYPE_CHECKING:
    import xarray as xr

    from lib.parameters import Parameters


class TrainingSet(NamedTuple):
    """The examples of one training window: the selected assets, and the sequence and target of each."""

    window: tuple[np.datetime64, np.datetime64]  # first and last day
    assets: list[str]
    examples: dict[str, tuple[np.ndarray, np.ndarray]]  # of each (time, feature) and (time,), float32
    warnings: list[str]  # sentences on features that leave few days


def training_set_of(data: "xr.DataArray", strategy: "Parameters") -> TrainingSet:
    """Apply the strategy's selection, features and target to a training window; raises as `train_model`."""
    data = check_data(data)
    assets = select_assets(data, strategy)
    first, last = data.time.values[[0, -1]].astype("M8[D]")
    if not assets:
        return TrainingSet((first, last), [], {}, [])
    x, known = model_inputs(data, strategy, assets)
    sentences = check_training_window(x, data, strategy, assets)
    return TrainingSet((first, last), assets, _examples(x, known, data, strategy, assets), sentences)


def training_examples(
    data: "xr.DataArray", strategy: "Parameters", assets: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Compute by asset the sequence (time, feature) and the target (time,), float32, without unknown days."""
    return _examples(*model_inputs(data, strategy, assets), data, strategy, assets)


def _examples(
    x: np.ndarray, known: np.ndarray, data: "xr.DataArray", strategy: "Parameters", assets: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    y = get_target_classes(data, strategy, assets).values.T.astype(np.float32)
    known = known & np.isfinite(y)
    return {asset: (x[k][known[k]], y[k][known[k]]) for k, asset in enumerate(assets)}


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
