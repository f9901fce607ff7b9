"""A form is compared with its run on the same rows, and its differences are counted."""

import msgspec
import pytest

from support.exports import record_of
from yoyak.config import load
from yoyak.export import check
from yoyak.export.check import check_form, evenly_spaced
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.values import Prediction, StopReason

pytestmark = pytest.mark.process
ROWS = 8


@pytest.fixture
def answered(corpus, tmp_path):
    """A run that answered dev with its own references, and the rows that are checked."""
    record = msgspec.json.encode(provenance.gather(corpus))
    recipe = load.resolve("tiny-bart", sets=["decode.kind=greedy"]).recipe
    run = Workspace(tmp_path / "workspace").find_or_create(recipe, corpus, lambda: record)
    run.begin_predictions("dev", "inputs")
    run.add_predictions(
        "dev",
        [
            Prediction(id=one.id, text=one.references[0], raw="", stop=StopReason.STOP_TOKEN)
            for one in corpus.dev.dialogues
        ],
    )
    rows = evenly_spaced(corpus.dev.dialogues, ROWS)
    return run, msgspec.structs.replace(corpus.dev, dialogues=rows)


@pytest.fixture
def checked(answered, tmp_path, monkeypatch):
    """What a check finds where the form's runtime gives other texts for some rows."""

    def make(wrong=0, other_prompts=0):
        pytest.importorskip("torch")
        from yoyak.engine.formats import export

        run, dev = answered

        def answer_rows(request, folder, exported, dialogues):
            rows = [
                export.FormAnswer(
                    one.id,
                    "무관한 말" if place < wrong else one.references[0],
                    place >= other_prompts,
                )
                for place, one in enumerate(dialogues)
            ]
            return export.FormAnswers("a runtime 1.0", rows)

        monkeypatch.setattr(export, "answer_rows", answer_rows)
        record = record_of(run.recipe, form="onnx", decode=run.recipe.decode)
        return check_form(None, tmp_path, record, run, dev, print)

    return make


@pytest.mark.torch
def test_equal_answers_have_the_runs_score_and_no_difference(checked, answered):
    found = checked()
    assert found.is_equal
    assert found.rows == len(answered[1].dialogues)
    assert found.exported == found.original
    assert (found.difference.low, found.difference.high) == (0, 0)


@pytest.mark.torch
def test_other_answers_and_other_prompts_are_counted_and_cost_their_score(checked):
    found = checked(wrong=3, other_prompts=1)
    assert not found.is_equal
    assert (found.rows - found.equal_answers, found.rows - found.equal_prompts) == (3, 1)
    assert found.exported.rouge.mean < found.original.rouge.mean
    assert found.difference.low < 0
    assert checked(other_prompts=1).is_equal is False


def test_rows_are_taken_evenly_and_never_more_than_asked(corpus):
    dialogues = corpus.dev.dialogues
    for count in (1, 3, ROWS, len(dialogues), 10_000):
        rows = evenly_spaced(dialogues, count)
        assert 0 < len(rows) <= min(count, len(dialogues))
    assert evenly_spaced(dialogues, 10_000) == dialogues
    assert check.ROWS == 100
