"""Fingerprints of the market, and versions, change with what a run depends on, and with nothing else."""

import numpy as np

from lib.runs.provenance import market_fingerprint, versions
from lib.strategy import Strategy
from tests.vectors import vector


def test_the_market_fingerprint_changes_with_values_and_labels_only():
    data = vector("loaded").isel(time=slice(-20, None))
    before = market_fingerprint(data)
    assert market_fingerprint(data.transpose("asset", "time", "field")) == before
    other_nan = data.copy()
    other_nan.values[np.isnan(other_nan.values)] = -np.float64("nan")
    assert market_fingerprint(other_nan) == before
    raised = data.copy()
    raised.values[1, 5, 7] *= 1 + 1e-15
    changed = [raised, data[:, 1:], data[:, :, 1:], data.assign_coords(asset=data.asset.values[::-1])]
    assert len({before, *map(market_fingerprint, changed)}) == 1 + len(changed)


def test_versions_name_torch_only_where_it_is_used():
    without = versions(Strategy(model="constant"))
    assert "torch" not in without
    assert {"python", "qnt", "numpy", "pandas", "xarray"} <= without.keys()
    assert "torch" in versions(Strategy(model=lambda n_features, strategy: None))
