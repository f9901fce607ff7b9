"""Read the contest's folder as one corpus of cleaned dialogues, checked row by row.

| file | columns | and may have |
|---|---|---|
| train.csv, dev.csv | fname, dialogue, summary | topic, summary2, summary3 |
| test.csv | fname, dialogue | topic |
| dev_references.csv (optional) | fname (may repeat), summary | |
| sample_submission.csv (optional) | fname, summary; ids and order of test.csv | an unnamed index |
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from yoyak.data.clean import SPEAKER, TAG, Cleaned, clean
from yoyak.data.encoding import text_of
from yoyak.data.rows import InputTable, TableRow, read_rows
from yoyak.errors import BadData, InputMissing
from yoyak.messages import listed, visible
from yoyak.values import Corpus, Dialogue, Split, SplitName, Turn

_TURN = re.compile(rf"({SPEAKER}):(?: (.*))?")

ID, DIALOGUE, SUMMARY, TOPIC = "fname", "dialogue", "summary", "topic"
FURTHER_SUMMARIES = ("summary2", "summary3")


class ContestRow(NamedTuple):
    """One row that keeps the contract; ``summaries`` are as the file has them, in NFC."""

    row: TableRow
    id: str
    dialogue: Cleaned
    summaries: tuple[str, ...]
    topic: str | None

    @property
    def changed(self) -> frozenset[str]:
        """Return the clean-up rules that changed the row, ``nfc`` for any decomposed cell."""
        return frozenset((*self.dialogue.counts, *(("nfc",) if self.row.as_written else ())))


class ContestRows(NamedTuple):
    """The rows of one file, in file order."""

    table: InputTable
    rows: tuple[ContestRow, ...]

    @property
    def ids(self) -> list[str]:
        """Return the ids in file order."""
        return [record.id for record in self.rows]


def read_corpus(folder: Path) -> Corpus:
    """Read the three splits of ``folder``, cleaned, with every rule of the contract checked.

    A reference in ``dev_references.csv`` that ``dev.csv`` has too counts once.

    Raises:
        InputMissing: the folder or one of the three files is not there.
        BadData: a file breaks the contract; the message names file, row and fname.
    """
    paths = {name: folder / f"{name}.csv" for name in get_args(SplitName)}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise InputMissing("data.no-corpus", folder=folder, missing=", ".join(missing))
    train = read_split("train", paths["train"])
    dev = read_split("dev", paths["dev"])
    test = read_split("test", paths["test"])
    refuse_shared_ids((train, dev, test))
    return Corpus(
        folder=str(folder),
        train=_split("train", train),
        dev=_split("dev", dev, read_further_references(folder / "dev_references.csv", dev)),
        test=_split("test", test),
        sample_submission=read_sample_submission(folder / "sample_submission.csv", test),
    )


def parse_turns(text: str) -> tuple[Turn, ...]:
    """Split a cleaned dialogue into its turns, one a line.

    A line without a speaker tag becomes a turn with an empty speaker: lines before the first tag,
    and all lines of a dialogue without tags.
    """
    return tuple(_turn(line) for line in text.split("\n") if line)


def _turn(line: str) -> Turn:
    tagged = _TURN.fullmatch(line)
    if tagged is None:
        return Turn(speaker="", text=line)
    return Turn(speaker=tagged[1], text=tagged[2] or "")


def fingerprint(dialogues: Iterable[Dialogue]) -> str:
    """Return the SHA-256 of ids, cleaned text, references and topics, in order.

    Quoting, byte order mark, column order and blanks that are cleaned away do not matter.
    """
    content = [(each.id, each.text, each.references, each.topic) for each in dialogues]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def _split(
    name: SplitName, records: ContestRows, further: dict[str, tuple[str, ...]] | None = None
) -> Split:
    changed: Counter[str] = Counter()
    dialogues = []
    for record in records.rows:
        changed.update(record.changed)
        added = (further or {}).get(record.id, ())
        dialogue = Dialogue(
            id=record.id,
            turns=parse_turns(record.dialogue.text),
            references=(
                *record.summaries,
                *(text for text in added if text not in record.summaries),
            ),
            topic=record.topic,
        )
        dialogues.append(dialogue)
    return Split(
        name=name,
        dialogues=tuple(dialogues),
        fingerprint=fingerprint(dialogues),
        cleaned=dict(sorted(changed.items())),
    )


# --- the contract of each file ---


def read_split(name: SplitName, path: Path) -> ContestRows:
    """Read the rows of ``train.csv``, ``dev.csv`` or ``test.csv``.

    Raises:
        BadData: the file breaks the contract; the message names file, row and fname.
    """
    labelled = name != "test"
    needed = (ID, DIALOGUE, SUMMARY) if labelled else (ID, DIALOGUE)
    table = _read_whole(path)
    check_columns(table, needed, (TOPIC, *FURTHER_SUMMARIES) if labelled else (TOPIC,))
    rows = tuple(_record(table, row, labelled) for row in table.rows)
    _refuse_repeated_ids(table, (record.id for record in rows))
    return ContestRows(table, rows)


def read_further_references(path: Path, dev: ContestRows) -> dict[str, tuple[str, ...]]:
    """Read references of dev beyond those in ``dev.csv``, by id; ``{}`` where there is no file."""
    if not path.is_file():
        return {}
    table = _read_whole(path)
    check_columns(table, (ID, SUMMARY), (TOPIC, DIALOGUE))
    known = set(dev.ids)
    found: dict[str, tuple[str, ...]] = {}
    for row in table.rows:
        key = _id(table, row)
        if key not in known:
            raise table.error("data.unknown-id", row, id=key, other=dev.table.path.name)
        found[key] = (*found.get(key, ()), *_summaries(table, row))
    return found


def read_sample_submission(path: Path, test: ContestRows) -> str | None:
    """Return the text of the sample submission; its ids must be those of test, in order."""
    if not path.is_file():
        return None
    sample = read_rows(path)
    check_columns(sample, (ID, SUMMARY), ())
    asked, given = [_id(sample, row) for row in sample.rows], test.ids
    _refuse_repeated_ids(sample, asked)
    if set(asked) != set(given):
        raise BadData(
            "data.sample-ids",
            file=path,
            only_sample=_ids(asked, given),
            only_test=_ids(given, asked),
        )
    for row, key, expected in zip(sample.rows, asked, given, strict=True):
        if key != expected:
            raise sample.error("data.sample-order", row, id=key, expected=expected)
    return text_of(path)


def refuse_shared_ids(files: Sequence[ContestRows]) -> None:
    """Raise BadData where an id is in two splits: a score would be taken on training rows."""
    owner: dict[str, InputTable] = {}
    for table, rows in files:
        for record in rows:
            other = owner.setdefault(record.id, table)
            if other is not table:
                raise table.error("data.shared-id", record.row, id=record.id, other=other.path.name)


def check_columns(table: InputTable, needed: Sequence[str], allowed: Sequence[str]) -> None:
    """Raise BadData unless the columns are those ``needed`` and some ``allowed``, in any order."""
    missing = [column for column in needed if column not in table.columns]
    extra = [column for column in table.columns if column not in chain(needed, allowed)]
    for key, columns in (("data.missing-column", missing), ("data.extra-column", extra)):
        if columns:
            raise BadData(
                key,
                file=table.path,
                columns=listed(columns),
                found=listed(table.columns),
                expected=listed(needed),
            )


# --- one row -------------------------------------------------------------------------------------


def _read_whole(path: Path) -> InputTable:
    table = read_rows(path)
    if not table.ends_with_newline:
        last = table.rows[-1]
        raise table.error("data.no-final-newline", last, id=last.cells.get(ID, "?"))
    return table


def _record(table: InputTable, row: TableRow, labelled: bool) -> ContestRow:
    key = _id(table, row)
    dialogue = clean(table.cell(row, DIALOGUE))
    if not re.sub(TAG, "", dialogue.text).strip(" \n:"):
        raise table.error("data.empty-dialogue", row, id=key)
    summaries = _summaries(table, row) if labelled else ()
    return ContestRow(row, key, dialogue, summaries, row.cells.get(TOPIC) or None)


def _id(table: InputTable, row: TableRow) -> str:
    key = table.cell(row, ID)
    if not key.strip():
        raise table.error("data.empty-id", row, column=ID)
    return key


def _summaries(table: InputTable, row: TableRow) -> tuple[str, ...]:
    first = table.cell(row, SUMMARY)
    if not first.strip():
        raise table.error("data.empty-summary", row, id=row.cells.get(ID))
    further = (row.cells.get(column, "") for column in FURTHER_SUMMARIES)
    return (first, *(text for text in further if text.strip()))


def _refuse_repeated_ids(table: InputTable, keys: Iterable[str]) -> None:
    first: dict[str, int] = {}
    for row, key in zip(table.rows, keys, strict=True):
        if key in first:
            raise table.error("data.duplicate-id", row, id=key, first=first[key])
        first[key] = row.number


def _ids(keys: Iterable[str], known: Iterable[str]) -> str:
    known = set(known)
    return listed([visible(key) for key in keys if key not in known]) or "–"
