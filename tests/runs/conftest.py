"""Fixtures of these tests."""

from support.runs import *  # noqa: F403
