"""Differences of systems: Windows has neither fork nor signals, and links for administrators only."""

import os
import shutil
import sys
from pathlib import Path

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has neither fork nor SIGKILL")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are processes copied")
needs_limits = pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of resources")
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
needs_permissions = pytest.mark.skipif(os.name == "nt", reason="Windows knows read-only files, no modes")
needs_links = pytest.mark.skipif(os.name == "nt", reason="Windows allows links to administrators only")
needs_bash = pytest.mark.skipif(os.name == "nt", reason=".ci/run is a script for bash")


def link_or_copy(source: Path, target: Path) -> None:
    """Make a link to a file or folder, or a copy of it where links are not allowed."""
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
