"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from yoyak import messages

# A slow moment of the machine is no finding; what CI finds it has to find again.
settings.register_profile("yoyak", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("yoyak")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long version of the fault tests")


@pytest.fixture
def say(record_property):
    """Prints a figure in the summary of the session, also from one of several processes."""

    def remember(figure: str) -> None:
        record_property("said", figure)

    return remember


def pytest_terminal_summary(terminalreporter):
    said = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "said"
    ]
    for figure in dict.fromkeys(said):  # a test's teardown reports it as well
        terminalreporter.write_line(figure)


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
