"""Shared helpers of tests that generate."""

import pytest

from yoyak.engine.tokenization.encode import encode_rows

__all__ = ["encoded"]

NEW = 24


@pytest.fixture
def encoded(dialogues):
    def make(toy):
        return encode_rows(toy.tokenizer, dialogues, toy.recipe.prompt, with_answers=False)

    return make


def said(predictions):
    return {prediction.id: prediction.raw for prediction in predictions}


def reference(model, row, **settings):
    """The new ids of one row alone by ``transformers``' own ``generate``."""
    import torch

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
