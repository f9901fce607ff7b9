"""Decode token by token, greedily or by sampling; finished rows leave the batch.

The host looks at the tokens every ``SYNC_STEPS`` tokens only, so that a GPU never waits for it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy, Sampling
from yoyak.engine.inference.kv_cache import compacted_order
from yoyak.engine.inference.next_token import next_token_scores
from yoyak.engine.inference.sampling import TokenRules, TokenSampler
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle

SYNC_STEPS = 8
"""Tokens between two looks of the host: a finished row generates up to one fewer for nothing."""

Finished = list[tuple[int, list[int]]]
"""Rows of a batch by index, with their new token ids, EOS included if it was generated."""

OnRead = Callable[[int, list[int]], None]
"""Gets a row of the batch by index, and its new token ids so far."""


def generate_tokens(
    bundle: "ModelBundle",
    batch: Sequence[EncodedRow],
    decode: Greedy | Sampling,
    max_new_tokens: int,
    blocked: Sequence[int] = (),
    on_read: OnRead = lambda _row, _ids: None,
) -> Iterator[Finished]:
    """Decode ``batch`` greedily or by sampling; yield its rows as they finish.

    ``on_read`` is called for each row whenever the host has read tokens of it.
    """
    head = next_token_scores(bundle, batch, max_new_tokens)
    rules = TokenRules(bundle, decode, blocked)
    sample = TokenSampler(decode, [row.id for row in batch], max_new_tokens, bundle.device)
    answers = torch.zeros(len(batch), max_new_tokens, dtype=torch.long, device=bundle.device)
    rows = list(range(len(batch)))  # which row of the batch each row that is left was
    written: list[list[int]] = [[] for _ in batch]
    tokens: torch.Tensor | None = None
    for step in range(max_new_tokens):
        tokens = sample(rules(head.scores(tokens), answers[:, :step]), step)
        answers[:, step] = tokens
        is_last = step + 1 == max_new_tokens
        if (step + 1) % SYNC_STEPS and not is_last:
            continue
        unread = answers[:, step - step % SYNC_STEPS : step + 1].tolist()
        for row, new in zip(rows, unread, strict=True):
            written[row] += cut_after_stop(new, bundle.tokenizer.stop_ids)
            on_read(row, written[row])
        ended = [is_last or written[row][-1] in bundle.tokenizer.stop_ids for row in rows]
        if any(ended):
            yield [(row, written[row]) for row, end in zip(rows, ended, strict=True) if end]
        if all(ended):
            return
        if any(ended):
            order = compacted_order([index for index, end in enumerate(ended) if not end])
            head.keep(order)
            kept = torch.tensor(order, device=bundle.device)
            sample.keep(kept)
            answers, tokens = answers[kept], tokens[kept]
            rows = [rows[index] for index in order]


def cut_after_stop(ids: list[int], stop_ids: Sequence[int]) -> list[int]:
    """Return the ids up to the first that stops, that one included."""
    end = next((index for index, token in enumerate(ids) if token in stop_ids), len(ids) - 1)
    return ids[: end + 1]
