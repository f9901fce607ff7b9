"""Greedy decoding and sampling, token by token, over a batch that its finished rows leave.

The batch owns its padding: left for causal models with explicit mask and positions, right for an
encoder. Rows never touch each other, so a row says the same alone, in a batch, and in a batch
that shrinks around it.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy, Sampling
from yoyak.engine.models.model import without_wrapper
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle

KEEP_ABOVE = 0.75
"""A batch is rebuilt once at most this share of its rows is alive: each time copies the cache."""


class PaddedSources(NamedTuple):
    """Source ids of a batch as rows of one length, [rows, length]; the mask is 1 on real ids."""

    ids: torch.Tensor
    mask: torch.Tensor


def pad_sources(
    batch: Sequence[EncodedRow], pad_id: int, device: Any, *, left: bool
) -> PaddedSources:
    """The batch's sources, padded on the left or right. Padding is known by place, never by id."""
    length = max(len(row.source_ids) for row in batch)
    ids = torch.full((len(batch), length), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(batch):
        size = len(row.source_ids)
        span = slice(length - size, length) if left else slice(0, size)
        ids[place, span] = torch.tensor(row.source_ids)
        mask[place, span] = 1
    return PaddedSources(ids.to(device), mask.to(device))


def generate_tokens(
    bundle: "ModelBundle",
    batch: Sequence[EncodedRow],
    decode: Greedy | Sampling,
    max_new_tokens: int,
    blocked: Sequence[int] = (),
) -> list[list[int]]:
    """The new ids of each row of ``batch``, to and with its stop if it came to one."""
    head: NextTokenScores = (
        _Seq2SeqScores(bundle, batch) if bundle.kind == "seq2seq" else _CausalScores(bundle, batch)
    )
    choose = TokenSampler(decode, batch, max_new_tokens, bundle)
    mute = SuppressTokens(bundle.tokenizer.vocab_size, blocked)
    answers: list[list[int]] = [[] for _ in batch]
    places = list(range(len(batch)))  # which answer each row of the shrinking batch writes
    chosen: torch.Tensor | None = None
    for step in range(max_new_tokens):
        scores = mute(head.scores(chosen))
        chosen = choose(scores, step, places, answers)
        alive = []
        for row, (place, token) in enumerate(zip(places, chosen.tolist(), strict=True)):
            if _stopped(answers[place], bundle.tokenizer.stop_ids):
                continue
            answers[place].append(token)
            if token not in bundle.tokenizer.stop_ids:
                alive.append(row)
        if not alive:
            break
        if len(alive) <= KEEP_ABOVE * len(places):
            kept = torch.tensor(alive, device=chosen.device)
            head.keep(kept)
            chosen = chosen[kept]
            places = [places[row] for row in alive]
    return answers


def _stopped(answer: list[int], stop_ids: Sequence[int]) -> bool:
    return bool(answer) and answer[-1] in stop_ids


class SuppressTokens:
    """Forbids ids: those that are blocked, and embedding rows that no token stands behind."""

    def __init__(self, vocabulary: int, blocked: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        self._blocked = torch.tensor(blocked, dtype=torch.long)

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """The scores [rows, vocabulary] with −inf where nothing may be written."""
        scores[:, self._vocabulary :] = -torch.inf
        if self._blocked.numel():
            self._blocked = self._blocked.to(scores.device)
            scores.index_fill_(1, self._blocked, -torch.inf)
        return scores


class TokenSampler:
    """The next id of each row: the likeliest, or one drawn with the row's own random numbers."""

    def __init__(
        self,
        decode: Greedy | Sampling,
        batch: Sequence[EncodedRow],
        max_new_tokens: int,
        bundle: "ModelBundle",
    ) -> None:
        self._decode = decode
        self._pad_id = bundle.tokenizer.pad_id
        self._draws: torch.Tensor | None = None
        if isinstance(decode, Sampling):
            draws = [_draws(decode.seed, row.id, max_new_tokens) for row in batch]
            self._draws = torch.stack(draws).to(bundle.device)

    def __call__(
        self, scores: torch.Tensor, step: int, places: list[int], answers: list[list[int]]
    ) -> torch.Tensor:
        """Ids [rows]; ``places`` maps the rows of ``scores`` to those of the first batch."""
        if self._decode.no_repeat_ngram_size:
            ban_repeated_ngrams(
                scores, [answers[place] for place in places], self._decode.no_repeat_ngram_size
            )
        if isinstance(self._decode, Greedy) or self._draws is None:
            return scores.argmax(-1)
        probabilities = (scores / self._decode.temperature).softmax(-1)
        return sample_top_p(probabilities, self._draws[places, step], self._decode.top_p)


def sample_top_p(probabilities: torch.Tensor, uniform: torch.Tensor, top_p: float) -> torch.Tensor:
    """One id a row from the smallest set of likeliest ids that holds ``top_p`` of the mass.

    By inversion: ``uniform`` in [0, 1) picks its place in the set (nucleus, Holtzman 2020).
    """
    ordered, ids = probabilities.sort(descending=True, stable=True)
    mass = ordered.cumsum(-1)
    ordered[(mass - ordered) >= top_p] = 0.0
    ordered[:, 0] = ordered[:, 0].clamp_min(torch.finfo(ordered.dtype).tiny)
    mass = ordered.cumsum(-1)
    target = uniform.to(mass.dtype).unsqueeze(-1) * mass[:, -1:]
    place = torch.searchsorted(mass, target, right=True)
    return ids.gather(-1, place.clamp_max((ordered > 0).sum(-1, keepdim=True) - 1)).squeeze(-1)


def _draws(seed: int, id_: str, count: int) -> torch.Tensor:
    digest = hashlib.sha256(f"{seed}\n{id_}".encode()).digest()
    source = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
    return torch.rand(count, generator=source, dtype=torch.float64)


def ban_repeated_ngrams(scores: torch.Tensor, answers: Sequence[Sequence[int]], size: int) -> None:
    """Sets −inf on ids that would repeat an n-gram of the answer; the prompt is not looked at."""
    for row, answer in enumerate(answers):
        tail = tuple(answer[len(answer) - size + 1 :]) if size > 1 else ()
        repeated = [
            answer[end]
            for end in range(size - 1, len(answer))
            if tuple(answer[end - size + 1 : end]) == tail
        ]
        scores[row, repeated] = -torch.inf


class NextTokenScores(Protocol):
    """Where the scores of the next id come from."""

    def scores(self, chosen: torch.Tensor | None) -> torch.Tensor:
        """Scores [rows, vocabulary] in fp32 after ``chosen`` [rows]; ``None`` on the first call."""

    def keep(self, rows: torch.Tensor) -> None:
        """Lets every other row leave."""


def next_token_scores(bundle: "ModelBundle", batch: Sequence[EncodedRow]) -> NextTokenScores:
    """The head of a batch that has not said anything yet."""
    return (_Seq2SeqScores if bundle.kind == "seq2seq" else _CausalScores)(bundle, batch)


class _CausalScores:
    def __init__(self, bundle: "ModelBundle", batch: Sequence[EncodedRow]) -> None:
        from transformers import DynamicCache

        self._model = without_wrapper(bundle.model)
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

        self._model = without_wrapper(bundle.model)
        ids, self._mask = pad_sources(batch, bundle.tokenizer.pad_id, bundle.device, left=False)
        encoder = self._model.get_encoder()
        self._encoded = encoder(input_ids=ids, attention_mask=self._mask)
        start = torch.tensor(bundle.tokenizer.decoder_start_id, device=ids.device)
        self._start = start.expand(len(batch))
        config = self._model.config
        self._cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))

    def scores(self, chosen: torch.Tensor | None) -> torch.Tensor:
        last = self._start if chosen is None else chosen
        output = self._model(
            encoder_outputs=self._encoded,
            attention_mask=self._mask,
            decoder_input_ids=last.unsqueeze(-1),
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, rows: torch.Tensor) -> None:
        self._mask = self._mask[rows]
        self._encoded.last_hidden_state = self._encoded.last_hidden_state[rows]
        self._cache.batch_select_indices(rows)
