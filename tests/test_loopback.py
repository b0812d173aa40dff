import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import xarray as xr

from tests.conftest import LAST_DAY, REAL
from tests.loopback import Service, foreign_id, serving
from tests.processes import run_python
from tests.vectors import CONFORMANCE

LOAD_AND_WRITE = """
import sys, warnings
warnings.simplefilter("ignore")
import qnt.data, qnt.output, xarray as xr
first = qnt.data.stocks.load_ndx_data(tail=60)
one = qnt.data.stocks.load_ndx_data(assets=[sys.argv[1]], tail=60)
qnt.output.write(first.sel(field="close") * 0 + 0.01)
print("LOADED", *first.asset.values.tolist())
print("ASKED", *one.asset.values.tolist(), int(one.sel(field="close").notnull().sum()))
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving(CONFORMANCE / "market.nc", foreign_ids=True) as server:
        yield server


def _liquid(service: Service, days: int = 41) -> list[str]:
    window = service.market.sel(time=slice(None, LAST_DAY))[:, -days:]
    return window.asset.values[(window.sel(field="is_liquid") > 0).any("time").values].tolist()


def test_foreign_ids_stand_beside_symbol_and_exchange(service: Service) -> None:
    address = f"{service.url}assets?min_date=2024-11-01&max_date={LAST_DAY}&type=NDX100"
    entries = json.load(urlopen(address))
    names = [f"{entry['exchange']}:{entry['symbol']}" for entry in entries]
    assert names
    assert set(names) <= set(service.market.asset.values.tolist())
    assert [entry["id"] for entry in entries] == [foreign_id(name) for name in names]
    assert sorted(map(foreign_id, names)) != [foreign_id(name) for name in sorted(names)]


def test_data_are_asked_for_and_answered_by_foreign_id(service: Service, tmp_path: Path) -> None:
    name, other = service.market.asset.values[:2].tolist()
    request = {"assets": [foreign_id(name), other], "min_date": "2024-11-01", "max_date": LAST_DAY}
    (tmp_path / "answer.nc").write_bytes(
        urlopen(Request(f"{service.url}data", json.dumps(request).encode())).read()
    )
    answer = xr.load_dataarray(tmp_path / "answer.nc", engine="scipy")
    assert answer.asset.values.tolist() == [foreign_id(name)]
    expected = service.market.sel(asset=[name], time=slice("2024-11-01", LAST_DAY))
    xr.testing.assert_equal(answer.drop_vars("asset"), expected.drop_vars("asset"))


@pytest.mark.skipif(not REAL, reason="only the real library translates ids")
@pytest.mark.parametrize("submission", ["", "-1"])
def test_the_real_library_shows_names_and_writes_foreign_ids(
    service: Service, tmp_path: Path, submission: str
) -> None:
    variables = {"DATA_BASE_URL": f"{service.url}last/{LAST_DAY}/", "TRACKING_HOST": service.url}
    variables |= {"OUTPUT_PATH": str(tmp_path / "weights.nc.gz"), "SUBMISSION_ID": submission}
    names = _liquid(service)
    shown = [foreign_id(name) for name in names] if submission else names
    output, _ = run_python(LOAD_AND_WRITE, shown[0], cwd=tmp_path, **variables)
    assert f"LOADED {' '.join(sorted(shown))}" in output
    assert f"ASKED {shown[0]} 0" not in output
    (tmp_path / "weights.nc").write_bytes(gzip.decompress((tmp_path / "weights.nc.gz").read_bytes()))
    weights = xr.load_dataarray(tmp_path / "weights.nc")
    assert sorted(weights.asset.values.tolist()) == sorted(map(foreign_id, names))
    assert (tmp_path / "id-translation.csv").exists() == (not submission)
