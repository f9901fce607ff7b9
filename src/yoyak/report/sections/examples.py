"""Dialogues with the systems' answers, and the blend that selected among them."""

from collections.abc import Iterator

from yoyak.messages import text
from yoyak.report.model.report import Blended, Example
from yoyak.report.render import format
from yoyak.report.render.words import interval, verdict
from yoyak.report.sections.blocks import AnswerBlock, Block, Link, Note, SampleBlock, pieces, table


def sample(one: Example, data: str = "") -> SampleBlock:
    """Return a dialogue with its answers, marking what the first reference does not contain."""
    reference = one.references[0] if one.references else ""
    return SampleBlock(
        id=one.id,
        why=" · ".join(filter(None, (text(f"report.example-{one.why}"), data))),
        dialogue=tuple(one.dialogue.splitlines()),
        references=one.references,
        answers=tuple(
            AnswerBlock(
                who, pieces(said, reference), format.score(mean), chosen=place == one.chosen
            )
            for place, (who, said, mean) in enumerate(one.answers)
        ),
    )


def blended(found: Blended) -> Iterator[Block]:
    """Yield the submitted blend: its voters, its gain, and the answers it selected."""
    yield Note(
        text(
            "report.blend-handed-in",
            number=found.number,
            method=found.method,
            mean=format.score(found.dev.value),
            interval=format.interval(found.dev),
        )
    )
    if found.components is not None:
        weights = ":".join(f"{weight:g}" for weight in found.components)
        yield Note(text("report.blend-weights", weights=weights))
    if found.held_out is None:
        yield Note(text("report.blend-not-learned"))
    else:
        gain, known = found.held_out, interval(found.held_out.interval)
        points = format.points(gain.difference)
        yield Note(
            text("report.blend-held-out", gain=points, interval=known, verdict=verdict(gain))
        )
    yield from table(
        ("system", "decoding", "votes"),
        (
            (Link(one.system, found.record), one.decode, format.number(one.votes))
            for one in found.voters
        ),
    )
    if found.rows:
        yield Note(text("report.blend-rows"))
    yield from map(sample, found.rows)
