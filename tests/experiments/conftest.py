"""Studies on runs whose scores are drawn from a known truth instead of trained, and doubles."""

from support.scheduler import *  # noqa: F403
from support.studies import *  # noqa: F403
