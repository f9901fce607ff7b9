"""Score trivial baselines on the same rows: what a summariser must beat."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from yoyak.metrics.diagnostics import text_patterns
from yoyak.metrics.protocol import Definition
from yoyak.metrics.rouge import corpus_mean, score_rows
from yoyak.values import Dialogue, Rouge, TagMode, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

CONSTANT = "#Person1#과 #Person2#는 이야기합니다."
_LEAD_TURNS = 3


class TrivialBaselines(Value, frozen=True, kw_only=True):
    """Scores of answers that need no model, under the same protocol on the same rows.

    ``constant`` is one sentence for every row; ``unrelated`` gives each row the next row's
    reference (``None`` for a single row); ``lead`` repeats the first three turns.
    """

    constant: Rouge
    unrelated: Rouge | None
    lead: Rouge | None

    @property
    def known(self) -> dict[str, Rouge]:
        """Those that were computed, by name."""
        return {
            name: rouge for name, rouge in msgspec.structs.asdict(self).items() if rouge is not None
        }


class Probes(Value, frozen=True, kw_only=True):
    """Scores of the same predictions after a change: what the metric sees and what it misses."""

    swapped: Rouge
    """With ``#Person1#`` and ``#Person2#`` exchanged everywhere."""
    rows_better_swapped: int
    without_tags: Rouge
    """With every tag removed from both sides."""
    only_tags_match: tuple[str, ...]
    """The rows that share tokens with their references, but none besides tags."""


def rouge_of(rows: "Floats", definition: Definition) -> Rouge:
    """Return the corpus F1 of the rows that ``score_rows`` gave."""
    rouge1, rouge2, rouge_l = map(float, corpus_mean(rows, definition)[:, 2])
    return Rouge(rouge1=rouge1, rouge2=rouge2, rougeL=rouge_l)


def trivial_baselines(
    references: Mapping[str, tuple[str, ...]],
    dialogues: Mapping[str, Dialogue] | None,
    definition: Definition,
) -> TrivialBaselines:
    """Score the trivial baselines; ``lead`` is ``None`` unless every row has its dialogue."""
    theirs = list(references.values())

    def scored(texts: Sequence[str]) -> Rouge:
        return rouge_of(score_rows(texts, theirs, definition), definition)

    covered = dialogues is not None and all(key in dialogues for key in references)
    return TrivialBaselines(
        constant=scored([CONSTANT] * len(theirs)),
        unrelated=scored([row[0] for row in (*theirs[1:], theirs[0])]) if len(theirs) > 1 else None,
        lead=scored([lead(dialogues[key]) for key in references])
        if dialogues is not None and covered
        else None,
    )


def lead(dialogue: Dialogue) -> str:
    """Return the first three turns as they are."""
    return " ".join(turn.line for turn in dialogue.turns[:_LEAD_TURNS])


def probes(
    texts: Mapping[str, str],
    references: Mapping[str, tuple[str, ...]],
    scores: "Floats",
    definition: Definition,
) -> Probes:
    """Score changed copies of the predictions, whose own rows scored ``scores``."""
    theirs = [references[key] for key in texts]
    swapped = score_rows(
        [text_patterns.swap_speakers(text) for text in texts.values()], theirs, definition
    )
    tagless = msgspec.structs.replace(definition, tags=TagMode.STRIP)
    stripped = score_rows(list(texts.values()), theirs, tagless)
    gain = (swapped - scores)[:, :, 2].mean(axis=1)
    bare = (scores[:, 0, 2] > 0) & (stripped[:, 0, 2] == 0)
    return Probes(
        swapped=rouge_of(swapped, definition),
        rows_better_swapped=int((gain > 1e-9).sum()),
        without_tags=rouge_of(stripped, definition),
        only_tags_match=tuple(key for key, is_bare in zip(texts, bare, strict=True) if is_bare),
    )
