"""Runs and imports are candidates, ordered by dev, and answer alone or together."""

import msgspec
import pytest

from yoyak.ensemble.candidates import candidates, pool
from yoyak.ensemble.cross_validation import cross_validate
from yoyak.ensemble.imports import import_files
from yoyak.ensemble.member_selection import EnsembleConfig, dev_scores, equal_weights
from yoyak.errors import BadData, InputMissing
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.stage_records import StaleReason
from yoyak.submission.manifest import read_manifest
from yoyak.submission.submit import ensemble_answer, ready_candidates
from yoyak.submission.write import write_submission
from yoyak.values import Profile, Rouge


def drop_word(at):
    """Loses one word of each summary, another one in every system."""

    def change(text, row):
        words = text.split()
        del words[(at + row) % (len(words) - 1)]
        return " ".join(words)

    return change


@pytest.fixture
def three(workspace, corpus, prediction_files):
    for at, name in enumerate("abc"):
        import_files(workspace, corpus, name, prediction_files(name, drop_word(at)))


def test_candidates_are_ordered_by_their_dev_score(workspace, corpus, run, prediction_files):
    import_files(workspace, corpus, "team", prediction_files("team"))
    import_files(
        workspace, corpus, "poor", prediction_files("poor", lambda text, row: "잘 모르겠습니다.")
    )
    found = candidates(workspace, corpus)
    assert [one.lineage.system for one in found] == ["team", run.name, "poor"]
    assert found[1].lineage.recipe == "lead"
    assert [one.lineage.system for one in candidates(workspace, corpus, ["lead"])] == [run.name]
    assert pool(found, corpus.test).ids == tuple(one.id for one in corpus.test.dialogues)


def test_a_score_under_another_protocol_is_never_ranked_with_the_others(
    workspace, corpus, run, prediction_files
):
    """Whatever its figure is, it is stale, stands last, and is not submitted."""
    import_files(workspace, corpus, "team", prediction_files("team", drop_word(0)))
    card = run.scorecard("dev")
    perfect = Rouge(rouge1=1.0, rouge2=1.0, rougeL=1.0)
    other = msgspec.structs.replace(card.protocol, profile=Profile.ROUGE101)
    run.write_scorecard("dev", msgspec.structs.replace(card, protocol=other, rouge=perfect))
    best, last = candidates(workspace, corpus)
    assert (best.lineage.system, last.lineage.system) == ("team", run.name)
    assert StaleReason.PROTOCOL in {one.reason for one in last.stale}
    assert [one.lineage.system for one in ready_candidates(workspace, corpus).ready] == ["team"]


def test_a_name_without_a_candidate_is_an_error(workspace, corpus, run):
    with pytest.raises(InputMissing, match=rf"'kobart'.*{run.name}"):
        candidates(workspace, corpus, ["kobart"])


def test_a_name_of_other_data_is_refused_with_what_differs(workspace, corpus, run):
    dev = msgspec.structs.replace(corpus.dev, fingerprint="f" * 64)
    with pytest.raises(InputMissing, match=r"'lead'.*other data.*: dev\)"):
        candidates(workspace, msgspec.structs.replace(corpus, dev=dev), ["lead"])


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


def test_an_answer_without_test_predictions_is_refused(workspace, corpus, prediction_files):
    import_files(workspace, corpus, "dev-only", prediction_files("x")[:1])
    found = candidates(workspace, corpus)
    with pytest.raises(BadData, match="dev-only/imported: test is not predicted"):
        ensemble_answer(found, corpus, equal_weights(found, "best"))
