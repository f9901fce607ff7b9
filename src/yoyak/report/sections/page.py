"""The sections of the report, in the order of a team's status report.

``yoyak status`` and the end of ``yoyak run`` show some of them in the terminal.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from yoyak.events import CheckResult, RunStatus
from yoyak.messages import text
from yoyak.report.model import groups
from yoyak.report.model.report import TOY, Basis, Report, System, SystemGroup, Tiles
from yoyak.report.sections import format
from yoyak.report.sections.blocks import (
    SIGNS,
    Badge,
    Block,
    Bullets,
    Cell,
    Chart,
    Checked,
    CodeBlock,
    Link,
    Note,
    Section,
    Table,
    TableColumn,
    Timeline,
    table,
)
from yoyak.report.sections.ensemble import ensemble, submissions
from yoyak.report.sections.examples import sample
from yoyak.report.sections.format import name
from yoyak.report.sections.model_table import (
    ROUGE_COLUMNS,
    group_heading,
    lineup_end,
    model_table,
    system_table,
)
from yoyak.report.sections.ratings import ratings
from yoyak.report.sections.scorecard import alarm_table
from yoyak.report.sections.seeds import seeds
from yoyak.report.sections.studies import progress as progress_of_studies
from yoyak.report.sections.studies import studies
from yoyak.values import Severity

Blocks = Iterator[Block]


def sections(view: Report) -> list[Section]:
    """Return every section that has content."""
    drawn = (
        Section(key, text(f"report.section-{key}"), tuple(draw(view)))
        for key, draw in SECTIONS.items()
    )
    return [section for section in drawn if section.blocks]


def findings(view: Report) -> Blocks:
    """Yield the alarms of scores and submissions, then claims without support in the records."""
    found = (*alarms(view), *_unsupported(view))
    if view.systems or found:  # before the first run there are no claims to support
        yield from found or (Note(text("report.nothing-found")),)


def _unsupported(view: Report) -> tuple[Table, ...]:
    rows = ((Link(one.rule, one.record), one.what.text) for one in view.findings)
    return table(("check", "what"), rows)


def alarms(view: Report) -> tuple[Table, ...]:
    """Return a table of every alarm of a score, a submission or the data, errors first.

    Examples: a system below the constant-sentence floor, identical answers, matches only in tags,
    a warning of a submission's validation, splits that contradict each other.
    """
    return alarm_table(_all_alarms(view))


_Alarm = tuple[Severity, Cell, str, Sequence[str]]


def _all_alarms(view: Report) -> list[_Alarm]:
    scores = _score_alarms(view.systems)
    submitted: list[_Alarm] = [
        (one.severity, _submission(each.number, each.record), one.sentence, ())
        for each in view.submissions
        for one in each.warnings
    ]
    shown = {sentence for _, _, sentence, _ in scores}
    answers: list[_Alarm] = [
        (one.severity, _submission(each.number, each.record), one.sentence, one.rows)
        for each in view.submissions
        for one in each.alarms
        if one.sentence not in shown  # a run's own score was submitted
    ]
    data: list[_Alarm] = [
        (issue.finding.severity, Link(issue.data, issue.record), issue.finding.found, ())
        for issue in view.data_issues
    ]
    return [*scores, *answers, *data, *submitted]


def _score_alarms(systems: Sequence[System]) -> list[_Alarm]:
    return [
        (one.severity, Link(name(system), quality.record), one.sentence, one.rows)
        for system in systems
        if (quality := system.quality) is not None
        for one in quality.alarms
    ]


def _submission(number: str, record: str) -> Link:
    return Link(text("report.submission-no", number=number), record)


_ORDER = (
    RunStatus.FINISHED,
    RunStatus.RUNNING,
    RunStatus.INTERRUPTED,
    RunStatus.STOPPED,
    RunStatus.FAILED,
    RunStatus.QUEUED,
)


def summary(view: Report) -> Blocks:
    """Yield the key figures, and the runs by status."""
    yield from table(
        ("tile", "answer"),
        ((one.question, Link(one.answer, note=one.note)) for one in tiles(view)),
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


class Tile(NamedTuple):
    """One key figure of the report; ``share`` is drawn as a bar."""

    question: str
    answer: str
    note: str = ""
    share: float | None = None
    kind: str = ""
    """The kind of a badge, or ``command`` for an answer to be typed."""
    anchor: str = ""
    """The section that says more."""


def tiles(view: Report) -> list[Tile]:
    """Return the key figures, those of the runs only as long as some are not done.

    Best system, its distance from the best baseline, what is wrong, the submission, what is next.
    """
    found = (
        _progress(view.tiles) if view.tiles.done < view.tiles.total else None,
        _best(view.tiles),
        _against_floor(view),
        _wrong(view),
        _submitted(view),
        _next(view),
    )
    return [tile for tile in found if tile is not None]


def _progress(tiles: Tiles) -> Tile:
    share = tiles.done / tiles.total if tiles.total else None
    parts = []
    if tiles.left is not None:
        parts.append(text("report.tile-left-time", time=format.durations(tiles.left)))
    if tiles.without_pace:
        parts.append(text("report.without-pace", count=tiles.without_pace))
    ask = text("report.tile-done")
    return Tile(ask, f"{tiles.done}/{tiles.total}", ", ".join(parts), share)


def _best(tiles: Tiles) -> Tile:
    ask = text("report.tile-best")
    if tiles.best is None or tiles.best_mean is None:
        return Tile(ask, format.UNKNOWN)
    parts = [format.score(tiles.best_mean.value)]
    if tiles.best_mean.interval is not None:
        parts[0] += f" (95 %: {format.score_interval(tiles.best_mean.interval)})"
    if tiles.best_data is not None:
        parts.append(text("report.tile-best-data", data=tiles.best_data))
    return Tile(ask, tiles.best + (TOY if tiles.best_is_toy else ""), ", ".join(parts))


def _against_floor(view: Report) -> Tile | None:
    """Return how far the best system is above the best baseline of its group."""
    mean = view.tiles.best_mean
    if mean is None or not view.groups or not view.groups[0].floors:
        return None
    floor = max(view.groups[0].floors, key=lambda one: one.rouge.mean)
    name = text(f"report.floor-{floor.name}")
    note = text("report.tile-floor-note", floor=name, mean=format.score(floor.rouge.mean))
    gap = mean.value - floor.rouge.mean
    is_clear = gap > 0 and (mean.interval is None or mean.interval.low > floor.rouge.mean)
    kind = "ok" if is_clear else "watch" if gap > 0 else "danger"
    return Tile(text("report.tile-floor"), format.points(gap), note, kind=kind)


def _wrong(view: Report) -> Tile:
    """Return how many alarms and findings there are, and the first alarm's sentence."""
    found = _all_alarms(view)
    errors = sum(severity is Severity.ERROR for severity, *_ in found)
    others = len(found) - errors + len(view.findings)
    parts = []
    if errors:
        parts.append(text("report.alarms-errors", count=errors))
    if others:
        parts.append(text("report.alarms-warnings", count=others))
    ask = text("report.tile-wrong")
    if not parts:
        return Tile(ask, text("report.alarms-none"), kind="ok")
    worst = sorted(found, key=lambda one: one[0] is not Severity.ERROR)
    first = worst[0][2] if worst else view.findings[0].what.text
    note = format.shortened(first.partition(" → ")[0])
    kind = "danger" if errors else "watch"
    return Tile(ask, ", ".join(parts), note, kind=kind, anchor="findings")


def _submitted(view: Report) -> Tile | None:
    """Return the newest submission and its public score."""
    if not view.submissions:
        return None if not view.groups else Tile(text("report.tile-submission"), format.UNKNOWN)
    newest = max(view.submissions, key=lambda one: one.number)
    score = newest.public_score
    note = (
        text("report.tile-submission-dev", mean=format.score(newest.dev_mean))
        if score is None
        else text("report.tile-submission-public", mean=format.score(score))
    )
    answer = f"{newest.number}: {newest.system}"
    return Tile(text("report.tile-submission"), format.shortened(answer), note)


def _next(view: Report) -> Tile | None:
    if not view.next_steps:
        return None
    step = view.next_steps[0]
    return Tile(text("report.tile-next"), step.command, step.why.text, kind="command")


def completed(view: Report) -> Blocks:
    """Yield the finished runs."""
    finished = [one for one in view.systems if one.status is RunStatus.FINISHED]
    columns = ("system", "start", "end", "train", "decode", "mean", "verdict")
    for group, systems in _by_group(view, finished):
        yield from group_heading(view, group)
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


def current(view: Report) -> Blocks:
    """Yield the runs that have started and are not finished."""
    idle = {RunStatus.FINISHED, RunStatus.QUEUED}
    columns = ("system", "status", "stage", "progress", "rows-seen", "loss", "rate", "pace", "left")
    yield from model_table(view, columns, [one for one in view.systems if one.status not in idle])


def curves(view: Report) -> Blocks:
    """Yield the charts of values measured during training, then during metric-aware training."""
    if any(curve.steps for curve in view.curves):
        yield from (Chart("loss"), Chart("learning-rate"))
        for part, measured in enumerate(view.evaluated):
            stage = "" if measured[0].stage == "train" else format.stage(measured[0].stage)
            yield from (Chart("dev-loss", part, stage), Chart("dev-rouge", part, stage))
        yield from (Chart("grad-norm"), Chart("throughput"))
        yield from (Chart("align-reward"), Chart("align-kl"))
        yield from (Chart("align-loss"), Chart("align-grad-norm"))


def pending(view: Report) -> Blocks:
    """Yield the runs that have not started."""
    queued = [one for one in view.systems if one.status is RunStatus.QUEUED]
    yield from model_table(view, ("system", "params", "precision", "licence", "left"), queued)


def configuration(view: Report) -> Blocks:
    """Yield a row per setting that differs between systems, and one paragraph for the rest."""
    by_system = [{one.key: one.value for one in system.settings} for system in view.systems]
    keys = dict.fromkeys(key for settings in by_system for key in settings)
    values_of = [(key, [settings.get(key) for settings in by_system]) for key in keys]
    rows = [
        (key, [format.UNKNOWN if one is None else one for one in values])
        for key, values in values_of
        if key not in {"about", "name"} and set(values) - {None, "none"}
    ]
    heads = [TableColumn(text("report.column-setting"), is_number=False)]
    heads += [TableColumn(name(one), is_number=False) for one in view.systems]
    unlike: list[tuple[Cell, ...]] = [
        (CodeBlock(key), *map(format.shortened, row)) for key, row in rows if len(set(row)) > 1
    ]
    if unlike:
        yield Table(tuple(heads), tuple(unlike))
    alike = [f"{key} = {format.shortened(row[0])}" for key, row in rows if len(set(row)) == 1]
    if alike:
        yield Note(text("report.same-everywhere", settings=", ".join(alike)))


def performance(view: Report) -> Blocks:
    """Yield scores beside the trivial baselines, differences and costs, group by group."""
    for group, systems in _by_group(view, view.systems):
        ranked = sorted(systems, key=_rank)
        yield from group_heading(view, group)
        costs = ("system", "status", "params", "precision", "train", "vram", "decode")
        narrow = [] if group is None else list(_scores(view, group, ranked))
        narrow += model_table(view, costs, ranked, title=text("report.cost-title"))
        yield system_table(ranked, () if group is None else group.floors, narrow)
        if group is not None:
            part = view.groups.index(group)
            data = group.data if len(view.groups) > 1 else ""
            yield Chart("comparison", part, data)
            yield Bullets(tuple(notes(group, systems)))
    yield from _second_scores(view)


def _second_scores(view: Report) -> Blocks:
    """Yield the scores on the second dev set, those of one basis in one table."""
    by_basis: dict[Basis, list[System]] = {}
    for one in view.systems:
        if one.second is not None:
            there = msgspec.structs.replace(one, quality=one.second, tied_with_best=None)
            by_basis.setdefault(one.second.basis, []).append(there)
    for systems in by_basis.values():
        ranked = sorted(systems, key=_rank)
        floors = ranked[0].quality.floors if ranked[0].quality else ()
        title = text("report.second-title")
        columns = ("system", *ROUGE_COLUMNS, "n")
        yield from model_table(view, columns, ranked, floors=floors, title=title)


def _scores(view: Report, group: SystemGroup, ranked: Sequence[System]) -> Iterator[Table]:
    """Yield the scores of a group beside the trivial baselines, then the differences."""
    columns = ("system", *ROUGE_COLUMNS, "n")
    title = text("report.quality-title")
    yield from model_table(view, columns, ranked, floors=group.floors, title=title)
    compared = [one for one in ranked if one.difference]
    title = text("report.difference-title", baseline=group.baseline)
    yield from model_table(view, ("system", "difference", "verdict"), compared, title=title)


def _rank(system: System) -> float:
    """Sort key: the best score first, systems without a score last."""
    return 0.0 if system.quality is None else -system.quality.mean.value


def notes(group: SystemGroup, systems: Sequence[System]) -> list[str]:
    """Return the notes below the tables of a group: toys, floors, baseline, protocol."""
    found = []
    if any(one.toy for one in systems):
        found.append(f"{TOY} {text('report.toy-note')}")
    if group.floors:
        found.append(text("report.floor-note"))
    if group.baseline:
        found.append(text("report.baseline-note", baseline=group.baseline))
    return [*found, text("report.protocol-note", signature=group.basis.signature)]


def breakdown(view: Report) -> Blocks:
    """Yield the charts of faults, slices, lengths and copied text, group by group."""
    for part, group in enumerate(view.groups):
        data = group.data if len(view.groups) > 1 else ""
        yield from (Chart("faults", part, data), Chart("slices", part, data))
        yield from (Chart("lengths", part, data), Chart("copied-words", part, data))
        yield Chart("copied-position", part, data)


def small(view: Report) -> Blocks:
    """Yield models side by side with their costs; excludes toys and models that did not learn."""
    columns = (
        "system", "mean", "tied", "front", "params", "minutes", "vram", "seconds-each", "tokens",
        "licence",
    )  # fmt: skip
    compared = [one for one in view.systems if one.on_front is not None]
    for group, models in _by_group(view, compared):
        yield from group_heading(view, group)
        yield from model_table(view, columns, models)
        cheapest = groups.smallest_tied(models, view.budget)
        if cheapest is not None:
            yield Note(text("report.smallest-tied", model=cheapest.name))
    if compared:
        yield Note(format.budget(view.budget))


def risks(view: Report) -> Blocks:
    """Yield the risks that can stop the runs."""
    yield from table(
        ("level", "what"),
        (
            (Badge(one.level, text(f"report.level-{one.level}")), Link(one.what.text, one.record))
            for one in view.risks
        ),
    )
    yield from (Chart("disk"), Chart("machine"), Chart("vram"))


def proofs(view: Report) -> Blocks:
    """Yield the preflight checks: one row per check, one column per run."""
    if not view.proofs:
        return
    names = list(dict.fromkeys(check.name for proof in view.proofs for check in proof.checks))
    heads = [TableColumn(text("report.column-proved"), is_number=False)]
    heads += [TableColumn(proof.name, is_number=False) for proof in view.proofs]
    by_run = [{check.name: check for check in proof.checks} for proof in view.proofs]
    rows = (
        (format.proved(name), *(_check(checks.get(name)) for checks in by_run)) for name in names
    )
    yield Table(tuple(heads), tuple(rows))


def _check(check: CheckResult | None) -> Cell:
    if check is None:
        return format.UNKNOWN
    return Checked("ok" if check.passed else "danger", check.found)


def timeline(view: Report) -> Blocks:
    """Yield when each run was active, and when it is forecast to end."""
    if not view.timeline:
        return
    yield Timeline(view.timeline)
    yield Chart("plan")
    yield from table(
        ("system", "status", "start", "end", "duration"),
        (
            (
                Link(one.name, one.record),
                text(f"report.span-{one.kind}"),
                format.moment(one.start),
                format.moment(one.late_end or one.end),
                format.duration((one.late_end or one.end) - one.start),
            )
            for one in view.timeline
        ),
    )


def next_steps(view: Report) -> Blocks:
    """Yield the commands to run next."""
    rows = ((CodeBlock(step.command), step.why.text) for step in view.next_steps)
    yield from table(("command", "why"), rows)


def incidents(view: Report) -> Blocks:
    """Yield the incidents: events that deviated from the plan."""
    yield from table(
        ("at", "system", "step", "what", "lost"),
        (
            (
                Link(format.moment(one.at), one.record),
                one.name,
                format.count(one.step),
                one.what.text,
                format.count(one.lost_steps),
            )
            for one in view.incidents
        ),
    )


def examples(view: Report) -> Blocks:
    """Yield dialogues with the systems' answers; of several groups, each names its data."""
    for group in view.groups:
        data = group.data if len(view.groups) > 1 else ""
        yield from (sample(one, data) for one in group.examples)


def provenance(view: Report) -> Blocks:
    """Yield the sources of the numbers."""
    rows = (
        (Link(text(f"report.fact-{fact.label}"), fact.record), CodeBlock(fact.value))
        for fact in view.provenance
    )
    yield from table(("fact", "value"), rows)


def run_end(view: Report) -> Blocks:
    """Yield what the end of ``yoyak run`` shows: scores and at most ten alarms of them.

    An untrained system beside trained ones is a baseline, whose alarms are left to the report, as
    are the rows, and the advice but for errors. What the data audit found was printed before the
    runs began.
    """
    if not view.groups:
        yield Note(text("report.nothing-scored"))
    for group, systems in _by_group(view, view.systems):
        if group is not None:
            yield from group_heading(view, group)
            yield from _scores(view, group, sorted(systems, key=_rank))
    yield from _second_scores(view)
    yield from seeds(view)
    if any(one.toy and one.quality for one in view.systems):
        yield Note(f"{TOY} {text('report.toy-note')}")
    trained = [one for one in view.systems if one.parameters is not None]
    alarmed = _score_alarms(trained or view.systems)
    found = sorted(alarmed, key=lambda alarm: alarm[0] is not Severity.ERROR)
    yield from alarm_table(
        (severity, named, what if severity is Severity.ERROR else what.partition(" → ")[0], ())
        for severity, named, what, _ in found[:_ALARMS_SHOWN]
    )
    if len(found) > _ALARMS_SHOWN:
        yield Note(text("report.more-alarms", count=len(found) - _ALARMS_SHOWN))


def status(view: Report) -> Blocks:
    """Yield what ``yoyak status`` shows: each run, what went wrong, and what to do next."""
    if not view.systems and not view.studies:
        yield Note(text("report.no-runs"))
    yield from progress_of_studies(view)
    columns = ("system", "status", "stage", "progress", "mean", "left")
    for group, systems in _by_group(view, view.systems):
        yield from group_heading(view, group)
        yield from model_table(view, columns, systems, title=text("report.status-title"))
    yield from lineup_end(view)
    failed = (
        (proof.name, format.proved(check.name), _check(check))
        for proof in view.proofs
        for check in proof.checks
        if not check.passed
    )
    yield from table(("system", "proved", "what"), failed)
    yield from _unsupported(view)
    recent = (
        (format.moment(one.at), one.name, one.what.text)
        for one in view.incidents[-_LAST_INCIDENTS:]
    )
    yield from table(("at", "system", "what"), recent)
    yield from next_steps(view)


_LAST_INCIDENTS = 5
_ALARMS_SHOWN = 10


SECTIONS: dict[str, Callable[[Report], Iterator[Block]]] = {
    "findings": findings,
    "summary": summary,
    "completed": completed,
    "current": current,
    "curves": curves,
    "pending": pending,
    "configuration": configuration,
    "performance": performance,
    "breakdown": breakdown,
    "small": small,
    "studies": studies,
    "seeds": seeds,
    "ensemble": ensemble,
    "ratings": lambda view: ratings(view.ratings),
    "risks": risks,
    "proofs": proofs,
    "timeline": timeline,
    "next": next_steps,
    "incidents": incidents,
    "examples": examples,
    "submissions": submissions,
    "provenance": provenance,
}
"""Section builders by key, in display order."""
