"""Fixtures of these tests."""

from support.report import *  # noqa: F403
