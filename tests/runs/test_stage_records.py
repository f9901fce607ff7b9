"""Outputs are bound to their inputs: an edit or another input is found and named."""

import msgspec
import pytest

from yoyak.config import load
from yoyak.errors import BadData
from yoyak.files.format import RUN
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.stage_records import (
    StaleOutput,
    StaleReason,
    discard_edited_predictions,
    edited_outputs,
    own_predict_inputs,
    predict_inputs,
    provenance,
    record_stage,
    require_unedited,
    score_inputs,
    stale_outputs,
)
from yoyak.values import Prediction


def answers(split):
    return [Prediction(id=one.id, text="요약.", raw="요약.") for one in split.dialogues]


def answer(run, corpus, variant=None, **changed):
    """Predict, score and record both splits, as the stages of a run do."""
    for split in (corpus.dev, corpus.test):
        inputs = own_predict_inputs(run, split)
        if variant is not None:
            decode = msgspec.structs.replace(run.recipe.decode, no_repeat_ngram_size=4)
            inputs = predict_inputs(changed.get(split.name), run.recipe, decode, split)
        run.begin_predictions(split.name, inputs.fingerprint, variant)
        run.add_predictions(split.name, answers(split), variant)
        record_stage(run, f"predict-{split.name}", inputs, 1.0, variant)
    run.write_scorecard("dev", evaluate(answers(corpus.dev), corpus.dev), variant)
    record_stage(run, "score", score_inputs(run, corpus, variant), 1.0, variant)


def stale(run, corpus, variant=None):
    return set(stale_outputs(run, run.state(), corpus, variant))


@pytest.fixture
def answered(run, corpus):
    answer(run, corpus)
    return run


def test_what_was_just_answered_and_scored_is_not_stale(answered, corpus):
    assert stale(answered, corpus) == set()


def test_a_file_that_another_run_wrote_is_refused_and_named(answered, corpus, workspace):
    """Well formed, in its place, and yet not what this run wrote."""
    require_unedited(answered)
    other = workspace.find_or_create(
        load.resolve("lead", sets=["train.seed=7"]).recipe, corpus, lambda: b"{}"
    )
    answer(other, corpus)
    one, theirs = (run.scorecard_path("dev") for run in (answered, other))
    theirs.write_bytes(theirs.read_bytes().replace(b" ", b"  ", 1))
    record_stage(other, "score", score_inputs(other, corpus), 1.0)
    require_unedited(other)
    one_bytes = one.read_bytes()
    one.write_bytes(theirs.read_bytes())
    theirs.write_bytes(one_bytes)
    for run, path in ((answered, one), (other, theirs)):
        assert edited_outputs(run, run.state()) == {"score": path}
        with pytest.raises(BadData, match=run.name):
            require_unedited(run)


def test_an_output_that_was_never_recorded_is_not_trusted(run, corpus):
    assert {one.reason for one in stale(run, corpus)} == {StaleReason.UNRECORDED}


def test_a_stage_that_began_again_has_no_record_until_it_ends(answered, corpus):
    from yoyak.events import StageStarted

    answered.emit(StageStarted(at=1.0, stage="predict-test"))
    assert stale(answered, corpus) == {StaleOutput("test", StaleReason.UNRECORDED)}


@pytest.mark.parametrize("split", ["dev", "test"])
def test_other_data_under_the_same_ids_are_named(answered, corpus, split):
    changed = msgspec.structs.replace(getattr(corpus, split), fingerprint="another")
    other = msgspec.structs.replace(corpus, **{split: changed})
    assert stale(answered, other) == {StaleOutput(split, StaleReason.DATA)}


def test_another_decoding_in_the_recipe_makes_both_splits_stale(answered, corpus):
    decode = msgspec.structs.replace(answered.recipe.decode, no_repeat_ngram_size=3)
    answered.write_recipe(msgspec.structs.replace(answered.recipe, decode=decode))
    assert stale(answered, corpus) == {
        StaleOutput("dev", StaleReason.DECODE),
        StaleOutput("test", StaleReason.DECODE),
    }


def test_an_edit_of_dev_is_an_edit_and_a_score_of_other_answers(answered, corpus):
    path = answered.predictions_path("dev")
    path.write_bytes(path.read_bytes().replace("요약.".encode(), "요지.".encode(), 1))
    assert stale(answered, corpus) == {
        StaleOutput("dev", StaleReason.EDITED),
        StaleOutput("score", StaleReason.PREDICTIONS),
    }


def test_dev_and_test_of_a_variant_must_come_from_the_same_weights(answered, corpus):
    answer(answered, corpus, "ng4", dev="w1", test="w1")
    assert stale(answered, corpus, "ng4") == set()
    answer(answered, corpus, "ng4b", dev="w1", test="w2")
    assert stale(answered, corpus, "ng4b") == {StaleOutput("test", StaleReason.WEIGHTS)}


def test_edited_predictions_are_set_aside_and_others_are_kept(answered):
    for split in ("dev", "test"):
        discard_edited_predictions(answered, answered.state(), split)
    path = answered.predictions_path("dev")
    path.write_bytes(path.read_bytes() + b"\n")
    for split in ("dev", "test"):
        discard_edited_predictions(answered, answered.state(), split)
    assert answered.predictions("dev") == []
    assert answered.predictions("test") != []


def test_runs_of_an_older_format_have_nothing_to_compare(answered, corpus):
    path = answered.folder / "identity.json"
    older = msgspec.structs.replace(answered.identity, format=RUN.number - 1)
    path.write_bytes(msgspec.json.encode(older))
    del answered.identity
    changed = msgspec.structs.replace(corpus.test, fingerprint="another")
    assert stale(answered, msgspec.structs.replace(corpus, test=changed)) == set()


def test_the_provenance_names_the_files_and_what_they_were_made_from(answered):
    assert provenance(answered.state()).keys() == {
        "weights", "recipe", "decode", "dev_sha256", "test_sha256", "score_sha256",
    }  # fmt: skip
