import hashlib
from itertools import pairwise

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import decode_loop, generate, max_length, sampling
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.errors import RunFailed
from yoyak.values import StopReason

pytestmark = pytest.mark.torch

ARCHITECTURES = (
    "bart",
    pytest.param("llama", marks=pytest.mark.slow),
    pytest.param("qwen2", marks=pytest.mark.slow),
    "qwen3",
)
NEW = 24


@pytest.fixture
def encoded(dialogues):
    def make(toy):
        return encode_rows(toy.tokenizer, dialogues, toy.recipe.prompt, with_answers=False)

    return make


def said(predictions):
    return {prediction.id: prediction.raw for prediction in predictions}


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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_transformers(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)
    ours = {
        row.id: ids
        for row, ids in zip(
            rows, decode_loop.generate_tokens(model, rows, Greedy(), NEW), strict=True
        )
    }
    assert ours == {row.id: reference(model, row, num_beams=1) for row in rows}


def reference(model, row, **settings):
    """The new ids of one row alone by ``transformers``' own ``generate``."""
    tokenizer = model.tokenizer
    model.model.generation_config.forced_eos_token_id = None
    sequence = model.model.generate(
        input_ids=torch.tensor([row.source_ids]),
        attention_mask=torch.ones(1, len(row.source_ids), dtype=torch.long),
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=list(tokenizer.stop_ids),
        pad_token_id=tokenizer.pad_id,
        suppress_tokens=list(range(tokenizer.vocab_size, model.model.config.vocab_size)) or None,
        **settings,
    )[0]
    start = 1 if model.kind == "seq2seq" else len(row.source_ids)
    return sequence[start:].tolist()


def rows_say(predictions):
    return {p.id: (p.text, p.tokens, p.stop) for p in predictions}


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_beams_equal_transformers_alone(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)[:6]
    ours = said(generate.generate(model, rows, BeamSearch(num_beams=3), max_new_tokens=NEW))
    theirs = {row.id: model.tokenizer.decode(reference(model, row, num_beams=3)) for row in rows}
    assert ours == theirs


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


@pytest.mark.parametrize("architecture", ["bart", "llama"])
def test_a_vendors_generation_config_has_no_say_and_is_put_back(architecture, toy, encoded):
    model = toy(architecture)
    rows = encoded(model)[:4]
    before = said(generate.generate(model, rows, BeamSearch(num_beams=2), max_new_tokens=8))
    vendors = model.model.generation_config
    vendors.repetition_penalty = 5.0
    vendors.temperature = 0.2
    vendors.forced_eos_token_id = 7
    assert said(generate.generate(model, rows, BeamSearch(num_beams=2), max_new_tokens=8)) == before
    assert model.model.generation_config is vendors
    assert vendors.forced_eos_token_id == 7


@pytest.mark.parametrize("architecture", ["bart", "qwen2"])
def test_sampling_depends_on_seed_and_id_alone(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)
    whole = said(generate.generate(model, rows, Sampling(), max_new_tokens=NEW))
    rest = said(generate.generate(model, rows[20:], Sampling(), max_new_tokens=NEW))
    assert rest == {row.id: whole[row.id] for row in rows[20:]}
    assert said(generate.generate(model, rows, Sampling(seed=1), max_new_tokens=NEW)) != whole
    same_source = [rows[0]._replace(id=name) for name in "abcdef"]
    hot = Sampling(temperature=3.0, top_p=1.0)
    assert (
        len(set(said(generate.generate(model, same_source, hot, max_new_tokens=NEW)).values())) > 1
    )


def test_a_nucleus_is_drawn_in_proportion():
    probabilities = torch.tensor([[0.1, 0.5, 0.05, 0.35]])
    uniform = (torch.arange(1000) + 0.5) / 1000
    drawn = sampling.sample_top_p(probabilities.expand(1000, -1), uniform, top_p=0.9)
    counts = torch.bincount(drawn, minlength=4).tolist()
    # 0.5 + 0.35 < 0.9, so 0.1 is needed too; of their 0.95 each has its share.
    assert counts == pytest.approx([1000 * p / 0.95 for p in (0.1, 0.5, 0.0, 0.35)], abs=1)


def test_a_tiny_nucleus_is_greedy():
    probabilities = torch.rand(50, 20).softmax(-1)
    drawn = sampling.sample_top_p(probabilities, torch.rand(50), top_p=0.0)
    assert drawn.tolist() == probabilities.argmax(-1).tolist()


def test_an_answer_at_its_cap_says_so(taught, encoded):
    model = taught("bart")
    (prediction,) = generate.generate(
        model, encoded(model)[:1], Greedy(max_new_tokens=2), max_new_tokens=NEW
    )
    assert (prediction.tokens, prediction.stop) == (2, StopReason.LENGTH)


@pytest.mark.parametrize("kind", [Greedy, BeamSearch, Sampling])
def test_no_ngram_of_the_answer_comes_twice(kind, toy, encoded):
    model = toy("llama")
    rows = encoded(model)[:5]

    def pairs_of(decoding):
        work = generate.DecodeJob(model, decoding, 40, ())
        return [list(pairwise(answer)) for answer in generate.decode_batch(work, rows)]

    for pairs in pairs_of(kind(no_repeat_ngram_size=2)):
        assert len(pairs) == len(set(pairs))
        assert pairs


@pytest.mark.parametrize("decoding", [Greedy(), BeamSearch(num_beams=2), Sampling()])
def test_blocked_ids_and_rows_without_a_token_are_never_written(decoding, toy, encoded):
    model = toy("qwen3")
    free = list(generate.generate(model, encoded(model)[:3], decoding, max_new_tokens=8))
    first = {model.tokenizer.encode_answer(p.raw)[0] for p in free}
    blocked = [i for i in range(model.tokenizer.vocab_size) if i not in model.tokenizer.stop_ids][
        ::2
    ]
    work = generate.DecodeJob(model, decoding, 8, tuple(blocked))
    answers = generate.decode_batch(work, encoded(model)[:3])
    written = {token for answer in answers for token in answer}
    assert first
    assert not written & set(blocked)
    assert max(written) < model.tokenizer.vocab_size < model.model.config.vocab_size


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


def test_the_cap_covers_all_but_one_answer_in_a_thousand():
    lengths = [*range(10, 60)] * 40 + [500]
    assert max_length.default_max_new_tokens(lengths) == 76  # ceil(59 x 1.15) + 8
    assert max_length.default_max_new_tokens([40]) == 54
    assert max_length.default_max_new_tokens([*[40] * 10, 90]) == 112
