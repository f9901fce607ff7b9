"""Judging during training: dev summaries, generated and scored by the contest's own measure.

Always greedy and always the same rows, whatever the recipe's decoding is: the choice of the best
checkpoint belongs to the weights, and weights must not depend on how they are decoded later.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from yoyak.engine.codec import Codec
from yoyak.engine.decode import generate
from yoyak.engine.encode import Encoded, encode_rows
from yoyak.engine.models import Loaded
from yoyak.recipe import Greedy, Recipe
from yoyak.values import Dialogue, Interval, Rouge

RESAMPLES = 1_000


class Verdict(NamedTuple):
    """How good the dev summaries of one moment are; ``seconds`` to write and judge them."""

    rouge: Rouge
    interval: Interval
    rows: int
    signature: str
    seconds: float


class Judge:
    """Judges a model as it stands.

    Args:
        loaded: the model in training; its weights, mode and random state stay as found.
        dialogues: what it is judged on, with references.
        recipe: says how a dialogue is shown.
        max_new_tokens: of each summary.
        blocked: ids that are never written.
    """

    def __init__(
        self,
        loaded: Loaded,
        dialogues: Sequence[Dialogue],
        recipe: Recipe,
        *,
        max_new_tokens: int,
        blocked: Sequence[int] = (),
    ) -> None:
        self._loaded = loaded
        self._rows: list[Encoded] = encode_rows(
            loaded.codec, dialogues, recipe.prompt, with_answers=False
        )
        self._references = {dialogue.id: dialogue.references for dialogue in dialogues}
        self._max_new_tokens = max_new_tokens
        self._blocked = blocked
        self._seed = recipe.train.seed

    def __call__(self, stop_asked: Callable[[], bool] = lambda: False) -> Verdict | None:
        """The verdict, or ``None`` where it was given up because someone asked to stop."""
        started = time.perf_counter()
        texts: dict[str, str] = {}
        for prediction in generate(
            self._loaded,
            self._rows,
            Greedy(),
            max_new_tokens=self._max_new_tokens,
            blocked=self._blocked,
        ):
            texts[prediction.id] = prediction.text
            if stop_asked():
                return None
        return self._verdict(texts, started)

    def _verdict(self, texts: dict[str, str], started: float) -> Verdict:
        from yoyak.score.definition import OFFICIAL, protocol
        from yoyak.score.resampling import mean_intervals
        from yoyak.score.rouge import corpus_mean, score_rows

        ids = list(self._references)
        scores = score_rows([texts[id_] for id_ in ids], list(self._references.values()), OFFICIAL)
        means = corpus_mean(scores, OFFICIAL)[:, 2]
        final = scores[:, :, 2].mean(axis=1, keepdims=True)
        (interval,) = mean_intervals(final, seed=self._seed, resamples=RESAMPLES)
        return Verdict(
            rouge=Rouge(rouge1=float(means[0]), rouge2=float(means[1]), rougeL=float(means[2])),
            interval=interval,
            rows=len(ids),
            signature=protocol(OFFICIAL, self._references).signature,
            seconds=time.perf_counter() - started,
        )


def chosen_rows(dialogues: Sequence[Dialogue], count: int | None, seed: int) -> list[Dialogue]:
    """``count`` of the dialogues (all for ``None``), the same ones for the same seed and ids."""
    ranked = sorted(dialogues, key=lambda each: _rank(seed, each.id))
    chosen = {dialogue.id for dialogue in ranked[:count]}
    return [dialogue for dialogue in dialogues if dialogue.id in chosen]


def _rank(seed: int, id_: str) -> bytes:
    return hashlib.sha256(f"{seed}/dev/{id_}".encode()).digest()


def foreign_to(codec: Codec) -> tuple[int, ...]:
    """The ids of scripts that a Korean summary never needs; control ids stay allowed."""
    from yoyak.engine.foreign import foreign_ids

    return foreign_ids(codec.token_bytes(), keep=codec.control_ids)
