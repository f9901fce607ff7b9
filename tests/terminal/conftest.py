"""Fixtures of these tests."""

from support.report import *  # noqa: F403
from support.terminal import *  # noqa: F403
from support.watching import *  # noqa: F403
