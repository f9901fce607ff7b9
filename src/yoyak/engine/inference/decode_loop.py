"""Decode token by token with a KV cache (greedy or sampling); finished rows leave the batch.

Causal models are padded on the left, with explicit mask and positions; encoders on the right. Rows
never attend to each other, so a row gets the same answer alone, in a batch, and in a batch that
shrinks around it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy, Sampling
from yoyak.engine.inference.sampling import SuppressTokens, TokenSampler
from yoyak.engine.models.collate import pad_sources
from yoyak.engine.models.model import unwrap_model
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle

SHRINK_BELOW = 0.75
"""A batch is rebuilt once at most this share of its rows is unfinished: that copies the cache."""


def generate_tokens(
    bundle: "ModelBundle",
    batch: Sequence[EncodedRow],
    decode: Greedy | Sampling,
    max_new_tokens: int,
    blocked: Sequence[int] = (),
) -> list[list[int]]:
    """Decode ``batch`` greedily or by sampling.

    Returns the new token ids of each row, including EOS if it was generated.
    """
    stop_ids = bundle.tokenizer.stop_ids
    head = next_token_scores(bundle, batch)
    sample = TokenSampler(decode, [row.id for row in batch], max_new_tokens, bundle.device)
    suppress = SuppressTokens(bundle.tokenizer.vocab_size, blocked)
    answers: list[list[int]] = [[] for _ in batch]
    rows = list(range(len(batch)))  # which answer each row of the shrinking batch belongs to
    chosen: torch.Tensor | None = None
    for step in range(max_new_tokens):
        chosen = sample(suppress(head.scores(chosen)), step, rows, answers)
        unfinished = []
        for index, (row, token) in enumerate(zip(rows, chosen.tolist(), strict=True)):
            if answers[row] and answers[row][-1] in stop_ids:
                continue
            answers[row].append(token)
            if token not in stop_ids:
                unfinished.append(index)
        if not unfinished:
            break
        if len(unfinished) <= SHRINK_BELOW * len(rows):
            kept = torch.tensor(unfinished, device=chosen.device)
            head.keep(kept)
            chosen = chosen[kept]
            rows = [rows[index] for index in unfinished]
    return answers


class NextTokenScores(Protocol):
    """A model with a KV cache that scores the next token of each row."""

    def scores(self, chosen: torch.Tensor | None) -> torch.Tensor:
        """Return fp32 logits [rows, vocabulary] after ``chosen`` [rows] (``None`` at first)."""

    def keep(self, rows: torch.Tensor) -> None:
        """Drop every row that is not in ``rows`` from the batch and its cache."""


def next_token_scores(bundle: "ModelBundle", batch: Sequence[EncodedRow]) -> NextTokenScores:
    """Start decoding a batch: prompts padded, cache empty."""
    return (_Seq2SeqScores if bundle.kind == "seq2seq" else _CausalScores)(bundle, batch)


class _CausalScores:
    def __init__(self, bundle: "ModelBundle", batch: Sequence[EncodedRow]) -> None:
        from transformers import DynamicCache

        self._model = unwrap_model(bundle.model)
        self._ids, self._mask = pad_sources(
            batch, bundle.tokenizer.pad_id, bundle.device, left=True
        )
        self._positions = (self._mask.cumsum(-1) - 1).clamp_min(0)
        self._cache = DynamicCache(config=self._model.config)

    def scores(self, chosen: torch.Tensor | None) -> torch.Tensor:
        if chosen is not None:
            self._ids = chosen.unsqueeze(-1)
            self._mask = torch.cat([self._mask, torch.ones_like(self._ids)], dim=-1)
            self._positions = self._positions[:, -1:] + 1
        output = self._model(
            input_ids=self._ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, rows: torch.Tensor) -> None:
        self._mask, self._positions = self._mask[rows], self._positions[rows]
        self._cache.batch_select_indices(rows)


class _Seq2SeqScores:
    def __init__(self, bundle: "ModelBundle", batch: Sequence[EncodedRow]) -> None:
        from transformers import DynamicCache, EncoderDecoderCache

        self._model = unwrap_model(bundle.model)
        ids, self._mask = pad_sources(batch, bundle.tokenizer.pad_id, bundle.device, left=False)
        self._encoder_outputs = self._model.get_encoder()(input_ids=ids, attention_mask=self._mask)
        start = torch.tensor(bundle.tokenizer.decoder_start_id, device=ids.device)
        self._start = start.expand(len(batch))
        config = self._model.config
        self._cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))

    def scores(self, chosen: torch.Tensor | None) -> torch.Tensor:
        last = self._start if chosen is None else chosen
        output = self._model(
            encoder_outputs=self._encoder_outputs,
            attention_mask=self._mask,
            decoder_input_ids=last.unsqueeze(-1),
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, rows: torch.Tensor) -> None:
        self._mask = self._mask[rows]
        hidden = self._encoder_outputs.last_hidden_state
        self._encoder_outputs.last_hidden_state = hidden[rows]
        self._cache.batch_select_indices(rows)
