"""How long training and generation take: measured on this machine, else by arithmetic."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import quantiles

import msgspec

from yoyak.config.schema import Recipe, Recompute
from yoyak.events import PredictionProgress, TrainStep
from yoyak.queue import machine
from yoyak.queue.devices import Device
from yoyak.queue.memory import weight_bytes
from yoyak.queue.shapes import Shape
from yoyak.queue.workload import Workload, beams_of
from yoyak.runs.run import Run
from yoyak.values import Value

UTILISATION = (0.25, 0.55)
"""Share of a card's peak that fine-tuning reaches, from careless to careful: an assumption.

A loop on an RTX 3090 was recorded at 1,150 tokens a second with a 3B, which is 0.31.
"""
BANDWIDTH_SHARE = (0.3, 0.7)
"""Share of the memory's speed that decoding reaches: an assumption."""
PRODUCTS_AGAIN = {Recompute.NOTHING: 0, Recompute.ALTERNATE: 1, Recompute.EVERYTHING: 2}
"""FLOP a weight and token that recomputation adds."""
GENERATION_ROWS = 32
MEASURED_STEPS = 10
MEASURED_STRETCHES = 3


class Span(Value, frozen=True, kw_only=True):
    """A duration between two estimates, in seconds; ``measured`` says where they come from."""

    low_seconds: float
    high_seconds: float
    measured: bool = False

    def __add__(self, other: "Span") -> "Span":
        return Span(
            low_seconds=self.low_seconds + other.low_seconds,
            high_seconds=self.high_seconds + other.high_seconds,
            measured=self.measured and other.measured,
        )


def training_flops(shape: Shape, recipe: Recipe, work: Workload, *, recompute: Recompute) -> float:
    """Of all steps: 2 per weight and token forward, 2 back to the inputs, 2 for what learns.

    The head only meets supervised tokens, the embedding none.
    """
    body = shape.parameters - shape.embedding_parameters
    head = shape.vocabulary * shape.width
    passes = 2 + 2 + (2 if recipe.lora is None else 0) + PRODUCTS_AGAIN[recompute]
    return passes * (body * work.trained_tokens + head * work.trained_answers)


def training_span(
    shape: Shape, recipe: Recipe, work: Workload, device: Device, *, recompute: Recompute
) -> Span | None:
    """Seconds of training by arithmetic; ``None`` for a card without a data sheet, and for toys.

    A toy's time goes into starting kernels, of which arithmetic knows nothing.
    """
    if not device.tflops or recipe.model.scratch is not None:
        return None
    at_peak = training_flops(shape, recipe, work, recompute=recompute) / (device.tflops * 1e12)
    slow, fast = UTILISATION
    return Span(low_seconds=at_peak / fast, high_seconds=at_peak / slow)


def generation_span(shape: Shape, recipe: Recipe, work: Workload, device: Device) -> Span | None:
    """Seconds of all generation: sources cost products, answers the reading of weights.

    Every new token of a batch reads all weights once; 4-bit ones are read packed, written unpacked
    and read again.
    """
    if not device.tflops or not device.bandwidth_gb_per_second or recipe.model.scratch is not None:
        return None
    batches = -(-work.spoken_rows // GENERATION_ROWS)
    read = weight_bytes(shape, recipe) if recipe.lora else 4.0 * shape.parameters
    if recipe.model.quantisation is not None:
        read += 4.0 * shape.linear_parameters
    at_peak = batches * work.usual_answer * read / (device.bandwidth_gb_per_second * 1e9)
    slow, fast = BANDWIDTH_SHARE
    answers = Span(low_seconds=at_peak / fast, high_seconds=at_peak / slow)
    body = shape.parameters - shape.embedding_parameters
    sources = work.spoken_rows / beams_of(recipe) * work.usual_source
    at_peak = 2 * body * sources / (device.tflops * 1e12)
    slow, fast = UTILISATION
    return answers + Span(low_seconds=at_peak / fast, high_seconds=at_peak / slow)


def measured_span(runs: Iterable[Run], recipe: Recipe, work: Workload, device: str) -> Span | None:
    """Seconds of training from the tokens a second that earlier runs of this model reached here.

    The low end is the median step, the high end the slowest tenth; ``None`` below ten steps.
    """
    rates = sorted(rate for run in runs if is_alike(run, recipe, device) for rate in _rates(run))
    if len(rates) < MEASURED_STEPS:
        return None
    tenths = quantiles(rates, n=10)
    return Span(
        low_seconds=work.trained_tokens / tenths[4],
        high_seconds=work.trained_tokens / tenths[0],
        measured=True,
    )


def measured_generation(
    runs: Iterable[Run], recipe: Recipe, work: Workload, device: str
) -> Span | None:
    """Seconds of all generation from the rows a second of earlier runs that decode alike here.

    From the median stretch of rows to the slowest tenth; ``None`` below three stretches.
    """
    paces = sorted(
        seconds
        for run in runs
        if (run.recipe.decode, run.recipe.generate) == (recipe.decode, recipe.generate)
        and run.recipe.prompt == recipe.prompt
        and is_alike(run, recipe, device)
        for seconds in _seconds_per_row(run)
    )
    if len(paces) < MEASURED_STRETCHES:
        return None
    tenths = quantiles(paces, n=10, method="inclusive")
    rows = work.spoken_rows / beams_of(recipe)
    return Span(low_seconds=rows * tenths[4], high_seconds=rows * tenths[8], measured=True)


def is_alike(run: Run, recipe: Recipe, device: str) -> bool:
    """Whether a run's pace says something about ``recipe`` on the card or processor ``device``."""
    before = run.recipe
    same = (before.model, before.lora) == (recipe.model, recipe.lora)
    return same and any(device in name for name in _hardware(run, recipe))


class _Machine(msgspec.Struct):
    """The part of a run's provenance that decides its pace."""

    processor: str = ""
    threads: int | None = None
    gpus: tuple[str, ...] = ()


def _hardware(run: Run, recipe: Recipe) -> tuple[str, ...]:
    """What computed the run; a processor only if it had the threads that ``recipe`` would get."""
    path = run.folder / "provenance.json"
    if not path.is_file():
        return ()
    where = msgspec.json.decode(path.read_bytes(), type=_Machine)
    if where.gpus:
        return where.gpus
    return (where.processor,) if where.threads == machine.threads_for(recipe) else ()


def _rates(run: Run) -> Iterator[float]:
    """Tokens a second of each step; the first two pay for compiling and warming up."""
    steps = [event for event in run.log(whole=False).events if isinstance(event, TrainStep)]
    yield from (step.tokens / step.seconds for step in steps[2:] if step.seconds > 0)


def _seconds_per_row(run: Run) -> Iterator[float]:
    """Of each stretch of rows that were stored together, by whole rows of one attempt."""
    stored = [
        event for event in run.log(whole=False).events if isinstance(event, PredictionProgress)
    ]
    for sooner, later in pairwise(stored):
        rows, seconds = later.done - sooner.done, later.seconds - sooner.seconds
        if later.split == sooner.split and rows > 0 and seconds > 0:
            yield seconds / rows
