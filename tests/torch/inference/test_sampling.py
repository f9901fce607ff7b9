"""Which token is chosen: the most likely, one of the nucleus, never a banned one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.inference import NEW, said
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import generate, sampling

pytestmark = pytest.mark.torch


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


@pytest.mark.parametrize("kind", [Greedy, BeamSearch, Sampling])
def test_no_ngram_of_the_answer_comes_twice(kind, toy, encoded):
    model = toy("llama")
    rows = encoded(model)[:5]

    def pairs_of(decoding):
        work = generate.DecodeJob(model, decoding, 40, ())
        return [list(pairwise(answer)) for answer in generate.decoded(work, rows)]

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
    answers = generate.decoded(work, encoded(model)[:3])
    written = {token for answer in answers for token in answer}
    assert first
    assert not written & set(blocked)
    assert max(written) < model.tokenizer.vocab_size < model.model.config.vocab_size


def test_only_ngrams_of_the_own_answer_are_banned():
    scores = torch.zeros(2, 10)
    sampling.ban_repeated_ngrams(scores, torch.tensor([[1, 2, 3, 1, 2], [1, 2, 3, 4, 5]]), 3)
    assert scores[0].isinf().nonzero().flatten().tolist() == [3]
    assert not scores[1].isinf().any()
    sampling.ban_repeated_ngrams(scores, torch.tensor([[], []], dtype=torch.long), 1)
    assert not scores[1].isinf().any()
    sampling.ban_repeated_ngrams(scores, torch.tensor([[6, 6], [4, 5]]), 1)
    assert scores[1].isinf().nonzero().flatten().tolist() == [4, 5]


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 4))
def test_an_ngram_is_banned_if_and_only_if_it_was_there(answer, size):
    scores = torch.zeros(1, 4)
    sampling.ban_repeated_ngrams(scores, torch.tensor([answer], dtype=torch.long), size)
    ngrams = {tuple(answer[at : at + size]) for at in range(len(answer) - size + 1)}
    tail = answer[len(answer) - size + 1 :] if size > 1 else []
    banned = [(*tail, token) in ngrams for token in range(4)]
    assert scores[0].isinf().tolist() == banned
