"""The ledger: an append-only log of submissions, uploads and leaderboard scores.

A submission is recorded when it is written, again when it is uploaded, and again for every score
of the leaderboard. Lines are never changed: ``Entry`` is what they add up to, and a later score of
the same board replaces an earlier one in it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.data.contest import Contest
from yoyak.errors import BadData, InputMissing, UsageError
from yoyak.files import atomic, jsonl
from yoyak.files.format import LEDGER
from yoyak.submission.manifest import CSV, MANIFEST, DevScore, Member, read_manifest
from yoyak.values import Value


class Leaderboard(StrEnum):
    """Which part of test a leaderboard score is of."""

    PUBLIC = "public"
    PRIVATE = "private"


class _Record(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="record"
):
    """The base of the log's lines; ``at`` is wall-clock time in seconds since 1970 (UTC)."""

    at: float
    number: int
    format: int = LEDGER.number


class Written(_Record, frozen=True, kw_only=True, tag="written"):
    """A submission was written."""

    sha256: str
    method: str
    members: tuple[Member, ...]
    dev: DevScore


class Uploaded(_Record, frozen=True, kw_only=True, tag="uploaded"):
    """A person uploaded the submission."""


class LeaderboardResult(_Record, frozen=True, kw_only=True, tag="result"):
    """A person entered what the leaderboard says; ``score`` is 0 to 1."""

    board: Leaderboard
    score: float


Record = Written | Uploaded | LeaderboardResult


class Entry(Value, frozen=True, kw_only=True):
    """All that is known about one submission; ``None`` is not known."""

    number: int
    written: Written
    uploaded_at: float | None = None
    public: float | None = None
    private: float | None = None


class UploadQuota(NamedTuple):
    """Uploads of the current day in the contest's time zone."""

    used: int
    left: int
    resets_at: datetime


def record_written(ledger: Path, folder: Path, *, now: float | None = None) -> Written:
    """Record the submission in ``folder`` (``submissions/<n>``), as its manifest describes it."""
    manifest = read_manifest(folder / MANIFEST)
    record = Written(
        at=_now(now),
        number=int(folder.name),
        sha256=manifest.sha256,
        method=manifest.method,
        members=manifest.members,
        dev=manifest.dev,
    )
    _append(ledger, record)
    return record


def record_upload(
    ledger: Path, number: int, contest: Contest, *, now: float | None = None
) -> UploadQuota | None:
    """Record an upload and return what is left of today's; ``None`` where nothing limits them.

    Raises:
        UsageError: there is no such submission, today's uploads are used up, or the contest is
            closed.
    """
    moment = _now(now)
    entries = read_ledger(ledger)
    _entry(entries, number)
    closes = contest.closes_at
    if closes is not None and moment >= closes.timestamp():
        raise UsageError("submission.closed", closed=_shown(closes), number=number)
    today = quota(entries, contest, moment)
    if today is not None and not today.left:
        raise UsageError(
            "submission.quota",
            used=today.used,
            per_day=contest.uploads_per_day,
            resets=_shown(today.resets_at),
        )
    _append(ledger, Uploaded(at=moment, number=number))
    return None if today is None else today._replace(used=today.used + 1, left=today.left - 1)


def record_result(
    ledger: Path,
    number: int,
    board: Leaderboard,
    points: float,
    *,
    submissions: Path | None = None,
    now: float | None = None,
) -> Entry:
    """Record a leaderboard score; a submission that has one counts as uploaded.

    Args:
        ledger: the log.
        number: of the submission.
        board: public or private.
        points: as the leaderboard shows it, 0 to 100.
        submissions: their folder; the file must then still be the one that was recorded.
        now: seconds since 1970, for tests.

    Raises:
        UsageError: there is no such submission, or the score is not 0 to 100.
        BadData: the file was changed after it was written.
    """
    if not 0 <= points <= 100:
        raise UsageError("submission.bad-points", points=points)
    entry = _entry(read_ledger(ledger), number)
    if submissions is not None:
        _unchanged(submissions / str(number) / CSV, entry)
    moment = _now(now)
    records: list[Record] = [
        LeaderboardResult(at=moment, number=number, board=board, score=round(points / 100, 8))
    ]
    if entry.uploaded_at is None:
        records.insert(0, Uploaded(at=moment, number=number))
    _append(ledger, *records)
    return _entry(read_ledger(ledger), number)


def read_ledger(ledger: Path) -> tuple[Entry, ...]:
    """Read every submission of the log, in order of their numbers.

    Raises:
        BadData: a line is not one that yoyak wrote; the message names it.
    """
    entries, damaged = readable_ledger(ledger)
    if damaged:
        raise damaged[0]
    return entries


def readable_ledger(ledger: Path) -> tuple[tuple[Entry, ...], tuple[BadData, ...]]:
    """Return what can be read of the log, for views, and an error for each line that cannot be."""
    entries: dict[int, Entry] = {}
    damaged: list[BadData] = []
    for line, record in enumerate(_records(ledger), 1):
        if isinstance(record, BadData):
            damaged.append(record)
        elif isinstance(record, Written):
            entries[record.number] = Entry(number=record.number, written=record)
        elif record.number in entries:
            entries[record.number] = _after(entries[record.number], record)
        else:
            problem = f"submission {record.number}"
            damaged.append(
                BadData("submission.bad-record", file=ledger, line=line, problem=problem)
            )
    return tuple(entries[number] for number in sorted(entries)), tuple(damaged)


def changed_files(entries: Iterable[Entry], submissions: Path) -> tuple[int, ...]:
    """Return the numbers of the submissions whose file is there and not the one recorded."""
    return tuple(
        entry.number
        for entry in entries
        if (path := submissions / str(entry.number) / CSV).is_file()
        and not _is_recorded(path, entry)
    )


def quota(
    entries: Iterable[Entry], contest: Contest, now: float | None = None
) -> UploadQuota | None:
    """Return how many uploads the team has left today; ``None`` where nothing limits them.

    The day ends at midnight in the contest's time zone.
    """
    zone, per_day = contest.time_zone, contest.uploads_per_day
    if zone is None or per_day is None:
        return None
    today = datetime.fromtimestamp(_now(now), zone)
    used = sum(
        entry.uploaded_at is not None
        and datetime.fromtimestamp(entry.uploaded_at, zone).date() == today.date()
        for entry in entries
    )
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return UploadQuota(used, max(0, per_day - used), midnight)


def _after(entry: Entry, record: Uploaded | LeaderboardResult) -> Entry:
    if isinstance(record, Uploaded):
        return msgspec.structs.replace(entry, uploaded_at=entry.uploaded_at or record.at)
    if record.board is Leaderboard.PUBLIC:
        return msgspec.structs.replace(entry, public=record.score)
    return msgspec.structs.replace(entry, private=record.score)


def _records(ledger: Path) -> Iterable[Record | BadData]:
    """Yield each line's record, or what is wrong with it; a newer format is refused."""
    decoder = msgspec.json.Decoder(Record)
    for number, line in enumerate(jsonl.read_lines(ledger), 1):
        try:
            LEDGER.check(line, ledger)
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield BadData("submission.bad-record", file=ledger, line=number, problem=str(error))


def _append(ledger: Path, *records: Record) -> None:
    ledger.parent.mkdir(parents=True, exist_ok=True)
    lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    jsonl.append_lines(ledger, lines, durable=True)


def _entry(entries: Sequence[Entry], number: int) -> Entry:
    for entry in entries:
        if entry.number == number:
            return entry
    known = ", ".join(str(entry.number) for entry in entries)
    raise UsageError("submission.no-submission", number=number, known=known)


def _unchanged(path: Path, entry: Entry) -> None:
    if not path.is_file():
        raise InputMissing("submission.no-file", file=path, problem="not found")
    if not _is_recorded(path, entry):
        raise BadData("submission.changed-file", file=path, number=entry.number)


def _is_recorded(path: Path, entry: Entry) -> bool:
    return atomic.sha256_file(path) == entry.written.sha256


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M %Z")


def _now(now: float | None) -> float:
    return datetime.now(UTC).timestamp() if now is None else now
