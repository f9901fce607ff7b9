"""Fixtures of these tests."""

from support.hub import offline  # noqa: F401
from support.report import *  # noqa: F403
