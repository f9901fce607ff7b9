"""From weights to predictions: rows encoded once, examples shown, damaged weights refused."""

import pytest

from support.training import answers, run_training
from yoyak import engine
from yoyak.config.schema import Greedy
from yoyak.engine import GenerateJob
from yoyak.errors import InputMissing, Interrupted

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.inference import predictor as predictor_module  # noqa: E402
from yoyak.engine.models import weights  # noqa: E402


@pytest.mark.parametrize("form", ["bart", "nf4"])
def test_a_dialogue_is_rendered_once_however_often_it_is_decoded(form, job, monkeypatch):
    asked = job(form, "train.epochs=0")
    run_training(asked)
    speaker, rendered = engine.load(asked.recipe.engine), []
    encode = predictor_module.encode_rows

    def counting(tokenizer, dialogues, *rest, **named):
        dialogues = list(dialogues)
        rendered.extend(dialogues)
        return encode(tokenizer, dialogues, *rest, **named)

    monkeypatch.setattr(predictor_module, "encode_rows", counting)
    rows = asked.train.dialogues[:4]
    free = answers(asked, rows, Greedy(max_new_tokens=120), speaker)
    capped = Greedy(max_new_tokens=120, length_cap_quantile=0.5)
    short = answers(asked, rows, capped, speaker)
    assert len(rendered) == len(rows) + len(asked.train.dialogues)
    answers(asked, rows, capped, speaker)
    assert len(rendered) == len(rows) + len(asked.train.dialogues)
    assert short.keys() == free.keys()
    assert max(one.tokens for one in short.values()) < 120
    assert short != free


def test_a_few_shot_system_shows_the_same_train_rows_before_every_question(job, monkeypatch):
    asked = job("nf4", "train.epochs=0", "prompt.examples=2", "prompt.max_source_tokens=600")
    run_training(asked)
    shown = weights.read(asked.folder / "weights").examples
    by_id = {row.id: row for row in asked.train.dialogues}
    assert len(shown) == 2
    assert set(shown) <= set(by_id)
    prompts, tokenizer = [], predictor_module.encode_rows

    def listening(*args, **named):
        rows = tokenizer(*args, **named)
        prompts.extend(args[0].decode(row.source_ids) for row in rows)
        return rows

    monkeypatch.setattr(predictor_module, "encode_rows", listening)
    assert len(answers(asked, asked.dev.dialogues)) == 6
    assert len(prompts) == 6
    for prompt, question in zip(prompts, asked.dev.dialogues, strict=True):
        places = [prompt.index(by_id[id_].references[0]) for id_ in shown]
        assert places == sorted(places)
        assert prompt.index(question.text) > places[-1]


def test_nobody_predicts_without_weights(job):
    asked = job("nf4", "train.max_steps=2", stop=lambda: True)
    with pytest.raises(Interrupted):
        run_training(asked)
    with pytest.raises(InputMissing, match="no complete weights"):
        answers(asked, asked.dev.dialogues)


def test_predictions_of_a_damaged_folder_are_refused(job):
    asked = job("bart", "train.max_steps=2")
    run_training(asked)
    victim = asked.folder / "weights" / "model.safetensors"
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    with pytest.raises(InputMissing, match="no complete weights"):
        answers(asked, asked.dev.dialogues)


def test_a_job_can_leave_nothing_of_its_rows_in_memory(job, monkeypatch):
    """A batch of any length goes through one predictor, part by part."""
    asked = job("bart", "train.epochs=0")
    run_training(asked)
    cached = []
    monkeypatch.setattr(predictor_module, "cache_encoder_outputs", cached.append)
    speaker = engine.load(asked.recipe.engine)
    job_of = GenerateJob(
        recipe=asked.recipe,
        decode=Greedy(max_new_tokens=2),
        dialogues=asked.train.dialogues[:2],
        train=asked.train,
        folder=asked.folder,
        emit=asked.emit,
    )
    kept = {one.id: one.raw for one in speaker.generate(job_of)}
    assert (len(speaker._predictor._rows), len(cached)) == (2, 1)
    left = {one.id: one.raw for one in speaker.generate(job_of._replace(keep_rows=False))}
    assert (len(speaker._predictor._rows), len(cached)) == (0, 1)
    assert left == kept


def test_a_job_may_leave_out_the_smoke_check(job, monkeypatch):
    asked = job("bart", "train.epochs=0")
    run_training(asked)
    checked = []
    monkeypatch.setattr(
        predictor_module, "with_smoke_check", lambda rows, generate, _: checked.append(rows) or ()
    )
    speaker = engine.load(asked.recipe.engine)
    job_of = GenerateJob(
        recipe=asked.recipe,
        decode=Greedy(max_new_tokens=2),
        dialogues=asked.train.dialogues[:2],
        train=asked.train,
        folder=asked.folder,
        emit=asked.emit,
    )
    assert list(speaker.generate(job_of)) == []
    assert len(checked) == 1
    assert len(list(speaker.generate(job_of._replace(smoke_check=False)))) == 2
    assert len(checked) == 1
