"""Sections on settings, incidents, examples, files and sources."""

from collections.abc import Iterable, Iterator

from yoyak.events import CheckResult
from yoyak.messages import text
from yoyak.report.model.report import Report, SubmissionSummary
from yoyak.report.render import format
from yoyak.report.render.words import name
from yoyak.report.sections.blocks import (
    Badge,
    Block,
    Cell,
    Chart,
    Checked,
    CodeBlock,
    Link,
    Note,
    Table,
    TableColumn,
    Timeline,
    table,
)
from yoyak.report.sections.examples import sample

Blocks = Iterator[Block]


def findings(view: Report) -> Blocks:
    """Yield the alarms of scores and submissions, then claims without support in the records."""
    rows = [(Link(one.rule, one.record), one.what.text) for one in view.findings]
    found = (*alarms(view), *table(("check", "what"), rows))
    if view.systems or found:  # before the first run there are no claims to support
        yield from found or (Note(text("report.nothing-found")),)


def alarms(view: Report) -> tuple[Table, ...]:
    """Return every alarm of a score and every warning of a submission's validation, errors first.

    Examples: a system below the constant-sentence floor, identical answers, matches only in tags.
    """
    scores = [
        (one.severity, Link(name(system), quality.record), one.sentence)
        for system in view.systems
        if (quality := system.quality) is not None
        for one in quality.alarms
    ]
    submitted = [
        (one.severity, _submission(each), one.sentence)
        for each in view.submissions
        for one in each.warnings
    ]
    said = {sentence for _, _, sentence in scores}
    answers = [
        (one.severity, _submission(each), one.sentence)
        for each in view.submissions
        for one in each.alarms
        if one.sentence not in said  # a run's own score was submitted: said above
    ]
    return alarm_table([*scores, *answers, *submitted])


def _submission(one: SubmissionSummary) -> Link:
    return Link(text("report.submission-no", number=one.number), one.record)


def alarm_table(rows: Iterable[tuple[str, Cell, str]]) -> tuple[Table, ...]:
    """Return a table of severity (``error`` or ``warning``), system and sentence, errors first."""
    ordered = sorted(rows, key=lambda row: row[0] != "error")
    return table(
        ("level", "system", "what-is-wrong"),
        (
            (Badge(_LEVELS[level], text(f"report.scoreboard-{level}")), system, what)
            for level, system, what in ordered
        ),
    )


_LEVELS = {"error": "danger", "warning": "watch"}


def configuration(view: Report) -> Blocks:
    """Yield a row per setting that differs between systems, and one paragraph for the rest."""
    by_system = [{one.key: one.value for one in system.settings} for system in view.systems]
    keys = dict.fromkeys(key for settings in by_system for key in settings)
    said = [(key, [settings.get(key) for settings in by_system]) for key in keys]
    rows = [
        (key, [format.UNKNOWN if one is None else one for one in values])
        for key, values in said
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


def submissions(view: Report) -> Blocks:
    """Yield the submission files and their results, those with one dev protocol together."""
    for signature in dict.fromkeys(one.signature for one in view.submissions):
        yield from _submissions(one for one in view.submissions if one.signature == signature)


def _submissions(found: Iterable[SubmissionSummary]) -> tuple[Table, ...]:
    return table(
        ("number", "system", "method", "n", "dev", "public", "file", "sha256"),
        (
            (
                Link(one.number, one.record),
                one.system,
                one.method,
                format.count(one.rows),
                format.score(one.dev_mean),
                format.score(one.public_score, 4),
                Link(one.path, one.path),
                CodeBlock(one.sha256),
            )
            for one in found
        ),
    )


def provenance(view: Report) -> Blocks:
    """Yield the sources of the numbers."""
    rows = (
        (Link(text(f"report.fact-{fact.label}"), fact.record), CodeBlock(fact.value))
        for fact in view.provenance
    )
    yield from table(("fact", "value"), rows)
