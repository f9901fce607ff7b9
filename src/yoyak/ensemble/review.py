"""Rows worth a look: all candidates side by side, what was chosen, and what it cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np  # noqa: TID253 -- this module is only imported where rows are reviewed

from yoyak.ensemble.candidate_pool import CandidatePool
from yoyak.ensemble.candidates import Candidate, pool
from yoyak.ensemble.member_selection import EnsembleConfig
from yoyak.ensemble.methods import (
    EnsembleInputs,
    candidate_weights,
    ensemble_inputs,
    expected,
    gains,
    load,
    similarity,
    utility,
)
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
        """The option that is handed in."""
        return next(option for option in self.options if option.chosen)

    @property
    def regret(self) -> float | None:
        """How much better the best candidate is than the chosen one."""
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
    """The ``limit`` rows that come first in ``order``.

    Args:
        candidates: whose answers are shown.
        split: dev or test; without references every order is by disagreement.
        choice: what is handed in.
        order: the most disagreement, the largest regret, or the lowest score of the chosen answer.
        limit: how many rows.
    """
    columns = pool(candidates, split)
    table = similarity(columns)
    votes = choice.votes or dict.fromkeys(columns.systems, 1.0)
    cast = ensemble_inputs(columns, votes=votes, components=choice.components, table=table)
    pairs = utility(table, choice.components)
    heard = expected(pairs, candidate_weights(columns, votes))
    places, scores = _places(cast, choice), _scores(columns, split)
    rows = [
        ReviewRow(
            id=dialogue.id,
            dialogue=dialogue.text,
            references=dialogue.references,
            options=tuple(
                ReviewOption(
                    system=column.lineage.system,
                    decode=column.lineage.decode,
                    text=column.predictions[at].text,
                    expected=float(heard[at, place]),
                    score=None if scores is None else float(scores[at, place]),
                    chosen=place == places[at],
                )
                for place, column in enumerate(columns.columns)
            ),
            disagreement=_disagreement(pairs[at]),
        )
        for at, dialogue in enumerate(split.dialogues)
    ]
    return tuple(sorted(rows, key=lambda row: -_rank(row, order))[:limit])


def _places(cast: EnsembleInputs, choice: EnsembleConfig) -> Sequence[int]:
    """The column that the choice takes in each row."""
    if choice.column is None:
        return load(choice.method)(cast)
    names = [column.lineage.name for column in cast.pool.columns]
    return [names.index(choice.column)] * len(cast.pool.ids)


def _scores(columns: CandidatePool, split: Split) -> "Floats | None":
    references = [dialogue.references for dialogue in split.dialogues]
    return gains(columns, references) if all(references) else None


def _disagreement(pairs: "Floats") -> float:
    others = ~np.eye(len(pairs), dtype=bool)
    return 1 - float(pairs[others].mean()) if len(pairs) > 1 else 0.0


def _rank(row: ReviewRow, order: Order) -> float:
    score, regret = row.chosen.score, row.regret
    if score is None or regret is None or order == "disagreement":
        return row.disagreement
    return regret if order == "regret" else -score
