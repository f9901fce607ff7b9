"""From a workspace to a file: the best system, a named one, a blend; each file once."""

import csv
import hashlib
import multiprocessing
import shutil
from pathlib import Path

import msgspec
import pytest

from yoyak.ensemble.candidates import name_of
from yoyak.ensemble.imports import import_files
from yoyak.errors import BadData, InputMissing, UsageError
from yoyak.metrics.scorecard import evaluate_texts
from yoyak.runs.stage_records import own_predict_inputs, record_stage
from yoyak.runs.workspace import Workspace
from yoyak.submission.ledger import read_ledger
from yoyak.submission.manifest import read_manifest
from yoyak.submission.submit import (
    context_for_file,
    ready_candidates,
    submit,
    submit_ensemble,
    submit_system,
)


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
    with pytest.raises(InputMissing, match="nothing to submit"):
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
    with pytest.raises(UsageError, match="no ensemble method 'average'"):
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


# --- what is submitted is what was scored --------------------------------------------------------


def other(corpus, name):
    """The corpus with another ``name`` under the same ids."""
    changed = msgspec.structs.replace(getattr(corpus, name), fingerprint="another")
    return msgspec.structs.replace(corpus, **{name: changed})


def edit(path):
    path.write_text(path.read_text("utf-8").replace("정합니다", "정했습니다", 1), "utf-8")


@pytest.mark.parametrize(
    ("edited", "old", "new", "output"),
    [
        ("predictions/dev.jsonl", "정합니다", "정했습니다", "dev"),
        ("predictions/test.jsonl", "정합니다", "정했습니다", "test"),
        ("scores/dev.json", "0", "1", "score"),
    ],
)
def test_an_edited_file_is_refused_and_named(edited, old, new, output, workspace, corpus, run):
    path = run.folder / edited
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(BadData, match=rf"{output} was changed after it was.*yoyak run lead"):
        submit(workspace, corpus, "lead")
    assert not workspace.submissions_folder.exists()


def test_answers_to_a_replaced_test_file_are_refused(workspace, corpus, run, team):
    team("friend", 0)
    for name, remedy in (("lead", "yoyak run lead"), ("friend", "yoyak import friend")):
        with pytest.raises(BadData, match=rf"test.csv was replaced after it was.*{remedy}"):
            submit(workspace, other(corpus, "test"), name)


def test_another_decoding_of_dev_does_not_go_out_with_the_old_test_answers(
    workspace, corpus, run, predicted
):
    decode = msgspec.structs.replace(run.recipe.decode, no_repeat_ngram_size=3)
    run.write_recipe(msgspec.structs.replace(run.recipe, decode=decode))
    inputs = own_predict_inputs(run, corpus.dev)
    run.begin_predictions("dev", inputs.fingerprint)
    run.add_predictions("dev", predicted("dev"))
    record_stage(run, "predict-dev", inputs, 1.0)  # and here the worker was killed
    with pytest.raises(BadData, match="test was decoded with other settings") as refused:
        submit(workspace, corpus, "lead")
    assert "dev was" not in str(refused.value)


def test_an_unnamed_submission_passes_over_what_is_stale_and_says_so(workspace, corpus, run, team):
    for name in ("friend", "other"):
        team(name, 0)
    edit(run.predictions_path("dev"))
    found = submit_system(workspace, corpus)
    assert read_manifest(Path(found.submission.manifest)).members[0].system == "friend"
    assert found.stale == (f"{run.name}/{name_of(run.recipe.decode)}",)
    blend = submit_ensemble(workspace, corpus, "vote")
    assert blend.stale == found.stale
    with pytest.raises(BadData, match="dev was changed"):
        submit_ensemble(workspace, corpus, "vote", ["lead", "friend", "other"])


def test_an_edited_import_is_refused(workspace, corpus, team):
    found = team("friend", 0)
    path = found.folder / "test.jsonl"
    path.write_bytes(
        path.read_bytes().replace(b"test_0", b"test_x", 1).replace(b"test_x", b"test_0")
    )
    assert submit(workspace, corpus, "friend").rows == 120
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(BadData, match="test was changed after it was written"):
        submit(workspace, corpus, "friend")


def test_the_manifest_binds_members_to_their_files(workspace, corpus, run):
    [member] = read_manifest(Path(submit(workspace, corpus).manifest)).members
    digest = hashlib.sha256(run.predictions_path("test").read_bytes()).hexdigest()
    assert member.provenance["test_sha256"] == digest
    assert {"weights", "recipe", "decode", "dev_sha256", "score_sha256"} < member.provenance.keys()


def test_a_number_in_the_ledger_is_never_used_again(workspace, corpus, run, team):
    team("friend", 0)
    shutil.rmtree(Path(submit(workspace, corpus, "lead").path).parent)
    assert Path(submit(workspace, corpus, "friend").path).parent.name == "2"
    assert [entry.number for entry in read_ledger(workspace.ledger_path)] == [1, 2]


def test_a_copied_folder_is_no_submission_and_breaks_nothing(workspace, corpus, run):
    first = Path(submit(workspace, corpus).path).parent
    for name in ("1-backup", "²", "01"):
        shutil.copytree(first, first.with_name(name))
    assert Path(submit(workspace, corpus).path).parent == first
    assert context_for_file(workspace, corpus, first / "submission.csv").outputs is not None


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # beside the threads of xdist
def test_four_at_once_write_one_answer_once(workspace, corpus, run):
    fork = multiprocessing.get_context("fork")
    together, written = fork.Barrier(4), fork.SimpleQueue()

    def submit_at_once():
        together.wait()
        written.put(submit(workspace, corpus).path)

    started = [fork.Process(target=submit_at_once) for _ in range(4)]
    for child in started:
        child.start()
    for child in started:
        child.join()
        assert child.exitcode == 0
    paths = {written.get() for _ in started}
    assert paths == {str(workspace.submissions_folder / "1" / "submission.csv")}
    assert [entry.number for entry in read_ledger(workspace.ledger_path)] == [1]
