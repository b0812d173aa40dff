"""Indicators equal the platform's: by answers kept from it, and by its own where it is installed.

The arithmetic follows the platform's order of rounding. Beside the platform itself the results are equal bit
for bit; kept answers leave room for processors that round a product and a sum at once.
"""

import numpy as np
import pytest
import qnt.ta as qnta

from lib import indicators
from tests.conftest import REAL
from tests.indicators.cases import CALLS, VECTORS, answers, prices
from tests.switches import LONG
from tests.vectors import vector

MODULES = pytest.mark.parametrize("module", [indicators, qnta], ids=["lib.indicators", "qnt.ta"])
PUBLISHED = {
    "ta_lwma_close_10": ("lwma", "close", 10),
    "ta_sma_close_20": ("sma", "close", 20),
    "ta_ema_close_15": ("ema", "close", 15),
    "ta_roc_close_1": ("roc", "close", 1),
    "ta_shift_open_m1": ("shift", "open", -1),
}


@pytest.fixture(scope="module")
def stored():
    with np.load(VECTORS) as file:
        return dict(file)


@MODULES
@pytest.mark.parametrize("label", CALLS)
def test_stored_answers(label, module, stored):
    data = prices(0)
    data.values = stored["prices"]
    for k, found in enumerate(answers(module, label, data)):
        np.testing.assert_allclose(found.values, stored[f"{label} {k}"], rtol=1e-10, atol=1e-10)


def test_the_file_holds_what_the_generator_makes(stored):
    np.testing.assert_array_equal(stored["prices"], prices(0).values)
    assert {name.split()[0] for name in stored} == {"prices", *CALLS}
    assert VECTORS.stat().st_size < 60_000


@MODULES
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_market(name, module):
    function, field, periods = PUBLISHED[name]
    found = getattr(module, function)(vector("loaded").sel(field=field), periods)
    expected = vector(name)
    assert found.dims == expected.dims
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(not REAL, reason="compares with the real library")
@pytest.mark.parametrize("label", CALLS)
def test_equal_bit_for_bit(label):
    for seed in range(200 if LONG else 8):
        data = prices(seed, days=[38, 3, 120, 7][seed % 4])
        for convert in (lambda series: series, lambda series: series.to_pandas()):
            theirs, ours = (answers(module, label, data, convert) for module in (qnta, indicators))
            for expected, found in zip(theirs, ours, strict=True):
                assert type(found) is type(expected)
                np.testing.assert_array_equal(found, expected)
                if hasattr(expected, "dims"):
                    assert (found.dims, list(found.coords)) == (expected.dims, list(expected.coords))


@pytest.mark.skipif(not REAL, reason="compares with the real library")
@pytest.mark.parametrize("function", sorted({function for function, _, _ in CALLS.values()} - {"wma"}))
def test_equal_by_default(function):
    """Windows as long as the defaults, most of them longer than those of `CALLS`."""
    fields = next(fields for name, fields, _ in CALLS.values() if name == function)
    series = [prices(3, days=300).sel(field=field) for field in fields]
    with np.errstate(all="ignore"):
        theirs, ours = (getattr(module, function)(*series) for module in (qnta, indicators))
    if not isinstance(theirs, tuple):
        theirs, ours = (theirs,), (ours,)
    for expected, found in zip(theirs, ours, strict=True):
        np.testing.assert_array_equal(found.values, expected.values)
