"""Fixtures of these tests."""

from support.exports import *  # noqa: F403
