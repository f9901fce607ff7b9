"""Consistency rules that find statements of a report which its records do not support.

``check`` compares each statement of a report with the other statements, the events of the log and
the algebra of ROUGE.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

from yoyak.config.schema import Recipe, Sampling
from yoyak.events import Prepared, RunStatus
from yoyak.metrics.rouge_consistency import rouge_consistency
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import DiskSpace, Report, ReportFinding, RunProgress, Sentence
from yoyak.report.model.risks import download_bytes
from yoyak.values import Value


class ModelStatements(Value, frozen=True, kw_only=True):
    """Statements of a report about one run; scores are as printed (0–100)."""

    name: str
    record: str = ""
    status: str | None = None
    download_gb: float | None = None
    """Remaining download of the base model; ``None`` where it was not recorded."""
    step: int | None = None
    steps: int | None = None
    seconds_per_step: float | None = None
    stated_at: datetime | None = None
    ends_at: datetime | None = None
    epochs: float | None = None
    batch_size: int | None = None
    rows: int | None = None
    steps_limited: bool = False
    """Whether the number of steps is limited, which explains fewer epochs."""
    schedule: str | None = None
    schedule_seen: str | None = None
    """``constant`` or ``moving``, from the log."""
    rouge1: float | None = None
    rouge2: float | None = None
    rougeL: float | None = None
    mean: float | None = None
    sampled: bool | None = None
    """Whether the scored summaries were sampled; a run samples with a single seed."""


class Statements(Value, frozen=True, kw_only=True):
    """All statements of a report that a rule can check."""

    text: str = ""
    models: tuple[ModelStatements, ...] = ()
    next_models: tuple[str, ...] = ()
    disk: DiskSpace | None = None


class Violation(NamedTuple):
    """One violation of a rule: the fields of its sentence, and the record concerned."""

    record: str
    fields: dict[str, str]


Rule = Callable[[Statements], Iterator[Violation]]


def check(statements: Statements) -> tuple[ReportFinding, ...]:
    """Return a finding for every violated statement, in the order of ``RULES``."""
    return tuple(
        ReportFinding(
            rule=name,
            what=Sentence(key=f"report.lint-{name}", fields=violation.fields),
            record=violation.record,
        )
        for name, rule in RULES.items()
        for violation in rule(statements)
    )


# --- statements of a report ----------------------------------------------------------------------


def statements(
    records: Sequence[RunHistory], view: Report, disk: DiskSpace | None = None
) -> Statements:
    """Return the statements of ``view``, which was built from ``records``."""
    doing = {one.run: one for one in view.progress}
    return Statements(
        text="\n".join(one.what.text for one in view.incidents),
        models=tuple(_model(record, doing.get(record.id)) for record in records),
        next_models=tuple(
            name
            for step in view.next_steps
            if step.command.startswith("yoyak run ")
            for name in takewhile(_is_name, step.command.split()[2:])
        ),
        disk=disk,
    )


def _is_name(word: str) -> bool:
    return not word.startswith("--")


def _model(record: RunHistory, doing: RunProgress | None) -> ModelStatements:
    recipe, quality = record.recipe, record.quality
    prepared = next((event for _, event in reversed(record.of(Prepared))), None)
    # Toy models are exempt from the score rules: their figures make no claim about quality.
    scored = quality if recipe.model.scratch is None else None
    scores = (scored.rouge1, scored.rouge2, scored.rougeL) if scored else ()
    rouge1, rouge2, rouge_l = (100 * one.value for one in scores) if scores else (None,) * 3
    missing = download_bytes(record)
    running = doing if doing is not None and doing.status is RunStatus.RUNNING else None
    return ModelStatements(
        name=recipe.name,
        record=record.log,
        status=record.status.value,
        download_gb=None if missing is None else missing / 1e9,
        step=running.done if running and running.unit == "step" else None,
        steps=prepared.steps if prepared else None,
        seconds_per_step=running.seconds_per_unit if running else None,
        stated_at=_moment(running.last_at) if running else None,
        ends_at=_end(running),
        epochs=recipe.train.epochs if prepared else None,
        batch_size=recipe.train.batch_size if prepared else None,
        rows=prepared.rows if prepared else None,
        steps_limited=recipe.train.max_steps is not None,
        schedule=recipe.train.lr_scheduler.value if prepared else None,
        schedule_seen=schedule_seen(record, recipe),
        rouge1=rouge1,
        rouge2=rouge2,
        rougeL=rouge_l,
        mean=100 * scored.mean.value if scored else None,
        sampled=isinstance(recipe.decode, Sampling) if quality else None,
    )


def _moment(at: float | None) -> datetime | None:
    """Return the UTC time, or ``None`` for a timestamp that ``datetime`` cannot represent."""
    try:
        return None if at is None else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _end(running: RunProgress | None) -> datetime | None:
    if running is None or running.forecast is None or running.last_at is None:
        return None
    return _moment(running.last_at + running.forecast.p50_seconds)


def schedule_seen(record: RunHistory, recipe: Recipe) -> str | None:
    """Return ``constant`` or ``moving`` for the learning rate after warm-up.

    ``None`` with fewer than 10 planned steps, or before 30% of the steps were logged after warm-up.
    A rate that varies by less than 1% of its maximum is constant.
    """
    prepared = next((event for _, event in record.of(Prepared)), None)
    if prepared is None or prepared.steps < 10:
        return None
    warm_up = recipe.train.warmup_ratio * prepared.steps
    rates = [step.learning_rate for step in record.latest if step.step > warm_up + 1]
    if len(rates) < 0.3 * prepared.steps:
        return None
    low, high = min(rates), max(rates)
    return "constant" if high - low < 0.01 * high else "moving"


# --- the rules -----------------------------------------------------------------------------------


def _time_left(statements: Statements) -> Iterator[Violation]:
    """Compare the stated end with steps left × seconds per step, within 10% plus one minute."""
    for one in statements.models:
        if None in {one.step, one.steps} or one.seconds_per_step is None:
            continue
        if one.stated_at is None or one.ends_at is None:
            continue
        left = ((one.steps or 0) - (one.step or 0)) * one.seconds_per_step
        expected = one.stated_at + timedelta(seconds=left)
        if abs((one.ends_at - expected).total_seconds()) > 0.1 * left + 60:
            yield Violation(
                one.record,
                {
                    "model": one.name,
                    "stated": f"{one.ends_at:%H:%M}",
                    "expected": f"{expected:%H:%M}",
                    "left": str((one.steps or 0) - (one.step or 0)),
                    "pace": f"{one.seconds_per_step:.3g}",
                },
            )


def _schedule(statements: Statements) -> Iterator[Violation]:
    for one in statements.models:
        if one.schedule is None or one.schedule_seen is None:
            continue
        if (one.schedule == "constant") != (one.schedule_seen == "constant"):
            fields = {"model": one.name, "schedule": one.schedule, "seen": one.schedule_seen}
            yield Violation(one.record, fields)


def _epochs(statements: Statements) -> Iterator[Violation]:
    """Compare steps × batch with epochs × rows; the last batch of an epoch may be smaller."""
    for one in statements.models:
        if not one.steps or not one.batch_size or not one.rows or one.epochs is None:
            continue
        wanted = one.epochs * one.rows
        seen = one.steps * one.batch_size
        too_few = seen < 0.98 * wanted and not one.steps_limited
        too_many = seen > 1.02 * wanted + one.batch_size * max(one.epochs, 1)
        if too_few or too_many:
            yield Violation(
                one.record,
                {
                    "model": one.name,
                    "steps": str(one.steps),
                    "batch": str(one.batch_size),
                    "seen": f"{seen / one.rows:.2g}",
                    "epochs": f"{one.epochs:g}",
                    "rows": str(one.rows),
                },
            )


def _triple(statements: Statements) -> Iterator[Violation]:
    """Check the three measures of each run against the algebra of ROUGE."""
    for one in statements.models:
        if one.rouge1 is None or one.rouge2 is None or one.rougeL is None:
            continue
        alarms = rouge_consistency(one.rouge1, one.rouge2, one.rougeL, mean=one.mean)
        if alarms:
            problem = " ".join(alarm.sentence for alarm in alarms)
            yield Violation(one.record, {"model": one.name, "problem": problem})


def _line_up(statements: Statements) -> Iterator[Violation]:
    known = [one.name for one in statements.models]
    for name in statements.next_models:
        if name not in known:
            yield Violation("", {"model": name, "known": ", ".join(known)})


_MARGIN = 0.1
"""Share of the disk to keep free for checkpoints, predictions and the operating system."""


def _disk(statements: Statements) -> Iterator[Violation]:
    """Check that the free space covers the pending downloads and the margin."""
    disk = statements.disk
    if disk is None:
        return
    waiting = [one for one in statements.models if one.status == "queued" and one.download_gb]
    needed = sum(one.download_gb or 0.0 for one in waiting)
    if needed and disk.free_gb - needed < _MARGIN * disk.total_gb:
        fields = {"free": f"{disk.free_gb:.1f}", "needed": f"{needed:.1f}"}
        yield Violation("", fields | {"models": ", ".join(one.name for one in waiting)})


def _sampling(statements: Statements) -> Iterator[Violation]:
    for one in statements.models:
        if one.sampled:
            yield Violation(one.record, {"model": one.name})


def _encoding(statements: Statements) -> Iterator[Violation]:
    """Find replacement characters (U+FFFD), and Korean UTF-8 decoded as Windows-1252."""
    texts = {"": statements.text} | {one.record or one.name: one.name for one in statements.models}
    for record, written in texts.items():
        if "\ufffd" in written:
            yield Violation(record, {"found": "U+FFFD"})
        elif _reads_as_korean(written):
            yield Violation(record, {"found": written[:40]})


def _reads_as_korean(written: str) -> bool:
    """Return whether the text's bytes in Windows-1252 are Korean UTF-8."""
    try:
        original = written.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return False
    return any("가" <= letter <= "힣" for letter in original)


RULES: dict[str, Rule] = {
    "time-left": _time_left,
    "schedule": _schedule,
    "epochs": _epochs,
    "triple": _triple,
    "line-up": _line_up,
    "disk": _disk,
    "sampling": _sampling,
    "encoding": _encoding,
}
"""Rules by name; the sentence of a rule is ``report.lint-NAME``."""
