"""A plan for a reader: what each run takes, how the disk fills, and what speaks against it."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.queue.memory import Memory
from yoyak.queue.pace import Span
from yoyak.queue.plan import Plan, RecipePlan
from yoyak.queue.prune import Candidate
from yoyak.report import figures, tables

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

GB = 1e9


def draw(plan: Plan, *, now: float | None = None) -> "Group":
    """The whole plan; refusals are left to the error that follows."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_runs(plan.recipes), Text(""), _memory(plan.recipes)]
    parts += [Text(line) for line in _arithmetic(plan)]
    parts += [Text(""), _disk(plan)]
    end = plan.finishes(time.time() if now is None else now)
    if end is not None:
        low, high = (figures.moment(moment) for moment in end)
        parts += [Text(""), Text(text("report.plan-finishes", low=low, high=high))]
    parts.append(Text(text("report.plan-note")))
    return Group(*parts)


def _runs(recipes: Sequence[RecipePlan]) -> "Table":
    columns = ("recipe", "rows", "shortened", "tokens", "steps", "pass", "training", "generation")
    table = _table("runs", *columns, "time", "download")
    for each in recipes:
        table.add_row(each.recipe, *_work(each), *_needs(each))
    return table


def _work(each: RecipePlan) -> tuple[str, ...]:
    work, setting = each.work, each.setting
    if work is None:
        return (figures.UNKNOWN,) * 5
    passed = figures.UNKNOWN
    if setting is not None:
        mark = text(f"report.plan-recompute-{setting.recompute}")
        passed = f"{figures.count(setting.pass_tokens)}{mark}"
    return (
        figures.count(work.rows),
        figures.count(work.rows_shortened),
        figures.count(round(work.trained_tokens)),
        figures.count(work.steps),
        passed,
    )


def _needs(each: RecipePlan) -> tuple[str, ...]:
    download = f"{each.download_gb:.1f}" if each.download_gb else figures.UNKNOWN
    return _gb(each.training), _gb(each.generation), _minutes(each.span), download


def _gb(memory: Memory | None) -> str:
    return figures.UNKNOWN if memory is None else f"{memory.total_gb:.1f}"


def _minutes(span: Span | None) -> str:
    if span is None:
        return figures.UNKNOWN
    low, high = span.low_seconds / 60, span.high_seconds / 60
    return f"{low:.0f}–{high:.0f}" if high >= 10 else f"{low:.1f}–{high:.1f}"


def _memory(recipes: Sequence[RecipePlan]) -> "Table":
    """What a training step holds, part by part: the sum is the column of the table above."""
    columns = ("recipe", "weights", "learned", "activations", "head", "reserve", "sum")
    table = _table("memory", *columns)
    for each in recipes:
        held = each.training
        if held is not None:
            parts = (held.weights_gb, held.learned_gb, held.activations_gb, held.head_gb)
            figures_ = (*parts, held.reserve_gb, held.total_gb)
            table.add_row(each.recipe, *(f"{part:.2f}" for part in figures_))
    return table


def _arithmetic(plan: Plan) -> Iterator[str]:
    """Where the minutes come from."""
    for each in plan.recipes:
        if each.training_flops is not None and plan.device is not None:
            fields = {
                "work": f"{each.training_flops / 1e15:,.0f}",
                "speed": f"{plan.device.tflops:g}",
            }
            yield text("report.plan-arithmetic", recipe=each.recipe, **fields)
        elif each.training_span is not None:
            yield text("report.plan-measured", recipe=each.recipe)


def _disk(plan: Plan) -> "Table":
    table = _table("disk", "recipe", "what", "change", "total")
    for step in plan.disk:
        what = text(f"report.plan-what-{step.what}")
        table.add_row(step.recipe, what, f"{step.change_gb:+.2f}", f"{step.total_gb:.2f}")
    return table


def draw_candidates(candidates: Sequence[Candidate]) -> "Table":
    """What prune would delete, in order."""
    table = _table("prune", "what", "size", "path")
    for each in candidates:
        kind = text(f"report.prune-{each.kind.value}")
        table.add_row(kind, f"{each.size_bytes / GB:.3f}", each.path)
    return table


def _table(title: str, *columns: str) -> "Table":
    words = {"recipe", "what", "path"}
    left = [place for place, column in enumerate(columns) if column in words]
    headings = [text(f"report.plan-{column}") for column in columns]
    return tables.ruled(text(f"report.plan-title-{title}"), headings, left=left)
