"""Fixtures of these tests."""

from support.forked_worker import *  # noqa: F403
from support.prediction import *  # noqa: F403
from support.runs import *  # noqa: F403
from support.scheduler import *  # noqa: F403
