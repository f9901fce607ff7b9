"""Greedy decoding against transformers, alone and in a batch that shrinks."""

import pytest

from support.families import FAMILIES, START, count_host_reads, random_rows, reference_ids
from support.inference import NEW, reference
from yoyak.config.schema import Greedy, Sampling
from yoyak.engine.inference import decode_loop
from yoyak.engine.inference.generate import DecodeJob, decoded

pytestmark = pytest.mark.torch

ARCHITECTURES = ("bart", "llama", "qwen2", "qwen3")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_that_has_learnt_answers_as_transformers(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)
    answers = decoded(DecodeJob(model, Greedy(), NEW, ()), rows)
    assert answers == [reference(model, row, num_beams=1) for row in rows]


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_ids_of_every_family_equal_transformers(name, random_model):
    bundle, rows = random_model(name), random_rows(9)
    answers = decoded(DecodeJob(bundle, Greedy(), 20, (START,)), rows)
    assert answers == [reference_ids(bundle, row, 20) for row in rows]


@pytest.mark.parametrize("name", ["llama", "gemma3", "bart", "t5"])
@pytest.mark.parametrize("decode", [Greedy(no_repeat_ngram_size=2), Sampling()])
def test_the_host_waits_at_most_once_for_eight_tokens(name, decode, random_model):
    bundle, rows, answers = random_model(name), random_rows(9), []
    job = DecodeJob(bundle, decode, 40, (bundle.tokenizer.stop_id,))
    reads = count_host_reads(lambda: answers.extend(decoded(job, rows)))
    assert {len(ids) for ids in answers} == {40}
    assert reads.total() <= 40 / 8


def test_rows_are_yielded_as_they_finish(random_model):
    bundle, rows = random_model("llama"), random_rows(9)
    parts = list(decode_loop.generate_tokens(bundle, rows, Greedy(), 20))
    lengths = [{len(ids) for _, ids in part} for part in parts]
    assert len(parts) > 1
    for number, part in enumerate(lengths[:-1]):
        assert max(part) <= 8 * (number + 1)
    assert sorted(index for part in parts for index, _ in part) == list(range(9))
