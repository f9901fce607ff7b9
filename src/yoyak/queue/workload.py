"""How much there is to read and to write: rows, tokens and steps of a recipe on a corpus.

Before anything is downloaded tokens are characters times the tokenizer's measured ratio.
"""

import math
from collections.abc import Sequence
from statistics import fmean

from yoyak.config.schema import BeamSearch, Recipe
from yoyak.data.few_shot import choose_examples
from yoyak.queue.memory import PASS_TOKENS
from yoyak.queue.shapes import Shape
from yoyak.values import Corpus, Dialogue, Value

TEMPLATE_TOKENS = 24
"""Of a chat template around the messages; the longest of the four families."""


EXAMPLE_TOKENS = 10
"""Of a chat template around one example's question and answer."""


class Workload(Value, frozen=True, kw_only=True):
    """What a recipe does with a corpus; tokens are estimates, rows and steps are not."""

    rows: int
    rows_shortened: int
    tokens_per_epoch: int
    supervised_per_epoch: int
    longest_row: int
    """Tokens of source and answer together."""
    longest_source: int
    usual_answer: int
    """99th percentile of the summaries, in tokens."""
    steps_per_epoch: int
    steps: int
    spoken_rows: int
    """Rows that are generated in all: evaluations, dev and test; beams counted each."""
    usual_source: float = 0.0
    """Tokens that are read before a row's answer, on the mean; examples are among them."""

    @property
    def trained_tokens(self) -> float:
        """Tokens of all steps."""
        return self.tokens_per_epoch * self.steps / self.steps_per_epoch

    @property
    def trained_answers(self) -> float:
        """Supervised tokens of all steps."""
        return self.supervised_per_epoch * self.steps / self.steps_per_epoch

    def pass_tokens(self, recipe: Recipe) -> int:
        """Padded tokens of the largest forward pass that the recipe's limits allow."""
        rows = recipe.train.micro_batch_size or recipe.train.batch_size
        limit = recipe.train.micro_batch_tokens or PASS_TOKENS
        return max(self.longest_row, min(limit, rows * self.longest_row))


def workload_of(recipe: Recipe, shape: Shape, corpus: Corpus) -> Workload:
    """The work of ``recipe`` with a model of ``shape``."""
    ratio = shape.tokens_per_character
    fixed = math.ceil(ratio * len(recipe.prompt.system + recipe.prompt.instruction))
    fixed += TEMPLATE_TOKENS if recipe.prompt.style == "chat" else 2
    fixed += _example_tokens(recipe, corpus, ratio)
    limit = recipe.prompt.max_source_tokens
    whole = [math.ceil(ratio * len(row.text)) + fixed for row in corpus.train.dialogues]
    sources = [min(tokens, limit) for tokens in whole]
    answers = [_answer_tokens(row, ratio) for row in corpus.train.dialogues]
    per_epoch = -(-len(sources) // recipe.train.batch_size)
    steps = min(per_epoch * recipe.train.epochs, recipe.train.max_steps or math.inf)
    return Workload(
        rows=len(sources),
        rows_shortened=sum(tokens > limit for tokens in whole),
        tokens_per_epoch=sum(sources) + sum(answers),
        supervised_per_epoch=sum(answers),
        longest_row=max(map(sum, zip(sources, answers, strict=True))),
        longest_source=max(sources),
        usual_answer=_percentile(answers, 0.99),
        steps_per_epoch=per_epoch,
        steps=int(steps),
        spoken_rows=_spoken_rows(recipe, corpus, int(steps) / per_epoch),
        usual_source=fmean(sources),
    )


def _example_tokens(recipe: Recipe, corpus: Corpus, ratio: float) -> int:
    """Of the answered dialogues that are shown before every row, as turns of their own."""
    shown = choose_examples(corpus.train, recipe.prompt.examples, recipe.train.seed)
    question = math.ceil(ratio * len(recipe.prompt.instruction)) + EXAMPLE_TOKENS
    return sum(
        math.ceil(ratio * len(row.text)) + question + _answer_tokens(row, ratio) for row in shown
    )


def _answer_tokens(row: Dialogue, ratio: float) -> int:
    return math.ceil(ratio * len(row.references[0])) + 1  # the stop


def _spoken_rows(recipe: Recipe, corpus: Corpus, epochs: float) -> int:
    every = recipe.evaluate.every_epochs
    rows = min(recipe.evaluate.rows or len(corpus.dev.dialogues), len(corpus.dev.dialogues))
    evaluations = 0 if every is None else recipe.evaluate.at_start + math.ceil(epochs / every)
    final = len(corpus.dev.dialogues) + len(corpus.test.dialogues)
    return (evaluations * rows + final) * beams_of(recipe)


def beams_of(recipe: Recipe) -> int:
    """How many answers to a row are written beside one another."""
    return recipe.decode.num_beams if isinstance(recipe.decode, BeamSearch) else 1


def _percentile(values: Sequence[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]
