"""Fixtures of these tests."""

from support.metrics import *  # noqa: F403
