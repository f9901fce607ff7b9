"""Texts to read: dialogues with the systems' answers, rows on which systems differ, faults."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.metrics.diagnostics.error_report import ErrorFound, RowDifference
from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.report.model.ensemble import alike
from yoyak.report.model.report import Example
from yoyak.report.sections import format
from yoyak.report.sections.blocks import AnswerBlock, Block, Note, SampleBlock, TextPiece
from yoyak.values import Dialogue

if TYPE_CHECKING:
    from yoyak.ensemble.review import ReviewRow


def sample(one: Example, data: str = "") -> SampleBlock:
    """Return a dialogue with its answers, marking what no reference contains."""
    return SampleBlock(
        title=one.id,
        why=" · ".join(filter(None, (text(f"report.example-{one.why}"), data))),
        dialogue=tuple(one.dialogue.splitlines()),
        references=one.references,
        answers=tuple(
            AnswerBlock(
                who,
                new_words(answer, one.references),
                format.score(mean),
                chosen=place == one.chosen,
            )
            for place, (who, answer, mean) in enumerate(one.answers)
        ),
    )


def new_words(answer: str, references: Sequence[str]) -> tuple[TextPiece, ...]:
    """Return ``answer`` in pieces, marked where none of ``references`` has the words in order."""
    words = answer.split()
    known: set[int] = set()
    for reference in references:
        matcher = SequenceMatcher(None, reference.split(), words, autojunk=False)
        for match in matcher.get_matching_blocks():
            known.update(range(match.b, match.b + match.size))
    found = [
        TextPiece(" ".join(words[place] for place in places), is_marked=is_new)
        for is_new, places in groupby(range(len(words)), key=lambda place: place not in known)
    ]
    return tuple(piece._replace(text=f"{piece.text} ") for piece in found[:-1]) + tuple(found[-1:])


def marked(summary: str, spans: Sequence[TextSpan]) -> tuple[TextPiece, ...]:
    """Return ``summary`` in pieces, with ``spans`` marked; overlapping spans are merged."""
    pieces, at = [], 0
    for start, end in _merged(spans):
        pieces += [TextPiece(summary[at:start]), TextPiece(summary[start:end], is_marked=True)]
        at = end
    return tuple(piece for piece in (*pieces, TextPiece(summary[at:])) if piece.text)


def _merged(spans: Sequence[TextSpan]) -> Iterator[tuple[int, int]]:
    ordered = sorted((span.start, span.end) for span in spans)
    while ordered:
        start, end = ordered.pop(0)
        while ordered and ordered[0][0] <= end:
            end = max(end, ordered.pop(0)[1])
        yield start, end


def differences(
    rows: Sequence[RowDifference],
    names: tuple[str, str],
    dialogues: Mapping[str, Dialogue] = MappingProxyType({}),
    *,
    limit: int = 10,
) -> Iterator[Block]:
    """Yield the first ``limit`` rows: the texts of two systems, the references, the gap.

    The dialogue stands above them where it is in ``dialogues``.
    """
    one, other = names
    yield Note(text("report.rows-differences", one=one, other=other))
    for row in rows[:limit]:
        yield SampleBlock(
            title=row.id,
            why=format.points(row.difference),
            dialogue=tuple(dialogues[row.id].text.splitlines()) if row.id in dialogues else (),
            references=row.references,
            answers=(
                AnswerBlock(one, marked(row.one_text, ()), format.score(row.one.mean)),
                AnswerBlock(other, marked(row.other_text, ()), format.score(row.other.mean)),
            ),
        )
    if len(rows) > limit:
        yield Note(text("report.rows-left-out", rows=len(rows) - limit, all=len(rows)))


def review(rows: Sequence["ReviewRow"], title: str) -> Iterator[Block]:
    """Yield rows with all their candidates and what the choice cost; identical texts are one."""
    yield Note(title)
    for row in rows:
        yield SampleBlock(
            title=row.id,
            why=_disagreement(row),
            references=row.references,
            answers=tuple(
                AnswerBlock(
                    one.names, marked(one.text, ()), format.score(one.score), chosen=one.chosen
                )
                for one in alike(row)
            ),
        )


def _disagreement(row: "ReviewRow") -> str:
    fields = {"disagreement": format.score(row.disagreement)}
    if row.regret is None:
        return text("report.answer-row", **fields)
    if row.regret > 0:
        return text("report.answer-row-below", **fields, regret=format.score(row.regret))
    return text("report.answer-row-best", **fields)


def faults(found: Sequence[ErrorFound], *, limit: int = 5) -> Iterator[Block]:
    """Yield every kind of fault with its count and its first ``limit`` summaries."""
    if not found:
        yield Note(text("report.rows-no-fault"))
    for kind, group in groupby(found, key=lambda one: one.fault):
        rows = list(group)
        yield SampleBlock(
            title=format.fault_name(kind),
            why=format.count(len(rows)),
            answers=tuple(AnswerBlock(one.id, marked(one.text, one.spans)) for one in rows[:limit]),
        )
