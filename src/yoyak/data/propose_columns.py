"""Propose which columns are id, dialogue, summary and topic, by name and then by content."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from yoyak.data.clean import SPEAKER
from yoyak.data.columns import DIALOGUE, ID, SUMMARY, TOPIC, summary_columns, with_contest_columns
from yoyak.data.contest import Columns
from yoyak.data.rows import ID_COLUMNS, InputTable, column_key

Role = Literal["id", "dialogue", "summary", "topic"]
ROWS = 200
"""Rows that are looked at."""

_NAMES: Mapping[Role, re.Pattern[str]] = {
    "id": re.compile(rf"(?:{'|'.join(ID_COLUMNS)}|idx|index|no|번호|아이디|식별자|대화번호)"),
    "dialogue": re.compile(
        r"dialog(?:ue)?s?|dialog(?:ue)?text|conversations?|transcripts?|utterances?|text|script"
        r"|document|대화|대화문|대화내용|본문|원문|발화|내용"
    ),
    "summary": re.compile(
        r"(?:[a-z]*summar(?:y|ies)|abstract|target|label|highlights?)\d*|[가-힣]*요약(?:문)?[a-z\d]*"
    ),
    "topic": re.compile(r"topics?|subject|keywords?|category|title|주제|제목|키워드|분류"),
}
_TURN = re.compile(rf"{SPEAKER}[ \t]*[:：]|\n\s*\S[^\n]{{0,40}}[:：]")
_SHORTEST_SUMMARY = 8


class ColumnCandidates(NamedTuple):
    """The columns that may have each role, in the order of the file."""

    id: tuple[str, ...]
    dialogue: tuple[str, ...]
    summary: tuple[str, ...]
    topic: tuple[str, ...]


class ColumnChoice(NamedTuple):
    """One column for each role; ``summary`` has one for each reference."""

    id: str
    dialogue: str
    summary: tuple[str, ...]
    topic: str | None = None


USUAL = ColumnChoice(ID, DIALOGUE, (SUMMARY,), TOPIC)


def has_known_columns(table: InputTable, *, is_test: bool = False) -> bool:
    """Return whether a table is read as it is, without a declaration."""
    known, _ = with_contest_columns(table, None, is_test=is_test)
    needed = {ID, DIALOGUE} if is_test else {ID, DIALOGUE, SUMMARY}
    allowed = needed | {TOPIC, *([] if is_test else summary_columns(known))}
    return needed <= set(known.columns) <= allowed


def propose_columns(table: InputTable) -> ColumnCandidates:
    """Return the candidates of each role in a labelled table.

    Columns whose names say their role come alone; of ids only those that tell the rows apart.
    """
    free = list(table.columns)
    cells = {name: [row.cells.get(name, "") for row in table.rows[:ROWS]] for name in free}
    found: dict[Role, tuple[str, ...]] = {}
    for role, pattern in _NAMES.items():
        named = tuple(name for name in free if pattern.fullmatch(column_key(name)))
        found[role] = named if role != "id" else tuple(n for n in named if _tell_apart(cells[n]))
        free = [name for name in free if name not in named]
    by_content: dict[Role, Callable[[str], bool]] = {
        "dialogue": lambda name: _are_dialogues(cells[name]),
        "id": lambda name: _are_ids(cells[name]),
        "summary": lambda name: _are_summaries(cells[name]),
    }
    for role, fits in by_content.items():
        if not found[role]:
            found[role] = tuple(filter(fits, free))
            free = [name for name in free if name not in found[role]]
    return ColumnCandidates(**found)


def references(columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Group columns of summaries: those whose names differ only in a number are references."""
    groups: dict[str, list[str]] = {}
    for name in columns:
        groups.setdefault(re.sub(r"\d+$", "", column_key(name)), []).append(name)
    return tuple(map(tuple, groups.values()))


def declared_columns(choice: ColumnChoice) -> Columns:
    """Return what ``contest.toml`` has to declare for columns of these names."""
    summary = choice.summary[0] if len(choice.summary) == 1 else choice.summary
    return Columns(
        id=None if choice.id == ID else choice.id,
        dialogue=None if choice.dialogue == DIALOGUE else choice.dialogue,
        summary=None if summary == SUMMARY else summary,
        topic=None if choice.topic == TOPIC else choice.topic,
    )


def _are_dialogues(cells: Sequence[str]) -> bool:
    return sum(bool(_TURN.search(cell)) for cell in cells) > len(cells) / 2


def _tell_apart(cells: Sequence[str]) -> bool:
    return all(cells) and len(set(cells)) == len(cells)


def _are_ids(cells: Sequence[str]) -> bool:
    return _tell_apart(cells) and not any(re.search(r"\s", cell) for cell in cells)


def _are_summaries(cells: Sequence[str]) -> bool:
    written = [cell for cell in cells if len(cell) >= _SHORTEST_SUMMARY and re.search(r"\s", cell)]
    return len(written) > len(cells) / 2 and len(set(written)) > len(written) / 2
