"""Dialogues to token ids, by the one render and the one codec that every stage shares.

An answer is never cut: a summary that does not fit its limit stops the run and says what would.
A long dialogue loses middle turns as text (``data.prompt``), so header and answer stay whole.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from yoyak.config.schema import PromptSettings
from yoyak.data.prompt import render
from yoyak.engine.tokenization.tokenizer import ChatTokenizer
from yoyak.errors import BadData
from yoyak.values import Dialogue, Source


class Encoded(NamedTuple):
    """One row as ids. ``answer_ids`` ends with the stop id, and is empty without answers.

    What a causal model trains on is ``source_ids + answer_ids``, supervised from
    ``len(source_ids)``; an encoder-decoder reads the first and is supervised on all of the second.
    """

    id: str
    source_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    shortened: bool


def encode_rows(
    tokenizer: ChatTokenizer,
    dialogues: Iterable[Dialogue],
    prompt: PromptSettings,
    *,
    with_answers: bool,
    examples: Sequence[Dialogue] = (),
) -> list[Encoded]:
    """Each dialogue as ids, in the order given; the answer is the first reference.

    ``examples`` are shown before every one of them.

    Raises:
        BadData: a row has no reference, an empty one, or one longer than the prompt's limit.
        BadRecipe: the limit for sources leaves no room for the dialogue.
    """
    rows = [_encoded(tokenizer, dialogue, prompt, examples, with_answers) for dialogue in dialogues]
    _refuse_long_answers(rows, prompt.max_summary_tokens)
    return rows


def _encoded(
    tokenizer: ChatTokenizer,
    dialogue: Dialogue,
    prompt: PromptSettings,
    examples: Sequence[Dialogue],
    with_answer: bool,
) -> Encoded:
    ids: dict[Source, list[int]] = {}

    def count_tokens(source: Source) -> int:
        ids[source] = tokenizer.source_ids(source)
        return len(ids[source])

    source = render(dialogue, prompt, examples=examples, count_tokens=count_tokens)
    return Encoded(
        id=dialogue.id,
        source_ids=tuple(ids[source]),
        answer_ids=_answer_ids(tokenizer, dialogue) if with_answer else (),
        # The first source that is measured is the whole one.
        shortened=source != next(iter(ids)),
    )


def _answer_ids(tokenizer: ChatTokenizer, dialogue: Dialogue) -> tuple[int, ...]:
    summary = dialogue.references[0] if dialogue.references else ""
    ids = tokenizer.answer_ids(summary)
    if not ids:
        raise BadData("engine.no-answer", id=dialogue.id)
    return (*ids, tokenizer.stop_id)


def _refuse_long_answers(rows: Sequence[Encoded], limit: int) -> None:
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
