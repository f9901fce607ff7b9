"""What a report says and its records do not support: a table of rules over stated figures.

The same rules read this project's own records (``report.claims``) and what anybody else has
stated (``read``): a report that is generated passes them, one that is typed often does not.
"""

import tomllib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from yoyak.errors import BadData
from yoyak.metrics.rouge_consistency import rouge_consistency
from yoyak.report.model.values import ReportFinding, Sentence
from yoyak.values import Value

Scale = Literal["sum", "mean"]


class StatedModel(Value, frozen=True, kw_only=True):
    """What is said of one model; scores are as printed (0–100, sum 0–300)."""

    name: str
    record: str = ""
    status: str | None = None
    parameters: int | None = None
    downloaded: bool | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    took_seconds: float | None = None
    step: int | None = None
    steps: int | None = None
    seconds_per_step: float | None = None
    stated_at: datetime | None = None
    ends_at: datetime | None = None
    epochs: float | None = None
    batch_size: int | None = None
    rows: int | None = None
    steps_limited: bool = False
    """Whether a limit on the steps is stated, which explains fewer epochs."""
    schedule: str | None = None
    schedule_seen: str | None = None
    """``constant`` or ``moving``, from the log or as the log's words have it."""
    rouge1: float | None = None
    rouge2: float | None = None
    rougeL: float | None = None
    sum: float | None = None
    mean: float | None = None
    sampled: bool | None = None
    """Whether the scored summaries were drawn at random."""
    seeds: int = 1


class Figure(Value, frozen=True, kw_only=True):
    """A score that stands beside others; ``None`` where nothing says what it is."""

    name: str
    value: float
    record: str = ""
    scale: Scale | None = None
    split: str | None = None
    signature: str | None = None


class StatedDisk(Value, frozen=True, kw_only=True):
    """What is said of the disk."""

    free_gb: float
    total_gb: float
    sufficient: bool


class Stated(Value, frozen=True, kw_only=True):
    """Everything a report states that a rule can hold against something."""

    record: str = ""
    text: str = ""
    models: tuple[StatedModel, ...] = ()
    figures: tuple[Figure, ...] = ()
    next_models: tuple[str, ...] = ()
    links: dict[str, str] = msgspec.field(default_factory=dict)
    disk: StatedDisk | None = None


class Hit(NamedTuple):
    """What a rule found: the fields of its sentence, and where."""

    record: str
    fields: dict[str, str]


Rule = Callable[[Stated], Iterator[Hit]]


def check(stated: Stated) -> tuple[ReportFinding, ...]:
    """Everything that does not hold, in the order of the table."""
    return tuple(
        ReportFinding(
            rule=name,
            what=Sentence(key=f"report.lint-{name}", fields=hit.fields),
            record=hit.record,
        )
        for name, rule in RULES.items()
        for hit in rule(stated)
    )


def read(path: Path) -> Stated:
    """The figures of a report, written down as TOML.

    Raises:
        BadData: it is not TOML, or states something no rule knows.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Stated)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadData("report.bad-claims", path=path, problem=error) from error


def _time_left(stated: Stated) -> Iterator[Hit]:
    """The stated end against steps left × seconds a step, to a tenth of it and a minute."""
    for one in stated.models:
        if None in {one.step, one.steps} or one.seconds_per_step is None:
            continue
        if one.stated_at is None or one.ends_at is None:
            continue
        left = ((one.steps or 0) - (one.step or 0)) * one.seconds_per_step
        expected = one.stated_at + timedelta(seconds=left)
        if abs((one.ends_at - expected).total_seconds()) > 0.1 * left + 60:
            yield Hit(
                one.record,
                {
                    "model": one.name,
                    "stated": f"{one.ends_at:%H:%M}",
                    "expected": f"{expected:%H:%M}",
                    "left": str((one.steps or 0) - (one.step or 0)),
                    "pace": f"{one.seconds_per_step:.3g}",
                },
            )


def _duration(stated: Stated) -> Iterator[Hit]:
    """The stated duration against start and end, to a tenth of it and a minute."""
    for one in stated.models:
        if one.started_at is None or one.finished_at is None or one.took_seconds is None:
            continue
        between = (one.finished_at - one.started_at).total_seconds()
        if abs(between - one.took_seconds) > 0.1 * between + 60:
            minutes = {"stated": one.took_seconds / 60, "between": between / 60}
            shown = {key: f"{value:.0f}" for key, value in minutes.items()}
            yield Hit(one.record, {"model": one.name, **shown})


def _schedule(stated: Stated) -> Iterator[Hit]:
    for one in stated.models:
        if one.schedule is None or one.schedule_seen is None:
            continue
        if (one.schedule == "constant") != (one.schedule_seen == "constant"):
            fields = {"model": one.name, "schedule": one.schedule, "seen": one.schedule_seen}
            yield Hit(one.record, fields)


def _epochs(stated: Stated) -> Iterator[Hit]:
    """Steps × batch against epochs × rows; the last batch of an epoch may be smaller."""
    for one in stated.models:
        if not one.steps or not one.batch_size or not one.rows or one.epochs is None:
            continue
        wanted = one.epochs * one.rows
        seen = one.steps * one.batch_size
        too_few = seen < 0.98 * wanted and not one.steps_limited
        too_many = seen > 1.02 * wanted + one.batch_size * max(one.epochs, 1)
        if too_few or too_many:
            yield Hit(
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


def _triple(stated: Stated) -> Iterator[Hit]:
    """Three measures of one run obey the algebra of ROUGE; see ``score.triple``."""
    for one in stated.models:
        if one.rouge1 is None or one.rouge2 is None or one.rougeL is None:
            continue
        alarms = rouge_consistency(one.rouge1, one.rouge2, one.rougeL, sum=one.sum, mean=one.mean)
        if alarms:
            problem = " ".join(alarm.sentence for alarm in alarms)
            yield Hit(one.record, {"model": one.name, "problem": problem})


def _scales(stated: Stated) -> Iterator[Hit]:
    """Scores that stand side by side say what they are, and are the same kind of number."""
    for part in ("scale", "split", "signature"):
        kinds = {getattr(figure, part) for figure in stated.figures}
        if len(stated.figures) > 1 and len(kinds) > 1:
            shown = (
                f"{figure.name} {figure.value:g} ({getattr(figure, part) or '?'})"
                for figure in stated.figures
            )
            yield Hit(stated.record, {"part": part, "figures": "; ".join(shown)})
            return


def _line_up(stated: Stated) -> Iterator[Hit]:
    known = [one.name for one in stated.models]
    for name in stated.next_models:
        if name not in known:
            yield Hit(stated.record, {"model": name, "known": ", ".join(known)})


BYTES_PER_WEIGHT = 2
"""As the bases of the line-up are published: bf16."""

_MARGIN = 0.1
"""Of the whole disk; checkpoints, predictions and the system need room as well."""


def _disk(stated: Stated) -> Iterator[Hit]:
    """Free space less the downloads that are still to come."""
    disk = stated.disk
    if disk is None or not disk.sufficient:
        return
    waiting = [one for one in stated.models if one.status == "queued" and not one.downloaded]
    needed = sum(BYTES_PER_WEIGHT * (one.parameters or 0) for one in waiting) / 1e9
    if needed and disk.free_gb - needed < _MARGIN * disk.total_gb:
        fields = {"free": f"{disk.free_gb:.1f}", "needed": f"{needed:.1f}"}
        yield Hit(stated.record, fields | {"models": ", ".join(one.name for one in waiting)})


def _sampling(stated: Stated) -> Iterator[Hit]:
    for one in stated.models:
        if one.sampled and one.seeds < 3:
            yield Hit(one.record, {"model": one.name, "seeds": str(one.seeds)})


_PLACEHOLDERS = ("[", "<", "…", "TODO", "TBD", "확인 필요", "needs checking")


def _links(stated: Stated) -> Iterator[Hit]:
    for name, target in stated.links.items():
        if not target.strip() or any(mark in target for mark in _PLACEHOLDERS):
            yield Hit(stated.record, {"link": name, "found": target})


def _encoding(stated: Stated) -> Iterator[Hit]:
    """Lost bytes (U+FFFD), or Korean that was read as a Western encoding."""
    texts = {"": stated.text} | {one.record or one.name: one.name for one in stated.models}
    for record, written in texts.items():
        if "\ufffd" in written:
            yield Hit(record or stated.record, {"found": "U+FFFD"})
        elif _reads_as_korean(written):
            yield Hit(record or stated.record, {"found": written[:40]})


def _reads_as_korean(written: str) -> bool:
    """Whether the text's bytes in Windows-1252 are Korean UTF-8."""
    try:
        original = written.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return False
    return any("가" <= letter <= "힣" for letter in original)


RULES: dict[str, Rule] = {
    "time-left": _time_left,
    "duration": _duration,
    "schedule": _schedule,
    "epochs": _epochs,
    "triple": _triple,
    "scales": _scales,
    "line-up": _line_up,
    "disk": _disk,
    "sampling": _sampling,
    "links": _links,
    "encoding": _encoding,
}
"""Every rule by its name; its sentence is ``report.lint-NAME``."""
