"""Fixtures of these tests."""

from support.report import *  # noqa: F403
from support.trackers import *  # noqa: F403
