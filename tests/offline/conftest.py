"""Fixtures of the stand-in's tests. All but those marked `offline_only` hold for the real library too."""

from pathlib import Path

import pytest

from tests.conftest import REAL


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "offline_only: about qnt not being installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if REAL and item.get_closest_marker("offline_only"):
            item.add_marker(pytest.mark.skip(reason="about qnt not being installed"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test writes stays in its own folder."""
    monkeypatch.chdir(tmp_path)
