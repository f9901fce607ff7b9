"""The rows of a split beside the answers of comparable systems, with their scores and faults.

Faults are found when rows are asked for, so that a large split can be read page by page.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from statistics import fmean
from typing import NamedTuple

from yoyak.metrics.diagnostics.error_report import swapped_tags
from yoyak.metrics.diagnostics.error_types import (
    FINDERS,
    ErrorType,
    SummaryItem,
    usual_registers,
)
from yoyak.metrics.diagnostics.text_patterns import Register, TextSpan
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.tokenizers import legible
from yoyak.values import Dialogue, Prediction, Rouge, Split, SplitName, Value


class RowFault(Value, frozen=True, kw_only=True):
    """One kind of fault of an answer, with the offending spans of its text."""

    fault: ErrorType
    spans: tuple[TextSpan, ...]


class RowAnswer(Value, frozen=True, kw_only=True):
    """What one system wrote for a row, in NFC; ``rouge`` is ``None`` without references."""

    text: str
    rouge: Rouge | None
    faults: tuple[RowFault, ...]


class DialogueRow(Value, frozen=True, kw_only=True):
    """One row of a split; ``answers`` is in the order of the table's systems."""

    id: str
    topic: str | None
    turns: int
    speakers: int
    dialogue: str
    references: tuple[str, ...]
    answers: tuple[RowAnswer | None, ...]
    """``None`` where a system has no answer."""
    disagreement: float | None
    """1 less the mean overlap of words (F1) of every two answers; ``None`` for a single one."""


class RowSystem(Value, frozen=True, kw_only=True):
    """A system of a table; ``mean`` is its ROUGE mean on these rows, 0 to 1."""

    run: str
    name: str
    toy: bool
    mean: float | None


class RowTable(Value, frozen=True, kw_only=True):
    """The head of a table of rows: only systems that can be compared stand in one."""

    key: str
    """Split and the start of its fingerprint, ``dev-1a2b3c4d``; with a number where a split has
    several tables, because its scores have several protocols."""
    data: str
    """Name of the data folder."""
    split: SplitName
    systems: tuple[RowSystem, ...]
    rows: int
    references: int
    """The most references that a row has; 0 for test."""


class RowColumn(NamedTuple):
    """The answers of one system, with the scores of the split's rows where they were scored."""

    system: RowSystem
    predictions: Sequence[Prediction]
    card: Scorecard | None


class RowSource:
    """The rows of one table, built in slices."""

    def __init__(self, key: str, data: str, split: Split, columns: Sequence[RowColumn]) -> None:
        self._dialogues = split.dialogues
        self._texts = [
            {one.id: _composed(one.text) for one in column.predictions} for column in columns
        ]
        self._known: list[dict[str, tuple[RowFault, ...]]] = [{} for _ in columns]
        self._scores: list[Mapping[str, Rouge]] = [
            {} if column.card is None else {row.id: row.rouge for row in column.card.rows}
            for column in columns
        ]
        self.table = RowTable(
            key=key,
            data=data,
            split=split.name,
            systems=tuple(column.system for column in columns),
            rows=len(split.dialogues),
            references=max((len(one.references) for one in split.dialogues), default=0),
        )

    @property
    def characters(self) -> int:
        """Return the length of all texts together."""
        inputs = sum(len(one.text) + sum(map(len, one.references)) for one in self._dialogues)
        return inputs + sum(len(text) for texts in self._texts for text in texts.values())

    def answers(self, row: str) -> dict[str, str]:
        """Return the answers to a row by the id of their run; empty for an unknown row."""
        return {
            system.run: texts[row]
            for system, texts in zip(self.table.systems, self._texts, strict=True)
            if row in texts
        }

    def rows(self, start: int = 0, stop: int | None = None) -> tuple[DialogueRow, ...]:
        """Return rows in file order, from ``start`` to before ``stop``."""
        dialogues = self._dialogues[start:stop]
        faults = [self._faults(dialogues, place) for place in range(len(self._texts))]
        return tuple(self._row(one, faults) for one in dialogues)

    def fault_counts(self) -> dict[str, dict[ErrorType, int]]:
        """Return how many rows of the table show each kind of fault, by the id of the run."""
        counts = {}
        for place, system in enumerate(self.table.systems):
            found = self._faults(self._dialogues, place).values()
            seen = Counter(one.fault for faults in found for one in faults)
            counts[system.run] = {kind: seen[kind] for kind in ErrorType}
        return counts

    @cached_property
    def _registers(self) -> frozenset[Register]:
        return usual_registers(text for one in self._dialogues for text in one.references)

    def _faults(self, dialogues: Sequence[Dialogue], place: int) -> dict[str, tuple[RowFault, ...]]:
        """Return the faults of a system's answers by id; each is looked for once."""
        answered = [one for one in dialogues if one.id in self._texts[place]]
        known = self._known[place]
        missing = [one for one in answered if one.id not in known]
        if missing:
            known.update(self._find(missing, self._texts[place]))
        return {one.id: known[one.id] for one in answered}

    def _find(
        self, known: Sequence[Dialogue], texts: Mapping[str, str]
    ) -> dict[str, tuple[RowFault, ...]]:
        swapped = {
            one.id: RowFault(fault=one.fault, spans=one.spans)
            for one in swapped_tags(
                {one.id: texts[one.id] for one in known if one.references},
                {one.id: one.references for one in known if one.references},
            )
        }
        return {
            one.id: (
                *_found(SummaryItem(texts[one.id], one.text, one.references, self._registers)),
                *((swapped[one.id],) if one.id in swapped else ()),
            )
            for one in known
        }

    def _row(
        self, dialogue: Dialogue, faults: Sequence[Mapping[str, tuple[RowFault, ...]]]
    ) -> DialogueRow:
        answers = tuple(
            RowAnswer(
                text=texts[dialogue.id],
                rouge=scores.get(dialogue.id),
                faults=found[dialogue.id],
            )
            if dialogue.id in texts
            else None
            for texts, scores, found in zip(self._texts, self._scores, faults, strict=True)
        )
        return DialogueRow(
            id=dialogue.id,
            topic=dialogue.topic,
            turns=len(dialogue.turns),
            speakers=len(dialogue.speakers),
            dialogue=_composed(dialogue.text),
            references=tuple(map(_composed, dialogue.references)),
            answers=answers,
            disagreement=disagreement([one.text for one in answers if one is not None]),
        )


def _composed(text: str) -> str:
    return legible([unicodedata.normalize("NFC", text)])[0]


def _found(item: SummaryItem) -> Iterator[RowFault]:
    for kind, finder in FINDERS.items():
        if spans := finder(item):
            yield RowFault(fault=kind, spans=spans)


def disagreement(texts: Sequence[str]) -> float | None:
    """Return 1 less the mean overlap of words (F1) of every two texts; ``None`` for a single one.

    Two empty texts agree.
    """
    bags = [Counter(text.split()) for text in texts]
    if len(bags) < 2:
        return None
    return 1 - fmean(_overlap(one, other) for one, other in combinations(bags, 2))


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    sizes = one.total() + other.total()
    return 2 * (one & other).total() / sizes if sizes else 1.0
