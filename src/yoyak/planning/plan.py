"""The plan of a line-up from recipes, data and the bases' configurations alone.

Rows and steps are counted; tokens, memory, disk and time are arithmetic that is kept, so that it
can be shown. What no run could use or what does not fit is refused, together with the largest
setting that does fit. ``yoyak plan``, ``doctor`` and ``run`` refuse by this one plan.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from yoyak.config.project import ResourceLimits
from yoyak.config.schema import Recipe
from yoyak.errors import DiskFull, Unavailable, YoyakError
from yoyak.files import atomic
from yoyak.messages import listed
from yoyak.planning.disk_estimate import DiskStep, checkpoint_bytes, peak_gb, plan_disk
from yoyak.planning.gpu_catalogue import GpuSpec, installed_gpus
from yoyak.planning.memory_estimate import (
    ForwardPass,
    MemoryEstimate,
    generation_memory,
    training_memory,
)
from yoyak.planning.model_shapes import KnownModel, look_up
from yoyak.planning.time_estimate import (
    TimeEstimate,
    align_time,
    generation_time,
    measured_align,
    measured_generation,
    measured_training,
    training_time,
)
from yoyak.planning.workload import (
    Workload,
    align_workload,
    largest_forward_pass,
    longest_source,
    workload_of,
)
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.system import limits, probe
from yoyak.system.prune import candidates
from yoyak.values import Corpus, Value

NETWORK_ONLY = frozenset({"bases.unreachable", "bases.no-hub-client", "bases.hub-failed"})
"""What keeps this machine from a base, but not another one."""
_ERRORS = {kind.exit_code: kind for kind in YoyakError.__subclasses__()}


class PlanTarget(NamedTuple):
    """Where the line-up is to run, and what it may take there."""

    gpu: GpuSpec | None
    disk_free_gb: float | None
    """What is free, or left below an absolute limit of the disk if that is less."""
    disk_keep_gb: float
    """Has to stay of it."""
    purge_bases: bool = False
    """A base may be deleted when the last run that needs it is finished."""
    minutes: float | None = None
    """At most this long."""
    runs: Sequence[Run] = ()
    """Earlier runs here, whose pace was measured."""
    elsewhere: bool = False
    """Whether it is for another machine: what only this one cannot reach is a note."""

    @property
    def hardware(self) -> str:
        """Name of the GPU, or without one of this machine's processor."""
        return probe.processor() if self.gpu is None else self.gpu.name


class Refusal(Value, frozen=True, kw_only=True):
    """Why the line-up cannot run as asked, and what could; ``key`` is a message."""

    key: str
    fields: dict[str, str]
    exit_code: int

    @classmethod
    def of(cls, error: YoyakError) -> "Refusal":
        """Return the refusal that ``error`` is."""
        fields = {name: str(value) for name, value in error.fields.items()}
        return cls(key=error.key, fields=fields, exit_code=error.exit_code)

    @property
    def error(self) -> YoyakError:
        """The refusal as an error."""
        return _ERRORS[self.exit_code](self.key, **self.fields)


class RecipePlan(Value, frozen=True, kw_only=True):
    """What one recipe will take; ``None`` where its model's shape or the hardware is not known."""

    recipe: str
    base: str | None = None
    work: Workload | None = None
    forward_pass: ForwardPass | None = None
    training: MemoryEstimate | None = None
    generation: MemoryEstimate | None = None
    training_time: TimeEstimate | None = None
    """Metric-aware training included."""
    generation_time: TimeEstimate | None = None
    download_gb: float = 0.0
    checkpoint_gb: float | None = None
    """Of one checkpoint; ``None`` where nothing is trained."""

    @property
    def time(self) -> TimeEstimate | None:
        """Training and generation together."""
        if self.training_time is None or self.generation_time is None:
            return self.training_time
        return self.training_time + self.generation_time


class Plan(Value, frozen=True, kw_only=True):
    """What a line-up will take, in order, and why it is refused, if it is."""

    recipes: tuple[RecipePlan, ...]
    disk: tuple[DiskStep, ...]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[Refusal, ...] = ()
    """What does not keep it from running, and is worth a line."""
    gpu: GpuSpec | None = None

    @property
    def time(self) -> TimeEstimate | None:
        """From the first to the last run; ``None`` if one of them cannot be estimated."""
        times = [each.time for each in self.recipes if each.work is not None]
        known = [time for time in times if time is not None]
        if not times or len(known) < len(times):
            return None
        return sum(known[1:], start=known[0])

    def finishes(self, now: float) -> tuple[float, float] | None:
        """Return the earliest and latest end as Unix time, for a start at ``now``."""
        time = self.time
        return None if time is None else (now + time.low_seconds, now + time.high_seconds)


def target_here(workspace: Workspace, limits_: ResourceLimits, gpu: GpuSpec | None) -> PlanTarget:
    """Return the room and the earlier runs of this workspace, for a plan on ``gpu``."""
    return PlanTarget(
        gpu,
        limits.room_gb(limits.read_disk(workspace.folder), limits_),
        limits_.disk_free_gb,
        purge_bases=limits_.prune_hub,
        runs=workspace.runs(),
    )


class PendingRun(NamedTuple):
    """A recipe to run; ``run`` is what there is of it, if anything, ``trained`` its weights."""

    recipe: Recipe
    run: Run | None
    trained: bool


def admit(
    pending: Sequence[PendingRun], corpus: Corpus, workspace: Workspace, limits_: ResourceLimits
) -> None:
    """Return if ``pending`` may begin.

    What the runs hold on the disk, and what could be pruned, counts as room. Without a GPU only the
    disk and the bases can refuse.

    Raises:
        YoyakError: a base cannot be used, or it does not fit; the message has the arithmetic.
    """
    if not pending:
        return
    recipes = [_to_predict(one.recipe) if one.trained else one.recipe for one in pending]
    target = target_here(workspace, limits_, next(iter(installed_gpus()), None))
    models = look_up(recipes)
    refusals = plan_known(models, corpus, target).refusals
    if target.disk_free_gb is not None and any(
        each.exit_code == DiskFull.exit_code for each in refusals
    ):
        # Candidates are verified byte by byte, so they are only looked for where they decide.
        bases = [recipe.model.base for recipe in recipes if recipe.model.base is not None]
        spare = candidates(workspace, hub=limits_.prune_hub, needed_bases=bases)
        room = sum(each.size_bytes for each in spare) + sum(
            atomic.size_bytes(one.run.engine_folder / name)
            for one in pending
            if one.run is not None and not one.trained
            for name in ("checkpoints", "weights")
        )
        target = target._replace(disk_free_gb=target.disk_free_gb + room / probe.GB)
        refusals = plan_known(models, corpus, target).refusals
    if refusals:
        reasons = "\n".join(str(refusal.error) for refusal in refusals)
        raise _ERRORS[refusals[-1].exit_code]("planning.not-admitted", reasons=reasons)


def plan(recipes: Sequence[Recipe], corpus: Corpus, target: PlanTarget) -> Plan:
    """Return the plan of a line-up; refusals are part of it, so that everything can be shown."""
    return plan_known(look_up(recipes), corpus, target)


def plan_known(models: Sequence[KnownModel], corpus: Corpus, target: PlanTarget) -> Plan:
    """Return the plan of models that were looked up already; asks no hub."""
    planned = tuple(_plan_recipe(model, corpus, target) for model in models)
    steps = plan_disk(models, purge_bases=target.purge_bases)
    made = Plan(recipes=planned, disk=steps, gpu=target.gpu)
    bases = list(_refused_bases(models))
    unreached = [each for each in bases if target.elsewhere and each.key in NETWORK_ONLY]
    refusals = [
        *(each for each in bases if each not in unreached),
        *(
            each
            for model, one in zip(models, planned, strict=True)
            for each in _refused_memory(model, one, corpus, target.gpu)
        ),
        *_refused_disk(models, made, target),
        *_refused_time(models, made, corpus, target),
    ]
    notes = list(_slow_4_bit(models, target))
    if unreached:
        names = listed([each.fields["base"] for each in unreached])
        notes.append(Refusal.of(Unavailable("planning.not-reached", bases=names)))
    return msgspec.structs.replace(made, refusals=tuple(refusals), notes=tuple(notes))


def _plan_recipe(model: KnownModel, corpus: Corpus, target: PlanTarget) -> RecipePlan:
    recipe, shape, gpu = model.recipe, model.shape, target.gpu
    if shape is None:
        return RecipePlan(recipe=recipe.name, base=recipe.model.base)
    work = workload_of(recipe, shape, corpus)
    fitting = largest_forward_pass(shape, recipe, work, gpu.memory_gb if gpu else None)
    passed = fitting or work.forward_pass(work.least_tokens(recipe), recipe.train.recomputes[-1])
    paces = (target.runs, recipe, work, target.hardware)
    training, generation = measured_training(*paces), measured_generation(*paces)
    if gpu is not None:
        training = training or training_time(shape, recipe, work, gpu, passed.recompute)
        generation = generation or generation_time(shape, recipe, work, gpu)
    if recipe.align is not None and training is not None:
        align = _align_time(model, corpus, target, passed)
        training = None if align is None else training + align
    return RecipePlan(
        recipe=recipe.name,
        base=recipe.model.base,
        work=work,
        forward_pass=fitting,
        training=training_memory(shape, recipe, passed),
        generation=generation_memory(shape, recipe),
        training_time=training,
        generation_time=generation,
        download_gb=model.download_bytes / probe.GB,
        checkpoint_gb=checkpoint_bytes(shape, recipe) / probe.GB if recipe.train.epochs else None,
    )


def _align_time(
    model: KnownModel, corpus: Corpus, target: PlanTarget, passed: ForwardPass
) -> TimeEstimate | None:
    """Return the duration of metric-aware training, as measured or from data sheets."""
    recipe, shape, gpu = model.recipe, model.shape, target.gpu
    assert shape is not None  # noqa: S101 -- the caller has asked
    work = align_workload(recipe, shape, corpus)
    measured = measured_align(target.runs, recipe, work, target.hardware)
    if measured is not None or gpu is None:
        return measured
    return align_time(shape, recipe, work, gpu, passed.recompute)


def _slow_4_bit(models: Sequence[KnownModel], target: PlanTarget) -> Iterator[Refusal]:
    """Yield a note for each 4-bit base on hardware that emulates bfloat16."""
    if target.elsewhere or probe.computes_bf16() is not False:
        return
    for model in models:
        if model.recipe.model.quantisation is not None and model.recipe.model.base is not None:
            yield Refusal.of(Unavailable("planning.slow-4-bit", recipe=model.recipe.name))


# --- refusals ------------------------------------------------------------------------------------


def _refused_bases(models: Sequence[KnownModel]) -> Iterator[Refusal]:
    errors = [model.facts.refusal for model in models if model.facts is not None]
    yield from {str(each): Refusal.of(each) for each in errors if each is not None}.values()


def _refused_memory(
    model: KnownModel, planned: RecipePlan, corpus: Corpus, gpu: GpuSpec | None
) -> Iterator[Refusal]:
    recipe, shape, work = model.recipe, model.shape, planned.work
    training, generation = planned.training, planned.generation
    if gpu is None or shape is None or work is None or training is None or generation is None:
        return
    fields = {"recipe": recipe.name, "card": gpu.name, "memory": f"{gpu.memory_gb:.1f}"}
    if recipe.generate.weights == "merged" and generation.total_gb > gpu.memory_gb:
        needed = f"{generation.total_gb:.1f}"
        yield Refusal.of(Unavailable("planning.merged-memory", needed=needed, **fields))
    if planned.forward_pass is None and work.steps:  # zero-shot trains nothing
        fitting = longest_source(shape, recipe, corpus, gpu.memory_gb)
        fields |= {
            "needed": f"{training.total_gb:.1f}",
            "weights": f"{training.weights_gb:.1f}",
            "learned": f"{training.learned_gb:.1f}",
            "activations": f"{training.activations_gb:.1f}",
            "fitting": str(fitting),
        }
        key = "planning.memory" if fitting else "planning.memory-never"
        yield Refusal.of(Unavailable(key, **fields))


def _refused_disk(
    models: Sequence[KnownModel], made: Plan, target: PlanTarget
) -> Iterator[Refusal]:
    if target.disk_free_gb is None:
        yield Refusal.of(DiskFull("scheduler.disk-unknown"))
        return
    # A plan that takes nothing fits a full disk.
    room = max(target.disk_free_gb - target.disk_keep_gb, 0.0)

    def peak(count: int, *, purge: bool = target.purge_bases) -> float:
        return peak_gb(plan_disk(models[:count], purge_bases=purge))

    everything = len(models)
    if peak(everything) <= room:
        return
    first = next((n for n in range(everything - 1, 0, -1) if peak(n) <= room), 0)
    purged = peak(everything, purge=True)
    key = "planning.disk" if first else "planning.disk-none"
    if not target.purge_bases and purged <= room:
        key = "planning.disk-purge"
    downloads = " + ".join(f"{each.download_gb:.1f}" for each in made.recipes if each.download_gb)
    fields = {
        "needed": f"{peak(everything):.1f}",
        "free": f"{target.disk_free_gb:.1f}",
        "keep": f"{target.disk_keep_gb:.1f}",
        "downloads": downloads or "0",
        "purged": f"{purged:.1f}",
        "first": " ".join(model.recipe.argument for model in models[:first]),
    }
    yield Refusal.of(DiskFull(key, **fields))


def _refused_time(
    models: Sequence[KnownModel], made: Plan, corpus: Corpus, target: PlanTarget
) -> Iterator[Refusal]:
    """Refuse if even the fastest estimate is too long; name the most epochs that are not."""
    time = made.time
    if target.minutes is None or time is None or time.low_seconds <= 60 * target.minutes:
        return

    def low_seconds(epochs: int) -> float:
        fewer = [model._replace(recipe=with_epochs(model.recipe, epochs)) for model in models]
        estimate = plan_known(fewer, corpus, target._replace(minutes=None)).time
        return math.inf if estimate is None else estimate.low_seconds

    asked = max(model.recipe.train.epochs for model in models)
    fitting = bisect_right(range(1, asked), 60 * target.minutes, key=low_seconds)
    tokens = sum(each.work.trained_tokens for each in made.recipes if each.work is not None)
    fields = {
        "minutes": f"{target.minutes:.0f}",
        "fastest": f"{time.low_seconds / 60:.0f}",
        "slowest": f"{time.high_seconds / 60:.0f}",
        "tokens": f"{tokens / 1e6:.1f}",
        "epochs": str(sum(model.recipe.train.epochs for model in models)),
        "fitting": str(fitting),
        "card": target.hardware,
    }
    key = "planning.time" if fitting else "planning.time-never"
    yield Refusal.of(Unavailable(key, **fields))


def _to_predict(recipe: Recipe) -> Recipe:
    """Return what a trained run still needs: it only predicts, as a zero-shot one does.

    Weights that were trained whole are all in the run's folder; adapters need their base.
    """
    if recipe.lora is None and recipe.train.epochs:
        model = msgspec.structs.replace(recipe.model, base=None)
        recipe = msgspec.structs.replace(recipe, model=model)
    return with_epochs(recipe, 0)


def with_epochs(recipe: Recipe, most: int) -> Recipe:
    """Return ``recipe`` with at most so many epochs."""
    train = msgspec.structs.replace(recipe.train, epochs=min(recipe.train.epochs, most))
    return msgspec.structs.replace(recipe, train=train)
