"""Sections on the status and scores of the systems."""

from collections.abc import Iterator

from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model import groups
from yoyak.report.model.report import Report
from yoyak.report.render import format
from yoyak.report.render.words import name, notes
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
    yield from model_table(view, columns, finished)


def current(view: Report) -> Blocks:
    """Yield the runs that have started and are not finished."""
    idle = {RunStatus.FINISHED, RunStatus.QUEUED}
    columns = ("system", "status", "stage", "progress", "rows-seen", "loss", "rate", "pace", "left")
    yield from model_table(view, columns, [one for one in view.systems if one.status not in idle])


def curves(view: Report) -> Blocks:
    """Yield the charts of values measured during training."""
    if any(curve.steps for curve in view.curves):
        keys = ("loss", "learning-rate", "dev-loss", "dev-rouge", "grad-norm")
        yield from map(Chart, keys)


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
    yield from model_table(view, columns, floors=view.floors)
    if view.scored:
        yield from (Chart("comparison"), Chart("lengths"))
    if below := tuple(notes(view)):
        yield Bullets(below)


def small(view: Report) -> Blocks:
    """Yield models side by side with their costs; excludes toys and models that did not learn."""
    models = [one for one in view.systems if one.on_front is not None]
    columns = (
        "system", "mean", "tied", "front", "params", "minutes", "vram", "seconds-each", "tokens",
        "licence",
    )  # fmt: skip
    yield from model_table(view, columns, models)
    if models:
        yield Note(format.budget(view.budget))
    cheapest = groups.smallest_tied(models, view.budget)
    if cheapest is not None:
        yield Note(text("report.smallest-tied", model=cheapest.name))


_MOST_PAIRS = 15


def ensemble(view: Report) -> Blocks:
    """Yield the most complementary pairs of systems, and the submitted blend."""
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
