"""Check encoded training rows against their dialogues; needs a tokenizer and no model.

Each check takes another way than the code that built the rows: it decodes, searches, counts and
renders again.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.config.schema import PromptSettings
from yoyak.data.clean import TAG, summary_of
from yoyak.data.prompt import render
from yoyak.engine.check_result import check_result, first_three
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.events import CheckResult
from yoyak.values import Dialogue, Turn

if TYPE_CHECKING:
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

SHORTENED_LIMIT = 0.1
"""Largest share of shortened dialogues; with more, ``max_source_tokens`` does not fit the data."""

UNKNOWN_LIMIT = 0.01
"""Largest share of summaries with a character that the tokenizer has no token for."""

SHOWN_CHARACTERS = 60


class DataCheckContext(NamedTuple):
    """Input of the checks: ``rows[i]`` is encoded from ``dialogues[i]``."""

    tokenizer: "ModelTokenizer"
    prompt: PromptSettings
    dialogues: Sequence[Dialogue]
    rows: Sequence[EncodedRow]

    @property
    def examples(self) -> list[int]:
        """The indices of the shortest, the median and the longest row."""
        return example_indices(self.rows)


def example_indices(rows: Sequence[EncodedRow]) -> list[int]:
    """Return the indices of the shortest, the median and the longest row."""
    order = sorted(range(len(rows)), key=lambda index: total_length(rows[index]))
    return list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))


def total_length(row: EncodedRow) -> int:
    """Count the tokens of source and answer."""
    return len(row.source_ids) + len(row.answer_ids)


def check_data(context: DataCheckContext) -> Iterator[CheckResult]:
    """Run every check of this module."""
    yield supervised_span(context)
    yield stop_supervised(context)
    yield inference_prefix(context)
    yield answer_header(context)
    yield turn_separators(context)
    yield begin_of_text(context)
    yield control_tokens(context)
    yield padding(context)
    yield tags(context)
    yield rows_shortened(context)


def supervised_span(context: DataCheckContext) -> CheckResult:
    """Check that the answer ids of every row decode to its summary; show three of them.

    A tokenizer may normalize characters or, like WordPiece, set blanks of its own, and some have no
    token for rare characters; both are counted, and the second may concern one row in a hundred.
    """
    tokenizer, kinds = context.tokenizer, Counter[str]()
    unlike = []
    for dialogue, row in zip(context.dialogues, context.rows, strict=True):
        kind = _decoded_like(tokenizer, row, dialogue.references[0])
        kinds[kind] += 1
        if kind == "unlike":
            unlike.append(row.id)
    if kinds["exact"] == len(context.rows):
        return check_result(
            "supervised-span", True, "engine.found-span-exact", rows=len(context.rows)
        )
    texts = (_summary(tokenizer, context.rows[index].answer_ids) for index in context.examples)
    few = kinds["unknown"] <= UNKNOWN_LIMIT * len(context.rows)
    return check_result(
        "supervised-span",
        not unlike and few,
        "engine.found-span",
        rows=len(context.rows),
        exact=kinds["exact"],
        folded=kinds["folded"],
        unknown=kinds["unknown"],
        unlike=first_three(unlike),
        examples=" · ".join(map(_shortened, texts)),
    )


def _decoded_like(tokenizer: "ModelTokenizer", row: EncodedRow, summary: str) -> str:
    text = _summary(tokenizer, row.answer_ids)
    if text == summary:
        return "exact"
    read, written = text.split(), tokenizer.normalize(summary).split()
    if read == written or (tokenizer.splits_words and "".join(read) == "".join(written)):
        return "folded"
    return "unknown" if tokenizer.unknown_id in row.answer_ids else "unlike"


def stop_supervised(context: DataCheckContext) -> CheckResult:
    """Check that every answer ends with EOS, has no other, and that it ends generation too."""
    tokenizer = context.tokenizer
    wrong = [
        row.id
        for row in context.rows
        if [token for token in row.answer_ids if token in tokenizer.stop_ids] != [tokenizer.stop_id]
        or row.answer_ids[-1] != tokenizer.stop_id
    ]
    return check_result(
        "stop-supervised",
        not wrong and _ends_an_answer(tokenizer),
        "engine.found-stop",
        stop=tokenizer.id_to_token(tokenizer.stop_id),
        all=", ".join(map(tokenizer.id_to_token, tokenizer.stop_ids)),
        wrong=first_three(wrong),
    )


def _ends_an_answer(tokenizer: "ModelTokenizer") -> bool:
    """Return whether EOS is the first special token that follows an answer in a conversation."""
    if tokenizer.style == "source":
        return tokenizer.stop_id in tokenizer.source_frame[1]
    before, found, _ = tokenizer.chat_format.end.partition(tokenizer.id_to_token(tokenizer.stop_id))
    names = map(tokenizer.id_to_token, tokenizer.special_token_ids)
    return (bool(found) or not before) and not any(name in before for name in names)


def inference_prefix(context: DataCheckContext) -> CheckResult:
    """Check that rows without what test.csv lacks (topic, reference) have the same source ids."""
    examples = context.examples
    stripped = [
        msgspec.structs.replace(context.dialogues[index], references=(), topic=None)
        for index in examples
    ]
    again = encode_rows(context.tokenizer, stripped, context.prompt, with_answers=False)
    unlike = [
        row.id
        for index, row in zip(examples, again, strict=True)
        if context.rows[index].source_ids != row.source_ids
    ]
    return check_result(
        "inference-prefix",
        not unlike,
        "engine.found-prefix",
        rows=len(examples),
        unlike=first_three(unlike),
    )


def answer_header(context: DataCheckContext) -> CheckResult:
    """Check that every source ends with one answer header, or with the frame of an encoder."""
    tokenizer = context.tokenizer
    ending, ends = _header_test(tokenizer)
    wrong = [
        row.id
        for row in context.rows
        if len(row.source_ids) > context.prompt.max_source_tokens or not ends(row.source_ids)
    ]
    return check_result(
        "answer-header",
        not wrong,
        "engine.found-header",
        ending=_shortened(ending),
        wrong=first_three(wrong),
    )


def _header_test(tokenizer: "ModelTokenizer") -> tuple[str, Callable[[Sequence[int]], bool]]:
    """Return what every source ends with, as text, and a test that ids end with it once."""
    if tokenizer.style == "source":
        _, after = tokenizer.source_frame
        size = len(after)

        def ends_with_frame(ids: Sequence[int]) -> bool:
            return tuple(ids[-size:]) == after and tuple(ids[-2 * size : -size]) != after

        return tokenizer.decode_with_special_tokens(after), ends_with_frame
    header = tokenizer.chat_format.header.strip(" ")  # decoders set blanks around special tokens

    def ends_with_header(ids: Sequence[int]) -> bool:
        text = tokenizer.decode_with_special_tokens(ids)
        return text.endswith(header) and not text.endswith(2 * header)

    return header, ends_with_header


def turn_separators(context: DataCheckContext) -> CheckResult:
    """Check that each turn is set apart, and say which system prompt stands in the rows.

    SentencePiece vocabularies may lose line breaks: another separator stands in their place then.
    """
    tokenizer = context.tokenizer
    separator = tokenizer.special_tokens.line_break
    joined = [
        context.rows[index].id
        for index in context.examples
        if not context.rows[index].shortened
        and tokenizer.decode_with_special_tokens(context.rows[index].source_ids).count(
            separator.strip() or separator
        )
        < len(context.dialogues[index].turns) - 1
    ]
    return check_result(
        "turn-separators",
        not joined,
        f"engine.found-turns-{_system_prompt(context)}",
        separator=repr(separator),
        default=_shortened(tokenizer.chat_format.default_system)
        if tokenizer.style == "chat"
        else "",
        joined=first_three(joined),
    )


def _system_prompt(context: DataCheckContext) -> str:
    """Return what becomes of the system prompt: own, folded, default or none."""
    tokenizer = context.tokenizer
    if tokenizer.style == "source":
        return "none"
    if context.prompt.system:
        return "folded" if tokenizer.template.folds_system else "own"
    return "default" if tokenizer.chat_format.default_system else "none"


def begin_of_text(context: DataCheckContext) -> CheckResult:
    """Check that BOS comes first and as often as template and tokenizer write it in a text."""
    tokenizer = context.tokenizer
    wanted = _expected_bos(context)
    counts = {
        (*row.source_ids, *row.answer_ids[:-1]).count(tokenizer.bos_id)
        for row in context.rows
        if tokenizer.bos_id is not None
    } or {0}
    starts = {row.source_ids[0] == tokenizer.bos_id for row in context.rows}
    return check_result(
        "begin-of-text",
        counts == {wanted} and (not wanted or starts == {True}),
        "engine.found-begin",
        counts=", ".join(map(str, sorted(counts))),
        wanted=wanted,
    )


def _expected_bos(context: DataCheckContext) -> int:
    """Count BOS in the text of a prompt, or in the frame of an encoder's source."""
    tokenizer = context.tokenizer
    if tokenizer.bos_id is None:
        return 0
    if tokenizer.style == "source":
        before, after = tokenizer.source_frame
        return (*before, *after).count(tokenizer.bos_id)
    probe = Dialogue(id="", turns=(Turn(speaker="", text="가"),))
    prompt = tokenizer.render(render(probe, context.prompt))
    return prompt.count(tokenizer.id_to_token(tokenizer.bos_id))


def control_tokens(context: DataCheckContext) -> CheckResult:
    """Check that all sources have the template's special tokens, in the same order."""
    special = context.tokenizer.special_token_ids - {context.tokenizer.unknown_id}
    sequences = {
        tuple(token for token in row.source_ids if token in special) for row in context.rows
    }
    first = context.tokenizer.decode_with_special_tokens(min(sequences))
    return check_result(
        "control-tokens",
        len(sequences) == 1,
        "engine.found-control",
        kinds=len(sequences),
        first=_shortened(first),
    )


def padding(context: DataCheckContext) -> CheckResult:
    """Check that the padding token is in no row, or is EOS for want of any other.

    Batches are masked by position, never by id, so that even EOS may pad; a token that stands in
    prompts or answers shows that a better one was overlooked.
    """
    tokenizer = context.tokenizer
    used = {*tokenizer.stop_ids}
    for row in context.rows:
        used.update(row.source_ids, row.answer_ids)
    by_position = tokenizer.pad_id == tokenizer.stop_id and tokenizer.padding_beside(used) is None
    inside = [
        row.id
        for row in context.rows
        if tokenizer.pad_id in (*row.source_ids, *row.answer_ids) and not by_position
    ]
    valid = by_position or (
        tokenizer.pad_id not in tokenizer.stop_ids and 0 <= tokenizer.pad_id < tokenizer.vocab_size
    )
    return check_result(
        "padding",
        valid and not inside,
        "engine.found-padding-by-position" if by_position else "engine.found-padding",
        pad=tokenizer.id_to_token(tokenizer.pad_id),
        inside=first_three(inside),
    )


def tags(context: DataCheckContext) -> CheckResult:
    """Check that every tag of the data survives encoding, decoding, clean-up and a CSV file."""
    known = sorted(
        {
            tag
            for dialogue in context.dialogues
            for text in (dialogue.text, *dialogue.references)
            for tag in re.findall(TAG, text)
        }
    )
    sentences = [f"{tag}은 {tag}에게 {tag}, {tag}를 7월 30일에 말합니다." for tag in known]
    lost = [
        tag for tag, text in zip(known, sentences, strict=True) if _to_file(context, text) != text
    ]
    return check_result(
        "tags", not lost, "engine.found-tags", tags=len(known), lost=first_three(lost)
    )


def _to_file(context: DataCheckContext, text: str) -> str:
    tokenizer = context.tokenizer
    file = io.StringIO()
    csv.writer(file).writerow(
        [_summary(tokenizer, (*tokenizer.encode_answer(text), tokenizer.stop_id))]
    )
    return next(csv.reader(io.StringIO(file.getvalue())))[0]


def rows_shortened(context: DataCheckContext) -> CheckResult:
    """Check that few dialogues lost turns to ``max_source_tokens``, and list them."""
    ids = [row.id for row in context.rows if row.shortened]
    longest = max(len(row.source_ids) for row in context.rows)
    return check_result(
        "rows-shortened",
        len(ids) <= SHORTENED_LIMIT * len(context.rows),
        "engine.found-shortened",
        shortened=len(ids),
        rows=len(context.rows),
        ids=first_three(ids),
        longest=longest,
        limit=context.prompt.max_source_tokens,
    )


def _summary(tokenizer: "ModelTokenizer", ids: Sequence[int]) -> str:
    """Decode like a prediction; where tags are plain text, without the clean-up."""
    text = tokenizer.decode(ids)
    return summary_of(text, tags_are_tokens=True) if tokenizer.tags_are_tokens else text


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"
