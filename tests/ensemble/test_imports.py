"""Predictions from elsewhere: copied, checked against the data, scored, and able to win."""

import hashlib

import msgspec
import pytest

from yoyak.ensemble.candidates import candidates
from yoyak.ensemble.imports import import_files, imports
from yoyak.errors import BadData, UsageError


def test_an_import_is_copied_cleaned_and_scored(workspace, corpus, prediction_files):
    paths = prediction_files("team")
    found = import_files(workspace, corpus, "team", paths)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    for path in paths:
        path.unlink()
    assert [one.name for one in imports(workspace)] == ["team"]
    assert [source.sha256 for source in found.record.sources] == digests
    assert [source.split for source in found.record.sources] == ["dev", "test"]
    first = found.predictions("dev")[0]
    assert first.text == corpus.dev.dialogues[0].references[0]
    assert first.raw == f" {first.text}  "
    assert found.scorecard().rouge.mean == 1.0


def test_test_predictions_may_come_later(workspace, corpus, prediction_files):
    dev, test = prediction_files("team")
    import_files(workspace, corpus, "team", [dev])
    assert candidates(workspace, corpus)[0].test is None
    found = import_files(workspace, corpus, "team", [test])
    assert len(found.predictions("dev")) == len(found.predictions("test")) == 120
    assert found.scorecard() is not None


def test_jsonl_is_read_too(workspace, corpus, tmp_path):
    path = tmp_path / "api.jsonl"
    lines = [{"id": one.id, "prediction": "요약입니다."} for one in corpus.dev.dialogues]
    path.write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    assert import_files(workspace, corpus, "api", [path]).record.sources[0].rows == 120


def test_ids_must_be_a_whole_split(workspace, corpus, prediction_files):
    [dev, _] = prediction_files("team")
    lines = dev.read_text("utf-8").splitlines(keepends=True)
    dev.write_text("".join(lines[:-3]), "utf-8")
    with pytest.raises(BadData, match=r"117 ids: 117 of dev's 120 and 0 of test's 120"):
        import_files(workspace, corpus, "team", [dev])
    assert imports(workspace) == ()


def test_two_files_for_one_split_are_refused(workspace, corpus, prediction_files):
    [one, _], [two, _] = prediction_files("one"), prediction_files("two")
    with pytest.raises(BadData, match=r"one_dev.csv and two_dev.csv both answer dev"):
        import_files(workspace, corpus, "team", [one, two])


@pytest.mark.parametrize("name", ["../team", "Team/1", ""])
def test_a_name_must_be_a_folder_name(name, workspace, corpus, prediction_files):
    with pytest.raises(BadData):
        import_files(workspace, corpus, name, prediction_files("team"))


def test_no_files_is_a_question(workspace, corpus):
    with pytest.raises(UsageError, match="no file"):
        import_files(workspace, corpus, "team", [])
