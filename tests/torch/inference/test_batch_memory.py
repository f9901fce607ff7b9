"""Batches hold as many rows as their keys and values leave memory for."""

import pytest

from support.families import FAMILIES, random_rows
from yoyak.config.schema import BeamSearch, Greedy, Recipe
from yoyak.engine.inference import next_token
from yoyak.engine.inference.batch_memory import (
    CPU_MIN_LENGTH,
    CPU_MIN_ROWS,
    MAX_ROWS,
    USED_SHARE,
    BatchMemory,
    batch_memory,
    make_batches,
)
from yoyak.planning.memory_estimate import GENERATION_SHARE, MAX_GENERATION_ROWS, row_bytes
from yoyak.planning.model_shapes import shape_of_config

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "qwen3.5"])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_bytes_of_a_row_are_those_that_are_allocated(name, beams, random_model):
    bundle, rows, new = random_model(name), random_rows(4), 7
    decode = BeamSearch(num_beams=beams) if beams > 1 else Greedy()
    memory = batch_memory(bundle, decode)
    head = next_token.next_token_scores(bundle, rows, new)
    head.scores(None)
    if beams > 1:
        head.repeat(beams)
    layers = head._layers if bundle.kind == "causal" else [*head._own, *head._cross]
    allocated = sum(buffer.nbytes for layer in layers for buffer in layer._buffers)
    source = max(len(row.source_ids) for row in rows) - (bundle.kind == "causal")
    assert allocated == len(rows) * (source * memory.source_bytes + new * memory.new_bytes)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in {"qwen3.5", "longt5"}])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_planner_counts_the_same_bytes(name, beams, random_model):
    bundle = random_model(name)
    memory = batch_memory(bundle, BeamSearch(num_beams=beams) if beams > 1 else Greedy())
    shape = shape_of_config(bundle.model.config.to_dict())
    planned = row_bytes(shape, Recipe(name="r", engine="seq2seq"), 20, 7, beams)
    # LongT5 has attention of its own, whose beams share nothing, and is planned as a T5.
    # These models are in float64, a recipe that trains all weights is in float32.
    assert 2 * planned == 20 * memory.source_bytes + 7 * memory.new_bytes


def test_the_planner_has_the_same_limits():
    assert (MAX_GENERATION_ROWS, GENERATION_SHARE) == (MAX_ROWS, USED_SHARE)


def test_batches_hold_what_fits_and_every_row_once():
    rows = random_rows(40)
    memory = BatchMemory(source_bytes=10, new_bytes=20, row_bytes=100, free_bytes=1500)
    batches = make_batches(rows, 5, memory)
    assert sorted(row.id for batch in batches for row in batch) == sorted(row.id for row in rows)
    sizes = [len(batch) * (10 * len(batch[0].source_ids) + 5 * 20 + 100) for batch in batches]
    assert max(sizes) <= 1500
    assert min(map(len, batches[:-1])) > 1
    lengths = [len(row.source_ids) for batch in batches for row in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_one_row_is_always_tried_and_a_batch_has_an_end():
    nothing = BatchMemory(source_bytes=10, new_bytes=20, row_bytes=100, free_bytes=0)
    assert [len(batch) for batch in make_batches(random_rows(3), 5, nothing)] == [1, 1, 1]
    much = nothing._replace(free_bytes=1 << 40)
    assert [len(batch) for batch in make_batches(random_rows(MAX_ROWS + 1), 5, much)] == [
        MAX_ROWS,
        1,
    ]


def test_a_batch_on_a_cpu_takes_only_rows_of_similar_length_once_it_is_large_enough(random_model):
    memory = batch_memory(random_model("llama"), Greedy())
    assert memory.similar_from == CPU_MIN_ROWS
    row = random_rows(2)[0]
    rows = [
        row._replace(id=f"{size} {copy}", source_ids=(7,) * size)
        for size in range(10, 500, 10)
        for copy in range(4)
    ]
    batches = make_batches(rows, 5, memory)
    lengths = [[len(row.source_ids) for row in batch] for batch in batches]
    for batch in lengths[:-1]:
        assert len(batch) >= CPU_MIN_ROWS
        assert all(size >= CPU_MIN_LENGTH * batch[0] for size in batch[CPU_MIN_ROWS:])
    padded = sum(len(batch) * batch[0] for batch in lengths)
    assert padded <= 1.4 * sum(map(sum, lengths))
    assert len(make_batches(rows, 5, memory._replace(similar_from=None))) == 1
