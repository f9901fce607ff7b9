"""Choose rows to read: by id, kind of fault, topic, or words anywhere in them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from yoyak.korean import search_patterns
from yoyak.metrics.diagnostics.error_report import ErrorFound, ScoredSystem
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.values import Dialogue, Value


class DiagnosedRow(Value, frozen=True, kw_only=True):
    """One summary of a system with all that a reader judges it by.

    ``mean`` is the row's ROUGE mean, 0 to 1; ``dialogue`` is ``None`` where the file of references
    has none.
    """

    id: str
    text: str
    mean: float | None
    references: tuple[str, ...]
    faults: tuple[ErrorType, ...] = ()
    dialogue: Dialogue | None = None

    @property
    def topic(self) -> str:
        """The topic; empty where there is none."""
        return (self.dialogue.topic if self.dialogue else None) or ""


class RowFilter(Value, frozen=True, kw_only=True):
    """Conditions that a row has to meet, all of them; an empty one is met by every row.

    A row meets ``ids`` and ``faults`` if it has one of them, ``topic`` and ``query`` if it has all
    of their words, in any order (see ``korean.search_patterns``).
    """

    ids: tuple[str, ...] = ()
    faults: tuple[ErrorType, ...] = ()
    topic: str = ""
    query: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether every row is kept."""
        return self == RowFilter()

    def keep(self, rows: Sequence[DiagnosedRow]) -> list[DiagnosedRow]:
        """Return the rows that meet the conditions, in order."""
        topic, query = search_patterns(self.topic), search_patterns(self.query)
        return [
            row
            for row in rows
            if (not self.ids or row.id in self.ids)
            and (not self.faults or not {*self.faults}.isdisjoint(row.faults))
            and _has_all(topic, row.topic)
            and _has_all(query, _whole_text(row))
        ]


def diagnose(
    system: ScoredSystem,
    errors: Iterable[ErrorFound],
    references: Mapping[str, tuple[str, ...]],
    dialogues: Mapping[str, Dialogue] | None = None,
) -> list[DiagnosedRow]:
    """Return the summaries that have references, in the order of the references.

    ``errors`` are those that ``find_errors`` found in the summaries.
    """
    means = {row.id: row.rouge.mean for row in system.card.rows}
    faults: dict[str, dict[ErrorType, None]] = {}
    for found in errors:
        faults.setdefault(found.id, {})[found.fault] = None
    return [
        DiagnosedRow(
            id=key,
            text=system.texts[key],
            mean=means.get(key),
            references=against,
            faults=tuple(faults.get(key, ())),
            dialogue=(dialogues or {}).get(key),
        )
        for key, against in references.items()
        if key in system.texts
    ]


def _has_all(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    composed = unicodedata.normalize("NFC", text)
    return all(pattern.search(composed) for pattern in patterns)


def _whole_text(row: DiagnosedRow) -> str:
    dialogue = row.dialogue.text if row.dialogue else ""
    return "\n".join((row.id, row.topic, row.text, *row.references, dialogue))
