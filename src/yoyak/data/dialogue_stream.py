"""Turn rows without references into dialogues, part by part, for files of any length.

The columns are found by name or declared. An id column is optional: without one, the number of
the row is its id. Ids may repeat, because order tells the rows apart.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from yoyak.data.columns import DIALOGUE, TOPIC
from yoyak.data.corpus import clean_dialogue, fingerprint, parse_turns
from yoyak.data.rows import ID_COLUMNS, InputTable, TableRow, column_key
from yoyak.data.speakers import names_speakers, tag_speakers
from yoyak.errors import BadData
from yoyak.messages import listed
from yoyak.values import Dialogue

ROLES = ("id", "dialogue", "topic")
"""What a column may be declared as."""


class DialoguePart(NamedTuple):
    """Consecutive rows of an input as dialogues; ``first_row`` counts from 1."""

    first_row: int
    dialogues: tuple[Dialogue, ...]

    @property
    def last_row(self) -> int:
        """The number of the last row."""
        return self.first_row + len(self.dialogues) - 1

    @property
    def sha256(self) -> str:
        """SHA-256 of ids, cleaned texts and topics, in order."""
        return fingerprint(self.dialogues)


def read_parts(tables: Iterator[InputTable], declared: Mapping[str, str]) -> Iterator[DialoguePart]:
    """Yield the dialogues of each table, cleaned and checked as those of a test split are.

    The first table decides, for all, which columns are read and whether names of speakers are
    replaced by tags: it is one rule for a file, as in training.

    Args:
        tables: the rows of one input, in order.
        declared: the column of some of ``ROLES``; others are found by their usual names.

    Raises:
        BadData: a column is missing, or a row has no id or nothing said; the message names file,
            row and line.
    """
    columns: dict[str, str] | None = None
    named = False
    first_row = 1
    for table in tables:
        if columns is None:
            columns = _columns(table, declared)
            named = names_speakers(
                text for row in table.rows if (text := row.cells.get(columns["dialogue"]))
            )
        dialogues = tuple(_dialogue(table, row, columns, named) for row in table.rows)
        yield DialoguePart(first_row, dialogues)
        first_row += len(dialogues)


def _columns(table: InputTable, declared: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each role that the table has."""
    wrong = [column for column in declared.values() if column not in table.columns]
    if wrong:
        found = listed(table.columns)
        raise BadData(
            "data.no-declared-column", file=table.path, columns=listed(wrong), found=found
        )
    keys = {column_key(column): column for column in reversed(table.columns)}
    usual = {"id": ID_COLUMNS, "dialogue": (DIALOGUE,), "topic": (TOPIC,)}
    found_columns = {
        role: keys[name]
        for role, names in usual.items()
        if (name := next((name for name in names if name in keys), None))
    }
    columns = found_columns | dict(declared)
    if "dialogue" not in columns:
        raise BadData("data.no-dialogue-column", file=table.path, columns=listed(table.columns))
    return columns


def _dialogue(
    table: InputTable, row: TableRow, columns: Mapping[str, str], named: bool
) -> Dialogue:
    key = table.cell(row, columns["id"]) if "id" in columns else str(row.number)
    if not key.strip():
        raise table.error("data.empty-id", row, column=columns["id"])
    text = table.cell(row, columns["dialogue"])
    tagged = tag_speakers(text).text if named else text
    cleaned = clean_dialogue(table, row._replace(cells={DIALOGUE: tagged}), key)
    topic = row.cells.get(columns["topic"]) if "topic" in columns else None
    return Dialogue(id=key, turns=parse_turns(cleaned.text), topic=topic or None)


def parse_columns(written: str) -> dict[str, str]:
    """Parse ``id=NAME,dialogue=NAME``; each name of a column may hold anything but a comma.

    Raises:
        ValueError: a part has another form or another role, or a role occurs twice.
    """
    parts = [part.partition("=") for part in written.split(",")]
    roles = [role.strip() for role, _, _ in parts]
    columns = [column.strip() for _, _, column in parts]
    if not set(roles) <= set(ROLES) or len(set(roles)) < len(roles) or not all(columns):
        raise ValueError(f"no columns: {written!r}")
    return dict(zip(roles, columns, strict=True))
