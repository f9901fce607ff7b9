"""The report's sections in the order of a team's status report, with their builders."""

from collections.abc import Callable, Iterator

from yoyak.messages import text
from yoyak.report.model.report import Report
from yoyak.report.sections import details, results
from yoyak.report.sections.blocks import Block, Section


def sections(view: Report) -> list[Section]:
    """Return every section that has content."""
    drawn = (
        Section(key, text(f"report.section-{key}"), tuple(draw(view)))
        for key, draw in SECTIONS.items()
    )
    return [section for section in drawn if section.blocks]


SECTIONS: dict[str, Callable[[Report], Iterator[Block]]] = {
    "findings": details.findings,
    "summary": results.summary,
    "completed": results.completed,
    "current": results.current,
    "curves": results.curves,
    "pending": results.pending,
    "configuration": details.configuration,
    "performance": results.performance,
    "small": results.small,
    "ensemble": results.ensemble,
    "risks": details.risks,
    "proofs": details.proofs,
    "timeline": details.timeline,
    "next": details.next_steps,
    "incidents": details.incidents,
    "examples": details.examples,
    "submissions": details.submissions,
    "provenance": details.provenance,
}
"""Section builders by key, in display order."""
