"""What a run has to do: rows, tokens, optimizer steps, and how large a forward pass may be.

Before a tokenizer is downloaded, tokens are characters times its measured ratio, where it is known.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from statistics import fmean

import msgspec

from yoyak.config.schema import BeamSearch, Recipe, Recompute
from yoyak.data.few_shot import choose_examples
from yoyak.data.training_rows import training_split
from yoyak.planning.memory_estimate import ForwardPass, training_memory
from yoyak.planning.model_shapes import ModelShape
from yoyak.values import Corpus, Dialogue, Value

TEMPLATE_TOKENS = 24
"""Of a chat template around the messages; the longest of the four families."""
EXAMPLE_TOKENS = 10
"""Of a chat template around one example's question and answer."""
PASS_TOKENS = 4_096
"""Padded tokens of one forward pass where the recipe names no limit (engine.loop)."""
WORTHWHILE_TOKENS = 1_024
"""Before a pass gets smaller than this, activations are recomputed (engine.recovery)."""


class Workload(Value, frozen=True, kw_only=True):
    """What a recipe does with a corpus; tokens are estimates, rows and steps are exact."""

    rows: int
    rows_shortened: int
    tokens_per_epoch: int
    supervised_per_epoch: int
    longest_row: int
    """Tokens of source and answer together."""
    answer_tokens_p99: int
    """99th percentile of the summaries, in tokens."""
    steps_per_epoch: int
    steps: int
    generated_rows: int
    """All evaluations, dev and test; every beam counts."""
    generations: int = 2
    """How many times a set of rows is generated: each evaluation, dev and test."""
    mean_source_tokens: float = 0.0
    """Tokens read before a row's answer, examples included."""

    @property
    def trained_tokens(self) -> float:
        """Tokens of all steps."""
        return self.tokens_per_epoch * self.steps / self.steps_per_epoch

    @property
    def trained_answer_tokens(self) -> float:
        """Supervised tokens of all steps."""
        return self.supervised_per_epoch * self.steps / self.steps_per_epoch

    def pass_tokens(self, recipe: Recipe) -> int:
        """Return the padded tokens of the largest forward pass that the recipe's limits allow."""
        rows = recipe.train.micro_batch_size or recipe.train.batch_size
        limit = recipe.train.micro_batch_tokens or PASS_TOKENS
        return max(self.least_tokens(recipe), min(limit, rows * self.longest_row))

    def least_tokens(self, recipe: Recipe) -> int:
        """Return the tokens of a forward pass with the longest row, which cannot be cut."""
        return recipe.train.row_copies * self.longest_row

    def forward_pass(self, tokens: int, recompute: Recompute) -> ForwardPass:
        """Return a pass at its worst: rows of the longest length, each with a long answer."""
        answers = max(1, tokens // self.longest_row) * self.answer_tokens_p99
        row = min(self.longest_row, tokens)
        return ForwardPass(tokens, min(answers, tokens), recompute, row_tokens=row)


def workload_of(recipe: Recipe, shape: ModelShape, corpus: Corpus) -> Workload:
    """Return the work of ``recipe`` on ``corpus`` with a model of ``shape``."""
    prompt, train, ratio = recipe.prompt, recipe.train, shape.tokens_per_character
    fixed = _tokens(prompt.system + prompt.instruction, ratio) + _example_tokens(
        recipe, corpus, ratio
    )
    fixed += TEMPLATE_TOKENS if prompt.style == "chat" else 2
    rows = training_split(corpus, recipe.data).dialogues
    whole = [_tokens(row.text, ratio) + fixed for row in rows]
    sources = [min(tokens, prompt.max_source_tokens) for tokens in whole]
    answers = [_answer_tokens(row, ratio) for row in rows]
    per_epoch = -(-len(sources) // train.batch_size)
    steps = min(per_epoch * train.epochs, train.max_steps or per_epoch * train.epochs)
    evaluations = _evaluations(recipe, steps / per_epoch)
    return Workload(
        rows=len(sources),
        rows_shortened=sum(tokens > prompt.max_source_tokens for tokens in whole),
        tokens_per_epoch=sum(sources) + sum(answers),
        supervised_per_epoch=sum(answers),
        longest_row=max(map(sum, zip(sources, answers, strict=True))),
        answer_tokens_p99=sorted(answers)[math.ceil(0.99 * len(answers)) - 1],
        steps_per_epoch=per_epoch,
        steps=steps,
        generated_rows=_generated_rows(recipe, corpus, evaluations),
        generations=evaluations + 2,
        mean_source_tokens=fmean(sources),
    )


def align_workload(recipe: Recipe, shape: ModelShape, corpus: Corpus) -> Workload:
    """Return the work of metric-aware training alone, for a recipe that asks for it.

    Tokens are those of all samples that are learned from, and generated rows the samples and the
    evaluations.
    """
    align = recipe.align
    assert align is not None  # noqa: S101 -- the caller has asked
    work = workload_of(recipe.aligning, shape, corpus)
    ranked = 2 if align.method in {"dpo", "simpo", "ipo"} else align.samples
    evaluations = 1 + math.ceil(work.steps / align.evaluate_every_steps)
    dialogues = work.steps * align.batch_size
    sampled = dialogues if align.is_online else min(dialogues, work.rows)
    dev = len(corpus.dev.dialogues)
    evaluated = evaluations * min(recipe.evaluate.rows or dev, dev)
    return msgspec.structs.replace(
        work,
        tokens_per_epoch=ranked * work.tokens_per_epoch,
        supervised_per_epoch=ranked * work.supervised_per_epoch,
        generated_rows=sampled * align.samples + evaluated,
        generations=(work.steps if align.is_online else 1) + evaluations,
    )


def _tokens(text: str, ratio: float) -> int:
    return math.ceil(ratio * len(text))


def _answer_tokens(row: Dialogue, ratio: float) -> int:
    return _tokens(row.references[0], ratio) + 1  # EOS


def _example_tokens(recipe: Recipe, corpus: Corpus, ratio: float) -> int:
    """Return the tokens of the few-shot examples before every row, as turns of their own."""
    shown = choose_examples(corpus.train, recipe.prompt.examples, recipe.train.seed)
    question = _tokens(recipe.prompt.instruction, ratio) + EXAMPLE_TOKENS
    return sum(_tokens(row.text, ratio) + question + _answer_tokens(row, ratio) for row in shown)


def _evaluations(recipe: Recipe, epochs: float) -> int:
    every = recipe.evaluate.every_epochs
    if every is None or not epochs:
        return 0
    return recipe.evaluate.at_start + math.ceil(epochs / every)


def _generated_rows(recipe: Recipe, corpus: Corpus, evaluations: int) -> int:
    dev = len(corpus.dev.dialogues)
    rows = min(recipe.evaluate.rows or dev, dev)
    return (evaluations * rows + dev + len(corpus.test.dialogues)) * beams_of(recipe)


def beams_of(recipe: Recipe) -> int:
    """Return how many hypotheses of a row are generated together."""
    return recipe.decode.num_beams if isinstance(recipe.decode, BeamSearch) else 1


# --- how large a forward pass may be -------------------------------------------------------------


def largest_forward_pass(
    shape: ModelShape, recipe: Recipe, work: Workload, memory_gb: float | None
) -> ForwardPass | None:
    """Return the largest pass that fits, with as little recomputed as possible.

    Without a GPU (``memory_gb`` is ``None``) everything fits. ``None``: nothing does.
    """
    for passed in _passes(recipe, work):
        if memory_gb is None or training_memory(shape, recipe, passed).total_gb <= memory_gb:
            return passed
    return None


def _passes(recipe: Recipe, work: Workload) -> Iterator[ForwardPass]:
    """Yield the passes in the order in which the engine tries them when memory runs out.

    They are halved down to the longest row, which cannot be cut; small ones come only where nothing
    more can be recomputed.
    """
    recomputes, row = recipe.train.recomputes, work.least_tokens(recipe)
    for recompute in recomputes:
        last = recompute is recomputes[-1]
        least = row if last else max(row, 2 * WORTHWHILE_TOKENS)
        tokens = work.pass_tokens(recipe)
        while tokens > least:
            yield work.forward_pass(tokens, recompute)
            tokens //= 2
        yield work.forward_pass(max(tokens, row), recompute)


def longest_source(
    shape: ModelShape, recipe: Recipe, corpus: Corpus, memory_gb: float
) -> int | None:
    """Return the largest ``max_source_tokens``, in whole 128, with which training fits."""

    def is_too_long(tokens: int) -> bool:
        prompt = msgspec.structs.replace(recipe.prompt, max_source_tokens=tokens)
        shorter = msgspec.structs.replace(recipe, prompt=prompt)
        work = workload_of(shorter, shape, corpus)
        return largest_forward_pass(shape, shorter, work, memory_gb) is None

    lengths = range(128, recipe.prompt.max_source_tokens, 128)
    fitting = bisect_left(lengths, True, key=is_too_long)
    return lengths[fitting - 1] if fitting else None
