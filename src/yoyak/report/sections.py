"""The sections of the report in the order of a team's status report, and what draws each one."""

from collections.abc import Callable, Iterator

from yoyak.messages import text
from yoyak.report import records, standing
from yoyak.report.blocks import Block, Section
from yoyak.report.view import View


def sections(view: View) -> list[Section]:
    """Every section that has something to say."""
    drawn = (
        Section(key, text(f"report.section-{key}"), tuple(draw(view)))
        for key, draw in SECTIONS.items()
    )
    return [section for section in drawn if section.blocks]


SECTIONS: dict[str, Callable[[View], Iterator[Block]]] = {
    "findings": records.findings,
    "summary": standing.summary,
    "completed": standing.completed,
    "current": standing.current,
    "curves": standing.curves,
    "pending": standing.pending,
    "configuration": records.configuration,
    "performance": standing.performance,
    "small": standing.small,
    "ensemble": standing.ensemble,
    "risks": records.risks,
    "proofs": records.proofs,
    "timeline": records.timeline,
    "next": records.next_steps,
    "incidents": records.incidents,
    "examples": records.examples,
    "submissions": records.submissions,
    "provenance": records.provenance,
}
"""The sections in their order."""
