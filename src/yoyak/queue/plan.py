"""What a line-up will take, from recipes and data alone: before a download or a GPU second.

Rows and steps are counted; tokens, memory, disk and time are arithmetic that is carried along, so
that it can be shown. What does not fit is refused, together with the largest setting that does.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from yoyak.errors import DiskFull, Unavailable, YoyakError
from yoyak.queue import memory, pace
from yoyak.queue.devices import Device
from yoyak.queue.disk_plan import DiskStep, plan_disk
from yoyak.queue.memory import GB, Load, Memory
from yoyak.queue.pace import Span
from yoyak.queue.shapes import Shape, shape_of
from yoyak.queue.workload import Workload, workload_of
from yoyak.recipe import Recipe, Recompute
from yoyak.store.run import Run
from yoyak.values import Corpus, Value

WORTHWHILE_TOKENS = 1_024
"""Before a pass gets smaller than this, activations are computed twice (engine.recovery)."""
LEAST_PASS_TOKENS = 256
"""A forward pass below this wastes a card more than waiting for a larger one would."""


class Place(NamedTuple):
    """Where the line-up shall run, and what it may take there."""

    device: Device | None
    disk_free_gb: float | None
    disk_keep_gb: float
    """Has to stay free."""
    purge_bases: bool = False
    """A base may go when the last run that needs it is finished."""
    minutes: float | None = None
    """At most this long."""
    runs: Sequence[Run] = ()
    """Earlier runs here, whose pace was measured."""


class Setting(Value, frozen=True, kw_only=True):
    """How large a forward pass is, and which activations are computed twice."""

    pass_tokens: int
    recompute: Recompute


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
    steps = plan_disk(recipes, shapes, purge_bases=place.purge_bases)
    made = Plan(recipes=planned, disk=steps, refusals=())
    refusals = [
        *_refused_memory(planned, place),
        *_refused_disk(recipes, shapes, made, place),
        *_refused_time(recipes, made, place),
    ]
    return Plan(recipes=planned, disk=steps, refusals=tuple(refusals))


def _one(recipe: Recipe, shape: Shape | None, corpus: Corpus, place: Place) -> RecipePlan:
    if shape is None:
        return RecipePlan(recipe=recipe.name)
    work = workload_of(recipe, shape, corpus)
    device = place.device
    setting = largest_setting(shape, recipe, work, device.memory_gb if device else None)
    used = setting or Setting(pass_tokens=LEAST_PASS_TOKENS, recompute=Recompute.EVERYTHING)
    return RecipePlan(
        recipe=recipe.name,
        work=work,
        setting=setting,
        training=memory.training_memory(shape, recipe, _load(used, work)),
        generation=memory.generation_memory(shape, recipe),
        merged=recipe.generate.weights == "merged",
        training_span=_training_span(shape, recipe, work, used, place),
        generation_span=pace.generation_span(shape, recipe, work, device) if device else None,
        download_gb=memory.download_bytes(shape, recipe) / GB,
        checkpoint_gb=memory.checkpoint_bytes(shape, recipe) / GB,
    )


def _training_span(
    shape: Shape, recipe: Recipe, work: Workload, setting: Setting, place: Place
) -> Span | None:
    if place.device is None:
        return None
    measured = pace.measured_span(place.runs, recipe, work, place.device.name)
    return measured or pace.training_span(
        shape, recipe, work, place.device, recompute=setting.recompute
    )


def largest_setting(
    shape: Shape, recipe: Recipe, work: Workload, card_gb: float | None
) -> Setting | None:
    """The largest forward pass that fits, with as little computed twice as possible.

    Without a card nothing is too large. ``None``: not even the smallest pass fits.
    """
    asked = work.pass_tokens(recipe)
    recomputes = recipe.train.recomputes
    for recompute in recomputes:
        for tokens in _halves(asked, work, last_resort=recompute is recomputes[-1]):
            setting = Setting(pass_tokens=tokens, recompute=recompute)
            needed = memory.training_memory(shape, recipe, _load(setting, work)).total_gb
            if card_gb is None or needed <= card_gb:
                return setting
    return None


def _halves(start: int, work: Workload, *, last_resort: bool) -> Iterator[int]:
    """The passes that are tried, as the engine halves them when memory runs out.

    A row cannot be cut, so the longest one is the smallest pass. Passes too small to be worth it
    come only where nothing more can be computed twice.
    """
    least = work.longest_row if last_resort else max(work.longest_row, 2 * WORTHWHILE_TOKENS)
    tokens = start
    while tokens > least:
        yield tokens
        tokens //= 2
    yield min(start, max(tokens, work.longest_row))


def _load(setting: Setting, work: Workload) -> Load:
    """The pass at its worst: rows of the longest length, each with a long answer."""
    rows = max(1, setting.pass_tokens // work.longest_row)
    return Load(
        tokens=setting.pass_tokens,
        answer_tokens=min(rows * work.usual_answer, setting.pass_tokens),
        recompute=setting.recompute,
    )


# --- what speaks against it ----------------------------------------------------------------------


def _refused_memory(planned: Sequence[RecipePlan], place: Place) -> Iterator[Refusal]:
    for each in planned:
        yield from _refused_merged(each, place)
        if place.device is None or each.training is None or each.setting is not None:
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
        yield Refusal(key="queue.plan-memory", fields=fields)


def _refused_merged(each: RecipePlan, place: Place) -> Iterator[Refusal]:
    needed = each.generation.total_gb if each.merged and each.generation is not None else 0.0
    if place.device is not None and needed > place.device.memory_gb:
        fields = {
            "recipe": each.recipe,
            "needed": f"{needed:.1f}",
            "card": place.device.name,
            "memory": f"{place.device.memory_gb:.1f}",
        }
        yield Refusal(key="queue.plan-merged-memory", fields=fields)


def _refused_disk(
    recipes: Sequence[Recipe], shapes: dict[str, Shape | None], made: Plan, place: Place
) -> Iterator[Refusal]:
    if place.disk_free_gb is None:
        yield Refusal(key="queue.disk-unknown", fields={}, for_disk=True)
        return
    room = place.disk_free_gb - place.disk_keep_gb
    if made.peak_disk_gb <= room:
        return
    purged = plan_disk(recipes, shapes, purge_bases=True)
    fields = {
        "needed": f"{made.peak_disk_gb:.1f}",
        "free": f"{place.disk_free_gb:.1f}",
        "keep": f"{place.disk_keep_gb:.1f}",
        "downloads": " + ".join(
            f"{each.download_gb:.1f}" for each in made.recipes if each.download_gb
        ),
        "purged": f"{max(step.total_gb for step in purged):.1f}",
    }
    fits = max(step.total_gb for step in purged) <= room
    key = "queue.plan-disk-purge" if fits and not place.purge_bases else "queue.plan-disk"
    yield Refusal(key=key, fields=fields, for_disk=True)


def _refused_time(recipes: Sequence[Recipe], made: Plan, place: Place) -> Iterator[Refusal]:
    """Refused if even the fastest estimate is too long."""
    span = made.span
    if place.minutes is None or span is None or span.low_seconds <= 60 * place.minutes:
        return
    epochs = sum(recipe.train.epochs for recipe in recipes)
    share = 60 * place.minutes / span.low_seconds
    tokens = sum(each.work.trained_tokens for each in made.recipes if each.work is not None)
    fields = {
        "minutes": f"{place.minutes:.0f}",
        "fastest": f"{span.low_seconds / 60:.0f}",
        "slowest": f"{span.high_seconds / 60:.0f}",
        "tokens": f"{tokens / 1e6:.1f}",
        "epochs": str(epochs),
        "fitting": f"{epochs * share:.1f}",
        "card": place.device.name if place.device else "?",
    }
    yield Refusal(key="queue.plan-time", fields=fields)
