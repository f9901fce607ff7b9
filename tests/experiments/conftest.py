"""Studies on runs whose scores are drawn from a known truth instead of trained."""

from support.studies import *  # noqa: F403
