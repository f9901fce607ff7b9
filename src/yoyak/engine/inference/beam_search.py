"""Beam search by transformers, with every setting explicit.

The vendor's generation config is set aside during the search: it would add a repetition penalty
(Qwen2.5: 1.05), a temperature or a forced last token (koBART: id 2).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch
from yoyak.engine.inference.sampling import SuppressTokens, ban_repeated_ngrams
from yoyak.engine.models.collate import pad_sources
from yoyak.engine.models.model import unwrap_model
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from transformers import GenerationConfig

    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer


def beam_search(
    bundle: "ModelBundle",
    batch: Sequence[EncodedRow],
    decode: BeamSearch,
    max_new_tokens: int,
    blocked: Sequence[int] = (),
) -> list[list[int]]:
    """Return the new token ids of each row's best beam, including EOS if it was generated."""
    causal = bundle.kind == "causal"
    ids, mask = pad_sources(batch, bundle.tokenizer.pad_id, bundle.device, left=causal)
    start = ids.shape[1] if causal else 1
    with _without_vendor_settings(bundle.model) as model:
        sequences = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=_generation_config(bundle.tokenizer, decode, max_new_tokens),
            logits_processor=[_TokenBans(start, decode, bundle.tokenizer, blocked)],
        )
    return [_cut_after_eos(ids, bundle.tokenizer.stop_ids) for ids in sequences[:, start:].tolist()]


def _generation_config(
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
def _without_vendor_settings(model: Any) -> Iterator[Any]:
    """Yield the transformers model (adapters active) with an empty generation config."""
    from transformers import GenerationConfig

    inner = unwrap_model(model)
    vendors = inner.generation_config
    inner.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    try:
        yield inner
    finally:
        inner.generation_config = vendors


class _TokenBans:
    """A logits processor: suppressed tokens, and n-grams the beam's own answer already has."""

    def __init__(
        self, start: int, decode: BeamSearch, tokenizer: "ModelTokenizer", blocked: Sequence[int]
    ) -> None:
        self._start = start
        self._ngram_size = decode.no_repeat_ngram_size
        self._suppress = SuppressTokens(tokenizer.vocab_size, blocked)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = self._suppress(scores.clone())
        if self._ngram_size:
            ban_repeated_ngrams(scores, input_ids[:, self._start :].tolist(), self._ngram_size)
        return scores


def _cut_after_eos(ids: list[int], stop_ids: Sequence[int]) -> list[int]:
    end = next((index for index, token in enumerate(ids) if token in stop_ids), len(ids) - 1)
    return ids[: end + 1]
