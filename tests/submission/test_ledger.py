"""The ledger adds up, survives a torn line, and counts the days of the contest."""

import shutil
from datetime import datetime, timedelta, timezone

import pytest

from yoyak.data.contest import Contest
from yoyak.errors import BadData, UsageError
from yoyak.submission.ledger import (
    Leaderboard,
    changed_files,
    quota,
    read_ledger,
    readable_ledger,
    record_result,
    record_upload,
    record_written,
)
from yoyak.submission.write import write_submission

KST = timezone(timedelta(hours=9))
CONTEST = Contest(
    uploads_per_day=12,
    utc_offset="+09:00",
    closes_at=datetime(2025, 10, 15, 19, tzinfo=KST),
)


def korean(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=KST).timestamp()


@pytest.fixture
def folder(draft, evidence, tmp_path):
    for _ in range(2):
        write_submission(draft, evidence, tmp_path / "submissions")
    return tmp_path


@pytest.fixture
def ledger(folder):
    path = folder / "ledger.jsonl"
    for number in (1, 2):
        record_written(path, folder / "submissions" / str(number), now=korean("2025-10-01 09:00"))
    return path


def test_a_submission_is_traced_from_file_to_scores(ledger, folder):
    record_upload(ledger, 1, CONTEST, now=korean("2025-10-01 10:00"))
    record_result(ledger, 1, Leaderboard.PUBLIC, 47.12, submissions=folder / "submissions")
    entry = record_result(ledger, 1, Leaderboard.PRIVATE, 44.5)
    assert (entry.public, entry.private) == (0.4712, 0.445)
    assert entry.written.members[0].system == "run-a"
    assert entry.written.dev.signature == "rouge|profile:official"
    other = read_ledger(ledger)[1]
    assert (other.uploaded_at, other.public, other.private) == (None, None, None)


def test_a_result_implies_an_upload_and_a_later_result_replaces_it(ledger):
    record_result(ledger, 2, Leaderboard.PUBLIC, 40.0, now=korean("2025-10-01 12:00"))
    entry = record_result(ledger, 2, Leaderboard.PUBLIC, 41.0, now=korean("2025-10-02 12:00"))
    assert entry.public == 0.41
    assert entry.uploaded_at == korean("2025-10-01 12:00")


def test_the_quota_resets_at_midnight_where_the_contest_is(ledger):
    late = korean("2025-10-01 23:59")
    record_upload(ledger, 1, CONTEST, now=late)
    assert quota(read_ledger(ledger), CONTEST, late)[:2] == (1, 11)
    assert (
        quota(read_ledger(ledger), CONTEST, late).resets_at.isoformat()
        == "2025-10-02T00:00:00+09:00"
    )
    assert quota(read_ledger(ledger), CONTEST, late + 120)[:2] == (0, 12)


def test_the_thirteenth_upload_of_a_day_is_refused(folder):
    path = folder / "ledger.jsonl"
    for number in range(1, 14):
        if number > 2:
            shutil.copytree(folder / "submissions" / "1", folder / "submissions" / str(number))
        record_written(path, folder / "submissions" / str(number))
        if number <= 12:
            left = record_upload(path, number, CONTEST, now=korean("2025-10-03 08:00")).left
    assert left == 0
    with pytest.raises(UsageError, match=r"12 of today's 12.*2025-10-04 00:00 UTC\+09:00"):
        record_upload(path, 13, CONTEST, now=korean("2025-10-03 20:00"))
    record_upload(path, 13, CONTEST, now=korean("2025-10-04 00:00"))


def test_without_a_limit_every_upload_is_recorded_and_nothing_is_counted(ledger):
    for _ in range(30):
        assert record_upload(ledger, 1, Contest(), now=korean("2025-10-03 08:00")) is None
    assert quota(read_ledger(ledger), Contest()) is None
    assert quota(read_ledger(ledger), Contest(utc_offset="+09:00")) is None


def test_after_the_closing_time_scores_are_recorded_and_uploads_are_not(ledger):
    record_upload(ledger, 1, CONTEST, now=korean("2025-10-15 18:59"))
    with pytest.raises(UsageError, match=r"closed at 2025-10-15 19:00 UTC\+09:00"):
        record_upload(ledger, 2, CONTEST, now=korean("2025-10-15 19:00"))
    assert record_result(ledger, 1, Leaderboard.PRIVATE, 44.5).private == 0.445


def test_a_torn_last_line_is_forgotten_and_the_log_goes_on(ledger):
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b'{"record":"uploaded","at":1')
    assert len(read_ledger(ledger)) == 2
    record_upload(ledger, 1, CONTEST, now=korean("2025-10-01 10:00"))
    assert read_ledger(ledger)[0].uploaded_at is not None


@pytest.mark.parametrize("line", [b"{}", b"not json", b'{"record":"uploaded","at":1,"number":9}'])
def test_a_line_that_is_none_of_ours_is_named(ledger, line):
    ledger.write_bytes(ledger.read_bytes() + line + b"\n")
    with pytest.raises(BadData, match="line 3"):
        read_ledger(ledger)


def test_a_changed_file_gets_no_score(ledger, folder):
    path = folder / "submissions" / "1" / "submission.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(BadData, match="not the file that was written as submission 1"):
        record_result(ledger, 1, Leaderboard.PUBLIC, 47.0, submissions=folder / "submissions")


def test_changed_files_are_those_that_differ_and_not_those_that_are_gone(ledger, folder):
    submissions, entries = folder / "submissions", read_ledger(ledger)
    assert changed_files(entries, submissions) == ()
    path = submissions / "2" / "submission.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    (submissions / "1" / "submission.csv").unlink()
    assert changed_files(entries, submissions) == (2,)


@pytest.mark.parametrize("points", [-0.1, 100.1, 1427.0, float("nan")])
def test_a_score_outside_0_to_100_is_refused(ledger, points):
    with pytest.raises(UsageError, match="0 to 100"):
        record_result(ledger, 1, Leaderboard.PUBLIC, points)


def test_an_unknown_number_is_refused(ledger):
    with pytest.raises(UsageError, match=r"no submission 7.*1, 2"):
        record_upload(ledger, 7, CONTEST)


def test_an_empty_ledger_has_no_entries(tmp_path):
    assert read_ledger(tmp_path / "ledger.jsonl") == ()


def test_a_damaged_line_hides_no_other_from_views_and_nothing_is_recorded(ledger):
    whole = read_ledger(ledger)
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(lines[0] + b'{"bro\xff\n' + lines[1])
    entries, damaged = readable_ledger(ledger)
    assert entries == whole
    assert [error.fields["line"] for error in damaged] == [2]
    with pytest.raises(BadData, match="line 2"):
        record_upload(ledger, 1, CONTEST, now=korean("2025-10-01 10:00"))
