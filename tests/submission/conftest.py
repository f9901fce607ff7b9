"""Fixtures of these tests."""

from support.submission import *  # noqa: F403
