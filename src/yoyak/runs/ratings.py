"""Notes on rows and blind ratings of pairs of summaries: an append-only log of the workspace.

Lines are never changed: a later note or rating of the same person on the same row replaces an
earlier one when the log is read.
"""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import msgspec

from yoyak.errors import BadData
from yoyak.files import jsonl
from yoyak.files.format import RATINGS


class Side(StrEnum):
    """Which of two summaries, shown side by side without names, is better."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"


class _Record(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """The base of the log's lines; ``at`` is wall-clock time in seconds since 1970 (UTC)."""

    at: float
    table: str
    """Key of the table of rows, which holds the start of the split's fingerprint."""
    row: str
    rater: str
    format: int = RATINGS.number


class RowNote(_Record, frozen=True, kw_only=True, tag="note"):
    """What a person wrote about a row; an empty text takes an earlier note back."""

    text: str


class PairRating(_Record, frozen=True, kw_only=True, tag="rating"):
    """Which of two summaries of a row a person prefers; ``left`` and ``right`` are ids of runs."""

    left: str
    right: str
    choice: Side
    texts_sha256: str
    """Of the two texts that were shown, from left to right."""


RatingRecord = RowNote | PairRating


def texts_sha256(left: str, right: str) -> str:
    """Return the hash of two texts as they were shown."""
    return sha256(msgspec.json.encode((left, right))).hexdigest()


def append_record(path: Path, record: RatingRecord) -> None:
    """Add a record to the log, durably.

    Raises:
        DiskFull, CannotWrite: the log is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    jsonl.append_lines(path, msgspec.json.encode(record) + b"\n", durable=True)


def read_records(path: Path) -> tuple[tuple[RatingRecord, ...], tuple[BadData, ...]]:
    """Return the records in the order they were made, and an error for each unreadable line.

    Raises:
        BadData: a newer version wrote a line.
    """
    decoder = msgspec.json.Decoder(RatingRecord)
    found: list[RatingRecord] = []
    damaged: list[BadData] = []
    for number, line in enumerate(jsonl.read_lines(path), 1):
        try:
            RATINGS.check(line, path)
            found.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = f"{number}: {error}"
            damaged.append(BadData("runs.bad-record", path=path, problem=problem))
    return tuple(found), tuple(damaged)


def current_ratings(records: Sequence[RatingRecord]) -> tuple[PairRating, ...]:
    """Return the last rating of each person on each row and pair."""
    last = {
        (one.rater, one.table, one.row, frozenset((one.left, one.right))): one
        for one in records
        if isinstance(one, PairRating)
    }
    return tuple(last.values())
