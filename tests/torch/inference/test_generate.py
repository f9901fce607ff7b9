import hashlib

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.inference import NEW, said
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import generate
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


def test_an_answer_at_its_cap_says_so(taught, encoded):
    model = taught("bart")
    (prediction,) = generate.generate(
        model, encoded(model)[:1], Greedy(max_new_tokens=2), max_new_tokens=NEW
    )
    assert (prediction.tokens, prediction.stop) == (2, StopReason.LENGTH)


def test_batches_hold_their_budget_and_every_row_once(encoded, toy):
    rows = encoded(toy("llama"))
    cut = generate.make_batches(rows, 20, 1500)
    assert sorted(row.id for batch in cut for row in batch) == sorted(row.id for row in rows)
    sizes = [len(batch) * (len(batch[0].source_ids) + 20) for batch in cut]
    assert max(sizes) <= 1500
    assert min(map(len, cut[:-1])) > 1
    lengths = [len(row.source_ids) for batch in cut for row in batch]
    assert lengths == sorted(lengths, reverse=True)
    lone = generate.make_batches(rows, 20, 1)
    assert [len(batch) for batch in lone] == [1] * len(rows)


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
        return real(bundle, batch, *rest)

    monkeypatch.setattr(generate, "generate_tokens", small_card)
    assert said(generate.generate(model, rows, Greedy(), max_new_tokens=8)) == expected
    assert sizes == [9, 4, 2, 2, 5, 2, 3]


def test_a_row_that_cannot_fit_is_named(taught, encoded, monkeypatch):
    model = taught("qwen2")

    def no_card(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(generate, "generate_tokens", no_card)
    with pytest.raises(RunFailed, match="row_"):
        list(generate.generate(model, encoded(model)[:2], Greedy(), max_new_tokens=8))


def test_rows_beyond_the_models_positions_are_refused_before_any_work(toy, encoded):
    model = toy("bart")
    long = encoded(model)[0]._replace(id="long", source_ids=(9,) * 601)
    with pytest.raises(RunFailed, match=r"long.*601.*600"):
        next(generate.generate(model, [long], Greedy(), max_new_tokens=8))
    chat = toy("llama")
    with pytest.raises(RunFailed, match=r"2048"):
        next(
            generate.generate(
                chat, [long._replace(source_ids=(9,) * 2041)], Greedy(), max_new_tokens=8
            )
        )


def test_progress_is_told_after_each_batch_and_predictions_come_as_they_are_ready(taught, encoded):
    model = taught("bart")
    rows = encoded(model)[:6]
    told = []
    stream = generate.generate(
        model, rows, Greedy(), max_new_tokens=8, budget_tokens=1,
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
