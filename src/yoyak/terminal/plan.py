"""Draw a plan: time and memory of each run, disk use step by step, and when all of it ends."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.planning.memory_estimate import MemoryEstimate
from yoyak.planning.plan import Plan, RecipePlan
from yoyak.planning.time_estimate import TimeEstimate
from yoyak.report.render import format
from yoyak.system.prune import PruneCandidate
from yoyak.terminal import tables

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

GB = 1e9
_MARKS = {"off": "", "selective": " ½", "on": " ×2"}
"""Mark of each recomputation mode: the share of the forward pass repeated in the backward pass."""


def draw(plan: Plan, *, now: float | None = None) -> "Group":
    """Return the whole plan without its refusals, which the error that follows reports."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_runs(plan.recipes)]
    parts += [Text(line) for line in _arithmetic(plan)]
    parts += [Text(""), _memory(plan)]
    parts += [Text(line) for line in _recomputed(plan.recipes)]
    parts += [Text(""), _disk(plan)]
    end = plan.finishes(time.time() if now is None else now)
    if end is not None:
        low, high = (format.moment(moment) for moment in end)
        parts += [Text(""), Text(text("report.plan-finishes", low=low, high=high))]
    parts.append(Text(text("report.plan-note")))
    return Group(*parts)


def _runs(recipes: Sequence[RecipePlan]) -> "Table":
    columns = ("recipe", "rows", "shortened", "tokens", "steps", "pass", "time", "download")
    table = _table(text("report.plan-title-runs"), *columns)
    for each in recipes:
        download = f"{each.download_gb:.1f}" if each.download_gb else format.UNKNOWN
        table.add_row(each.recipe, *_work(each), _minutes(each.time), download)
    return table


def _work(each: RecipePlan) -> tuple[str, ...]:
    work, largest = each.work, each.forward_pass
    if work is None:
        return (format.UNKNOWN,) * 5
    passed = format.UNKNOWN
    if largest is not None:
        passed = f"{format.count(largest.tokens)}{_MARKS[largest.recompute]}"
    return (
        format.count(work.rows),
        format.count(work.rows_shortened),
        f"{work.trained_tokens / 1e6:.2f}",
        format.count(work.steps),
        passed,
    )


def _recomputed(recipes: Sequence[RecipePlan]) -> Iterator[str]:
    """Yield the meaning of each recomputation mark that the table uses."""
    for kind in sorted({each.forward_pass.recompute for each in recipes if each.forward_pass}):
        if _MARKS[kind]:
            yield f"{_MARKS[kind].strip()} {text(f'report.plan-recompute-{kind}')}"


def _gb(memory: MemoryEstimate | None) -> str:
    return format.UNKNOWN if memory is None else f"{memory.total_gb:.1f}"


def _minutes(time: TimeEstimate | None) -> str:
    if time is None:
        return format.UNKNOWN
    low, high = time.low_seconds / 60, time.high_seconds / 60
    return f"{low:.0f}–{high:.0f}" if high >= 10 else f"{low:.1f}–{high:.1f}"


def _memory(plan: Plan) -> "Table":
    """Return the memory of a training step, by part and in total, and that of generation."""
    gpu = plan.gpu
    has = "" if gpu is None else f"{gpu.name} {gpu.memory_gb:.1f}"
    columns = ("recipe", "weights", "learned", "activations", "head", "reserve")
    title = text("report.plan-title-memory", card=has or format.UNKNOWN)
    table = _table(title, *columns, "training", "generation")
    for each in plan.recipes:
        held = each.training
        parts = [format.UNKNOWN] * 6
        if held is not None:
            sizes = (held.weights_gb, held.learned_gb, held.activations_gb, held.head_gb)
            parts = [f"{size:.1f}" for size in (*sizes, held.reserve_gb, held.total_gb)]
        if held is not None or each.generation is not None:
            table.add_row(each.recipe, *parts, _gb(each.generation))
    return table


def _arithmetic(plan: Plan) -> Iterator[str]:
    """Yield the basis of each time estimate: arithmetic or measurement."""
    for each in plan.recipes:
        time = each.training_time
        if time is not None and time.flops is not None and plan.gpu is not None:
            fields = {
                "work": f"{time.flops / 1e15:,.0f}",
                "speed": f"{plan.gpu.tflops:g}",
            }
            yield text("report.plan-arithmetic", recipe=each.recipe, **fields)
        elif time is not None:
            yield text("report.plan-measured", recipe=each.recipe)
        if each.generation_time is not None and each.generation_time.measured:
            yield text("report.plan-measured-generation", recipe=each.recipe)


def _disk(plan: Plan) -> "Table":
    table = _table(text("report.plan-title-disk"), "recipe", "what", "change", "total")
    for step in plan.disk:
        what = text(f"report.plan-what-{step.what}")
        table.add_row(step.recipe, what, f"{step.change_gb:+.2f}", f"{step.total_gb:.2f}")
    return table


def draw_candidates(candidates: Sequence[PruneCandidate]) -> "Table":
    """Return what prune would delete, in order."""
    table = _table(text("report.plan-title-prune"), "what", "size", "path")
    for each in candidates:
        kind = text(f"report.prune-{each.kind.value}")
        table.add_row(kind, f"{each.size_bytes / GB:.3f}", each.path)
    return table


def _table(title: str, *columns: str) -> "Table":
    words = {"recipe", "what", "path"}
    left = [place for place, column in enumerate(columns) if column in words]
    headings = [text(f"report.plan-{column}") for column in columns]
    return tables.ruled(title, headings, left=left)
