"""Evaluate during training: ROUGE of generated dev summaries, and the loss of the references.

Decoding is greedy and the rows are always the same, whatever the recipe's way of decoding, which
may change after training and must not change which checkpoint was the best.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy, Recipe
from yoyak.engine import GenerationStopped
from yoyak.engine.device import autocast
from yoyak.engine.inference.generate import generate
from yoyak.engine.inference.stop import stop_between_tokens
from yoyak.engine.models.collate import MicroBatchLimits, collate, micro_batches, shape_of
from yoyak.engine.models.loss import token_losses
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.values import DevMetric, Dialogue, Interval, Rouge

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

RESAMPLES = 1_000
LOSS_TOKENS = 2_048
"""Padded tokens of a forward pass that only measures a loss."""
NO_LIMIT = 1_000_000


class EvalMetrics(NamedTuple):
    """Metrics of one evaluation, fractions 0 to 1; ``seconds`` for generating and scoring.

    ``loss`` is per token of the reference summaries, whatever their length; ``texts`` are the
    summaries that were generated, by id.
    """

    rouge: Rouge
    interval: Interval
    loss: float
    loss_interval: Interval
    rows: int
    signature: str
    seconds: float
    texts: Mapping[str, str]

    def value(self, metric: DevMetric) -> float:
        """Return the value of one metric."""
        match metric:
            case DevMetric.ROUGE_MEAN:
                return self.rouge.mean
            case DevMetric.ROUGE1:
                return self.rouge.rouge1
            case DevMetric.ROUGE2:
                return self.rouge.rouge2
            case DevMetric.ROUGEL:
                return self.rouge.rougeL
            case DevMetric.EVAL_LOSS:
                return self.loss


class Evaluator:
    """Evaluates a model in training on fixed dev rows.

    Args:
        bundle: the model; its weights, mode and random state are left unchanged.
        dialogues: the dev rows, with references.
        recipe: has the prompt settings, the seed, and a limit of new tokens for evaluation.
        max_new_tokens: of each summary, if the recipe has no lower limit.
        blocked: token ids that are never generated.
        autocast_dtype: of matrix products when measuring the loss; ``None`` for their operands'.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        dialogues: Sequence[Dialogue],
        recipe: Recipe,
        *,
        max_new_tokens: int,
        blocked: Sequence[int] = (),
        autocast_dtype: torch.dtype | None = None,
    ) -> None:
        self._bundle = bundle
        # The limit on answers is for training rows; these are not trained on.
        prompt = msgspec.structs.replace(recipe.prompt, max_summary_tokens=NO_LIMIT)
        self._rows: list[EncodedRow] = encode_rows(
            bundle.tokenizer, dialogues, prompt, with_answers=True
        )
        self._autocast_dtype = autocast_dtype
        self._references = {dialogue.id: dialogue.references for dialogue in dialogues}
        self._max_new_tokens = min(max_new_tokens, recipe.evaluate.max_new_tokens or max_new_tokens)
        self._blocked = blocked
        self._seed = recipe.train.seed

    def __call__(self, stop_asked: Callable[[], bool] = lambda: False) -> EvalMetrics | None:
        """Generate and score; return ``None`` if ``stop_asked`` became true meanwhile."""
        started = time.perf_counter()
        predictions = generate(
            self._bundle,
            self._rows,
            Greedy(),
            max_new_tokens=self._max_new_tokens,
            blocked=self._blocked,
        )
        try:
            with stop_between_tokens(self._bundle.model, stop_asked):
                texts = {prediction.id: prediction.text for prediction in predictions}
        except GenerationStopped:
            return None
        return self._metrics(texts, started)

    def _metrics(self, texts: dict[str, str], started: float) -> EvalMetrics:
        from yoyak.metrics.bootstrap import mean_intervals
        from yoyak.metrics.protocol import OFFICIAL, protocol_of
        from yoyak.metrics.rouge import corpus_mean, score_rows

        ids = list(self._references)
        scores = score_rows([texts[id_] for id_ in ids], list(self._references.values()), OFFICIAL)
        means = corpus_mean(scores, OFFICIAL)[:, 2]
        final = scores[:, :, 2].mean(axis=1, keepdims=True)
        (interval,) = mean_intervals(final, seed=self._seed, resamples=RESAMPLES)
        losses, tokens = self._losses()
        loss = losses.sum() / tokens.sum()
        # The ratio to first order (delta method): these row values average to the loss itself.
        parts = loss + (losses - loss * tokens) / tokens.mean()
        (loss_interval,) = mean_intervals(parts[:, None], seed=self._seed, resamples=RESAMPLES)
        return EvalMetrics(
            rouge=Rouge(rouge1=float(means[0]), rouge2=float(means[1]), rougeL=float(means[2])),
            interval=interval,
            loss=float(loss),
            loss_interval=loss_interval,
            rows=len(ids),
            signature=protocol_of(OFFICIAL, self._references).signature,
            seconds=time.perf_counter() - started,
            texts=texts,
        )

    @torch.no_grad()
    def _losses(self) -> "tuple[Floats, Floats]":
        """Return for each row the loss summed over its reference, and its tokens."""
        import numpy as np

        model, device, kind = self._bundle.model, self._bundle.device, self._bundle.kind
        was_training = model.training
        model.eval()
        shapes = [shape_of(row, kind) for row in self._rows]
        losses = np.zeros(len(self._rows))
        for batch in micro_batches(
            range(len(shapes)), shapes, MicroBatchLimits(len(shapes), LOSS_TOKENS)
        ):
            rows = [self._rows[row] for row in batch]
            with autocast(device, self._autocast_dtype):
                each = token_losses(model, collate(rows, self._bundle.tokenizer, kind, device))
            of_rows = torch.split(each.cpu(), [len(row.answer_ids) for row in rows])
            losses[batch] = [float(values.sum()) for values in of_rows]
        model.train(was_training)
        return losses, np.array([float(len(row.answer_ids)) for row in self._rows])


def evaluation_rows(dialogues: Sequence[Dialogue], count: int | None, seed: int) -> list[Dialogue]:
    """Return ``count`` of the dialogues (all for ``None``), a function of seed and ids only."""
    ranked = sorted(dialogues, key=lambda each: _rank(seed, each.id))
    chosen = {dialogue.id for dialogue in ranked[:count]}
    return [dialogue for dialogue in dialogues if dialogue.id in chosen]


def _rank(seed: int, id_: str) -> bytes:
    return hashlib.sha256(f"{seed}/dev/{id_}".encode()).digest()
