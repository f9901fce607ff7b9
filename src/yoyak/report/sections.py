"""The sections of the report in the order of a team's status report, and what each one holds."""

from collections.abc import Callable, Iterator, Sequence

from yoyak.events import Status
from yoyak.messages import text
from yoyak.report import figures
from yoyak.report.blocks import (
    Answer,
    Badge,
    Block,
    Bullets,
    Cell,
    Chart,
    Code,
    Column,
    Link,
    Note,
    Sample,
    Section,
    Table,
    Timeline,
    pieces,
    table,
)
from yoyak.report.text import left_band, name, notes, progress, stage
from yoyak.report.view import Difference, Floor, Quality, System, View

Blocks = Iterator[Block]


def sections(view: View) -> list[Section]:
    """Every section that has something to say."""
    drawn = (
        Section(key, text(f"report.section-{key}"), tuple(draw(view)))
        for key, draw in SECTIONS.items()
    )
    return [section for section in drawn if section.blocks]


def _status(status: Status) -> Badge:
    return Badge(status.value, text(f"report.status-{status.value}"))


def _verdict(difference: Difference | None) -> Cell:
    word = figures.verdict(difference)
    return word if difference is None else Badge(difference.verdict.value, word)


def _findings(view: View) -> Blocks:
    rows = [(Link(one.rule, one.record), one.what.text) for one in view.findings]
    yield from table(("check", "what"), rows) or (Note(text("report.nothing-found")),)


def _summary(view: View) -> Blocks:
    yield from table(("tile", "answer"), figures.tiles(view.tiles))
    names = {
        status: [name(one) for one in view.systems if one.status is status] for status in Status
    }
    yield Bullets(
        tuple(
            f"{text(f'report.status-{status.value}')} {len(found)}/{len(view.systems)}: "
            + ", ".join(found)
            for status, found in names.items()
            if found
        )
    )


def _completed(view: View) -> Blocks:
    yield from table(
        ("system", "start", "end", "train", "decode", "mean", "verdict"),
        (
            (
                Link(name(one), one.record),
                figures.moment(one.started_at),
                figures.moment(one.ended_at),
                figures.duration(one.cost.train_seconds),
                figures.duration(one.cost.decode_seconds_per_100),
                _mean(one.quality),
                _verdict(one.difference),
            )
            for one in view.systems
            if one.status is Status.FINISHED
        ),
    )


def _mean(quality: Quality | None) -> Cell:
    if quality is None:
        return figures.UNKNOWN
    return Link(figures.measured(quality.mean), quality.record)


def _current(view: View) -> Blocks:
    columns = ("system", "status", "stage", "progress", "rows-seen", "loss", "rate", "pace", "left")
    yield from table(
        columns,
        (
            (
                Link(now.name, now.record),
                _status(now.status),
                stage(now.stage),
                progress(now),
                figures.count(now.rows_seen),
                figures.number(now.loss),
                figures.number(now.learning_rate),
                figures.duration(now.seconds_per_unit),
                left_band(now),
            )
            for now in view.progress
            if now.status is not Status.QUEUED
        ),
    )
    if any(curve.steps for curve in view.curves):
        yield from (Chart("loss"), Chart("grad-norm"), Chart("learning-rate"), Chart("dev-rouge"))


def _pending(view: View) -> Blocks:
    yield from table(
        ("system", "params", "precision", "licence"),
        (
            (
                name(one),
                figures.parameters(one.parameters),
                figures.quantisation(one),
                one.licence or figures.UNKNOWN,
            )
            for one in view.systems
            if one.status is Status.QUEUED
        ),
    )


def _configuration(view: View) -> Blocks:
    """A row for each setting in which the systems differ; the rest share one paragraph."""
    by_system = [{one.key: one.value for one in system.settings} for system in view.systems]
    keys = dict.fromkeys(key for settings in by_system for key in settings)
    said = [(key, [settings.get(key) for settings in by_system]) for key in keys]
    rows = [
        (key, [figures.UNKNOWN if one is None else one for one in values])
        for key, values in said
        if key not in {"about", "name"} and set(values) - {None, "none"}
    ]
    heads = [Column(text("report.column-setting"), is_number=False)]
    heads += [Column(name(one), is_number=False) for one in view.systems]
    unlike: list[tuple[Cell, ...]] = [
        (Code(key), *map(figures.shortened, row)) for key, row in rows if len(set(row)) > 1
    ]
    if unlike:
        yield Table(tuple(heads), tuple(unlike))
    alike = [f"{key} = {figures.shortened(row[0])}" for key, row in rows if len(set(row)) == 1]
    if alike:
        yield Note(text("report.same-everywhere", settings=", ".join(alike)))


def _performance(view: View) -> Blocks:
    columns = (
        "system", "status", "params", "precision", "rouge1", "rouge2", "rougel", "mean", "sum", "n",
        "difference", "verdict", "train", "vram", "decode",
    )  # fmt: skip
    rows = [_performance_row(one) for one in view.systems]
    yield from table(columns, [*rows, *map(_floor_row, view.floors)])
    if view.scored:
        yield from (Chart("comparison"), Chart("lengths"))
    yield Bullets(tuple(notes(view)))


def _performance_row(one: System) -> Sequence[Cell]:
    return (
        Link(name(one), one.record),
        _status(one.status),
        figures.parameters(one.parameters),
        figures.quantisation(one),
        *_scores(one.quality),
        figures.points(one.difference.mean.value) if one.difference else figures.UNKNOWN,
        _verdict(one.difference),
        figures.duration(one.cost.train_seconds),
        figures.gigabytes(one.cost.peak_vram_gb),
        figures.duration(one.cost.decode_seconds_per_100),
    )


def _scores(quality: Quality | None) -> Sequence[Cell]:
    if quality is None:
        return (figures.UNKNOWN,) * 6
    values = (quality.rouge1, quality.rouge2, quality.rougeL, quality.mean)
    return (
        *(Link(figures.measured(value), quality.record) for value in values),
        Link(figures.score(quality.rouge.sum), quality.record),
        figures.count(quality.rows),
    )


def _floor_row(floor: Floor) -> Sequence[Cell]:
    rouge = floor.rouge
    values = (rouge.rouge1, rouge.rouge2, rouge.rougeL, rouge.mean, rouge.sum)
    drawn = (Link(figures.score(value), floor.record) for value in values)
    return (text(f"report.floor-{floor.name}"), "", "", "", *drawn, "", "", "", "", "", "")


def _risks(view: View) -> Blocks:
    yield from table(
        ("level", "what"),
        (
            (Badge(one.level, text(f"report.level-{one.level}")), Link(one.what.text, one.record))
            for one in view.risks
        ),
    )
    if any(curve.sampled_at for curve in view.curves):
        yield Chart("machine")


def _timeline(view: View) -> Blocks:
    if not view.timeline:
        return
    yield Timeline(view.timeline)
    yield from table(
        ("system", "status", "start", "end", "duration"),
        (
            (
                Link(one.name, one.record),
                text(f"report.span-{one.kind}"),
                figures.moment(one.start),
                figures.moment(one.late_end or one.end),
                figures.duration((one.late_end or one.end) - one.start),
            )
            for one in view.timeline
        ),
    )


def _next_steps(view: View) -> Blocks:
    rows = ((Code(step.command), step.why.text) for step in view.next_steps)
    yield from table(("command", "why"), rows)


def _incidents(view: View) -> Blocks:
    yield from table(
        ("at", "system", "step", "what", "lost"),
        (
            (
                Link(figures.moment(one.at), one.record),
                one.name,
                figures.count(one.step),
                one.what.text,
                figures.count(one.lost_steps),
            )
            for one in view.incidents
        ),
    )


def _examples(view: View) -> Blocks:
    for one in view.examples:
        reference = one.references[0] if one.references else ""
        yield Sample(
            id=one.id,
            why=text(f"report.example-{one.why}"),
            dialogue=tuple(one.dialogue.splitlines()),
            references=one.references,
            answers=tuple(
                Answer(who, pieces(said, reference), figures.score(mean))
                for who, said, mean in one.answers
            ),
        )


def _submissions(view: View) -> Blocks:
    yield from table(
        ("number", "system", "n", "public", "file", "sha256"),
        (
            (
                Link(one.number, one.record),
                one.system,
                figures.count(one.rows),
                figures.UNKNOWN if one.public_score is None else f"{one.public_score:.4f}",
                Link(one.path, one.path),
                Code(one.sha256),
            )
            for one in view.submissions
        ),
    )


def _provenance(view: View) -> Blocks:
    rows = ((Link(fact.label, fact.record), Code(fact.value)) for fact in view.provenance)
    yield from table(("fact", "value"), rows)


SECTIONS: dict[str, Callable[[View], Blocks]] = {
    "findings": _findings,
    "summary": _summary,
    "completed": _completed,
    "current": _current,
    "pending": _pending,
    "configuration": _configuration,
    "performance": _performance,
    "risks": _risks,
    "timeline": _timeline,
    "next": _next_steps,
    "incidents": _incidents,
    "examples": _examples,
    "submissions": _submissions,
    "provenance": _provenance,
}
"""The sections in their order, each with what draws it."""
