"""What the machine lacks, what runs will take and what may be removed, as blocks."""

import time
from collections.abc import Iterator, Sequence

from yoyak.messages import text
from yoyak.planning.memory_estimate import MemoryEstimate
from yoyak.planning.plan import Plan, RecipePlan
from yoyak.planning.time_estimate import TimeEstimate
from yoyak.report.model.report import Forecast
from yoyak.report.sections import format
from yoyak.report.sections.blocks import (
    Badge,
    Block,
    Cell,
    CodeBlock,
    Note,
    Table,
    TableColumn,
    table,
)
from yoyak.system.doctor import CheckLine, CheckStatus
from yoyak.system.prune import PruneCandidate

GB = 1e9
_LEVELS = {CheckStatus.OK: "ok", CheckStatus.WARN: "watch", CheckStatus.BAD: "danger"}
_MARKS = {"off": "", "selective": " ½", "on": " ×2"}
"""Mark of each recomputation mode: the share of the forward pass repeated in the backward pass."""


def checks(lines: Sequence[CheckLine]) -> Iterator[Block]:
    """Yield the results of ``yoyak check``, with the command that fixes a problem below it."""
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        status = Badge(_LEVELS[line.status], text(f"report.check-{line.status.value}"))
        rows.append((status, text(f"system.subject-{line.name}"), line.found))
        if line.next_step is not None:
            rows.append(("", "", CodeBlock(f"→ {line.next_step}")))
    yield Table((TableColumn(""),) * 3, tuple(rows))


def plan(made: Plan, *, now: float | None = None) -> Iterator[Block]:
    """Yield the whole plan without its refusals, which the error that follows reports."""
    yield from plan_runs(made)
    yield from map(Note, _arithmetic(made))
    yield from _memory(made)
    yield from map(Note, _recomputed(made.recipes))
    yield from _disk(made)
    yield from plan_end(made, now=now)
    yield Note(text("report.plan-note"))
    for note in made.notes:
        yield Note(text("report.plan-notice", note=note.error))


def plan_end(made: Plan, *, now: float | None = None) -> Iterator[Note]:
    """Yield when a line-up that starts now will end, if all of its runs can be estimated."""
    now = time.time() if now is None else now
    end = made.finishes(now)
    if end is not None:
        low, high = end
        yield Note(format.ends(now, Forecast(p50_seconds=low - now, p90_seconds=high - now)))


def plan_runs(made: Plan) -> tuple[Table, ...]:
    """Return the table of rows, steps and minutes of each run."""
    columns = (
        "recipe", "n", "shortened", "training-tokens", "steps", "pass-tokens", "plan-minutes",
        "download",
    )  # fmt: skip
    rows = (
        (
            each.recipe,
            *_work(each),
            _minutes(each.time),
            f"{each.download_gb:.1f}" if each.download_gb else format.UNKNOWN,
        )
        for each in made.recipes
    )
    return table(columns, rows, text("report.plan-title-runs"))


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


def _minutes(time: TimeEstimate | None) -> str:
    if time is None:
        return format.UNKNOWN
    low, high = time.low_seconds / 60, time.high_seconds / 60
    return f"{low:.0f}–{high:.0f}" if high >= 10 else f"{low:.1f}–{high:.1f}"


def _memory(made: Plan) -> tuple[Table, ...]:
    """Return the memory of a training step, by part and in total, and that of generation."""
    gpu = made.gpu
    columns = (
        "recipe", "weights", "learned", "activations", "head", "reserve", "training-memory",
        "generation-memory",
    )  # fmt: skip
    rows = (
        (each.recipe, *_parts(each.training), _gb(each.generation))
        for each in made.recipes
        if each.training is not None or each.generation is not None
    )
    has = format.UNKNOWN if gpu is None else f"{gpu.name} {gpu.memory_gb:.1f}"
    return table(columns, rows, text("report.plan-title-memory", card=has))


def _parts(held: MemoryEstimate | None) -> tuple[str, ...]:
    if held is None:
        return (format.UNKNOWN,) * 6
    sizes = (held.weights_gb, held.learned_gb, held.activations_gb, held.head_gb, held.reserve_gb)
    return tuple(f"{size:.1f}" for size in (*sizes, held.total_gb))


def _gb(memory: MemoryEstimate | None) -> str:
    return format.UNKNOWN if memory is None else f"{memory.total_gb:.1f}"


def _arithmetic(made: Plan) -> Iterator[str]:
    """Yield the basis of each time estimate: arithmetic or measurement."""
    for each in made.recipes:
        time = each.training_time
        if time is not None and time.flops is not None and made.gpu is not None:
            petaflop = time.flops / 1e15
            fields = {
                "work": f"{petaflop:,.0f}" if petaflop >= 10 else f"{petaflop:.2g}",
                "speed": f"{made.gpu.tflops:g}",
            }
            yield text("report.plan-arithmetic", recipe=each.recipe, **fields)
        elif time is not None:
            yield text("report.plan-measured", recipe=each.recipe)
        if each.generation_time is not None and each.generation_time.measured:
            yield text("report.plan-measured-generation", recipe=each.recipe)


def _disk(made: Plan) -> tuple[Table, ...]:
    rows = (
        (
            step.recipe,
            text(f"report.plan-what-{step.what}"),
            format.signed(step.change_gb),
            f"{step.total_gb:.2f}",
        )
        for step in made.disk
    )
    return table(("recipe", "kind", "change", "disk-total"), rows, text("report.plan-title-disk"))


def prunable(candidates: Sequence[PruneCandidate]) -> Iterator[Block]:
    """Yield what prune would delete, in order."""
    rows = (
        (text(f"report.prune-{each.kind.value}"), f"{each.size_bytes / GB:.3f}", each.path)
        for each in candidates
    )
    yield from table(("kind", "size", "path"), rows, text("report.plan-title-prune"))
