"""The model table, from which every view selects the columns it needs."""

from collections.abc import Callable, Iterator, Sequence

from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.metrics.significance import Verdict
from yoyak.report.model.report import (
    Difference,
    Floor,
    Measured,
    Quality,
    Report,
    RunProgress,
    System,
    SystemGroup,
)
from yoyak.report.sections import format
from yoyak.report.sections.blocks import (
    Badge,
    Bar,
    Cell,
    Link,
    Note,
    SystemColumn,
    SystemRow,
    SystemTable,
    Table,
    table,
)
from yoyak.report.sections.format import name, progress, stage
from yoyak.runs.liveness import WorkerHealth
from yoyak.values import Interval, Rouge, Severity


def model_table(
    view: Report,
    columns: Sequence[str],
    systems: Sequence[System] | None = None,
    *,
    floors: Sequence[Floor] = (),
    title: str = "",
) -> tuple[Table, ...]:
    """Return ``columns`` (keys of ``CELLS``) of ``systems``, default all, with ``floors`` below.

    Empty if there are no rows.
    """
    doing = {one.run: one for one in view.progress}
    shown = view.systems if systems is None else systems
    rows = [[CELLS[column](one, doing.get(one.run)) for column in columns] for one in shown]
    return table(columns, [*rows, *(_floor_row(one, columns) for one in floors)], title)


def lineup_end(view: Report) -> Iterator[Note]:
    """Yield when all unfinished runs end, if one of them is running."""
    coming = [one for one in view.progress if one.status is not RunStatus.FAILED]
    end = format.all_ends((one.status, one.total, one.last_at) for one in coming)
    if end is not None:
        yield Note(end)


def group_heading(view: Report, group: SystemGroup | None) -> Iterator[Note]:
    """Yield on which data a group was scored, where there are several groups."""
    if group is not None and len(view.groups) > 1:
        fields = {"number": view.groups.index(group) + 1, "count": len(view.groups)}
        yield Note(text("report.group-title", data=group.data, **fields))


def rouge_cells(rouge: Rouge, interval: Interval | None = None, record: str = "") -> list[Cell]:
    """Return the cells of ``ROUGE_COLUMNS``; ``interval`` is of the mean."""
    values = (rouge.rouge1, rouge.rouge2, rouge.rougeL)
    mean = Measured(value=rouge.mean, interval=interval)
    return [
        *(Link(format.score(value), record) for value in values),
        _measured(mean, record),
        Link(format.score(rouge.sum), record),
    ]


ROUGE_COLUMNS = ("rouge1", "rouge2", "rougel", "mean", "sum")


def _floor_row(floor: Floor, columns: Sequence[str]) -> list[Cell]:
    known: dict[str, Cell] = dict(
        zip(ROUGE_COLUMNS, rouge_cells(floor.rouge, record=floor.record), strict=True)
    )
    known["system"] = text(f"report.floor-{floor.name}")
    return [known.get(column, "") for column in columns]


def _measured(value: Measured, record: str) -> Link:
    note = "" if value.interval is None else format.score_interval(value.interval)
    return Link(format.score(value.value), record, note)


def difference_cell(points: float, interval: Interval | None) -> Link:
    """Return a difference of scores, with its interval as the note."""
    return Link(
        format.points(points), note="" if interval is None else format.points_interval(interval)
    )


def verdict_cell(verdict: Verdict, p: float | None) -> Badge:
    """Return a verdict with its corrected p-value, if one was computed."""
    note = "" if p is None else f"p {format.p_value(p)}"
    return Badge(verdict.value, format.verdict(verdict), note)


_CellOf = Callable[[System, RunProgress | None], Cell]

CARD_GB = 24.0
"""Memory of the GPU that the project is for."""


def _quality(draw: Callable[[Quality], Cell]) -> _CellOf:
    return lambda one, _: format.UNKNOWN if one.quality is None else draw(one.quality)


def _progress(draw: Callable[[RunProgress], Cell]) -> _CellOf:
    return lambda _, now: format.UNKNOWN if now is None else draw(now)


def status_cell(standing: WorkerHealth | RunStatus) -> Badge:
    """Return the state of a run."""
    return Badge(standing.value, text(f"report.status-{standing.value}"))


def progress_cell(status: RunStatus, now: RunProgress | None) -> Bar:
    """Return what is done of the current stage; a full bar for a finished run."""
    if now is None:
        return Bar(format.UNKNOWN, 1.0 if status is RunStatus.FINISHED else None)
    return Bar(progress(now), now.done / now.of if now.of else None)


def _left(now: RunProgress) -> Link:
    """Return the time left of the run and, while it works, when that is over.

    Where only that of the stage is known, the run takes longer, and the cell says so.
    """
    left = now.total
    if now.status is RunStatus.FAILED:
        left = None
    elif left is None and now.forecast is not None:
        return Link(format.longer_than(now.forecast), now.record)
    if left is None:
        return Link(format.UNKNOWN, now.record)
    note = ""
    if now.status is RunStatus.RUNNING and now.last_at is not None:
        note = format.moments(now.last_at, left)
    return Link(format.durations(left), now.record, note)


def _difference(one: System, _: RunProgress | None) -> Cell:
    if one.difference is None:
        return format.UNKNOWN
    return difference_cell(one.difference.mean.value, one.difference.mean.interval)


def _verdict(one: System, _: RunProgress | None) -> Cell:
    if one.difference is None:
        return format.UNKNOWN
    return verdict_cell(one.difference.verdict, one.difference.p)


def _yes(whether: bool | None) -> Cell:
    if whether is None:
        return format.UNKNOWN
    return Badge("ok", text("report.yes")) if whether else text("report.no")


def _part(whole: float | None, parts: int) -> str:
    return format.number(None if whole is None else whole / parts)


def alarms_cell(system: System) -> Cell:
    """Return how many alarms the score of a system has; a dash without a score."""
    if system.quality is None:
        return format.UNKNOWN
    errors = sum(one.severity is Severity.ERROR for one in system.quality.alarms)
    warnings = len(system.quality.alarms) - errors
    if errors + warnings == 0:
        return Badge("ok", text("report.alarms-none"))
    parts = []
    if errors:
        parts.append(text("report.alarms-errors", count=errors))
    if warnings:
        parts.append(text("report.alarms-warnings", count=warnings))
    return Badge("danger" if errors else "watch", ", ".join(parts))


def fits_cell(system: System) -> Cell:
    """Return whether the measured peak fits the card; a dash where none was measured."""
    peak = system.cost.peak_vram_gb
    if peak is None:
        return format.UNKNOWN
    return _yes(True) if peak <= CARD_GB else Badge("danger", text("report.no"))


CELLS: dict[str, _CellOf] = {
    "system": lambda one, _: Link(name(one), one.record),
    "status": lambda one, _: status_cell(one.standing),
    "stage": lambda one, _: stage(one.stage),
    "progress": lambda one, now: progress_cell(one.status, now),
    "rows-seen": _progress(lambda now: format.count(now.rows_seen)),
    "loss": _progress(lambda now: format.number(now.loss)),
    "rate": _progress(lambda now: format.number(now.learning_rate)),
    "pace": _progress(lambda now: format.duration(now.seconds_per_unit)),
    "throughput": _progress(lambda now: format.whole(now.tokens_per_second)),
    "left": _progress(_left),
    "start": lambda one, _: format.moment(one.started_at),
    "end": lambda one, _: format.moment(one.ended_at),
    "params": lambda one, _: format.parameters(one.parameters),
    "precision": lambda one, _: format.quantisation(one),
    "licence": lambda one, _: one.licence or format.UNKNOWN,
    "rouge1": _quality(lambda quality: _measured(quality.rouge1, quality.record)),
    "rouge2": _quality(lambda quality: _measured(quality.rouge2, quality.record)),
    "rougel": _quality(lambda quality: _measured(quality.rougeL, quality.record)),
    "mean": _quality(lambda quality: _measured(quality.mean, quality.record)),
    "sum": _quality(lambda quality: Link(format.score(quality.rouge.sum), quality.record)),
    "n": _quality(lambda quality: format.count(quality.rows)),
    "difference": _difference,
    "verdict": _verdict,
    "tied": lambda one, _: _yes(one.tied_with_best),
    "front": lambda one, _: _yes(one.on_front),
    "train": lambda one, _: format.duration(one.cost.train_seconds),
    "minutes": lambda one, _: _part(one.cost.train_seconds, 60),
    "vram": lambda one, _: format.gigabytes(one.cost.peak_vram_gb),
    "decode": lambda one, _: format.duration(one.cost.decode_seconds_per_100),
    "seconds-each": lambda one, _: _part(one.cost.decode_seconds_per_100, 100),
    "tokens": lambda one, _: format.number(one.cost.tokens_per_character),
    "alarms": lambda one, _: alarms_cell(one),
    "fits": lambda one, _: fits_cell(one),
}
"""Cell function of each column, for a system and, while it is unfinished, its progress."""


# --- the table that can be sorted ----------------------------------------------------------------


def _of_quality(pick: Callable[[Quality], float]) -> Callable[[System], float | None]:
    return lambda one: None if one.quality is None else pick(one.quality)


def _of_difference(pick: Callable[[Difference], float]) -> Callable[[System], float | None]:
    return lambda one: None if one.difference is None else pick(one.difference)


_VERDICTS = (Verdict.WORSE, Verdict.NOT_PROVEN, Verdict.AS_GOOD, Verdict.BETTER)

VALUES: dict[str, Callable[[System], float | str | None]] = {
    "system": lambda one: one.name,
    "mean": _of_quality(lambda quality: quality.mean.value),
    "rouge1": _of_quality(lambda quality: quality.rouge1.value),
    "rouge2": _of_quality(lambda quality: quality.rouge2.value),
    "rougel": _of_quality(lambda quality: quality.rougeL.value),
    "sum": _of_quality(lambda quality: quality.rouge.sum),
    "difference": _of_difference(lambda difference: difference.mean.value),
    "verdict": _of_difference(lambda difference: _VERDICTS.index(difference.verdict)),
    "alarms": _of_quality(
        lambda quality: sum(1000 if one.severity is Severity.ERROR else 1 for one in quality.alarms)
    ),
    "train": lambda one: one.cost.train_seconds,
    "vram": lambda one: one.cost.peak_vram_gb,
    "fits": lambda one: one.cost.peak_vram_gb,
    "decode": lambda one: one.cost.decode_seconds_per_100,
    "params": lambda one: one.parameters,
    "status": lambda one: one.status.value,
    "n": _of_quality(lambda quality: quality.rows),
    "tied": lambda one: one.tied_with_best,
    "front": lambda one: one.on_front,
    "precision": lambda one: one.quantisation,
    "tokens": lambda one: one.cost.tokens_per_character,
    "licence": lambda one: one.licence,
}
"""What each column of a system table is sorted by, in the order of the columns."""

_AT_FIRST = frozenset(
    {"system", "mean", "rouge1", "rouge2", "rougel", "difference", "verdict", "alarms", "train",
     "vram", "fits", "decode"}
)  # fmt: skip
_WORDS = frozenset({"system", "verdict", "alarms", "fits", "status", "precision", "licence"})


def system_table(
    systems: Sequence[System], floors: Sequence[Floor], narrow: Sequence[Table]
) -> SystemTable:
    """Return all columns of ``systems``, best mean first, the floors in their places among them."""
    columns = tuple(
        SystemColumn(key, text(f"report.column-{key}"), key not in _WORDS, key in _AT_FIRST)
        for key in VALUES
    )
    rows = [
        SystemRow(
            tuple(CELLS[key](one, None) for key in VALUES),
            tuple(value(one) for value in VALUES.values()),
        )
        for one in systems
    ]
    for floor in floors:
        rouge = floor.rouge
        known: dict[str, float | str | None] = dict(
            zip(ROUGE_COLUMNS, (rouge.rouge1, rouge.rouge2, rouge.rougeL, rouge.mean, rouge.sum),
                strict=True)
        )  # fmt: skip
        known["system"] = text(f"report.floor-{floor.name}")
        values = tuple(known.get(key) for key in VALUES)
        rows.append(SystemRow(tuple(_floor_row(floor, tuple(VALUES))), values, is_floor=True))
    at = list(VALUES).index("mean")
    return SystemTable(
        columns, tuple(sorted(rows, key=lambda row: _falling(row.values[at]))), tuple(narrow)
    )


def _falling(value: float | str | None) -> tuple[bool, float]:
    return (False, -value) if isinstance(value, float) else (True, 0.0)
