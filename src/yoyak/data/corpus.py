"""Read the contest's folder as one corpus of cleaned dialogues, checked row by row.

| file | columns | and may have |
|---|---|---|
| train, dev | fname, dialogue, summary | topic, summary2, summary3 |
| test | fname, dialogue | topic |
| dev_references (optional) | fname (may repeat), summary | |
| dev2 (optional) | as dev | as dev |
| sample_submission.csv (optional) | fname, summary; ids and order of test | an unnamed index |

Each but the last may be ``.csv``, ``.tsv``, ``.json`` or ``.jsonl``, or a folder of such files
(AI Hub has one for each topic, NIKL one for each dialogue). Other names of files and columns are
declared in ``contest.toml``; those of SAMSum and DialogSum (``id``, ``summary1``) are known, and
NIKL and AI Hub records are converted (``published_formats``). Names of speakers become tags.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.data.clean import SPEAKER, TAG, Cleaned, clean
from yoyak.data.columns import (
    DIALOGUE,
    ID,
    SUMMARY,
    TOPIC,
    summary_columns,
    with_contest_columns,
    with_speaker_tags,
)
from yoyak.data.contest import Contest, contest_of, read_contest
from yoyak.data.rows import InputTable, TableRow, read_folder, read_rows
from yoyak.data.speakers import tag_names
from yoyak.data.text_file import read_text_file
from yoyak.errors import BadData, InputMissing
from yoyak.messages import listed, visible
from yoyak.values import SPLITS, Corpus, Dialogue, Split, SplitName, Turn

_TURN = re.compile(rf"({SPEAKER}):(?: (.*))?")

EXTENSIONS = (".csv", ".tsv", ".json", ".jsonl")
"""How the name of a split's file may end; what is in it decides how it is read."""

EXCEL_CELL_LIMIT = 32_767
"""Characters after which Excel cuts a cell."""

NO_RULES = Contest()


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
    """The rows of one file, in file order; ``unread`` counts the summaries of a test split."""

    table: InputTable
    rows: tuple[ContestRow, ...]
    unread: int = 0

    @property
    def ids(self) -> list[str]:
        """Return the ids in file order."""
        return [record.id for record in self.rows]


def read_corpus(folder: Path, contest: Contest | None = None) -> Corpus:
    """Read the three splits of ``folder``, cleaned, with every rule of the contract checked.

    A reference in ``dev_references.csv`` that ``dev.csv`` has too counts once. ``contest`` takes
    the place of the folder's ``contest.toml``.

    Raises:
        InputMissing: the folder or one of the three files is not there.
        BadData: a file breaks the contract; the message names file, row and fname.
    """
    contest = read_contest(folder) if contest is None else contest
    paths = {name: split_file(folder, name, contest) for name in SPLITS}
    missing = [f"{name}.csv" for name, path in paths.items() if path is None]
    if missing:
        ends = ", ".join(EXTENSIONS[1:])
        raise InputMissing("data.no-corpus", folder=folder, missing=", ".join(missing), ends=ends)
    train, dev, test = (
        read_split(name, path, contest) for name, path in paths.items() if path is not None
    )
    second = split_file(folder, "dev2", contest)
    dev2 = None if second is None else read_split("dev2", second, contest)
    refuse_shared_ids((train, dev, test, *(() if dev2 is None else (dev2,))))
    further = read_further_references(split_file(folder, "dev_references", contest), dev, contest)
    sample = read_sample_submission(folder / "sample_submission.csv", test)
    corpus = corpus_of(folder, train, dev, test, further, sample)
    if dev2 is None:
        return corpus
    return msgspec.structs.replace(corpus, dev2=split_of("dev2", dev2))


def corpus_of(
    folder: Path,
    train: ContestRows,
    dev: ContestRows,
    test: ContestRows,
    further: dict[str, tuple[str, ...]] | None = None,
    sample_submission: str | None = None,
) -> Corpus:
    """Return the corpus of rows that were read and checked; ``further`` are references of dev."""
    return Corpus(
        folder=str(folder),
        train=split_of("train", train),
        dev=split_of("dev", dev, further),
        test=split_of("test", test),
        sample_submission=sample_submission,
    )


def split_file(folder: Path, name: str, contest: Contest | None = None) -> Path | None:
    """Return the file of a split, whichever of ``EXTENSIONS`` it has, or else its folder of files.

    What ``contest.toml`` declares comes first.

    Raises:
        InputMissing: the declared one is not there.
        BadData: there are two, or it is a pipe, which the worker of a run could not read again.
    """
    declared = (read_contest(folder) if contest is None else contest).files.of(name)
    if declared is not None and not (folder / declared).exists():
        raise InputMissing("data.no-declared-file", file=folder / declared, split=name)
    found = [folder / declared] if declared is not None else _called(folder, name)
    if found and found[0].is_fifo():
        raise BadData("data.pipe", file=found[0])
    if not found and (folder / name).is_dir():
        return folder / name
    return found[0] if found else None


def _called(folder: Path, name: str) -> list[Path]:
    found = [path for end in EXTENSIONS if (path := folder / f"{name}{end}").exists()]
    if len(found) > 1:
        names = listed([path.name for path in found])
        raise BadData("data.two-files", folder=folder, names=names, split=name)
    return found


def read_table(path: Path) -> InputTable:
    """Read the rows of a file, or of all files of a folder that ``split_file`` returned."""
    is_split = path.name == "dev_references" or contest_of(path) is not None
    return read_folder(path, EXTENSIONS) if path.is_dir() and is_split else read_rows(path)


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


def split_of(
    name: SplitName, records: ContestRows, further: dict[str, tuple[str, ...]] | None = None
) -> Split:
    """Return the split of rows that were read; ``further`` are references of dev."""
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
        speaker_names={one.id: dict(one.row.speakers) for one in records.rows if one.row.speakers},
        cut_ids=tuple(one.id for one in records.rows if _is_cut(one.row)),
        unread_summaries=records.unread,
    )


def _is_cut(row: TableRow) -> bool:
    cells = (*row.cells.values(), *row.as_written.values())
    return any(len(cell.encode("utf-16-le")) == 2 * EXCEL_CELL_LIMIT for cell in cells)


# --- the contract of each file ---


def read_split(name: SplitName, path: Path, contest: Contest = NO_RULES) -> ContestRows:
    """Read the rows of the file of train, dev or test.

    Raises:
        BadData: the file breaks the contract; the message names file, row and fname.
    """
    labelled = name != "test"
    needed = (ID, DIALOGUE, SUMMARY) if labelled else (ID, DIALOGUE)
    table, unread = with_contest_columns(read_complete(path), contest.columns, is_test=not labelled)
    check_columns(table, needed, (TOPIC, *summary_columns(table)) if labelled else (TOPIC,))
    table = with_speaker_tags(table)
    rows = tuple(_record(table, row, labelled, contest) for row in table.rows)
    _refuse_repeated_ids(table, (record.id for record in rows))
    return ContestRows(table, rows, unread)


def read_further_references(
    path: Path | None, dev: ContestRows, contest: Contest = NO_RULES
) -> dict[str, tuple[str, ...]]:
    """Read references of dev beyond those in its own file, by id; ``{}`` where there are none."""
    if path is None:
        return {}
    table, _ = with_contest_columns(read_complete(path), None)
    check_columns(table, (ID, SUMMARY), (TOPIC, DIALOGUE))
    speakers = {record.id: record.row.speakers for record in dev.rows}
    found: dict[str, tuple[str, ...]] = {}
    for row in table.rows:
        key = _id(table, row)
        if key not in speakers:
            raise table.error("data.unknown-id", row, id=key, other=dev.table.path.name)
        texts = _summaries(table, row._replace(speakers=speakers[key]), contest)
        found[key] = (*found.get(key, ()), *texts)
    return found


def read_sample_submission(path: Path, test: ContestRows) -> str | None:
    """Return the text of the sample submission; its ids must be those of test, in order."""
    if not path.exists():
        return None
    text = read_text_file(path).text
    sample = read_rows(path)
    if sample.separator != ",":
        raise BadData("data.sample-format", file=path)
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
    return text


def refuse_shared_ids(files: Sequence[ContestRows]) -> None:
    """Raise BadData where an id is in two splits: a score would be taken on training rows."""
    owner: dict[str, InputTable] = {}
    for file in files:
        for record in file.rows:
            other = owner.setdefault(record.id, file.table)
            if other is not file.table:
                raise file.table.error(
                    "data.shared-id", record.row, id=record.id, other=other.path.name
                )


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


def read_complete(path: Path) -> InputTable:
    """Read the rows of a split from its file or folder.

    Raises:
        BadData: a file breaks off.
    """
    table = read_folder(path, EXTENSIONS) if path.is_dir() else read_rows(path)
    if not table.ends_with_newline:
        last = table.rows[-1]
        raise table.error("data.no-final-newline", last, id=last.cells.get(ID, "?"))
    return table


def _record(table: InputTable, row: TableRow, labelled: bool, contest: Contest) -> ContestRow:
    key = _id(table, row)
    dialogue = clean_dialogue(table, row, key)
    summaries = _summaries(table, row, contest) if labelled else ()
    return ContestRow(row, key, dialogue, summaries, row.cells.get(TOPIC) or None)


def clean_dialogue(table: InputTable, row: TableRow, key: str) -> Cleaned:
    """Return the dialogue of a row, cleaned.

    Raises:
        BadData: nothing is said in it.
    """
    dialogue = clean(table.cell(row, DIALOGUE))
    if not re.sub(TAG, "", dialogue.text).strip(" \n:"):
        raise table.error("data.empty-dialogue", row, id=key)
    return dialogue


def _id(table: InputTable, row: TableRow) -> str:
    key = table.cell(row, ID)
    if not key.strip():
        raise table.error("data.empty-id", row, column=ID)
    return key


def _summaries(table: InputTable, row: TableRow, contest: Contest) -> tuple[str, ...]:
    first = table.cell(row, SUMMARY)
    if not first.strip():
        raise table.error("data.empty-summary", row, id=row.cells.get(ID))
    further = (row.cells.get(column, "") for column in summary_columns(table)[1:])
    texts = (first, *(text for text in further if text.strip()))
    if contest.tag_speakers_in_summaries:
        return tuple(tag_names(text, row.speakers) for text in texts)
    return texts


def _refuse_repeated_ids(table: InputTable, keys: Iterable[str]) -> None:
    first: dict[str, int] = {}
    for row, key in zip(table.rows, keys, strict=True):
        if key in first:
            raise table.error("data.duplicate-id", row, id=key, first=first[key])
        first[key] = row.number


def _ids(keys: Iterable[str], known: Iterable[str]) -> str:
    known = set(known)
    return listed([visible(key) for key in keys if key not in known]) or "–"
