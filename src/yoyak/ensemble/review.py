"""Rows worth reviewing: all candidates side by side, the chosen one, and its regret."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np  # noqa: TID253 -- this module is only imported where rows are reviewed

from yoyak.ensemble.candidates import Candidate, CandidatePool, pool
from yoyak.ensemble.mbr import (
    candidate_weights,
    expected_utility,
    reference_scores,
    similarity,
    utility,
)
from yoyak.ensemble.member_selection import EnsembleConfig
from yoyak.ensemble.methods import EnsembleInputs, ensemble_inputs, load_method
from yoyak.values import Split, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Order = Literal["disagreement", "regret", "worst"]


class ReviewOption(Value, frozen=True, kw_only=True):
    """One candidate's answer to a row; scores are 0 to 1."""

    system: str
    decode: str
    text: str
    expected: float
    """Mean ROUGE against the other candidates, weighted by their votes."""
    score: float | None
    """Mean ROUGE against the references; ``None`` where there are none (test)."""
    chosen: bool


class ReviewRow(Value, frozen=True, kw_only=True):
    """One row with all its candidates, in order of preference."""

    id: str
    dialogue: str
    references: tuple[str, ...]
    options: tuple[ReviewOption, ...]
    disagreement: float
    """1 minus the mean ROUGE between candidates: 0 where all say the same."""

    @property
    def chosen(self) -> ReviewOption:
        """The option that is submitted."""
        return next(option for option in self.options if option.chosen)

    @property
    def regret(self) -> float | None:
        """The best candidate's score minus the chosen one's."""
        scores = [option.score for option in self.options if option.score is not None]
        chosen = self.chosen.score
        return None if chosen is None else max(scores) - chosen


def review_rows(
    candidates: Sequence[Candidate],
    split: Split,
    choice: EnsembleConfig,
    *,
    order: Order = "disagreement",
    limit: int = 10,
) -> tuple[ReviewRow, ...]:
    """Return the ``limit`` rows that come first in ``order``.

    Args:
        candidates: the systems to show.
        split: dev or test; without references every order is by disagreement.
        choice: what is submitted.
        order: the most disagreement, the largest regret, or the lowest score of the chosen answer.
        limit: how many rows.
    """
    columns = pool(candidates, split)
    table = similarity(columns)
    votes = choice.votes or dict.fromkeys(columns.systems, 1.0)
    inputs = ensemble_inputs(columns, votes=votes, components=choice.components, table=table)
    pairs = utility(table, choice.components)
    values = expected_utility(pairs, candidate_weights(columns, votes))
    chosen, scores = _chosen_columns(inputs, choice), _scores(columns, split)
    rows = [
        ReviewRow(
            id=dialogue.id,
            dialogue=dialogue.text,
            references=dialogue.references,
            options=tuple(
                ReviewOption(
                    system=answers.lineage.system,
                    decode=answers.lineage.decode,
                    text=answers.predictions[at].text,
                    expected=float(values[at, column]),
                    score=None if scores is None else float(scores[at, column]),
                    chosen=column == chosen[at],
                )
                for column, answers in enumerate(columns.columns)
            ),
            disagreement=_disagreement(pairs[at]),
        )
        for at, dialogue in enumerate(split.dialogues)
    ]
    return tuple(sorted(rows, key=lambda row: -_rank(row, order))[:limit])


def _chosen_columns(inputs: EnsembleInputs, choice: EnsembleConfig) -> Sequence[int]:
    if choice.column is None:
        return load_method(choice.method)(inputs)
    names = [column.lineage.name for column in inputs.pool.columns]
    return [names.index(choice.column)] * len(inputs.pool.ids)


def _scores(columns: CandidatePool, split: Split) -> "Floats | None":
    references = [dialogue.references for dialogue in split.dialogues]
    return reference_scores(columns, references) if all(references) else None


def _disagreement(pairs: "Floats") -> float:
    others = ~np.eye(len(pairs), dtype=bool)
    return 1 - float(pairs[others].mean()) if len(pairs) > 1 else 0.0


def _rank(row: ReviewRow, order: Order) -> float:
    score, regret = row.chosen.score, row.regret
    if score is None or regret is None or order == "disagreement":
        return row.disagreement
    return regret if order == "regret" else -score
