"""Sections on the status and scores of the systems."""

from collections.abc import Iterator, Sequence

from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model import groups
from yoyak.report.model.report import Report, System, SystemGroup
from yoyak.report.render import format
from yoyak.report.render.words import group_title, name, notes
from yoyak.report.sections.blocks import SIGNS, Block, Bullets, Chart, Note, table
from yoyak.report.sections.examples import blended
from yoyak.report.sections.model_table import model_table

Blocks = Iterator[Block]


_ORDER = (
    RunStatus.FINISHED,
    RunStatus.RUNNING,
    RunStatus.INTERRUPTED,
    RunStatus.STOPPED,
    RunStatus.FAILED,
    RunStatus.QUEUED,
)


def summary(view: Report) -> Blocks:
    """Yield the four key figures, and the runs by status."""
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
    """Yield the finished runs."""
    finished = [one for one in view.systems if one.status is RunStatus.FINISHED]
    columns = ("system", "start", "end", "train", "decode", "mean", "verdict")
    for group, systems in _by_group(view, finished):
        yield from _titled(view, group)
        yield from model_table(view, columns, systems)


def _by_group(
    view: Report, systems: Sequence[System]
) -> Iterator[tuple[SystemGroup | None, list[System]]]:
    """Yield the systems of each group apart, those without a score with the first group's."""
    unscored = [one for one in systems if one.quality is None]
    for place, group in enumerate(view.groups):
        runs = {*group.runs, *(one.run for one in unscored if place == 0)}
        if found := [one for one in systems if one.run in runs]:
            yield group, found
    if unscored and not view.groups:
        yield None, unscored


def _titled(view: Report, group: SystemGroup | None) -> Blocks:
    """Yield the data of a group where there are several."""
    if group is not None and (title := group_title(view, group)):
        yield Note(title)


def current(view: Report) -> Blocks:
    """Yield the runs that have started and are not finished."""
    idle = {RunStatus.FINISHED, RunStatus.QUEUED}
    columns = ("system", "status", "stage", "progress", "rows-seen", "loss", "rate", "pace", "left")
    yield from model_table(view, columns, [one for one in view.systems if one.status not in idle])


def curves(view: Report) -> Blocks:
    """Yield the charts of values measured during training."""
    if any(curve.steps for curve in view.curves):
        yield from (Chart("loss"), Chart("learning-rate"))
        for part in range(len(view.evaluated)):
            yield from (Chart("dev-loss", part), Chart("dev-rouge", part))
        yield Chart("grad-norm")


def pending(view: Report) -> Blocks:
    """Yield the runs that have not started."""
    queued = [one for one in view.systems if one.status is RunStatus.QUEUED]
    yield from model_table(view, ("system", "params", "precision", "licence", "left"), queued)


def performance(view: Report) -> Blocks:
    """Yield every system's scores and costs, with the floors below."""
    columns = (
        "system", "status", "params", "precision", "rouge1", "rouge2", "rougel", "mean", "sum", "n",
        "difference", "verdict", "train", "vram", "decode",
    )  # fmt: skip
    for group, systems in _by_group(view, view.systems):
        yield from _titled(view, group)
        yield from model_table(view, columns, systems, floors=group.floors if group else ())
        if group is not None:
            part = view.groups.index(group)
            yield from (Chart("comparison", part), Chart("lengths", part))
            yield Bullets(tuple(notes(view, group)))


def small(view: Report) -> Blocks:
    """Yield models side by side with their costs; excludes toys and models that did not learn."""
    columns = (
        "system", "mean", "tied", "front", "params", "minutes", "vram", "seconds-each", "tokens",
        "licence",
    )  # fmt: skip
    compared = [one for one in view.systems if one.on_front is not None]
    for group, models in _by_group(view, compared):
        yield from _titled(view, group)
        yield from model_table(view, columns, models)
        cheapest = groups.smallest_tied(models, view.budget)
        if cheapest is not None:
            yield Note(text("report.smallest-tied", model=cheapest.name))
    if compared:
        yield Note(format.budget(view.budget))


_MOST_PAIRS = 15


def ensemble(view: Report) -> Blocks:
    """Yield the most complementary pairs of systems, and the submitted blend."""
    for group in view.groups:
        if group.pairs:
            yield from _titled(view, group)
            yield from _pairs(group, view.groups.index(group))
    if view.blended is not None:
        yield from blended(view.blended)


def _pairs(group: SystemGroup, part: int) -> Blocks:
    yield Chart("complement", part)
    yield from table(
        ("pair", "oracle-gain", "other-better"),
        (
            (
                f"{one.one} + {one.other}",
                format.points(one.oracle_gain),
                f"{one.other_better:.0%} ({one.other})",
            )
            for one in group.pairs[:_MOST_PAIRS]
        ),
    )
    yield Note(text("report.ensemble-note"))
