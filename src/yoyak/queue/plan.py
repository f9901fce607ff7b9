"""What a line-up will take, from recipes and data alone: before a download or a GPU second.

Rows and steps are counted; tokens, memory, disk and time are arithmetic that is carried along, so
that it can be shown. What does not fit is refused, together with the largest setting that does.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from yoyak.config.schema import Recipe, Recompute
from yoyak.errors import DiskFull, Unavailable, YoyakError
from yoyak.queue import machine, memory, pace
from yoyak.queue.devices import Device
from yoyak.queue.disk_plan import NOTHING_HELD, DiskStep, Held, download_bytes, plan_disk
from yoyak.queue.memory import GB, Memory
from yoyak.queue.pace import Span
from yoyak.queue.passes import LEAST_PASS_TOKENS, Setting, largest_setting, load_of, longest_source
from yoyak.queue.shapes import Shape, shape_of
from yoyak.queue.workload import Workload, workload_of
from yoyak.runs.run import Run
from yoyak.values import Corpus, Value


class Place(NamedTuple):
    """Where the line-up shall run, and what it may take there."""

    device: Device | None
    disk_free_gb: float | None
    """What is free, or left below an absolute limit of the disk if that is less."""
    disk_keep_gb: float
    """Has to stay of it."""
    purge_bases: bool = False
    """A base may go when the last run that needs it is finished."""
    minutes: float | None = None
    """At most this long."""
    runs: Sequence[Run] = ()
    """Earlier runs here, whose pace was measured."""
    held: Mapping[str, Held] = NOTHING_HELD
    """By recipe, what runs that go on have on the disk."""

    @property
    def hardware(self) -> str:
        """What computes: the card, or without one this machine's processor."""
        return machine.processor() if self.device is None else self.device.name


class Refusal(Value, frozen=True, kw_only=True):
    """Why the line-up cannot run as asked, and what could; ``key`` is a catalogue sentence."""

    key: str
    fields: dict[str, str]
    for_disk: bool = False

    @property
    def error(self) -> YoyakError:
        """The refusal as an error: 74 for the disk, 69 for the card and the time."""
        kind = DiskFull if self.for_disk else Unavailable
        return kind(self.key, **self.fields)


class RecipePlan(Value, frozen=True, kw_only=True):
    """What one recipe will take; ``None`` where its model's shape or the card is not known."""

    recipe: str
    work: Workload | None = None
    setting: Setting | None = None
    training: Memory | None = None
    generation: Memory | None = None
    merged: bool = False
    """Whether adapters are merged for generation."""
    training_span: Span | None = None
    generation_span: Span | None = None
    training_flops: float | None = None
    """Of all steps, as the minutes were worked out; ``None`` where they were measured."""
    download_gb: float = 0.0
    checkpoint_gb: float = 0.0

    @property
    def span(self) -> Span | None:
        """Training and generation together."""
        if self.training_span is None or self.generation_span is None:
            return self.training_span
        return self.training_span + self.generation_span


class Plan(Value, frozen=True, kw_only=True):
    """What a line-up will take, in order, and what speaks against it."""

    recipes: tuple[RecipePlan, ...]
    disk: tuple[DiskStep, ...]
    refusals: tuple[Refusal, ...]
    device: Device | None = None

    @property
    def peak_disk_gb(self) -> float:
        """The most that the line-up adds to the disk at any moment."""
        return max((step.total_gb for step in self.disk), default=0.0)

    @property
    def span(self) -> Span | None:
        """From the first to the last run; ``None`` if one of them cannot be estimated."""
        spans = [each.span for each in self.recipes if each.work is not None]
        if not spans or None in spans:
            return None
        known = [span for span in spans if span is not None]
        return sum(known[1:], start=known[0])

    def finishes(self, now: float) -> tuple[float, float] | None:
        """Earliest and latest end as wall-clock seconds since 1970, for a start at ``now``."""
        span = self.span
        return None if span is None else (now + span.low_seconds, now + span.high_seconds)


def plan(recipes: Sequence[Recipe], corpus: Corpus, place: Place) -> Plan:
    """The plan of a line-up; its refusals are part of it, so that everything can be shown."""
    shapes = {recipe.name: shape_of(recipe) for recipe in recipes}
    planned = tuple(_one(recipe, shapes[recipe.name], corpus, place) for recipe in recipes)
    steps = plan_disk(recipes, shapes, purge_bases=place.purge_bases, held=place.held)
    made = Plan(recipes=planned, disk=steps, refusals=(), device=place.device)
    refusals = [
        *_refused_memory(recipes, planned, corpus, place),
        *_refused_disk(recipes, shapes, made, place),
        *_refused_time(recipes, made, corpus, place),
    ]
    return msgspec.structs.replace(made, refusals=tuple(refusals))


def _one(recipe: Recipe, shape: Shape | None, corpus: Corpus, place: Place) -> RecipePlan:
    if shape is None:
        return RecipePlan(recipe=recipe.name)
    work = workload_of(recipe, shape, corpus)
    device = place.device
    setting = largest_setting(shape, recipe, work, device.memory_gb if device else None)
    used = setting or Setting(pass_tokens=LEAST_PASS_TOKENS, recompute=Recompute.EVERYTHING)
    span = _training_span(shape, recipe, work, used, place)
    worked_out = span is not None and not span.measured
    flops = pace.training_flops(shape, recipe, work, recompute=used.recompute)
    return RecipePlan(
        recipe=recipe.name,
        work=work,
        setting=setting,
        training=memory.training_memory(shape, recipe, load_of(used, work)),
        generation=memory.generation_memory(shape, recipe),
        merged=recipe.generate.weights == "merged",
        training_span=span,
        generation_span=_generation_span(shape, recipe, work, place),
        training_flops=flops if worked_out else None,
        download_gb=download_bytes(shape, recipe) / GB,
        checkpoint_gb=memory.checkpoint_bytes(shape, recipe) / GB,
    )


def _training_span(
    shape: Shape, recipe: Recipe, work: Workload, setting: Setting, place: Place
) -> Span | None:
    measured = pace.measured_span(place.runs, recipe, work, place.hardware)
    if measured is not None or place.device is None:
        return measured
    return pace.training_span(shape, recipe, work, place.device, recompute=setting.recompute)


def _generation_span(shape: Shape, recipe: Recipe, work: Workload, place: Place) -> Span | None:
    measured = pace.measured_generation(place.runs, recipe, work, place.hardware)
    if measured is not None or place.device is None:
        return measured
    return pace.generation_span(shape, recipe, work, place.device)


# --- what speaks against it ----------------------------------------------------------------------


def _refused_memory(
    recipes: Sequence[Recipe], planned: Sequence[RecipePlan], corpus: Corpus, place: Place
) -> Iterator[Refusal]:
    for recipe, each in zip(recipes, planned, strict=True):
        yield from _refused_merged(each, place)
        if place.device is None or each.training is None or each.setting is not None:
            continue
        if each.work is not None and not each.work.steps:  # zero-shot: nothing learns
            continue
        fields = {
            "recipe": each.recipe,
            "needed": f"{each.training.total_gb:.1f}",
            "weights": f"{each.training.weights_gb:.1f}",
            "learned": f"{each.training.learned_gb:.1f}",
            "activations": f"{each.training.activations_gb:.1f}",
            "card": place.device.name,
            "memory": f"{place.device.memory_gb:.1f}",
        }
        shape = shape_of(recipe)
        card_gb = place.device.memory_gb
        fitting = None if shape is None else longest_source(shape, recipe, corpus, card_gb)
        key = "scheduler.plan-memory" if fitting else "scheduler.plan-memory-never"
        yield Refusal(key=key, fields=fields | {"fitting": str(fitting)})


def _refused_merged(each: RecipePlan, place: Place) -> Iterator[Refusal]:
    needed = each.generation.total_gb if each.merged and each.generation is not None else 0.0
    if place.device is not None and needed > place.device.memory_gb:
        fields = {
            "recipe": each.recipe,
            "needed": f"{needed:.1f}",
            "card": place.device.name,
            "memory": f"{place.device.memory_gb:.1f}",
        }
        yield Refusal(key="scheduler.plan-merged-memory", fields=fields)


def _refused_disk(
    recipes: Sequence[Recipe], shapes: dict[str, Shape | None], made: Plan, place: Place
) -> Iterator[Refusal]:
    if place.disk_free_gb is None:
        yield Refusal(key="scheduler.disk-unknown", fields={}, for_disk=True)
        return
    # Of a full disk nothing is left, and what takes nothing is not in the way.
    room = max(place.disk_free_gb - place.disk_keep_gb, 0.0)
    if made.peak_disk_gb <= room:
        return
    purged = plan_disk(recipes, shapes, purge_bases=True, held=place.held)
    downloads = [each.download_gb for each in made.recipes if each.download_gb]
    fields = {
        "needed": f"{made.peak_disk_gb:.1f}",
        "free": f"{place.disk_free_gb:.1f}",
        "keep": f"{place.disk_keep_gb:.1f}",
        "downloads": " + ".join(f"{each:.1f}" for each in downloads) or "0",
        "purged": f"{max(step.total_gb for step in purged):.1f}",
    }
    first = _first_that_fit(recipes, shapes, room, place)
    key = "scheduler.plan-disk" if first else "scheduler.plan-disk-none"
    if not place.purge_bases and max(step.total_gb for step in purged) <= room:
        key = "scheduler.plan-disk-purge"
    fields |= {"first": " ".join(first)}
    yield Refusal(key=key, fields=fields, for_disk=True)


def _first_that_fit(
    recipes: Sequence[Recipe], shapes: dict[str, Shape | None], room: float, place: Place
) -> list[str]:
    """As many of the line-up, from its beginning, as the disk has room for."""
    for count in range(len(recipes) - 1, 0, -1):
        steps = plan_disk(recipes[:count], shapes, purge_bases=place.purge_bases, held=place.held)
        if max((step.total_gb for step in steps), default=0.0) <= room:
            return [recipe.name for recipe in recipes[:count]]
    return []


def _refused_time(
    recipes: Sequence[Recipe], made: Plan, corpus: Corpus, place: Place
) -> Iterator[Refusal]:
    """Refused if even the fastest estimate is too long."""
    span = made.span
    if place.minutes is None or span is None or span.low_seconds <= 60 * place.minutes:
        return
    epochs = sum(recipe.train.epochs for recipe in recipes)
    fitting = _most_epochs(recipes, corpus, place)
    tokens = sum(each.work.trained_tokens for each in made.recipes if each.work is not None)
    fields = {
        "minutes": f"{place.minutes:.0f}",
        "fastest": f"{span.low_seconds / 60:.0f}",
        "slowest": f"{span.high_seconds / 60:.0f}",
        "tokens": f"{tokens / 1e6:.1f}",
        "epochs": str(epochs),
        "fitting": str(fitting),
        "card": place.device.name if place.device else "?",
    }
    yield Refusal(
        key="scheduler.plan-time" if fitting else "scheduler.plan-time-never", fields=fields
    )


def _most_epochs(recipes: Sequence[Recipe], corpus: Corpus, place: Place) -> int:
    """The most epochs of each recipe with which the fastest estimate keeps the time; 0: none."""

    def least_seconds(epochs: int) -> float:
        fewer = [_with_epochs(recipe, epochs) for recipe in recipes]
        span = plan(fewer, corpus, place._replace(minutes=None)).span
        return math.inf if span is None else span.low_seconds

    asked = max(recipe.train.epochs for recipe in recipes)
    allowed = 60 * (place.minutes or 0.0)
    return bisect_right(range(1, asked), allowed, key=least_seconds)


def _with_epochs(recipe: Recipe, most: int) -> Recipe:
    train = msgspec.structs.replace(recipe.train, epochs=min(recipe.train.epochs, most))
    return msgspec.structs.replace(recipe, train=train)
