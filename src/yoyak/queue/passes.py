"""How large a forward pass may be on a card, by arithmetic: as the engine finds out by trying."""

from bisect import bisect_left
from collections.abc import Iterator

import msgspec

from yoyak.config.schema import Recipe, Recompute
from yoyak.queue import memory
from yoyak.queue.memory import Load
from yoyak.queue.shapes import Shape
from yoyak.queue.workload import Workload, workload_of
from yoyak.values import Corpus, Value

WORTHWHILE_TOKENS = 1_024
"""Before a pass gets smaller than this, activations are computed twice (engine.recovery)."""
LEAST_PASS_TOKENS = 256
"""A forward pass below this wastes a card more than waiting for a larger one would."""


class Setting(Value, frozen=True, kw_only=True):
    """How large a forward pass is, and which activations are computed twice."""

    pass_tokens: int
    recompute: Recompute


def largest_setting(
    shape: Shape, recipe: Recipe, work: Workload, card_gb: float | None
) -> Setting | None:
    """The largest forward pass that fits, with as little computed twice as possible.

    Without a card nothing is too large. ``None``: not even the smallest pass fits.
    """
    asked = work.pass_tokens(recipe)
    recomputes = recipe.train.recomputes
    for recompute in recomputes:
        for tokens in _halves(asked, work, last_resort=recompute is recomputes[-1]):
            setting = Setting(pass_tokens=tokens, recompute=recompute)
            needed = memory.training_memory(shape, recipe, load_of(setting, work)).total_gb
            if card_gb is None or needed <= card_gb:
                return setting
    return None


def _halves(start: int, work: Workload, *, last_resort: bool) -> Iterator[int]:
    """The passes that are tried, as the engine halves them when memory runs out.

    A row cannot be cut, so the longest one is the smallest pass. Passes too small to be worth it
    come only where nothing more can be computed twice.
    """
    least = work.longest_row if last_resort else max(work.longest_row, 2 * WORTHWHILE_TOKENS)
    tokens = start
    while tokens > least:
        yield tokens
        tokens //= 2
    yield min(start, max(tokens, work.longest_row))


def load_of(setting: Setting, work: Workload) -> Load:
    """The pass at its worst: rows of the longest length, each with a long answer."""
    rows = max(1, setting.pass_tokens // work.longest_row)
    return Load(
        tokens=setting.pass_tokens,
        answer_tokens=min(rows * work.usual_answer, setting.pass_tokens),
        recompute=setting.recompute,
    )


def longest_source(shape: Shape, recipe: Recipe, corpus: Corpus, card_gb: float) -> int | None:
    """The largest limit of the sources, in whole 128 tokens, with which training fits."""

    def is_too_long(tokens: int) -> bool:
        prompt = msgspec.structs.replace(recipe.prompt, max_source_tokens=tokens)
        shorter = msgspec.structs.replace(recipe, prompt=prompt)
        return largest_setting(shape, shorter, workload_of(shorter, shape, corpus), card_gb) is None

    lengths = range(128, recipe.prompt.max_source_tokens, 128)
    fitting = bisect_left(lengths, True, key=is_too_long)
    return lengths[fitting - 1] if fitting else None
