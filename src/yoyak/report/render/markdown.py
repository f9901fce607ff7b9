"""The report as Markdown for a repository; all text is escaped here, and numbers link to records.

The timeline is a Mermaid diagram, which GitHub and GitLab render. Charts appear only on the HTML
page, and so do dialogues: they are personal data and must not be committed to a repository.
"""

from collections.abc import Iterator
from urllib.parse import quote

from yoyak.messages import text
from yoyak.report.model.report import Report, TimelineSpan
from yoyak.report.render.escape import markdown, plain
from yoyak.report.sections import format
from yoyak.report.sections.blocks import (
    Block,
    Bullets,
    Cell,
    Chart,
    CodeBlock,
    Link,
    Note,
    SampleBlock,
    SystemTable,
    Table,
    Timeline,
    note,
    shown,
    sign,
)
from yoyak.report.sections.page import sections


def render(view: Report) -> str:
    """Return the whole report in the current language."""
    lines = [f"# {markdown(text('report.title', title=view.title))}", "", markdown(written(view))]
    for section in sections(view):
        drawn = [block for block in map(_block, section.blocks) if block]
        if drawn:
            lines += ["", f"## {markdown(section.title)}"]
        for block in drawn:
            lines += ["", *block]
    return "\n".join(lines) + "\n"


def written(view: Report) -> str:
    """Return when the report was written, and from how many events."""
    if view.last_event_at is None:
        return text("report.written-before", at=format.moment(view.written_at))
    return text(
        "report.written",
        at=format.moment(view.written_at),
        events=format.count(view.events),
        last=format.moment(view.last_event_at),
    )


def _block(block: Block) -> list[str]:
    match block:
        case Table():
            return list(_table(block))
        case SystemTable():
            parts = [["", *_table(one)] for one in block.narrow]
            return [line for part in parts for line in part][1:]
        case Note():
            return [markdown(block.text)]
        case Bullets():
            return [f"- {markdown(item)}" for item in block.items]
        case Timeline():
            return list(_timeline(block.spans))
        case Chart() | SampleBlock():
            return []


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield from (f"**{markdown(table.title)}**", "")
    yield f"| {' | '.join(markdown(column.title) for column in table.columns)} |"
    yield f"|{'|'.join('--:' if column.is_number else ':--' for column in table.columns)}|"
    yield from (f"| {' | '.join(map(_cell, row))} |" for row in table.rows)


def _cell(cell: Cell) -> str:
    words = _code(cell.shown) if isinstance(cell, CodeBlock) else markdown(shown(cell))
    if isinstance(cell, Link) and cell.record:
        words = f"[{words}](../{quote(cell.record, safe='/#')})"
    if sign(cell):
        words = f"{sign(cell)} {words}"
    return f"{words} ({markdown(note(cell))})" if note(cell) else words


def _code(shown: str) -> str:
    """Return a code span with a fence longer than any run of backticks inside (CommonMark 6.1)."""
    inner = plain(shown).replace("|", "\\|")
    if not inner:
        return ""
    if "`" not in inner:
        return f"`{inner}`"
    fence = "`" * (max(map(len, inner.replace("`", "\0`").split("\0"))) + 1)
    return f"{fence} {inner} {fence}"


_BARS = {"worked": "done, ", "running": "active, ", "planned": ""}


def _timeline(spans: tuple[TimelineSpan, ...]) -> Iterator[str]:
    yield from ("```mermaid", "gantt", "  dateFormat X", "  axisFormat %m-%d %H:%M")
    for span in spans:
        start, end = round(span.start), round(span.late_end or span.end)
        yield f"  section {_label(span.name)}"
        word = _label(text(f"report.span-{span.kind}"))
        yield f"  {word} : {_BARS[span.kind]}{start}, {max(end, start + 1)}"
    yield "```"


def _label(name: str) -> str:
    """Return a name without Mermaid's special characters; recipe names need none of them."""
    return "".join(letter for letter in plain(name) if letter.isalnum() or letter in "-_. ")
