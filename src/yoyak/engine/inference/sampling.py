"""Choose the next token from its scores: greedy or top-p sampling, with banned tokens.

Sampling is a pure function of the seed and the row's id: it draws from no shared random state, so a
resumed job gives the same summaries as an uninterrupted one.
"""

import hashlib
from collections.abc import Sequence

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy, Sampling


class TokenSampler:
    """Choose the next token of each row: the most likely one, or one sampled from the top p.

    Each row has random numbers of its own.

    Args:
        decode: greedy or sampling, with the ban on repeated n-grams.
        row_ids: the ids of the batch's rows.
        max_new_tokens: random numbers that are drawn for each row.
        device: of the scores.
    """

    def __init__(
        self,
        decode: Greedy | Sampling,
        row_ids: Sequence[str],
        max_new_tokens: int,
        device: torch.device,
    ) -> None:
        self._decode = decode
        self._uniform: torch.Tensor | None = None
        if isinstance(decode, Sampling):
            drawn = [_uniform_numbers(decode.seed, id_, max_new_tokens) for id_ in row_ids]
            self._uniform = torch.stack(drawn).to(device)

    def __call__(
        self, scores: torch.Tensor, step: int, rows: list[int], answers: list[list[int]]
    ) -> torch.Tensor:
        """Return token ids [rows] for ``scores`` [rows, vocabulary].

        Args:
            scores: changed in place.
            step: tokens generated so far.
            rows: which row of the first batch each row of ``scores`` is.
            answers: the tokens so far of each row of the first batch.
        """
        if self._decode.no_repeat_ngram_size:
            ban_repeated_ngrams(
                scores, [answers[row] for row in rows], self._decode.no_repeat_ngram_size
            )
        if isinstance(self._decode, Greedy) or self._uniform is None:
            return scores.argmax(-1)
        probabilities = (scores / self._decode.temperature).softmax(-1)
        return sample_top_p(probabilities, self._uniform[rows, step], self._decode.top_p)


def sample_top_p(probabilities: torch.Tensor, uniform: torch.Tensor, top_p: float) -> torch.Tensor:
    """Sample one token a row from the smallest set of likeliest tokens that holds ``top_p``.

    By inversion of the cumulative distribution (nucleus sampling, Holtzman 2020).

    Args:
        probabilities: [rows, vocabulary].
        uniform: random numbers [rows] in [0, 1).
        top_p: probability mass of the set; 0 is greedy.
    """
    ordered, ids = probabilities.sort(descending=True, stable=True)
    mass = ordered.cumsum(-1)
    ordered[(mass - ordered) >= top_p] = 0.0
    ordered[:, 0] = ordered[:, 0].clamp_min(torch.finfo(ordered.dtype).tiny)
    mass = ordered.cumsum(-1)
    target = uniform.to(mass.dtype).unsqueeze(-1) * mass[:, -1:]
    index = torch.searchsorted(mass, target, right=True)
    return ids.gather(-1, index.clamp_max((ordered > 0).sum(-1, keepdim=True) - 1)).squeeze(-1)


def _uniform_numbers(seed: int, row_id: str, count: int) -> torch.Tensor:
    digest = hashlib.sha256(f"{seed}\n{row_id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
    return torch.rand(count, generator=generator, dtype=torch.float64)


def ban_repeated_ngrams(scores: torch.Tensor, answers: Sequence[Sequence[int]], size: int) -> None:
    """Set −inf, in place, on tokens that would repeat an n-gram of the row's own answer.

    The prompt does not count (transformers' ``no_repeat_ngram_size`` counts it for causal models).
    """
    for row, answer in enumerate(answers):
        tail = tuple(answer[len(answer) - size + 1 :]) if size > 1 else ()
        repeated = [
            answer[end]
            for end in range(size - 1, len(answer))
            if tuple(answer[end - size + 1 : end]) == tail
        ]
        scores[row, repeated] = -torch.inf


class SuppressTokens:
    """Forbid blocked token ids, and embedding rows beyond the tokenizer's vocabulary."""

    def __init__(self, vocab_size: int, blocked: Sequence[int]) -> None:
        self._vocab_size = vocab_size
        self._blocked = torch.tensor(blocked, dtype=torch.long)

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """Set −inf in place on forbidden ids of ``scores`` [rows, vocabulary] and return it."""
        scores[:, self._vocab_size :] = -torch.inf
        if self._blocked.numel():
            self._blocked = self._blocked.to(scores.device)
            scores.index_fill_(1, self._blocked, -torch.inf)
        return scores
