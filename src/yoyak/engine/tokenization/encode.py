"""Encode dialogues into token ids: one prompt renderer and one tokenizer for every stage.

An answer is never truncated: a summary that does not fit its limit stops the run, and the error
names the limit that fits. A long dialogue loses middle turns as text (``data.prompt``), so that the
prompt's header and its end stay whole.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from yoyak.config.schema import PromptSettings
from yoyak.data.prompt import render
from yoyak.engine.tokenization.tokenizer import ModelTokenizer
from yoyak.errors import BadData
from yoyak.values import Dialogue, Source


class EncodedRow(NamedTuple):
    """One row as token ids. ``answer_ids`` ends with EOS, and is empty without answers.

    A causal model trains on ``source_ids + answer_ids``, supervised from ``len(source_ids)``; an
    encoder-decoder reads the first and is supervised on all of the second.
    """

    id: str
    source_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    shortened: bool


def encode_rows(
    tokenizer: ModelTokenizer,
    dialogues: Iterable[Dialogue],
    prompt: PromptSettings,
    *,
    with_answers: bool,
    examples: Sequence[Dialogue] = (),
) -> list[EncodedRow]:
    """Encode dialogues in the order given; the answer is the first reference.

    ``examples`` are the few-shot examples of every prompt.

    Raises:
        BadData: a row has no reference, an empty one, or one longer than the prompt's limit.
        BadRecipe: the limit for sources leaves no room for the dialogue.
    """
    rows = [_encode(tokenizer, dialogue, prompt, examples, with_answers) for dialogue in dialogues]
    _refuse_long_answers(rows, prompt.max_summary_tokens)
    return rows


def _encode(
    tokenizer: ModelTokenizer,
    dialogue: Dialogue,
    prompt: PromptSettings,
    examples: Sequence[Dialogue],
    with_answer: bool,
) -> EncodedRow:
    ids: dict[Source, list[int]] = {}

    def count_tokens(source: Source) -> int:
        ids[source] = tokenizer.encode_source(source)
        return len(ids[source])

    source = render(dialogue, prompt, examples=examples, count_tokens=count_tokens)
    return EncodedRow(
        id=dialogue.id,
        source_ids=tuple(ids[source]),
        answer_ids=_answer_with_eos(tokenizer, dialogue) if with_answer else (),
        # The first source that is counted is the whole one.
        shortened=source != next(iter(ids)),
    )


def _answer_with_eos(tokenizer: ModelTokenizer, dialogue: Dialogue) -> tuple[int, ...]:
    summary = dialogue.references[0] if dialogue.references else ""
    ids = tokenizer.encode_answer(summary)
    if not ids:
        raise BadData("engine.no-answer", id=dialogue.id)
    return (*ids, tokenizer.stop_id)


def _refuse_long_answers(rows: Sequence[EncodedRow], limit: int) -> None:
    long = [row for row in rows if len(row.answer_ids) > limit]
    if not long:
        return
    longest = max(long, key=lambda row: len(row.answer_ids))
    needed = len(longest.answer_ids)
    raise BadData(
        "engine.long-answer",
        id=longest.id,
        rows=len(long),
        needed=needed,
        limit=limit,
        suggested=math.ceil(needed / 32) * 32,
    )
