"""Beam search, equal to that of transformers (``early_stopping=False``).

The vendor's generation config has no say: it would add a repetition penalty (Qwen2.5: 1.05), a
temperature or a forced last token (koBART: id 2). What differs from transformers is how it is
computed: a source is read once, its beams share their keys and values of it, only the tokens since
are reordered, rows leave the batch when they are done, and the host looks on rarely.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch.nn.functional import pad  # noqa: TID253 -- as below

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch
from yoyak.engine.inference.decode_loop import SYNC_STEPS, Finished, cut_after_stop
from yoyak.engine.inference.kv_cache import compacted_order
from yoyak.engine.inference.next_token import next_token_scores
from yoyak.engine.inference.sampling import TokenRules
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle

EXCLUDED = -1e9
"""Added to the score of a beam that may not be chosen, as in transformers."""


def beam_search(
    bundle: "ModelBundle",
    batch: Sequence[EncodedRow],
    decode: BeamSearch,
    max_new_tokens: int,
    blocked: Sequence[int] = (),
) -> Iterator[Finished]:
    """Yield the rows of ``batch`` as they finish, each with the token ids of its best beam."""
    beams = decode.num_beams
    head = next_token_scores(bundle, batch, max_new_tokens)
    rules = TokenRules(bundle, decode, blocked)
    state = _Beams(len(batch), decode, max_new_tokens, bundle)
    rows = list(range(len(batch)))
    tokens: torch.Tensor | None = None
    for step in range(max_new_tokens):
        logits = head.scores(tokens)
        if tokens is None:
            head.repeat(beams)
            logits = logits.repeat_interleave(beams, 0)
        answers = state.tokens.flatten(0, 1)
        parents, tokens = state.advance(rules(logits.log_softmax(-1), answers), step)
        is_last = step + 1 == max_new_tokens
        if not is_last:
            head.reorder(parents)
        if (step + 1) % SYNC_STEPS and not is_last:
            continue
        found = torch.cat([state.is_open.long(), state.best[:, 0]], dim=1).tolist()
        ended = [is_last or not is_open for is_open, *_ in found]
        if any(ended):
            yield [
                (row, cut_after_stop(ids, bundle.tokenizer.stop_ids))
                for row, (_, *ids), end in zip(rows, found, ended, strict=True)
                if end
            ]
        if all(ended):
            return
        if any(ended):
            order = compacted_order([index for index, end in enumerate(ended) if not end])
            head.keep(order)
            state.keep(torch.tensor(order, device=bundle.device))
            tokens = state.last()
            rows = [rows[index] for index in order]


class _Beams:
    """Open and finished beams of each row; scores are sums of log probabilities.

    ``tokens`` [rows, beams, tokens so far] are the open beams', ``best`` the finished ones', best
    first, zeros after their end; ``is_open`` [rows, 1] says whether an open beam may still become
    better than those.
    """

    def __init__(
        self, rows: int, decode: BeamSearch, max_new_tokens: int, bundle: "ModelBundle"
    ) -> None:
        beams, device = decode.num_beams, bundle.device
        self._beams, self._length_penalty = beams, decode.length_penalty
        self._max_new_tokens = max_new_tokens
        self._stop_ids = torch.tensor(bundle.tokenizer.stop_ids, device=device)
        self._candidates = max(2, 1 + len(bundle.tokenizer.stop_ids)) * beams
        self.tokens = torch.zeros(rows, beams, 0, dtype=torch.long, device=device)
        self.best = self.tokens
        self.is_open = torch.ones(rows, 1, dtype=torch.bool, device=device)
        self._scores = torch.zeros(rows, beams, device=device)
        self._scores[:, 1:] = EXCLUDED  # all beams start equal: only the first is extended
        self._best_scores = torch.full((rows, beams), EXCLUDED, device=device)
        self._finished = torch.zeros(rows, beams, dtype=torch.bool, device=device)

    def advance(self, scores: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Extend the open beams by one token.

        Args:
            scores: log probabilities [rows × beams, vocabulary].
            step: tokens of each beam so far.

        Returns:
            For each row × beam which one it extends, and its new token.
        """
        rows, vocabulary = len(self.tokens), scores.shape[-1]
        # A beam's best tokens are enough of it: sums are made of those, not of the vocabulary.
        of_beam = min(self._candidates, vocabulary)
        likeliest, ids = scores.view(rows, self._beams, vocabulary).topk(of_beam)
        summed = likeliest + self._scores.unsqueeze(-1)
        top_scores, top = summed.flatten(1).topk(self._candidates)
        parents, new = top // of_beam, ids.flatten(1).gather(1, top)
        tokens = torch.cat([_select(self.tokens, parents), new.unsqueeze(-1)], dim=-1)
        ends = torch.isin(new, self._stop_ids)
        if step + 1 == self._max_new_tokens:
            ends = torch.ones_like(ends)
        self._finish(tokens, top_scores, ends, step)
        open_scores = top_scores + ends * EXCLUDED
        chosen = open_scores.topk(self._beams).indices
        self.tokens, self._scores = _select(tokens, chosen), open_scores.gather(1, chosen)
        self._close(step)
        first = torch.arange(0, rows * self._beams, self._beams, device=chosen.device)
        rows_extended = parents.gather(1, chosen) + first.unsqueeze(1)
        return rows_extended.flatten(), self.last()

    def _finish(
        self, tokens: torch.Tensor, scores: torch.Tensor, ends: torch.Tensor, step: int
    ) -> None:
        """Put beams that ended among the finished ones, if they are good enough."""
        ended = ends.clone()
        ended[:, self._beams :] = False  # the others only stand in for beams that end
        scores = scores / (step + 1) ** self._length_penalty
        scores = scores + (~self.is_open) * EXCLUDED + (~ended) * EXCLUDED
        all_scores = torch.cat([self._best_scores, scores], dim=1)
        self._best_scores, chosen = all_scores.topk(self._beams)
        best = pad(self.best, (0, 1))
        self.best = _select(torch.cat([best, tokens], dim=1), chosen)
        self._finished = torch.cat([self._finished, ended], dim=1).gather(1, chosen)

    def _close(self, step: int) -> None:
        """Close the rows whose open beams cannot become better, at their present length."""
        possible = self._scores[:, :1] / (step + 1) ** self._length_penalty
        worst = self._best_scores.amin(1, keepdim=True)
        limit = torch.where(self._finished, worst, EXCLUDED)
        self.is_open &= (possible > limit).any(1, keepdim=True)

    def last(self) -> torch.Tensor:
        """Return the newest token of each row × beam."""
        return self.tokens[..., -1].flatten()

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only, in this order."""
        self.tokens, self.best, self.is_open = (
            self.tokens[rows],
            self.best[rows],
            self.is_open[rows],
        )
        self._scores, self._best_scores = self._scores[rows], self._best_scores[rows]
        self._finished = self._finished[rows]


def _select(tokens: torch.Tensor, beams: torch.Tensor) -> torch.Tensor:
    """Return the beams [rows, chosen] of ``tokens`` [rows, beams, tokens so far]."""
    return tokens.gather(1, beams.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
