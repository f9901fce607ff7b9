"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest

from yoyak import messages


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long version of the fault tests")


@pytest.fixture(autouse=True)
def _english():
    """Messages are compared in English unless a test says otherwise."""
    with messages.speaking("en"):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the contest files and the real tokenizers; skipped by name where absent."""
    folder = Path(os.environ.get("YOYAK_SHARED", Path(__file__).parents[2] / "shared"))
    if folder.is_dir():
        return folder
    if os.environ.get("YOYAK_REQUIRE_SHARED") == "1":
        pytest.fail(f"YOYAK_REQUIRE_SHARED is set and {folder} is not there")
    pytest.skip(f"the contest files are not here: {folder} (set YOYAK_SHARED)")
