"""What the proof card says about prompts and answers: no model is needed for it.

Each check looks at the finished rows and at the codec from outside, by another way than the one
that built them: it decodes, searches, counts and renders again.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.config.schema import PromptSettings
from yoyak.data.clean import TAG, summary_of
from yoyak.engine.check_line import check, listed
from yoyak.engine.tokenization.chat_template import CHAT_FORMATS
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.events import CheckResult
from yoyak.values import Dialogue

if TYPE_CHECKING:
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

SHORTENED_LIMIT = 0.1
"""A larger share of shortened dialogues is no tail: the limit does not fit the data."""

UNKNOWN_LIMIT = 0.01
"""The largest share of summaries with a letter that the tokenizer has no token for."""

SHOWN_CHARACTERS = 60


class RowCheckContext(NamedTuple):
    """Everything that the checks of this module look at; ``rows`` and ``dialogues`` go together."""

    tokenizer: "ModelTokenizer"
    prompt: PromptSettings
    dialogues: Sequence[Dialogue]
    rows: Sequence[EncodedRow]

    @property
    def examples(self) -> list[int]:
        """Where the shortest, the median and the longest row stand."""
        return example_places(self.rows)


def example_places(rows: Sequence[EncodedRow]) -> list[int]:
    """Where the shortest, the median and the longest row stand."""
    order = sorted(range(len(rows)), key=lambda place: total_length(rows[place]))
    return list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))


def total_length(row: EncodedRow) -> int:
    """Tokens of source and answer."""
    return len(row.source_ids) + len(row.answer_ids)


def check_rows(exhibit: RowCheckContext) -> Iterator[CheckResult]:
    """Every check that prompts and answers can be put to."""
    yield supervised_span(exhibit)
    yield stop_supervised(exhibit)
    yield inference_prefix(exhibit)
    yield answer_header(exhibit)
    yield begin_of_text(exhibit)
    yield control_tokens(exhibit)
    yield padding(exhibit)
    yield tags(exhibit)
    yield rows_shortened(exhibit)


def supervised_span(exhibit: RowCheckContext) -> CheckResult:
    """What training supervises, decoded, is the summary: in every row, three of them shown.

    A tokenizer may fold letters into its normal form, and koBART has no token for some rare ones;
    both are counted, and the second may touch one row in a hundred.
    """
    tokenizer, kinds = exhibit.tokenizer, Counter[str]()
    unlike = []
    for dialogue, row in zip(exhibit.dialogues, exhibit.rows, strict=True):
        kind = _likeness(tokenizer, row, dialogue.references[0])
        kinds[kind] += 1
        if kind == "unlike":
            unlike.append(row.id)
    texts = (_summary(tokenizer, exhibit.rows[place].answer_ids) for place in exhibit.examples)
    few = kinds["unknown"] <= UNKNOWN_LIMIT * len(exhibit.rows)
    return check(
        "supervised-span",
        not unlike and few,
        "engine.found-span",
        rows=len(exhibit.rows),
        exact=kinds["exact"],
        folded=kinds["folded"],
        unknown=kinds["unknown"],
        unlike=listed(unlike),
        examples=" · ".join(map(_shown, texts)),
    )


def _likeness(tokenizer: "ModelTokenizer", row: EncodedRow, summary: str) -> str:
    text = _summary(tokenizer, row.answer_ids)
    if text == summary:
        return "exact"
    if text.split() == tokenizer.normalize(summary).split():
        return "folded"
    return "unknown" if tokenizer.unknown_id in row.answer_ids else "unlike"


def stop_supervised(exhibit: RowCheckContext) -> CheckResult:
    """Every answer ends with a stop, which is its only one and ends a generation too."""
    tokenizer = exhibit.tokenizer
    wrong = [
        row.id
        for row in exhibit.rows
        if [token for token in row.answer_ids if token in tokenizer.stop_ids] != [tokenizer.stop_id]
        or row.answer_ids[-1] != tokenizer.stop_id
    ]
    return check(
        "stop-supervised",
        not wrong and _is_familys_stop(tokenizer),
        "engine.found-stop",
        stop=tokenizer.id_to_token(tokenizer.stop_id),
        all=", ".join(map(tokenizer.id_to_token, tokenizer.stop_ids)),
        wrong=listed(wrong),
    )


def _is_familys_stop(tokenizer: "ModelTokenizer") -> bool:
    stops = {family.name: family.stop for family in CHAT_FORMATS}
    return tokenizer.id_to_token(tokenizer.stop_id) == stops.get(
        tokenizer.special_tokens.family, tokenizer.id_to_token(tokenizer.stop_id)
    )


def inference_prefix(exhibit: RowCheckContext) -> CheckResult:
    """Rows stripped of what test.csv does not have are rendered to the very same source ids."""
    places = exhibit.examples
    stripped = [
        msgspec.structs.replace(exhibit.dialogues[place], references=(), topic=None)
        for place in places
    ]
    again = encode_rows(exhibit.tokenizer, stripped, exhibit.prompt, with_answers=False)
    unlike = [
        row.id
        for place, row in zip(places, again, strict=True)
        if exhibit.rows[place].source_ids != row.source_ids
    ]
    return check(
        "inference-prefix",
        not unlike,
        "engine.found-prefix",
        rows=len(places),
        unlike=listed(unlike),
    )


def answer_header(exhibit: RowCheckContext) -> CheckResult:
    """Every source is whole to its end: a chat's open header, once, or an encoder's end."""
    tokenizer = exhibit.tokenizer
    endings = tokenizer.source_endings()
    wrong = [
        row.id
        for row in exhibit.rows
        if len(row.source_ids) > exhibit.prompt.max_source_tokens
        or not any(row.source_ids[-len(end) :] == end for end in endings)
        or any(row.source_ids[-2 * len(end) :] == (*end, *end) for end in endings)
    ]
    ending = _shown(tokenizer.decode_with_special_tokens(endings[-1]))
    return check(
        "answer-header", not wrong, "engine.found-header", ending=ending, wrong=listed(wrong)
    )


def begin_of_text(exhibit: RowCheckContext) -> CheckResult:
    """The begin-of-text token stands once, at the start, where the family has one; else never."""
    tokenizer = exhibit.tokenizer
    wanted = 1 if tokenizer.special_tokens.family == "llama" else 0
    counts = {
        (*row.source_ids, *row.answer_ids).count(tokenizer.bos_id)
        for row in exhibit.rows
        if tokenizer.bos_id is not None
    } or {0}
    starts = {row.source_ids[0] == tokenizer.bos_id for row in exhibit.rows}
    return check(
        "begin-of-text",
        counts == {wanted} and (not wanted or starts == {True}),
        "engine.found-begin",
        counts=", ".join(map(str, sorted(counts))),
        wanted=wanted,
    )


def control_tokens(exhibit: RowCheckContext) -> CheckResult:
    """All sources have the same control tokens in the same order: the template's and no other."""
    control = exhibit.tokenizer.special_token_ids - {exhibit.tokenizer.unknown_id}
    skeletons = {
        tuple(token for token in row.source_ids if token in control) for row in exhibit.rows
    }
    first = exhibit.tokenizer.decode_with_special_tokens(min(skeletons))
    return check(
        "control-tokens",
        len(skeletons) == 1,
        "engine.found-control",
        kinds=len(skeletons),
        first=_shown(first),
    )


def padding(exhibit: RowCheckContext) -> CheckResult:
    """The padding token exists, is no stop, and stands in no row."""
    tokenizer = exhibit.tokenizer
    inside = [
        row.id for row in exhibit.rows if tokenizer.pad_id in (*row.source_ids, *row.answer_ids)
    ]
    sound = (
        tokenizer.pad_id not in tokenizer.stop_ids and 0 <= tokenizer.pad_id < tokenizer.vocab_size
    )
    return check(
        "padding",
        sound and not inside,
        "engine.found-padding",
        pad=tokenizer.id_to_token(tokenizer.pad_id),
        inside=listed(inside),
    )


def tags(exhibit: RowCheckContext) -> CheckResult:
    """Every tag of the data goes through encoding, decoding, clean-up and a file unharmed."""
    known = sorted(
        {
            tag
            for dialogue in exhibit.dialogues
            for text in (dialogue.text, *dialogue.references)
            for tag in re.findall(TAG, text)
        }
    )
    sentences = [f"{tag}은 {tag}에게 {tag}, {tag}를 말합니다." for tag in known]
    lost = [
        tag for tag, text in zip(known, sentences, strict=True) if _to_file(exhibit, text) != text
    ]
    return check("tags", not lost, "engine.found-tags", tags=len(known), lost=listed(lost))


def _to_file(exhibit: RowCheckContext, text: str) -> str:
    tokenizer = exhibit.tokenizer
    file = io.StringIO()
    csv.writer(file).writerow(
        [_summary(tokenizer, (*tokenizer.encode_answer(text), tokenizer.stop_id))]
    )
    return next(csv.reader(io.StringIO(file.getvalue())))[0]


def rows_shortened(exhibit: RowCheckContext) -> CheckResult:
    """How many dialogues lost words to the limit, and which."""
    ids = [row.id for row in exhibit.rows if row.shortened]
    longest = max(len(row.source_ids) for row in exhibit.rows)
    return check(
        "rows-shortened",
        len(ids) <= SHORTENED_LIMIT * len(exhibit.rows),
        "engine.found-shortened",
        shortened=len(ids),
        rows=len(exhibit.rows),
        ids=listed(ids),
        longest=longest,
        limit=exhibit.prompt.max_source_tokens,
    )


def _summary(tokenizer: "ModelTokenizer", ids: Sequence[int]) -> str:
    """As a prediction's text, but where tags are plain text it must be exact without clean-up."""
    text = tokenizer.decode(ids)
    return summary_of(text, tags_are_tokens=True) if tokenizer.tags_are_tokens else text


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"
