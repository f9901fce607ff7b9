"""Rows become the dialogues that a data folder's test split gives."""

import pytest

from yoyak.data import sample
from yoyak.data.corpus import fingerprint, read_corpus
from yoyak.data.dialogue_stream import parse_columns, read_parts
from yoyak.data.row_stream import open_rows
from yoyak.errors import BadData


def dialogues(path, part_rows=5, **columns):
    with open_rows(path, part_rows) as stream:
        parts = list(read_parts(stream.tables, columns))
    rows = [part.first_row for part in parts]
    assert rows == [1 + part_rows * place for place in range(len(parts))]
    return [one for part in parts for one in part.dialogues]


@pytest.fixture
def file(tmp_path):
    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def test_the_contests_test_file_gives_the_dialogues_of_its_split():
    test = read_corpus(sample.folder()).test
    found = dialogues(sample.folder() / "test.csv")
    assert tuple(found) == test.dialogues
    assert fingerprint(found) == test.fingerprint


def test_summaries_are_no_part_of_a_dialogue():
    dev = read_corpus(sample.folder()).dev
    found = dialogues(sample.folder() / "dev.csv")
    assert [one.turns for one in found] == [one.turns for one in dev.dialogues]
    assert {one.references for one in found} == {()}


def test_names_of_speakers_become_tags_in_the_whole_file_as_in_training(file):
    rows = [f'{n},"지수: 우산 {n}개 있어?\n민호: 응."' for n in range(12)]
    path = file("id,dialogue\n" + "\n".join(rows) + "\n")
    assert {one.speakers for one in dialogues(path)} == {("#Person1#", "#Person2#")}
    test = read_corpus(sample.folder()).test
    tagged = f'a,"{test.dialogues[0].text}"\n' + "\n".join(rows)
    late = dialogues(file(f"id,dialogue\n{tagged}\n"))[-1]
    assert late.speakers == ()  # the file has tags, so "지수:" is text


def test_columns_are_found_by_name_or_declared(file):
    path = file("Dialogue-ID,주제,대화\nx-1,날씨,#Person1#: 안녕\n")
    (found,) = dialogues(path, dialogue="대화", topic="주제")
    assert (found.id, found.topic, found.text) == ("x-1", "날씨", "#Person1#: 안녕")
    with pytest.raises(BadData, match="--columns dialogue=NAME"):
        dialogues(path)
    with pytest.raises(BadData, match="no column 없음"):
        dialogues(path, dialogue="없음")


def test_without_an_id_column_the_number_of_the_row_is_the_id(file):
    found = dialogues(file('{"dialogue": "가"}\n{"dialogue": "나"}\n'), part_rows=1)
    assert [one.id for one in found] == ["1", "2"]


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (' ,"#Person1#: 가"', "data.empty-id"),
        ("b,", "data.empty-dialogue"),
        ('b,"#Person1#:\n#Person2#: "', "data.empty-dialogue"),
    ],
)
def test_a_row_that_cannot_be_summarised_is_named_with_file_and_row(file, row, key):
    path = file(f'id,dialogue\na,"#Person1#: 가"\n{row}\n')
    with pytest.raises(BadData, match=r"rows\.csv, row 2 \(line 3") as refused:
        dialogues(path)
    assert refused.value.key == key


def test_a_json_row_without_a_dialogue_is_named(file):
    path = file('{"id": "a", "dialogue": "가"}\n{"id": "b", "dialogue": null}\n')
    with pytest.raises(BadData, match=r"row 2 \(line 2\): no value for dialogue"):
        dialogues(path)


def test_published_records_are_read_one_a_line(file):
    line = (
        '{"id": "n-1", "input": {"conversation": [{"speaker": "SD1", "utterance": "바다?"},'
        ' {"speaker": "SD2", "utterance": "좋아."}], "subject_keyword": ["여행"]}, "output": ""}\n'
    )
    (found,) = dialogues(file(line, "rows.jsonl"))
    assert (found.id, found.topic) == ("n-1", "여행")
    assert found.text == "#Person1#: 바다?\n#Person2#: 좋아."


def test_the_hash_of_a_part_changes_with_what_is_said_and_not_with_how_it_is_written(file):
    def sha256(text, name):
        with open_rows(file(text, name), 9) as stream:
            return next(read_parts(stream.tables, {})).sha256

    once = sha256('id,dialogue\na,"#Person1#: 가"\n', "a.csv")
    assert sha256('{"dialogue": "#Person1#: 가", "id": "a"}\n', "b.jsonl") == once
    assert sha256('id,dialogue\na,"#Person1#: 나"\n', "c.csv") != once


def test_declared_columns_are_parsed():
    assert parse_columns("id=번호, dialogue=대화 내용") == {"id": "번호", "dialogue": "대화 내용"}
    assert parse_columns("dialogue=a=b") == {"dialogue": "a=b"}
    for wrong in ("", "dialogue", "dialogue=", "summary=x", "id=a,id=b"):
        with pytest.raises(ValueError, match="no columns"):
            parse_columns(wrong)
