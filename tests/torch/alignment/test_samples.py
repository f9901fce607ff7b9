"""Samples are a function of seed, step and dialogue; records of a step replace earlier ones."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.alignment.samples import (  # noqa: E402
    SAMPLES,
    Candidates,
    PreferencePair,
    Sampler,
    StepRecords,
    StepSamples,
    lines_of,
    pair_of,
    read_records,
    write_pairs,
)
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402


@pytest.fixture
def draw(taught, dialogues):
    """Token ids by dialogue, sampled at a step."""
    ours = taught("bart")
    sampler = Sampler(ours, 3, 1.0, 24, (), seed=5)
    rows = encode_rows(ours.tokenizer, dialogues[:4], ours.recipe.prompt, with_answers=True)

    def make(step, rows=rows):
        return {rows[index].id: ids for index, ids, _ in sampler.groups(rows, step)}

    make.rows, make.sampler, make.toy = rows, sampler, ours
    return make


def test_a_step_samples_the_same_whenever_it_is_made(draw):
    first = draw(3)
    assert set(first) == {row.id for row in draw.rows}
    assert draw(3) == first
    assert draw(4) != first
    assert any(len(set(ids)) > 1 for ids in first.values()), "samples differ from each other"


def test_texts_are_what_the_engine_predicts_for_the_same_ids(draw):
    for _, token_ids, texts in draw.sampler.groups(draw.rows, 0):
        for ids, text in zip(token_ids, texts, strict=True):
            assert 1 <= len(ids) <= 24
            assert text.split() == draw.toy.tokenizer.decode(ids).split()


def test_a_step_that_is_repeated_replaces_its_records(tmp_path):
    def record(step, reward):
        return StepSamples(step=step, id="a", texts=("x", "y"), rewards=(reward, 0.0))

    records = StepRecords(tmp_path)
    for step in (1, 2, 3):
        records.add(step, [record(step, 0.1)])
    # A run that was killed after step 3 and goes on from the checkpoint of step 1.
    with (tmp_path / SAMPLES).open("ab") as torn:
        torn.write(b'{"step":4,"id"')
    again = StepRecords(tmp_path)
    again.add(2, [record(2, 0.7)])
    found = read_records(tmp_path / SAMPLES, StepSamples)
    assert [(one.step, one.rewards[0]) for one in found] == [(1, 0.1), (2, 0.7)]


def test_a_pair_is_best_and_worst_and_equal_rewards_make_none(tmp_path):
    def candidates(id_, *rewards):
        texts = tuple(f"{id_}{place}" for place in range(len(rewards)))
        ids = tuple((place,) for place in range(len(rewards)))
        return Candidates(id=id_, token_ids=ids, texts=texts, rewards=rewards)

    both = {"a": candidates("a", 0.2, 0.9, 0.1), "b": candidates("b", 0.5, 0.5, 0.5)}
    assert pair_of(both["a"]) == (1, 2)
    assert pair_of(both["b"]) is None
    assert write_pairs(tmp_path, both) == 1
    (pair,) = read_records(tmp_path / "pairs.jsonl", PreferencePair)
    assert (pair.chosen, pair.rejected) == ("a1", "a2")
    assert lines_of([pair]).count(b"\n") == 1
