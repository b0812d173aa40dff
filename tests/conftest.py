"""The setup of all tests: one market, whichever `qnt` answers, and no environment variable left over.

Where the real library is installed a loopback service gives it its data, else the stand-in reads the same
market from a file. Both read variables when they are imported, so this happens before any test module is.
With `QNT_FOREIGN_IDS=1` the loopback service has ids of its own, which the real library translates.
"""

import atexit
import importlib
import importlib.util
import os
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import xarray as xr
from hypothesis import settings

from tests.loopback import foreign_id, serving
from tests.vectors import CONFORMANCE

FOREIGN_IDS = os.environ.get("QNT_FOREIGN_IDS", "") not in ("", "0")
_spec = importlib.util.find_spec("qnt")
STAND_IN = Path(__file__).parents[1] / "lib" / "offline"
REAL = bool(_spec and _spec.origin and STAND_IN not in Path(_spec.origin).parents)
LAST_DAY = "2024-12-30"
SETTINGS = ["SUBMISSION_ID", "MULTI_PASS_MODE_ENABLED", "IN_STATE_PATH", "OUT_STATE_PATH", "OUTPUT_PATH"]
SETTINGS += ["LAST_DATA_PATH", "STRATEGY_ID"]

# seconds are measured in tests/benchmarks only; every run draws the same examples
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")
_cleanup = ExitStack()
atexit.register(_cleanup.close)
for name in SETTINGS:
    os.environ.pop(name, None)
os.environ["NONINTERACT"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred processes would each compile the project again
sys.dont_write_bytecode = False
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: more would wait for each other
if REAL:
    server = _cleanup.enter_context(serving(CONFORMANCE / "market.nc", FOREIGN_IDS))
    cache = _cleanup.enter_context(tempfile.TemporaryDirectory())
    os.environ |= {"DATA_BASE_URL": f"{server.url}last/{LAST_DAY}/", "TRACKING_HOST": server.url}
    os.environ |= {"API_KEY": "default", "CACHE_RETENTION": "0", "CACHE_DIR": cache}
    with warnings.catch_warnings():  # its warnings are not ours to fix
        warnings.simplefilter("ignore")
        importlib.import_module("qnt.backtester")
        importlib.import_module("progressbar.bar")  # keeps the stderr of its import, which must outlive tests
        ids = importlib.import_module("qnt.data.id_translation")
        stocks = importlib.import_module("qnt.data.stocks")
    ids.TRANSLATION_TABLE_FILE_NAME = str(Path(cache) / ids.TRANSLATION_TABLE_FILE_NAME)  # not in the project
    stocks.setup_ids()  # asks once whether there are foreign ids: not of a test's own market
else:
    os.environ |= {"DATA_BASE_URL": f"http://localhost/last/{LAST_DAY}/"}
    os.environ |= {"QNT_OFFLINE_MARKET": str(CONFORMANCE / "market.nc")}
    importlib.import_module("lib")  # from here on `import qnt` finds the stand-in


def pytest_configure(config: pytest.Config) -> None:
    """Leave the real library's own warnings, unclosed files above all, out of "warnings are errors"."""
    if REAL:
        for kind in (":qnt", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
            config.addinivalue_line("filterwarnings", f"ignore::{kind}")


def pytest_report_header() -> str:
    if not REAL:
        return "qnt: the stand-in"
    return f"qnt: the real library, {'foreign' if FOREIGN_IDS else 'plain'} ids"


@pytest.fixture
def use_market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[xr.DataArray], None]:
    """Let the loaders of whichever `qnt` answers read another market for the length of a test."""

    def use(market: xr.DataArray) -> None:
        if REAL:
            monkeypatch.setattr(server, "market", market)
            for name in market.asset.values.tolist() if FOREIGN_IDS else []:
                ids.get_or_create_translation(foreign_id(name), name)  # as if it had been liquid once
        else:
            path = tmp_path / "market.nc"
            market.to_netcdf(path, engine="scipy")
            monkeypatch.setenv("QNT_OFFLINE_MARKET", str(path))

    return use


@pytest.fixture
def here(monkeypatch):
    """Run the contest's passes in this process; `months` lists them, Ctrl-C comes after `stop` of them."""
    calls = SimpleNamespace(months=[], stop=None)

    def run_all(jobs, **where):
        for name, blob in jobs.items():
            if calls.stop is not None and len(calls.months) >= calls.stop:
                raise KeyboardInterrupt
            function, arguments = pickle.loads(blob)
            try:
                answer = function(*arguments)
            except ValueError as error:
                answer = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
            calls.months.append((name, len(arguments[2])))
            yield name, answer, ""

    monkeypatch.setattr("lib.contest.all_days.run_all", run_all)
    return calls


class Bar:
    """A progress bar that counts its steps."""

    def __init__(self, **options):
        self.options, self.steps = options, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, number=1):
        self.steps.append(number)


@pytest.fixture
def bars(monkeypatch):
    """Replace the progress bars of a module, and return the list of those that it makes."""

    def replace_in(module):
        made: list[Bar] = []

        def make(**options):
            made.append(Bar(**options))
            return made[-1]

        monkeypatch.setattr(module, "tqdm", make)
        return made

    return replace_in
