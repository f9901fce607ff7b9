"""Consensus for large pools: candidates that cannot win any more are dropped early.

Confidence-based pruning (Cheng and Vlachos 2023, "Faster Minimum Bayes Risk Decoding with
Confidence-based Pruning"): utilities are estimated against a growing sample of voters, and after
each round a candidate stays only if it beats the leader in more than ``ALPHA`` of bootstrap draws
of the voters seen so far. Whoever is left after all voters have spoken has its exact utility.

All pairs are so cheap here that pruning pays late: measured on one core, tokens ready, it took
2.4 times as long as ``mbr`` for 64 candidates a row and 0.6 times as long for 256.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 -- only imported where answers are blended

from yoyak.ensemble.methods import EnsembleInputs, candidate_weights, utility
from yoyak.metrics.protocol import Definition
from yoyak.metrics.rouge import score_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIRST_ROUND = 8
"""Voters of the first round; their number doubles from round to round."""
ALPHA = 0.01
DRAWS = 200


def mbr_pruned(cast: EnsembleInputs) -> list[int]:
    """As ``mbr``, at a fraction of the pairs in pools of hundreds; its answer may differ rarely."""
    votes = candidate_weights(cast.pool, cast.votes)
    random = np.random.default_rng(cast.seed)
    rows = [_Row(texts, votes, random) for texts in cast.pool.texts]
    while asked := [row for row in rows if row.open]:
        _answer(asked, cast)
    return [row.winner() for row in rows]


def _answer(rows: Sequence["_Row"], cast: EnsembleInputs) -> None:
    """Scores the pairs that ``rows`` ask for, all in one batch, and prunes."""
    questions = [row.question() for row in rows]
    pairs = [pair for question in questions for pair in question]
    scores = _scores(pairs, cast.definition)
    values = utility(scores, cast.components)
    start = 0
    for row, question in zip(rows, questions, strict=True):
        row.hear(values[start : start + len(question)])
        start += len(question)


def _scores(pairs: Sequence[tuple[str, str]], definition: Definition) -> "Floats":
    f1: Floats = score_rows([one for one, _ in pairs], [(two,) for _, two in pairs], definition)[
        :, :, 2
    ]
    return f1


class _Row:
    """The contest of one dialogue's candidates."""

    def __init__(
        self, texts: Sequence[str], votes: "Floats", random: "np.random.Generator"
    ) -> None:
        self._first: dict[str, int] = {}
        self._votes: dict[str, float] = {}
        self._own: dict[str, float] = {}
        for at, text in enumerate(texts):
            if votes[at] > 0:
                self._first.setdefault(text, at)
                self._votes[text] = self._votes.get(text, 0.0) + float(votes[at])
                own = min(1.0, float(votes[at]))
                self._own[text] = min(self._own.get(text, own), own)
        self._alive = list(self._first)
        self._voters = [list(self._first)[at] for at in random.permutation(len(self._first))]
        self._heard = np.zeros((len(self._alive), 0))
        self._next = 0
        self._random = random

    @property
    def open(self) -> bool:
        """Whether more voters can still change the winner."""
        return len(self._alive) > 1 and self._next < len(self._voters)

    def _round(self) -> list[str]:
        return self._voters[self._next : max(FIRST_ROUND, 2 * self._next)]

    def question(self) -> list[tuple[str, str]]:
        """The pairs whose scores are wanted: every candidate left with every voter of the round."""
        return [(text, voter) for text in self._alive for voter in self._round()]

    def hear(self, values: "Floats") -> None:
        """Takes the answers in and drops who cannot win."""
        answers = values.reshape(len(self._alive), -1)
        self._heard = np.concatenate((self._heard, answers), axis=1)
        self._next += answers.shape[1]
        if self.open:
            self._prune()

    def _prune(self) -> None:
        means = self._means()
        leader = int(np.argmax(means))
        even = np.full(self._next, 1 / self._next)
        drawn = self._random.multinomial(self._next, even, size=DRAWS)
        ahead = self._weighted() @ drawn.T
        wins = (ahead >= ahead[leader]).mean(axis=1)
        kept = np.flatnonzero(wins > ALPHA)
        self._alive = [self._alive[at] for at in kept]
        self._heard = self._heard[kept]

    def _weighted(self) -> "Floats":
        """Utilities times votes, the candidate's own vote left out, over the weight left."""
        heard = self._voters[: self._next]
        weights = np.array([self._votes[voter] for voter in heard])
        table = np.tile(weights, (len(self._alive), 1))
        for row, text in enumerate(self._alive):
            if text in heard:
                table[row, heard.index(text)] -= self._own[text]
        total = table.sum(axis=1, keepdims=True)
        shares: Floats = np.divide(
            self._heard * table, total, out=np.zeros_like(table), where=total > 0
        )
        return shares

    def _means(self) -> "Floats":
        means: Floats = np.round(self._weighted().sum(axis=1), 12)
        return means

    def winner(self) -> int:
        """The column of the best candidate, the earliest of those tied."""
        if len(self._alive) == 1 or not self._next:
            return min(self._first[text] for text in self._alive)
        means = self._means()
        tied = [text for text, mean in zip(self._alive, means, strict=True) if mean == means.max()]
        return min(self._first[text] for text in tied)
