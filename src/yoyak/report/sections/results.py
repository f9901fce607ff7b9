"""Where the line-up stands: the sections on its systems and their scores."""

from collections.abc import Iterator, Sequence

from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model import pareto
from yoyak.report.model.report import Difference, Floor, Quality, Report, System
from yoyak.report.model.values import Measured
from yoyak.report.render import format
from yoyak.report.render.words import left, left_band, name, notes, progress, stage
from yoyak.report.sections.blocks import (
    SIGNS,
    Badge,
    Bar,
    Block,
    Bullets,
    Cell,
    Chart,
    Link,
    Note,
    table,
)
from yoyak.report.sections.examples import blended

Blocks = Iterator[Block]


_ORDER = (
    RunStatus.FINISHED,
    RunStatus.RUNNING,
    RunStatus.INTERRUPTED,
    RunStatus.STOPPED,
    RunStatus.FAILED,
    RunStatus.QUEUED,
)


def _status(one: System) -> Badge:
    word = one.standing.value
    return Badge(word, text(f"report.status-{word}"))


def _verdict(difference: Difference | None) -> Cell:
    if difference is None:
        return format.UNKNOWN
    word, p = format.verdict_word(difference), format.certainty(difference)
    return Badge(difference.verdict.value, word, p)


def summary(view: Report) -> Blocks:
    """The four answers that are looked for first, and the runs by status."""
    yield from table(
        ("tile", "answer"), ((one.question, one.line) for one in format.tiles(view.tiles))
    )
    names = {
        status: [name(one) for one in view.systems if one.status is status] for status in _ORDER
    }
    standing = tuple(
        f"{SIGNS[status.value]} {text(f'report.status-{status.value}')} "
        f"{len(found)}/{len(view.systems)}: {', '.join(found)}"
        for status, found in names.items()
        if found
    )
    yield Bullets(standing) if standing else Note(text("report.no-runs"))


def completed(view: Report) -> Blocks:
    """The runs that are finished."""
    yield from table(
        ("system", "start", "end", "train", "decode", "mean", "verdict"),
        (
            (
                Link(name(one), one.record),
                format.moment(one.started_at),
                format.moment(one.ended_at),
                format.duration(one.cost.train_seconds),
                format.duration(one.cost.decode_seconds_per_100),
                _mean(one.quality),
                _verdict(one.difference),
            )
            for one in view.systems
            if one.status is RunStatus.FINISHED
        ),
    )


def _mean(quality: Quality | None) -> Cell:
    if quality is None:
        return format.UNKNOWN
    return _measured(quality.mean, quality.record)


def _measured(value: Measured, record: str) -> Link:
    note = "" if value.interval is None else format.interval(value)
    return Link(format.score(value.value), record, note)


def current(view: Report) -> Blocks:
    """The runs that have begun and are not finished."""
    systems = {one.run: one for one in view.systems}
    columns = ("system", "status", "stage", "progress", "rows-seen", "loss", "rate", "pace", "left")
    yield from table(
        columns,
        (
            (
                Link(now.name, now.record),
                _status(systems[now.run]),
                stage(now.stage),
                Bar(progress(now), now.done / now.of if now.of else None),
                format.count(now.rows_seen),
                format.number(now.loss),
                format.number(now.learning_rate),
                format.duration(now.seconds_per_unit),
                Link(left(now), now.record, left_band(now)),
            )
            for now in view.progress
            if now.status is not RunStatus.QUEUED
        ),
    )


def curves(view: Report) -> Blocks:
    """What was measured along training."""
    if any(curve.steps for curve in view.curves):
        keys = ("loss", "learning-rate", "dev-loss", "dev-rouge", "grad-norm")
        yield from map(Chart, keys)


def pending(view: Report) -> Blocks:
    """The runs that have not begun."""
    yield from table(
        ("system", "params", "precision", "licence"),
        (
            (
                name(one),
                format.parameters(one.parameters),
                format.quantisation(one),
                one.licence or format.UNKNOWN,
            )
            for one in view.systems
            if one.status is RunStatus.QUEUED
        ),
    )


def performance(view: Report) -> Blocks:
    """The model table, with the floors beside it."""
    columns = (
        "system", "status", "params", "precision", "rouge1", "rouge2", "rougel", "mean", "sum", "n",
        "difference", "verdict", "train", "vram", "decode",
    )  # fmt: skip
    rows = [_performance_row(one) for one in view.systems]
    yield from table(columns, [*rows, *map(_floor_row, view.floors)])
    if view.scored:
        yield from (Chart("comparison"), Chart("lengths"))
    if told := tuple(notes(view)):
        yield Bullets(told)


def _performance_row(one: System) -> Sequence[Cell]:
    return (
        Link(name(one), one.record),
        _status(one),
        format.parameters(one.parameters),
        format.quantisation(one),
        *_scores(one.quality),
        format.points(one.difference.mean.value) if one.difference else format.UNKNOWN,
        _verdict(one.difference),
        format.duration(one.cost.train_seconds),
        format.gigabytes(one.cost.peak_vram_gb),
        format.duration(one.cost.decode_seconds_per_100),
    )


def _scores(quality: Quality | None) -> Sequence[Cell]:
    if quality is None:
        return (format.UNKNOWN,) * 6
    values = (quality.rouge1, quality.rouge2, quality.rougeL, quality.mean)
    return (
        *(_measured(value, quality.record) for value in values),
        Link(format.score(quality.rouge.sum), quality.record),
        format.count(quality.rows),
    )


def _floor_row(floor: Floor) -> Sequence[Cell]:
    rouge = floor.rouge
    values = (rouge.rouge1, rouge.rouge2, rouge.rougeL, rouge.mean, rouge.sum)
    drawn = (Link(format.score(value), floor.record) for value in values)
    return (text(f"report.floor-{floor.name}"), "", "", "", *drawn, "", "", "", "", "", "")


def small(view: Report) -> Blocks:
    """Models side by side with what they cost; toys and what did not learn are left out."""
    models = [one for one in view.systems if one.on_front is not None]
    columns = (
        "system", "mean", "tied", "front", "params", "minutes", "vram", "seconds-each", "tokens",
        "licence",
    )  # fmt: skip
    yield from table(columns, map(_small_row, models))
    if models:
        yield Note(format.budget(view.budget))
    cheapest = pareto.smallest_tied(models, view.budget)
    if cheapest is not None:
        yield Note(text("report.smallest-tied", model=cheapest.name))


def _small_row(one: System) -> Sequence[Cell]:
    cost = one.cost
    minutes = None if cost.train_seconds is None else cost.train_seconds / 60
    each = None if cost.decode_seconds_per_100 is None else cost.decode_seconds_per_100 / 100
    return (
        Link(name(one), one.record),
        _mean(one.quality),
        _yes(one.tied_with_best),
        _yes(one.on_front),
        format.parameters(one.parameters),
        format.number(minutes),
        format.gigabytes(cost.peak_vram_gb),
        format.number(each),
        format.number(cost.tokens_per_character),
        one.licence or format.UNKNOWN,
    )


def _yes(whether: bool | None) -> Cell:
    if whether is None:
        return format.UNKNOWN
    return Badge("ok", text("report.yes")) if whether else text("report.no")


_MOST_PAIRS = 15


def ensemble(view: Report) -> Blocks:
    """Which systems complement each other, and the blend that was handed in."""
    if view.pairs:
        yield from _pairs(view)
    if view.blended is not None:
        yield from blended(view.blended)


def _pairs(view: Report) -> Blocks:
    yield Chart("complement")
    yield from table(
        ("pair", "oracle-gain", "other-better"),
        (
            (
                f"{one.one} + {one.other}",
                format.points(one.oracle_gain),
                f"{one.other_better:.0%} ({one.other})",
            )
            for one in view.pairs[:_MOST_PAIRS]
        ),
    )
    yield Note(text("report.ensemble-note"))
