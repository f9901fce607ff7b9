"""Data folders as NIKL, AI Hub, SAMSum and DialogSum publish them are read like the contest's."""

import json
import re
from pathlib import Path

import pytest

from support.corpora import rows
from yoyak.config.project import read_project
from yoyak.data.audit import ALLOWABLE
from yoyak.data.contest import read_contest
from yoyak.data.corpus import parse_turns, read_corpus, read_split
from yoyak.data.prediction_files import read_dialogues, read_references
from yoyak.data.published_formats import WrongUtterance, convert, format_of
from yoyak.data.rows import read_rows
from yoyak.errors import BadData


def test_every_format_gives_the_same_turns(published_corpus):
    _, folder = published_corpus
    corpus = read_corpus(folder)
    for split in (corpus.train, corpus.dev, corpus.test):
        made = rows(split.name, len(split.dialogues))
        tags = {"지수": "#Person1#", "민호": "#Person2#"}
        assert [row.id for row in split.dialogues] == [row.id for row in made]
        assert [[(turn.speaker, turn.text) for turn in row.turns] for row in split.dialogues] == [
            [(tags[name], text) for name, text in row.turns] for row in made
        ]
    assert all(row.references for row in (*corpus.train.dialogues, *corpus.dev.dialogues))
    assert not any(row.references for row in corpus.test.dialogues)


def test_references_stay_as_they_are_unless_declared(published_corpus):
    name, folder = published_corpus
    plain = read_corpus(folder).dev.dialogues[0].references
    contest = folder / "contest.toml"
    declared = contest.read_text(encoding="utf-8") if contest.exists() else ""
    contest.write_text(f"tag_speakers_in_summaries = true\n{declared}", encoding="utf-8")
    tagged = read_corpus(folder).dev.dialogues[0].references
    if name in {"dialogsum", "own-columns"}:
        assert tagged == plain
        return
    expected = {"nikl-contest": "SD2000001", "ai-hub": "지수"}.get(name, "지수")
    assert plain[0].startswith(f"{expected}는")
    named_in_dialogue = name != "ai-hub"  # AI Hub's summaries do not use the codes of its dialogues
    assert tagged[0].startswith("#Person1#는" if named_in_dialogue else "지수는")


def test_the_names_and_what_was_left_out_are_kept_beside_the_rows(published_corpus):
    name, folder = published_corpus
    corpus = read_corpus(folder)
    first = corpus.train.dialogues[0].id
    names = {"nikl-contest": "SD2000001", "ai-hub": "P01", "samsum": "지수", "nikl-corpus": "지수"}
    if name in names:
        assert corpus.train.speaker_names[first][names[name]] == "#Person1#"
    else:
        assert corpus.train.speaker_names == {}
    assert corpus.test.unread_summaries == (0 if name == "nikl-contest" else 4)


@pytest.mark.parametrize("tagged", [False, True])
def test_a_dev_file_of_any_format_is_a_file_of_references(published_corpus, tagged):
    _, folder = published_corpus
    contest = folder / "contest.toml"
    declared = contest.read_text(encoding="utf-8") if contest.exists() else ""
    first = f"tag_speakers_in_summaries = {str(tagged).lower()}\n"
    contest.write_text(first + declared, encoding="utf-8")
    [path] = folder.glob("dev.*")
    references, dialogues = read_references(path), read_dialogues(path)
    corpus = read_corpus(folder)
    assert references == {row.id: row.references for row in corpus.dev.dialogues}
    assert {key: row.turns for key, row in dialogues.items()} == {
        row.id: row.turns for row in corpus.dev.dialogues
    }


def test_an_error_names_file_row_and_line(tmp_path):
    path = tmp_path / "train.json"
    good = {"participantID": "P01", "utterance": "네."}
    records = [
        {
            "header": {"dialogueInfo": {"dialogueID": f"d{number}"}},
            "body": {"dialogue": [good, one]},
        }
        for number, one in enumerate((good, {"participantID": "P02", "time": "10:00"}))
    ]
    path.write_text(json.dumps({"data": records}, indent=1), encoding="utf-8")
    with pytest.raises(BadData) as caught:
        read_rows(path)
    line = path.read_text(encoding="utf-8").split("\n").index("  {", 3) + 1
    for part in (str(path), f"row 2 (line {line})", "AI Hub", "2: participantID, time"):
        assert part in str(caught.value)


def test_a_file_of_one_record_needs_no_array(tmp_path):
    said = [{"participantID": "P01", "utterance": "네."}]
    record = {"header": {"dialogueInfo": {"dialogueID": "a"}}, "body": {"dialogue": said}}
    (tmp_path / "t.json").write_text(json.dumps(record), encoding="utf-8")
    [row] = read_rows(tmp_path / "t.json").rows
    assert row.cells == {"fname": "a", "dialogue": "#Person1#: 네."}


def test_a_record_without_its_id_is_named_by_its_place(tmp_path):
    for split in ("train", "dev", "test"):
        record = {
            "input": {"conversation": [{"speaker": "가", "utterance": split}]},
            "output": "나.",
        }
        (tmp_path / f"{split}.json").write_text(json.dumps([record]), encoding="utf-8")
    with pytest.raises(BadData, match=r"train\.json.*row 1 \(line 1\).*fname|train\.json.*fname"):
        read_corpus(tmp_path)


def test_several_references_of_one_record():
    record = {
        "id": "x",
        "utterance": [{"speaker": "가", "form": "네.\n그럼요."}, {"speaker": "나", "form": " "}],
        "summary": ["하나", "둘"],
    }
    found = format_of(record)
    assert convert(record, found).cells == {
        "dialogue": "#Person1#: 네. 그럼요.", "fname": "x", "summary": "하나", "summary2": "둘",
    }  # fmt: skip
    with pytest.raises(WrongUtterance, match="1: who"):
        convert(record | {"utterance": [{"who": "가"}]}, found)
    assert format_of({"id": "x", "dialogue": "가: 네", "summary": "나"}) is None


def test_every_example_of_the_documentation_is_read(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "data-formats.md").read_text(encoding="utf-8")
    examples = re.findall(r'^```json title="(\S+)"\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    assert len(examples) == 5
    for name, content in examples:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
        split = {"test": "test"}.get(path.stem, "train")
        [row] = read_split(split, path).rows
        assert len(parse_turns(row.dialogue.text)) == 2
        assert all(turn.speaker for turn in parse_turns(row.dialogue.text))
        assert bool(row.summaries) is (split != "test")


def test_every_setting_of_the_documentation_is_one(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "data-formats.md").read_text(encoding="utf-8")
    tagged, columns, project = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "contest.toml").write_text(tagged + columns, encoding="utf-8")
    contest = read_contest(tmp_path)
    assert contest.tag_speakers_in_summaries
    assert contest.columns.summaries == ("요약", "다른 요약")
    (tmp_path / "yoyak.toml").write_text(project, encoding="utf-8")
    assert set(read_project(tmp_path).data.allow) <= set(ALLOWABLE)
    assert set(ALLOWABLE) <= set(re.findall("`([a-z-]+)`", text))
