import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.collate import (  # noqa: E402
    MicroBatchLimits,
    RowShape,
    collate,
    micro_batches,
    padded_tokens,
)
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402

shapes = st.lists(
    st.builds(RowShape, st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=80
)


@given(shapes, st.integers(1, 6), st.integers(1, 300))
def test_forward_passes_keep_their_limits(rows, most_rows, most_tokens):
    cut = micro_batches(range(len(rows)), rows, MicroBatchLimits(most_rows, most_tokens))
    assert sorted(row for part in cut for row in part) == list(range(len(rows)))
    for part in cut:
        assert len(part) <= most_rows
        assert len(part) == 1 or padded_tokens([rows[row] for row in part]) <= most_tokens


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_what_is_supervised_is_the_answer_and_its_stop(architecture, toy, dialogues):
    model = toy(architecture)
    rows = encode_rows(model.tokenizer, dialogues[:5], model.recipe.prompt, with_answers=True)
    batch = collate(rows, model.tokenizer, model.kind, model.device)
    fed = batch.input_ids if batch.decoder_input_ids is None else batch.decoder_input_ids
    supervised = batch.targets.split([len(row.answer_ids) for row in rows])
    places = batch.label_positions.split([len(row.answer_ids) for row in rows])
    for number, (row, targets, where) in enumerate(zip(rows, supervised, places, strict=True)):
        assert tuple(targets.tolist()) == row.answer_ids
        assert targets[-1] == model.tokenizer.stop_id
        assert model.tokenizer.decode(targets.tolist()) == dialogues[number].references[0]
        # The token at a place is the one before its target.
        before = [
            row.source_ids[-1] if batch.attention_mask is None else model.tokenizer.decoder_start_id
        ]
        assert fed.flatten()[where].tolist() == [*before, *row.answer_ids[:-1]]
        assert set((where // fed.shape[1]).tolist()) == {number}
    if batch.attention_mask is not None:
        assert batch.attention_mask.sum(1).tolist() == [len(row.source_ids) for row in rows]
