import hashlib
from itertools import pairwise

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.families import random_rows
from support.inference import NEW, said
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import batch_memory, generate
from yoyak.errors import RunFailed
from yoyak.values import StopReason

pytestmark = pytest.mark.torch

ARCHITECTURES = (
    "bart",
    pytest.param("llama", marks=pytest.mark.slow),
    pytest.param("qwen2", marks=pytest.mark.slow),
    "qwen3",
)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_batch_says_what_each_row_says_alone(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)
    together = list(generate.generate(model, rows, Greedy(), max_new_tokens=NEW))
    alone = [
        p for row in rows for p in generate.generate(model, [row], Greedy(), max_new_tokens=NEW)
    ]
    assert said(together) == said(alone)
    assert len({p.tokens for p in together}) > 1, "rows end at different lengths"
    assert StopReason.STOP_TOKEN in {p.stop for p in together}


def rows_say(predictions):
    return {p.id: (p.text, p.tokens, p.stop) for p in predictions}


@pytest.mark.parametrize("decoding", [Greedy(), BeamSearch(num_beams=2)])
def test_adapters_have_their_say(decoding, adapted, toy, encoded):
    model = adapted("llama")
    rows = encoded(model)[:6]

    def answers(system):
        return said(generate.generate(system, rows, decoding, max_new_tokens=12))

    bare = answers(toy("llama"))
    assert answers(model) == bare, "fresh adapters change nothing"
    for name, value in model.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.constant_(value, 0.2)
    assert answers(model) != bare
    with model.model.disable_adapter():
        assert answers(model) == bare


def test_an_answer_at_its_cap_says_so(random_model):
    model = random_model("bart")
    (prediction,) = generate.generate(
        model, random_rows(2)[:1], Greedy(max_new_tokens=2), max_new_tokens=NEW,
        blocked=model.tokenizer.stop_ids,
    )  # fmt: skip
    assert (prediction.tokens, prediction.stop) == (2, StopReason.LENGTH)


def test_too_big_a_batch_is_halved_and_says_the_same(taught, encoded, monkeypatch):
    model = taught("qwen2")
    rows = encoded(model)[:9]
    expected = said(generate.generate(model, rows, Greedy(), max_new_tokens=8))
    real = generate.generate_tokens
    sizes = []

    def small_card(bundle, batch, *rest):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from real(bundle, batch, *rest)

    monkeypatch.setattr(generate, "generate_tokens", small_card)
    assert said(generate.generate(model, rows, Greedy(), max_new_tokens=8)) == expected
    assert sizes == [9, 4, 2, 2, 5, 2, 3]


def test_rows_that_were_done_before_memory_ran_out_are_not_decoded_again(random_model, monkeypatch):
    bundle, rows = random_model("llama"), random_rows(9)
    job = generate.DecodeJob(bundle, Greedy(), 20, ())
    expected = generate.decoded(job, rows)
    real = generate.generate_tokens
    batches = []

    def out_of_memory_later(bundle, batch, *rest):
        batches.append([row.id for row in batch])
        decoding = real(bundle, batch, *rest)
        yield next(decoding)
        if len(batch) == len(rows):
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from decoding

    monkeypatch.setattr(generate, "generate_tokens", out_of_memory_later)
    assert generate.decoded(job, rows) == expected
    done = sum(len(ids) <= 8 for ids in expected)
    assert 0 < done < len(rows)
    assert sum(map(len, batches[1:])) == len(rows) - done


def test_nothing_is_left_in_evaluation_mode_or_without_gradients_between_rows(random_model):
    bundle = random_model("bart")
    bundle.model.train()
    try:
        for _ in generate.generate(bundle, random_rows(9), Greedy(), max_new_tokens=20):
            assert bundle.model.training
            assert torch.is_grad_enabled()
    finally:
        bundle.model.eval()


def test_attention_is_not_planned_anew_for_each_new_token(random_model, monkeypatch):
    bundle = random_model("llama")
    asked = []

    def attend(*given, **settings):
        asked.append(torch.backends.cuda.cudnn_sdp_enabled())
        return plain(*given, **settings)

    plain = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    for _ in generate.generate(bundle, random_rows(3), Greedy(), max_new_tokens=4):
        assert torch.backends.cuda.cudnn_sdp_enabled(), "others' attention is left as it was"
    assert asked
    assert not any(asked), "cuDNN makes a plan for every length"


def test_a_row_that_cannot_fit_is_named(taught, encoded, monkeypatch):
    model = taught("qwen2")

    def no_card(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")
        yield

    monkeypatch.setattr(generate, "generate_tokens", no_card)
    with pytest.raises(RunFailed, match="row_"):
        list(generate.generate(model, encoded(model)[:2], Greedy(), max_new_tokens=8))


def test_rows_beyond_the_models_positions_are_refused_before_any_work(toy, encoded):
    model = toy("bart")
    long = encoded(model)[0]._replace(id="long", source_ids=(9,) * 601)
    with pytest.raises(RunFailed, match=r"long.*601.*600"):
        next(generate.generate(model, [long], Greedy(), max_new_tokens=8))
    two_berts = toy("bert2bert")  # whose limit stands in the configurations of its two parts
    long = long._replace(source_ids=(9,) * 2049)
    with pytest.raises(RunFailed, match=r"long.*2049.*2048"):
        next(generate.generate(two_berts, [long], Greedy(), max_new_tokens=8))
    chat = toy("llama")
    with pytest.raises(RunFailed, match=r"2048"):
        next(
            generate.generate(
                chat, [long._replace(source_ids=(9,) * 2041)], Greedy(), max_new_tokens=8
            )
        )


def test_progress_is_told_and_predictions_come_as_they_are_ready(taught, encoded, monkeypatch):
    model = taught("bart")
    rows = encoded(model)[:6]
    told = []
    monkeypatch.setattr(batch_memory, "MAX_ROWS", 1)
    stream = generate.generate(
        model, rows, Greedy(), max_new_tokens=8,
        on_progress=lambda done, of: told.append((done, of)),
    )  # fmt: skip
    next(stream)
    assert told == []
    next(stream)
    assert told == [(1, 6)]
    assert len(list(stream)) == 4
    assert told[-1] == (6, 6)


def fingerprint(model):
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("decoding", [Greedy(), BeamSearch(num_beams=2), Sampling()])
def test_nothing_is_disturbed(decoding, toy, encoded):
    model = toy("bart")
    model.model.train()
    before = fingerprint(model.model), torch.get_rng_state()
    list(generate.generate(model, encoded(model)[:4], decoding, max_new_tokens=8))
    assert fingerprint(model.model) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert model.model.training


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_texts_are_told_while_they_are_written(architecture, taught, encoded):
    """At each read of the host, longer each time, and never other than the final text begins."""
    model = taught(architecture)
    rows, parts = encoded(model), {}
    answers = generate.generate(
        model, rows, Greedy(), max_new_tokens=NEW,
        on_text=lambda id_, text: parts.setdefault(id_, []).append(text),
    )  # fmt: skip
    for answer in answers:
        heard = parts[answer.id]
        assert heard[-1] == answer.text
        for shorter, longer in pairwise(heard):
            assert longer.startswith(shorter.rpartition(" ")[0])
    assert parts.keys() == {row.id for row in rows}
    assert max(map(len, parts.values())) > 1
