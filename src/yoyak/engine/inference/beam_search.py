"""Beam search by transformers, with every setting stated and none taken from the vendor's file.

A vendor's generation config would slip in a repetition penalty (Qwen2.5: 1.05), a temperature or
a forced last token (koBART: id 2), so it is set aside while the search runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch
from yoyak.engine.inference.greedy_and_sampling import (
    SuppressTokens,
    ban_repeated_ngrams,
    pad_sources,
)
from yoyak.engine.models.model import without_wrapper
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from transformers import GenerationConfig

    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer


def search(
    bundle: "ModelBundle",
    batch: Sequence[EncodedRow],
    decode: BeamSearch,
    max_new_tokens: int,
    blocked: Sequence[int] = (),
) -> list[list[int]]:
    """The new ids of each row's best beam, to and with its stop if it came to one."""
    causal = bundle.kind == "causal"
    sources = pad_sources(batch, bundle.tokenizer.pad_id, bundle.device, left=causal)
    start = sources.ids.shape[1] if causal else 1
    with _without_vendors_settings(bundle.model) as model:
        sequences = model.generate(
            input_ids=sources.ids,
            attention_mask=sources.mask,
            generation_config=_settings(bundle.tokenizer, decode, max_new_tokens),
            logits_processor=[_Rules(start, decode, bundle.tokenizer, blocked)],
        )
    return [_to_stop(ids, bundle.tokenizer.stop_ids) for ids in sequences[:, start:].tolist()]


def _settings(
    tokenizer: "ModelTokenizer", decode: BeamSearch, max_new_tokens: int
) -> "GenerationConfig":
    from transformers import GenerationConfig

    return GenerationConfig(  # type: ignore[no-untyped-call]
        num_beams=decode.num_beams,
        do_sample=False,
        length_penalty=decode.length_penalty,
        min_new_tokens=decode.min_new_tokens or None,
        max_new_tokens=max_new_tokens,
        eos_token_id=list(tokenizer.stop_ids),
        pad_token_id=tokenizer.pad_id,
        decoder_start_token_id=tokenizer.decoder_start_id,
        use_cache=True,
    )


@contextmanager
def _without_vendors_settings(model: Any) -> Iterator[Any]:
    """The model below any adapter wrapper; adapters stay active."""
    from transformers import GenerationConfig

    inner = without_wrapper(model)
    vendors = inner.generation_config
    inner.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    try:
        yield inner
    finally:
        inner.generation_config = vendors


class _Rules:
    """What no beam may write: muted ids, and n-grams its own answer already has."""

    def __init__(
        self, start: int, decode: BeamSearch, tokenizer: "ModelTokenizer", blocked: Sequence[int]
    ) -> None:
        self._start = start
        self._size = decode.no_repeat_ngram_size
        self._mute = SuppressTokens(tokenizer.vocab_size, blocked)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = self._mute(scores.clone())
        if self._size:
            ban_repeated_ngrams(scores, input_ids[:, self._start :].tolist(), self._size)
        return scores


def _to_stop(ids: list[int], stop_ids: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in stop_ids), len(ids) - 1)
    return ids[: end + 1]
