"""From a workspace to a file: the best system, a named one, a blend; each file once."""

import csv
import shutil
from pathlib import Path

import msgspec
import pytest

from yoyak.ensemble.imports import import_files
from yoyak.errors import BadData, InputMissing, UsageError
from yoyak.metrics.scorecard import evaluate_texts
from yoyak.runs.stage_records import own_predict_inputs, record_stage
from yoyak.runs.workspace import Workspace
from yoyak.submission.ledger import read_ledger
from yoyak.submission.manifest import read_manifest
from yoyak.submission.submit import context_for_file, ready_candidates, submit, submit_ensemble


@pytest.fixture
def team(workspace, corpus, tmp_path):
    """Imports a system that loses the word at place ``at`` (plus the row's number)."""

    def make(name, at):
        paths = []
        for split in ("dev", "test"):
            paths.append(tmp_path / f"{name}_{split}.csv")
            with paths[-1].open("w", encoding="utf-8", newline="") as stream:
                rows = csv.writer(stream)
                rows.writerow(["fname", "summary"])
                for row, dialogue in enumerate(corpus.dev.dialogues):
                    words = dialogue.references[0].split()
                    del words[(at + row) % (len(words) - 1)]
                    rows.writerow([f"{split}_{row}", " ".join(words)])
        return import_files(workspace, corpus, name, paths)

    return make


def test_the_best_system_is_handed_in_once_and_recorded(workspace, corpus, run, good):
    submission = submit(workspace, corpus)
    assert Path(submission.path).read_bytes() == good
    assert submit(workspace, corpus) == submission
    [entry] = read_ledger(workspace.ledger_path)
    assert (entry.written.sha256, entry.written.members[0].system) == (submission.sha256, run.name)


def test_a_submission_whose_record_was_lost_is_recorded_again(workspace, corpus, run):
    submit(workspace, corpus)
    workspace.ledger_path.unlink()
    submit(workspace, corpus)
    assert len(read_ledger(workspace.ledger_path)) == 1


def test_a_file_that_was_changed_is_written_anew(workspace, corpus, run):
    first = Path(submit(workspace, corpus).path)
    first.write_bytes(first.read_bytes() + b"x")
    second = submit(workspace, corpus)
    assert Path(second.path).parent.name == "2"


@pytest.mark.parametrize("name", ["lead", "import"])
def test_a_named_system_is_handed_in(name, workspace, corpus, run, team):
    imported = team("team", 0)
    wanted = run.name if name == "lead" else imported.name
    submission = submit(workspace, corpus, "lead" if name == "lead" else "team")
    assert read_manifest(Path(submission.manifest)).members[0].system == wanted


def test_nothing_to_hand_in_is_said(workspace, corpus, run):
    with pytest.raises(InputMissing, match="'kobart'"):
        submit(workspace, corpus, "kobart")
    with pytest.raises(InputMissing, match="nothing to hand in"):
        submit(Workspace(workspace.folder / "empty"), corpus)


def test_the_consensus_of_three_is_handed_in_with_its_worth(workspace, corpus, team):
    for at, name in enumerate("abc"):
        team(name, at)
    handed = submit_ensemble(workspace, corpus, "mbr")
    manifest = read_manifest(Path(handed.submission.manifest))
    assert handed.nested.blend.proven
    assert manifest.method == "mbr"
    assert len(manifest.members) == 3
    best = ready_candidates(workspace, corpus).ready[0]
    assert manifest.dev.rouge.mean > best.card.rouge.mean
    assert submit_ensemble(workspace, corpus, "mbr").submission == handed.submission


def test_a_control_needs_no_learning(workspace, corpus, team):
    for at, name in enumerate("abc"):
        team(name, at)
    handed = submit_ensemble(workspace, corpus, "longest", ["a", "c"])
    assert handed.nested is None
    assert {one.system for one in read_manifest(Path(handed.submission.manifest)).members} == {
        "a",
        "c",
    }


def test_one_candidate_is_no_blend_and_who_has_not_answered_test_is_named(workspace, corpus, team):
    team("a", 0)
    half = team("half", 1)
    (half.folder / "test.jsonl").unlink()
    with pytest.raises(InputMissing, match="ready: a/imported; without test: half"):
        submit_ensemble(workspace, corpus, "mbr")
    team("b", 2)
    handed = submit_ensemble(workspace, corpus, "vote")
    assert handed.left_out == ("half",)
    members = {one.system for one in read_manifest(Path(handed.submission.manifest)).members}
    assert members == {"a", "b"}


@pytest.mark.parametrize("method", ["mbr", "vote"])
def test_a_blends_own_file_is_held_against_its_own_dev_outputs(method, workspace, corpus, team):
    for at, name in enumerate("abc"):
        team(name, at)
    written = Path(submit_ensemble(workspace, corpus, method).submission.path)
    outputs = context_for_file(workspace, corpus, written).outputs
    dev = read_manifest(written.with_name("manifest.json")).dev
    texts = {one.id: one.text for one in outputs}
    scored = evaluate_texts(texts, {one.id: one.references for one in corpus.dev.dialogues})
    assert scored.rouge.mean == pytest.approx(dev.rouge.mean)
    assert context_for_file(workspace, corpus, workspace.folder / "none.csv").outputs is None


def test_an_unknown_blend_is_refused(workspace, corpus, run):
    with pytest.raises(UsageError, match="no blend 'average'"):
        submit_ensemble(workspace, corpus, "average")
    assert not workspace.submissions_folder.exists()


def test_the_gate_stands_before_the_workspace(workspace, corpus, predicted, run):
    spoiled = [msgspec.structs.replace(one, text=one.text[:-8]) for one in predicted("test")]
    inputs = own_predict_inputs(run, corpus.test)
    run.predictions_path("test").unlink()
    run.add_predictions("test", spoiled)
    record_stage(run, "predict-test", inputs, 1.0)
    with pytest.raises(BadData, match="unfinished"):
        submit(workspace, corpus)
    assert not workspace.submissions_folder.exists()


def test_a_breach_of_the_contests_rules_is_refused(workspace, corpus, run, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(corpus.folder, folder)
    rules = "forbid_test_in_training = true"
    (folder / "contest.toml").write_text(rules, encoding="utf-8")
    copied = msgspec.structs.replace(corpus.test.dialogues[0], id="train_x", references=("요약.",))
    train = msgspec.structs.replace(corpus.train, dialogues=(*corpus.train.dialogues, copied))
    with pytest.raises(BadData, match=r"train_x in train is the dialogue of test_0"):
        submit(workspace, msgspec.structs.replace(corpus, folder=str(folder), train=train))
    assert not workspace.submissions_folder.exists()
