"""The log of notes and ratings: append-only, and readable after a torn or damaged line."""

import pytest

from yoyak.errors import BadData
from yoyak.runs.ratings import (
    PairRating,
    RowNote,
    Side,
    append_record,
    current_ratings,
    read_records,
    texts_sha256,
)


def note(text="좋음", row="dev_1"):
    return RowNote(at=1.0, table="dev-ab", row=row, rater="민지", text=text)


def rating(choice=Side.LEFT, rater="민지", left="run-1", right="run-2"):
    return PairRating(
        at=1.0, table="dev-ab", row="dev_1", rater=rater, left=left, right=right, choice=choice,
        texts_sha256="00",
    )  # fmt: skip


def test_records_come_back_in_order_and_nothing_is_rewritten(tmp_path):
    path = tmp_path / "workspace" / "ratings.jsonl"
    assert read_records(path) == ((), ())
    append_record(path, note())
    before = path.read_bytes()
    append_record(path, rating())
    assert path.read_bytes().startswith(before)
    assert read_records(path) == ((note(), rating()), ())


def test_a_torn_line_is_dropped_and_a_damaged_one_named(tmp_path):
    path = tmp_path / "ratings.jsonl"
    append_record(path, note())
    with path.open("ab") as log:
        log.write(b'{"kind": "guess"}\n{"kind": "no')
    records, damaged = read_records(path)
    assert records == (note(),)
    assert [str(path) in str(one) for one in damaged] == [True]
    append_record(path, rating())
    assert read_records(path)[0] == (note(), rating())


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "ratings.jsonl"
    path.write_text('{"kind": "note", "format": 99}\n', encoding="utf-8")
    with pytest.raises(BadData, match="99"):
        read_records(path)


def test_the_last_rating_of_a_person_counts_on_whichever_side_it_was_shown():
    turned = rating(Side.RIGHT, left="run-2", right="run-1")
    other = rating(rater="준호")
    assert current_ratings([rating(), note(), other, turned]) == (turned, other)


def test_the_hash_of_texts_tells_the_sides_apart():
    assert texts_sha256("가", "나") != texts_sha256("나", "가")
    assert texts_sha256("가나", "") != texts_sha256("가", "나")
