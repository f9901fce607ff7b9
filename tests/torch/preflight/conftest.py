"""Fixtures of these tests."""

from support.preflight import *  # noqa: F403
