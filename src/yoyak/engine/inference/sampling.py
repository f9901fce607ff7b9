"""Choose the next token from its scores: greedy or top-p sampling, with banned tokens.

Sampling is a pure function of the seed and the row's id: it draws from no shared random state, so a
resumed job gives the same summaries as an uninterrupted one.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch, Decode, Greedy, Sampling
from yoyak.engine.models.model import unwrap_model

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle


class TokenSampler:
    """Choose the next token of each row: the most likely one, or one sampled from the top p.

    Each row has random numbers of its own.

    Args:
        decode: greedy or sampling.
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

    def __call__(self, scores: torch.Tensor, step: int) -> torch.Tensor:
        """Return token ids [rows] for ``scores`` [rows, vocabulary], after ``step`` new tokens."""
        if isinstance(self._decode, Greedy) or self._uniform is None:
            return scores.argmax(-1)
        probabilities = (scores / self._decode.temperature).softmax(-1)
        return sample_top_p(probabilities, self._uniform[:, step], self._decode.top_p)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only, in this order."""
        if self._uniform is not None:
            self._uniform = self._uniform[rows]


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
    ordered.masked_fill_((mass - ordered) >= top_p, 0.0)
    ordered[:, 0] = ordered[:, 0].clamp_min(torch.finfo(ordered.dtype).tiny)
    mass = ordered.cumsum(-1)
    target = uniform.to(mass.dtype).unsqueeze(-1) * mass[:, -1:]
    index = torch.searchsorted(mass, target, right=True)
    return ids.gather(-1, index.clamp_max((ordered > 0).sum(-1, keepdim=True) - 1)).squeeze(-1)


def _uniform_numbers(seed: int, row_id: str, count: int) -> torch.Tensor:
    digest = hashlib.sha256(f"{seed}\n{row_id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
    return torch.rand(count, generator=generator, dtype=torch.float64)


class TokenRules:
    """Which tokens may come next, as scores of −inf for those that may not.

    Args:
        bundle: its tokenizer's vocabulary bounds the ids; embeddings may have more rows.
        decode: has the ban on repeated n-grams and, for beams, the least number of tokens.
        blocked: token ids that are never generated.
    """

    def __init__(self, bundle: "ModelBundle", decode: Decode, blocked: Sequence[int]) -> None:
        tokenizer = bundle.tokenizer
        rows = unwrap_model(bundle.model).get_output_embeddings().weight.shape[0]
        never = [*blocked, *range(tokenizer.vocab_size, rows)]
        self._never = _penalty(rows, never, bundle.device) if never else None
        self._no_stop = _penalty(rows, tokenizer.stop_ids, bundle.device)
        self._ngram_size = decode.no_repeat_ngram_size
        self._min_new_tokens = decode.min_new_tokens if isinstance(decode, BeamSearch) else 0

    def __call__(self, scores: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Apply the rules in place to ``scores`` [rows, vocabulary]; ``answers`` [rows, tokens]."""
        if self._never is not None:
            scores += self._never
        if answers.shape[1] < self._min_new_tokens:
            scores += self._no_stop
        if self._ngram_size:
            ban_repeated_ngrams(scores, answers, self._ngram_size)
        return scores


def _penalty(size: int, ids: Sequence[int], device: torch.device) -> torch.Tensor:
    penalty = torch.zeros(size)
    penalty[list(ids)] = -torch.inf
    return penalty.to(device)


def ban_repeated_ngrams(scores: torch.Tensor, answers: torch.Tensor, size: int) -> None:
    """Set −inf, in place, on tokens that would repeat an n-gram of the row's own answer.

    The prompt does not count (transformers' ``no_repeat_ngram_size`` counts it for causal models).

    Args:
        scores: [rows, vocabulary].
        answers: the tokens so far, [rows, tokens].
        size: n.
    """
    tokens = answers.shape[1]
    if tokens < size:
        return
    ngrams = answers.unfold(1, size, 1)
    tail = answers[:, tokens - size + 1 :].unsqueeze(1)
    repeated = (ngrams[..., :-1] == tail).all(-1)
    penalty = torch.zeros_like(repeated, dtype=scores.dtype).masked_fill(repeated, -torch.inf)
    scores.scatter_add_(1, ngrams[..., -1], penalty)
