"""Selection of example dialogues: worst and best of the best system, and largest differences."""

from collections.abc import Sequence
from statistics import pstdev
from typing import NamedTuple

from yoyak.metrics.scorecard import Scorecard
from yoyak.report.model.report import Example
from yoyak.values import Corpus, Dialogue, Prediction

EACH = 3
"""Dialogues shown of each kind."""


class Answered(NamedTuple):
    """Answers of one system on dev, with the score of each row."""

    name: str
    predictions: Sequence[Prediction]
    card: Scorecard


def examples(corpus: Corpus, systems: Sequence[Answered]) -> tuple[Example, ...]:
    """Return the lowest and highest rows of the best system, and those where systems differ most.

    The systems are those of one group, and ``corpus`` its data. An example leaves out the systems
    that have no prediction for its row.
    """
    if not systems:
        return ()
    best = max(systems, key=lambda one: one.card.rouge.mean)
    rows = sorted(best.card.rows, key=lambda row: (row.rouge.mean, row.id))
    chosen = {row.id: "worst" for row in rows[:EACH]}
    chosen |= {row.id: "best" for row in rows[-EACH:] if row.id not in chosen}
    chosen |= {key: "unlike" for key in _unlike(systems) if key not in chosen}
    dialogues = {one.id: one for one in corpus.dev.dialogues}
    return tuple(
        _example(dialogues[key], systems, why) for key, why in chosen.items() if key in dialogues
    )


def _unlike(systems: Sequence[Answered]) -> list[str]:
    """Return the rows with the most widely spread scores; none for a single system."""
    by_row: dict[str, list[float]] = {}
    for one in systems:
        for row in one.card.rows:
            by_row.setdefault(row.id, []).append(row.rouge.mean)
    whole = {key: pstdev(means) for key, means in by_row.items() if len(means) > 1}
    return sorted(whole, key=lambda key: (-whole[key], key))[:EACH]


def _example(dialogue: Dialogue, systems: Sequence[Answered], why: str) -> Example:
    answers = []
    for one in systems:
        texts = {prediction.id: prediction.text for prediction in one.predictions}
        means = {row.id: row.rouge.mean for row in one.card.rows}
        if dialogue.id in texts:
            answers.append((one.name, texts[dialogue.id], means.get(dialogue.id)))
    return Example(
        id=dialogue.id,
        dialogue=dialogue.text,
        references=dialogue.references,
        answers=tuple(answers),
        why=why,
    )
