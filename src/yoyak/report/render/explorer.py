"""The row explorer's part of the page: its texts, its tables, and the rows as compressed blocks.

A row is an array, in the order that ``page/explorer.js`` reads: ``[id, topic, turns, speakers,
disagreement in ‰, dialogue, references, answers]``; an answer is ``[text, [R-1, R-2, R-L] in
thousandths of a point, [kind, start, end, …]]`` with positions in UTF-16 units, or ``null``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from yoyak import messages
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.report.model.rows import DialogueRow, RowAnswer, RowSource, RowTable
from yoyak.report.render.assets import json_block, packed_block
from yoyak.report.render.escape import plain, printable
from yoyak.report.sections.format import fault_name

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_CHARACTERS = 6_000_000
"""Text of all embedded tables; a character takes about one byte of the file."""
PAGE_ROWS = 500
"""Rows in one answer of the server."""

_ABSENT = (ErrorType.UNKNOWN_SPEAKER, ErrorType.INVENTED_NAME, ErrorType.INVENTED_NUMBER)
"""Kinds that are marked as absent from the dialogue."""
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")


class _System(msgspec.Struct, frozen=True):
    run: str
    name: str
    toy: bool
    mean: float | None


class _Table(msgspec.Struct, frozen=True):
    key: str
    data: str
    split: str
    rows: int
    references: int
    systems: tuple[_System, ...]


class _LeftOut(msgspec.Struct, frozen=True):
    data: str
    split: str
    rows: int
    systems: int


class _Tables(msgspec.Struct, frozen=True):
    tables: tuple[_Table, ...]


class _Config(msgspec.Struct, frozen=True):
    language: str
    live: bool
    texts: dict[str, dict[str, str]]
    faults: tuple[str, ...]
    absent: tuple[str, ...]
    colours: Mapping[str, str]
    tables: tuple[_Table, ...]
    left_out: tuple[_LeftOut, ...]


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    text: str
    rouge: tuple[int, int, int] | None
    marks: tuple[int, ...]


class _Row(msgspec.Struct, frozen=True, array_like=True):
    id: str
    topic: str | None
    turns: int
    speakers: int
    disagreement: int | None
    dialogue: str
    references: tuple[str, ...]
    answers: tuple[_Answer | None, ...]


def explorer_blocks(
    sources: Sequence[RowSource], colours: Mapping[str, str], *, live: bool
) -> "list[Markup]":
    """Return the explorer's data blocks; a ``live`` page asks its server for the rows instead.

    Tables are embedded in their order as long as the file stays below ``MOST_CHARACTERS``; the
    page names those that are left out.
    """
    chosen: list[RowSource] = []
    size = 0
    for one in sources:
        if size + one.characters <= MOST_CHARACTERS:
            size += one.characters
            chosen.append(one)
    config = _Config(
        language=messages.language(),
        live=live,
        texts={language: _texts(language) for language in messages.LANGUAGES},
        faults=tuple(kind.value for kind in ErrorType),
        absent=tuple(kind.value for kind in _ABSENT),
        colours=colours,
        tables=tuple(_table(one.table) for one in chosen),
        left_out=tuple(
            _LeftOut(
                data=plain(one.table.data),
                split=one.table.split,
                rows=one.table.rows,
                systems=len(one.table.systems),
            )
            for one in sources
            if one not in chosen
        ),
    )
    rows = (packed_block(f"rows-{one.table.key}", rows_json(one).decode()) for one in chosen)
    return [json_block("explorer-config", config), *rows]


def tables_json(sources: Sequence[RowSource]) -> bytes:
    """Return the heads of the tables as the server answers them."""
    return msgspec.json.encode(_Tables(tables=tuple(_table(one.table) for one in sources)))


def rows_json(source: RowSource, start: int = 0, stop: int | None = None) -> bytes:
    """Return the rows from ``start`` to before ``stop`` as a JSON array."""
    return msgspec.json.encode([_row(one) for one in source.rows(start, stop)])


def _texts(language: messages.Language) -> dict[str, str]:
    with messages.speaking(language):
        faults = {f"fault-{kind.value}": fault_name(kind) for kind in ErrorType}
    return messages.sentences("explorer", language) | faults


def _table(head: RowTable) -> _Table:
    return _Table(
        key=head.key,
        data=plain(head.data),
        split=head.split,
        rows=head.rows,
        references=head.references,
        systems=tuple(
            _System(run=one.run, name=plain(one.name), toy=one.toy, mean=one.mean)
            for one in head.systems
        ),
    )


def _row(row: DialogueRow) -> _Row:
    return _Row(
        id=plain(row.id),
        topic=None if row.topic is None else plain(row.topic),
        turns=row.turns,
        speakers=row.speakers,
        disagreement=None if row.disagreement is None else round(1000 * row.disagreement),
        dialogue=printable(row.dialogue),
        references=tuple(map(printable, row.references)),
        answers=tuple(None if one is None else _answer(one) for one in row.answers),
    )


def _answer(answer: RowAnswer) -> _Answer:
    shown = printable(answer.text)
    places = _places(answer.text, shown)
    kinds = tuple(ErrorType)
    marks = [
        (kinds.index(fault.fault), places(span.start), places(span.end))
        for fault in answer.faults
        for span in fault.spans
    ]
    rouge = answer.rouge
    return _Answer(
        text=shown,
        rouge=None
        if rouge is None
        else (_thousandths(rouge.rouge1), _thousandths(rouge.rouge2), _thousandths(rouge.rougeL)),
        marks=tuple(number for mark in marks for number in mark),
    )


def _thousandths(score: float) -> int:
    return round(100_000 * score)


def _places(original: str, shown: str) -> Callable[[int], int]:
    """Return a function from a position in ``original`` to one in ``shown``, in UTF-16 units."""
    if len(shown) == len(original) and not _BEYOND_BMP.search(shown):
        return lambda at: at
    return lambda at: len(printable(original[:at]).encode("utf-16-le")) // 2
