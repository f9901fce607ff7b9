"""Predictions from elsewhere: copied, checked against the data, scored, and able to win."""

import csv
import hashlib

import msgspec
import pytest

from yoyak.ensemble.candidates import candidates, pool
from yoyak.ensemble.cross_validation import cross_validate
from yoyak.ensemble.imports import import_files, imports
from yoyak.ensemble.member_selection import EnsembleConfig, dev_scores, equal_weights
from yoyak.errors import BadData, InputMissing, UsageError
from yoyak.metrics.scorecard import evaluate
from yoyak.submission.manifest import read_manifest
from yoyak.submission.submit import ensemble_answer
from yoyak.submission.write import write_submission


@pytest.fixture
def files(corpus, tmp_path):
    """Writes a system's dev and test files; ``change`` spoils its texts."""

    def make(name, change=lambda text, row: text):
        paths = []
        for split in ("dev", "test"):
            path = tmp_path / f"{name}_{split}.csv"
            with path.open("w", encoding="utf-8", newline="") as stream:
                rows = csv.writer(stream)
                rows.writerow(["fname", "summary"])
                for row, dialogue in enumerate(corpus.dev.dialogues):
                    text = change(dialogue.references[0], row)
                    rows.writerow([f"{split}_{row}", f" {text}  "])
            paths.append(path)
        return paths

    return make


def test_an_import_is_copied_cleaned_and_scored(workspace, corpus, files):
    paths = files("team")
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


def test_test_predictions_may_come_later(workspace, corpus, files):
    dev, test = files("team")
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


def test_ids_must_be_a_whole_split(workspace, corpus, files):
    [dev, _] = files("team")
    lines = dev.read_text("utf-8").splitlines(keepends=True)
    dev.write_text("".join(lines[:-3]), "utf-8")
    with pytest.raises(BadData, match=r"117 ids: 117 of dev's 120 and 0 of test's 120"):
        import_files(workspace, corpus, "team", [dev])
    assert imports(workspace) == ()


def test_two_files_for_one_split_are_refused(workspace, corpus, files):
    [one, _], [two, _] = files("one"), files("two")
    with pytest.raises(BadData, match=r"one_dev.csv and two_dev.csv both answer dev"):
        import_files(workspace, corpus, "team", [one, two])


@pytest.mark.parametrize("name", ["../team", "Team/1", ""])
def test_a_name_must_be_a_folder_name(name, workspace, corpus, files):
    with pytest.raises(BadData):
        import_files(workspace, corpus, name, files("team"))


def test_no_files_is_a_question(workspace, corpus):
    with pytest.raises(UsageError, match="no file"):
        import_files(workspace, corpus, "team", [])


# --- runs and imports together ---------------------------------------------------------------


def drop_word(at):
    """Loses one word of each summary, another one in every system."""

    def change(text, row):
        words = text.split()
        del words[(at + row) % (len(words) - 1)]
        return " ".join(words)

    return change


@pytest.fixture
def three(workspace, corpus, files):
    for at, name in enumerate("abc"):
        import_files(workspace, corpus, name, files(name, drop_word(at)))


def test_candidates_are_ordered_by_their_dev_score(workspace, corpus, run, files):
    import_files(workspace, corpus, "team", files("team"))
    import_files(workspace, corpus, "poor", files("poor", lambda text, row: "잘 모르겠습니다."))
    found = candidates(workspace, corpus)
    assert [one.lineage.system for one in found] == ["team", run.name, "poor"]
    assert found[1].lineage.recipe == "lead"
    assert [one.lineage.system for one in candidates(workspace, corpus, ["lead"])] == [run.name]
    assert pool(found, corpus.test).ids == tuple(one.id for one in corpus.test.dialogues)


def test_a_name_without_a_candidate_is_an_error(workspace, corpus, run):
    with pytest.raises(InputMissing, match=rf"'kobart'.*{run.name}"):
        candidates(workspace, corpus, ["kobart"])


def test_another_decode_of_a_run_is_a_candidate_of_its_own(workspace, corpus, run, predicted):
    run.begin_predictions("dev", "g", "beam4")
    run.add_predictions("dev", predicted("dev"), "beam4")
    run.write_scorecard("dev", evaluate(predicted("dev"), corpus.dev), "beam4")
    assert [one.lineage.decode for one in candidates(workspace, corpus)][1:] == ["beam4"]


def test_predictions_that_are_not_whole_are_no_candidate(workspace, corpus, run, predicted):
    run.begin_predictions("dev", "other")
    run.add_predictions("dev", predicted("dev")[:50])
    assert candidates(workspace, corpus) == ()


def test_a_consensus_is_weighed_scored_and_handed_in(workspace, corpus, three, tmp_path):
    found = candidates(workspace, corpus)
    nested = cross_validate(dev_scores(found, corpus.dev), repeats=3)
    assert nested.blend.mean >= nested.single
    ready = ensemble_answer(found, corpus, equal_weights(found, "mbr"))
    manifest = read_manifest(
        tmp_path / "out" / write_submission(ready.draft, ready.context, tmp_path / "out").manifest
    )
    assert {member.system for member in manifest.members} == {"a", "b", "c"}
    assert manifest.method == "mbr"
    assert manifest.dev.rouge.mean > max(one.card.rouge.mean for one in found)


def test_the_chosen_column_alone_answers_as_it_is(workspace, corpus, three):
    found = candidates(workspace, corpus)
    ready = ensemble_answer(found, corpus, EnsembleConfig(method="best", column="b/imported"))
    [b] = [one for one in found if one.lineage.system == "b"]
    assert ready.draft.predictions == b.test
    assert ready.draft.dev.rouge == b.card.rouge


def test_an_answer_without_test_predictions_is_refused(workspace, corpus, files):
    import_files(workspace, corpus, "dev-only", files("x")[:1])
    found = candidates(workspace, corpus)
    with pytest.raises(BadData, match="dev-only/imported: test is not predicted"):
        ensemble_answer(found, corpus, equal_weights(found, "best"))
