"""Rewards of sampled summaries: the contest's ROUGE, computed in worker processes.

The judge is ``metrics.rouge`` itself: mean over references, MeCab morphemes. Two things are taken
off on top of it. A summary that has only its speaker tags in common with the references gets no
reward: about thirty points can be had for them alone. And with a length penalty, distance from the
references' length costs.

This module imports no torch: a worker loads the analyser and nothing else.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Self

from yoyak.config.schema import AlignSettings
from yoyak.errors import RunFailed
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.rouge import pairwise, score_rows
from yoyak.metrics.token_codes import encoder
from yoyak.values import TagMode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WITHOUT_TAGS = Definition(tags=TagMode.STRIP)
MOST_PROCESSES = 4
_PR_SET_PDEATHSIG = 1


class SampledGroup(NamedTuple):
    """The samples of one dialogue, and its references."""

    texts: tuple[str, ...]
    references: tuple[str, ...]


def group_rewards(groups: Sequence[SampledGroup], settings: AlignSettings) -> "Floats":
    """Return the rewards of groups of one size, [groups, samples], at most 1.

    By ROUGE to the references, or, with ``rank_by = "mbr"``, by the mean ROUGE to the other samples
    of the group.
    """
    import numpy as np

    size = len(groups[0].texts)
    weights = np.asarray(settings.rouge_weights) / sum(settings.rouge_weights)
    if settings.rank_by == "mbr":
        tables = np.stack(pairwise([group.texts for group in groups])) @ weights
        utility: Floats = (tables.sum(-1) - np.einsum("gss->gs", tables)) / (size - 1)
        return utility
    texts = [text for group in groups for text in group.texts]
    references = [group.references for group in groups for _ in group.texts]
    return rewards(texts, references, settings).reshape(len(groups), size)


def rewards(
    texts: Sequence[str], references: Sequence[tuple[str, ...]], settings: AlignSettings
) -> "Floats":
    """Return the reward of each text against the references of its row, [texts]."""
    import numpy as np

    weights = np.asarray(settings.rouge_weights) / sum(settings.rouge_weights)
    scores = score_rows(texts, references, OFFICIAL)[:, :, 2] @ weights
    beyond_tags = score_rows(texts, references, WITHOUT_TAGS)[:, 0, 2] > 0
    found: Floats = np.where(beyond_tags, scores, 0.0)
    if settings.length_penalty:
        found = found - settings.length_penalty * length_distance(texts, references)
    return found


def length_distance(texts: Sequence[str], references: Sequence[tuple[str, ...]]) -> "Floats":
    """Return |ln(tokens of the text ÷ mean tokens of its references)|, [texts]."""
    import numpy as np

    def tokens(of: Sequence[str]) -> "Floats":
        counted: Floats = np.array(
            [max(1.0, len(code)) for code in encoder(OFFICIAL).encode(of)[0]]
        )
        return counted

    theirs = [tokens(row).mean() for row in references]
    distance: Floats = np.abs(np.log(tokens(texts) / np.array(theirs)))
    return distance


class RewardPool:
    """Worker processes that compute rewards while the trainer goes on.

    Use as a context manager. Workers ignore stop signals, which go to a whole process group, and
    end with the trainer.

    Args:
        settings: of the rewards.

    Attributes:
        waited_seconds: how long ``result`` has waited in all.
    """

    def __init__(self, settings: AlignSettings) -> None:
        self._settings = settings
        self._pool = ProcessPoolExecutor(
            _worker_count(), mp_context=get_context("spawn"), initializer=_begin_worker
        )
        self.waited_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(
        self, groups: Sequence[SampledGroup], settings: AlignSettings | None = None
    ) -> "Future[Floats]":
        """Start computing the rewards of ``groups``, with other settings if they are given."""
        return self._pool.submit(group_rewards, tuple(groups), settings or self._settings)

    def result(self, rewards: "Future[Floats]") -> "Floats":
        """Return rewards once they are there.

        Raises:
            RunFailed: a worker process was killed.
        """
        started = perf_counter()
        try:
            return rewards.result()
        except BrokenProcessPool as error:
            raise RunFailed("engine.reward-worker-killed") from error
        finally:
            self.waited_seconds += perf_counter() - started


def _worker_count() -> int:
    """Return how many worker processes compute rewards: half of the cores, four at most."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(MOST_PROCESSES, max(1, cores // 2))


def _begin_worker() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
