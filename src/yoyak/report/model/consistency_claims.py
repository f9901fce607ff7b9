"""This project's own records as statements, so that the linter judges them by its one table."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from yoyak.config.schema import Recipe, Sampling
from yoyak.events import Prepared, RunStatus
from yoyak.report.model.consistency import Figure, Stated, StatedDisk, StatedModel
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import Report, RunProgress
from yoyak.report.model.values import TimelineSpan


def stated(records: Sequence[RunHistory], view: Report, disk: StatedDisk | None = None) -> Stated:
    """What the view of ``records`` says, in the linter's words."""
    doing = {one.run: one for one in view.progress}
    return Stated(
        record="",
        text="\n".join(one.what.text for one in view.incidents),
        models=tuple(_model(record, view, doing.get(record.id)) for record in records),
        figures=tuple(
            Figure(
                name=system.name,
                value=100 * quality.mean.value,
                record=quality.record,
                scale="mean",
                split="dev",
                signature=quality.signature,
            )
            for system, quality in view.scored
        ),
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


def _model(record: RunHistory, view: Report, doing: RunProgress | None) -> StatedModel:
    recipe, quality = record.recipe, record.quality
    prepared = next((event for _, event in reversed(record.of(Prepared))), None)
    worked = [span for span in view.timeline if span.run == record.id and span.kind == "worked"]
    # A toy's figures claim nothing about quality, so the rules of real systems do not hold them.
    judged = quality if recipe.model.scratch is None else None
    scores = (judged.rouge1, judged.rouge2, judged.rougeL) if judged else ()
    rouge1, rouge2, rouge_l = (100 * one.value for one in scores) if scores else (None,) * 3
    running = doing if doing is not None and doing.status is RunStatus.RUNNING else None
    return StatedModel(
        name=recipe.name,
        record=record.log,
        status=record.status.value,
        parameters=recipe.model.parameters,
        downloaded=is_downloaded(recipe),
        started_at=_moment(worked[0].start) if worked else None,
        finished_at=_moment(worked[-1].end) if worked else None,
        took_seconds=_between(worked),
        step=running.done if running and running.unit == "step" else None,
        steps=prepared.steps if prepared else None,
        seconds_per_step=running.seconds_per_unit if running else None,
        stated_at=_moment(running.last_at) if running and running.last_at else None,
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
        mean=100 * judged.mean.value if judged else None,
        sampled=isinstance(recipe.decode, Sampling) if quality else None,
    )


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _between(spans: Sequence[TimelineSpan]) -> float | None:
    """From the first start to the last end: what the report's timeline shows as one duration."""
    return spans[-1].end - spans[0].start if spans else None


def _end(running: RunProgress | None) -> datetime | None:
    if running is None or running.forecast is None or running.last_at is None:
        return None
    return _moment(running.last_at + running.forecast.p50_seconds)


def schedule_seen(record: RunHistory, recipe: Recipe) -> str | None:
    """Whether the learning rate moved after its warm-up; ``None`` before there is enough to tell.

    A rate that moves by less than a hundredth over a tenth of the training does not move.
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


def is_downloaded(recipe: Recipe) -> bool | None:
    """Whether the base lies on this machine: a folder, or in the hub's cache."""
    base = recipe.model.base
    if base is None or Path(base).is_dir():
        return True
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return (cache / f"models--{base.replace('/', '--')}" / "snapshots").is_dir()
