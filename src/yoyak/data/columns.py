"""Bring a table's columns to the contest's names, and its speakers to the contest's tags."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from yoyak.data.contest import Columns
from yoyak.data.rows import InputTable, TableRow
from yoyak.data.speakers import names_speakers, tag_speakers
from yoyak.errors import BadData
from yoyak.messages import listed

ID, DIALOGUE, SUMMARY, TOPIC = "fname", "dialogue", "summary", "topic"

_KNOWN = {"id": ID, "summary1": SUMMARY, "topic1": TOPIC}
"""Names in SAMSum and DialogSum, which count where the contest's own name is not there."""

_FURTHER_TOPICS = re.compile("topic[23]")
"""DialogSum's test has a topic for each summary; the first counts."""


class ContestTable(NamedTuple):
    """A table with the contest's columns; ``unread`` counts summaries that were left out."""

    table: InputTable
    unread: int = 0


def with_contest_columns(
    table: InputTable, declared: Columns | None, *, is_test: bool = False
) -> ContestTable:
    """Rename the columns as ``contest.toml`` declares, or as they are known from other corpora.

    Columns that a declaration does not name are left out. The test split of another corpus may
    have summaries, which are left out too and counted; those of the contest's own may not.

    Raises:
        BadData: a declared column is not there.
    """
    names = _known_names(table) if declared is None else _declared_names(table, declared, is_test)
    keeps_all = declared is None and table.published_as is None and not names
    if keeps_all:
        return ContestTable(table)
    summaries = [column for column in table.columns if is_summary(names.get(column, column))]
    left_out = {column for column in table.columns if _FURTHER_TOPICS.fullmatch(column)}
    if declared is not None:
        left_out |= {column for column in table.columns if column not in names}
    if is_test:
        left_out |= set(summaries)
    rows = tuple(_renamed(row, names, left_out) for row in table.rows)
    columns = tuple(names.get(name, name) for name in table.columns if name not in left_out)
    unread = sum(
        any(row.cells.get(column, "").strip() for column in summaries) for row in table.rows
    )
    return ContestTable(table._replace(columns=columns, rows=rows), unread if is_test else 0)


def with_speaker_tags(table: InputTable) -> InputTable:
    """Replace the names of speakers where the table's dialogues are lines of ``Name: text``."""
    dialogues = [row.cells[DIALOGUE] for row in table.rows if DIALOGUE in row.cells]
    if not names_speakers(dialogues):
        return table
    return table._replace(rows=tuple(map(_tagged, table.rows)))


def is_summary(column: str) -> bool:
    """Return whether ``column`` is ``summary``, or a numbered one from ``summary2`` on."""
    return re.fullmatch(rf"{SUMMARY}(?:[2-9]|[1-9][0-9]+)?", column) is not None


def summary_columns(table: InputTable) -> list[str]:
    """Return the columns of summaries in the order of their numbers."""
    found = [column for column in table.columns if is_summary(column)]
    return sorted(found, key=lambda column: int(column.removeprefix(SUMMARY) or 0))


def _known_names(table: InputTable) -> dict[str, str]:
    return {
        theirs: ours
        for theirs, ours in _KNOWN.items()
        if theirs in table.columns and ours not in table.columns
    }


def _declared_names(table: InputTable, declared: Columns, is_test: bool) -> dict[str, str]:
    summaries = declared.summaries or (SUMMARY,)
    wanted = {
        declared.id or ID: ID,
        declared.dialogue or DIALOGUE: DIALOGUE,
        **{
            theirs: SUMMARY if number == 1 else f"{SUMMARY}{number}"
            for number, theirs in enumerate(summaries, 1)
        },
        declared.topic or TOPIC: TOPIC,
    }
    optional = {declared.topic or TOPIC, *summaries[1:], *(summaries if is_test else ())}
    missing = [name for name in wanted if name not in table.columns and name not in optional]
    if missing:
        raise BadData(
            "data.declared-column",
            file=table.path,
            columns=listed(missing),
            found=listed(table.columns),
        )
    return {theirs: ours for theirs, ours in wanted.items() if theirs in table.columns}


def _renamed(row: TableRow, names: Mapping[str, str], left_out: set[str]) -> TableRow:
    def renamed(cells: Mapping[str, str]) -> dict[str, str]:
        return {names.get(name, name): cell for name, cell in cells.items() if name not in left_out}

    return row._replace(cells=renamed(row.cells), as_written=renamed(row.as_written))


def _tagged(row: TableRow) -> TableRow:
    dialogue = row.cells.get(DIALOGUE)
    if dialogue is None:
        return row
    tagged = tag_speakers(dialogue)
    return row._replace(cells=row.cells | {DIALOGUE: tagged.text}, speakers=tagged.by_name)
