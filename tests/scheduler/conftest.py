"""Fixtures of these tests."""

from support.scheduler import *  # noqa: F403
